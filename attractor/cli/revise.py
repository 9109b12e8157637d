"""One edit of a pipeline's file, from the lock to the log; `node` and `edge` share it.

An edit happens whole or not at all, and alone: under the file's lease, from what the file holds
then, and replaced in one step. One that brings a lint error which was not there is refused, and
the file stays as it was. What somebody saved meanwhile in an editor is never overwritten: the edit
is done again on that. A node that comes back is written with the state that the journal still has
for it. The line in `<file>.ops.jsonl` is written after the edit: a crash between the two loses the
line, never the edit, and a log that cannot be written is a note on stderr.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, final

import click

from attractor.cli.output import dump, note, printable, say
from attractor.errors import AttractorError, InputError, UsageError
from attractor.pipeline.document import Document
from attractor.pipeline.dot import KEYWORDS, parse
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.finding import Finding, Severity
from attractor.pipeline.graph import Graph, build
from attractor.pipeline.lint import lint
from attractor.pipeline.load import ChangedError, changed, check_unchanged, load
from attractor.run.layout import layout_of
from attractor.run.plain import open_plain
from attractor.run.states import NodeState
from signals.atomic import replace, write_all
from signals.clock import SystemClock, iso

F = TypeVar("F", bound=Callable[..., Any])
Change = Callable[[Document, Graph], str]

_LOCK_SECONDS: Final = 10.0
_TRIES: Final = 5
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


class FileFirstGroup(click.Group):
    """Takes `node list FILE`, and the original harness's `node FILE list` too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if len(args) > 1 and args[0] not in self.commands and args[1] in self.commands:
            args = [args[1], args[0], *args[2:]]
        return super().parse_args(ctx, args)


def edit_options(command: F) -> F:
    """Give a command that edits its `--dry-run` and `--force`."""
    force = click.option("--force", is_flag=True, help="Also when it brings a lint error.")
    dry_run = click.option("--dry-run", is_flag=True, help="Show the change, write nothing.")
    return force(dry_run(command))


def set_option(command: F) -> F:
    """Give a command its `--set key=value` (argument `settings`, see `settings_of`)."""
    text = "An attribute; may be repeated."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)(command)


def settings_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the `--set` pairs as attributes."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no value", fix="write --set key=value")
        settings[checked_key(key.strip())] = checked_text(value)
    return settings


def checked_text(value: str) -> str:
    """Return the value when a UTF-8 file can hold it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        fix = "check the encoding of your terminal or script"
        raise InputError(f"{value!r} is not UTF-8", fix=fix) from None
    return value


def checked_state(value: str) -> str:
    """Return the value when it names a state."""
    states = [state.value for state in NodeState]
    if value not in states:
        raise InputError(f"{value!r} is not a state", fix=f"the states are {', '.join(states)}")
    return value


def checked_key(key: str) -> str:
    """Return the key when it can stand in DOT as it is."""
    if _KEY.fullmatch(key) and key.lower() not in KEYWORDS:
        return key
    fix = "a key is letters, digits and underscores, with dots between: timeout, human.default"
    raise InputError(f"{key!r} cannot be the key of an attribute", fix=fix)


@final
@dataclass(frozen=True)
class Revision:
    """What an edit did, or would do, and the lint errors that it was allowed to bring.

    `recorded` holds the nodes that came back, and were written with the journal's states.
    """

    before: str
    after: str
    accepted: list[Finding] = field(default_factory=list)
    recorded: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Say whether the file's text is another now."""
        return self.after != self.before

    def diff(self, name: str) -> str:
        """Return the change as a unified diff."""
        old, new = (_LINE.findall(text) for text in (self.before, self.after))
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(old, new, name, name)
        )


@final
@dataclass(frozen=True)
class Tolerance:
    """Which lint errors an edit may bring; `flags` names the option that would allow a rule's."""

    accepts: Callable[[Finding], bool]
    flags: Mapping[str, str] = field(default_factory=dict)


def revise(
    file: str,
    change: Change,
    entry: Mapping[str, object],
    tolerance: Tolerance,
    *,
    dry_run: bool,
) -> Revision:
    """Carry out one change of a file, and log `entry`; a dry run does neither."""
    if file == "-" and not dry_run:
        raise UsageError("standard input cannot be edited", fix="name a file, or add --dry-run")
    # Before the lease, so that no lock is left beside something that is no pipeline.
    document, graph = load(file)
    layout = layout_of(os.path.realpath(file))
    if dry_run:
        return _checked(document, graph, change, tolerance, layout.journal)
    from attractor.run.alone import alone  # filelock costs 40 ms, and reading needs no lock

    clock = SystemClock()
    with alone(layout, clock, _LOCK_SECONDS):
        for _ in range(_TRIES):
            revision = _checked(*load(file), change, tolerance, layout.journal)
            if not revision.changed:
                return revision
            unchanged = functools.partial(check_unchanged, layout.dot, revision.before)
            with contextlib.suppress(ChangedError):
                replace(layout.dot, revision.after.encode(), check=unchanged)
                _log(file, {"timestamp": iso(clock.wall_ns()), **_as_done(entry, file, revision)})
                return revision
    raise changed(file)


def _as_done(entry: Mapping[str, object], file: str, revision: Revision) -> dict[str, object]:
    done = {"file": file, **entry}
    if state := revision.recorded.get(str(entry.get("node_id"))):
        done["status"] = state
    return done


def _checked(
    document: Document, graph: Graph, change: Change, tolerance: Tolerance, journal: str
) -> Revision:
    after = change(document, graph)
    new_document = parse(after, document.source.name)
    new_graph = build(new_document)
    if recorded := _recorded(graph, new_graph, journal):
        after = set_attrs(new_document, {node: {"status": at} for node, at in recorded.items()})
        new_document = parse(after, document.source.name)
        new_graph = build(new_document)
    brought = _brought(_errors(document, graph), _errors(new_document, new_graph))
    if refused := [finding for finding in brought if not tolerance.accepts(finding)]:
        first = refused[0]
        more = f" ({len(refused) - 1} more)" if len(refused) > 1 else ""
        flag = tolerance.flags.get(first.rule, "--force")
        raise InputError(
            f"the edit would bring a lint error, so nothing was changed: {first.message}{more}",
            where=document.source.name,
            fix=f"{first.fix.rstrip('.')}; or repeat with {flag}",
            rule=first.rule,
            findings=[{"rule": each.rule, "message": each.message} for each in refused],
        )
    return Revision(document.source.text, after, brought, recorded)


def _recorded(old: Graph, new: Graph, journal: str) -> dict[str, str]:
    """Return the states of nodes that an edit brings and the journal knows to be in another one.

    With any other state their next transition would be refused, as edited by hand.
    """
    known = {(each.id, each.declared) for each in old.nodes.values()}
    brought = [each.id for each in new.nodes.values() if (each.id, each.declared) not in known]
    if not brought or not os.path.lexists(journal):
        return {}
    from attractor.run.fold import fold  # only beside a journal
    from attractor.run.journal import read
    from attractor.run.reconcile import shown_status

    states = fold(read(journal).entries, journal).statuses
    return {
        node: states[node].value
        for node in brought
        if node in states and shown_status(new, node) != states[node].value
    }


def _errors(document: Document, graph: Graph) -> list[Finding]:
    found = lint(graph, document.warnings)
    return [finding for finding in found if finding.severity is Severity.ERROR]


def _brought(before: list[Finding], after: list[Finding]) -> list[Finding]:
    """Return the findings that `before` has no equal of; the wording may differ, the place not."""
    known = Counter((each.rule, each.node, each.edge) for each in before)
    brought = []
    for each in after:
        key = (each.rule, each.node, each.edge)
        if known[key] > 0:
            known[key] -= 1
        else:
            brought.append(each)
    return brought


def report(
    done: Revision,
    file: str,
    entry: Mapping[str, object],
    said: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what an edit did, or would do; the JSON holds the harness's keys too."""
    if as_json:
        result = {"status": "ok", "success": True, "file": file, "changed": done.changed}
        # A node's own "status" must not hide the result's.
        result |= {key: value for key, value in entry.items() if key != "status"}
        if dry_run:
            result |= {"dry_run": True, "diff": done.diff(file)}
        say(dump(result))
    elif dry_run:
        if done.changed:
            say(done.diff(file).removesuffix("\n"))
    else:
        say(printable(f"{file}: {said}"))
    for node, state in done.recorded.items():
        note(
            f"note: the journal has been keeping node {node!r} as {state}, so it is that again\n"
            f"  move it with `attractor transition {printable(file)} {node} STATE`"
        )
    for finding in done.accepted:
        note(f"note: {finding.message}\n  {finding.fix}")


def _log(file: str, entry: Mapping[str, object]) -> None:
    path = f"{os.path.realpath(file)}.ops.jsonl"
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    try:
        fd = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            write_all(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)
    except (OSError, AttractorError) as error:
        reason = error.problem if isinstance(error, AttractorError) else error.strerror
        note(f"note: the edit is done, but {printable(path)} could not be written: {reason}")
