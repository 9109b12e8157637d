"""`attractor rubric`: what work is judged by: have it written, check it, read it, seal it.

Whoever may read a rubric is a person; the agents whose work it judges never see it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from attractor.cli.output import check_stdout, dump, json_option, note, printable, say
from attractor.errors import InputError

if TYPE_CHECKING:
    from attractor.pipeline.graph import Graph
    from attractor.rubric.locate import Place
    from attractor.rubric.model import Feature, Rubric
    from attractor.rubric.prd import Prd
    from attractor.rubric.scope import Scope
    from attractor.run.preflight import Finding

F = TypeVar("F", bound=Callable[..., Any])
_SEALED: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_MOST_BYTES: Final = 1024 * 1024
_EVERYWHERE: Final = {
    "prd": "The document of the requirements; default: found by prd_ref.",
    "rubric": "The rubric's folder; default: found by prd_ref.",
    "project": "Where work is done; default: the checkout that you are in.",
}


class _Named(NamedTuple):
    """What a command line names: a folder alone, or a pipeline with all that belongs to it."""

    place: Place
    graph: Graph | None = None
    prd: Prd | None = None
    name: str = ""
    project: str = ""

    def load(self) -> Rubric:
        from attractor.rubric import manifest

        if not self.place.exists:
            fix = "have one written: attractor rubric write PIPELINE; or name its folder"
            raise InputError("there is no rubric yet", where=self.place.folder, fix=fix)
        return manifest.load(self.place.folder)

    def scope(self, rubric: Rubric) -> Scope | None:
        from attractor.rubric.scope import scope

        return scope(self.graph, rubric) if self.graph else None


def _options(command: F) -> F:
    for name, text in reversed(_EVERYWHERE.items()):
        metavar = "FILE" if name == "prd" else "DIR"
        command = click.option(f"--{name}", default="", metavar=metavar, help=text)(command)
    return command


@click.group()
def rubric() -> None:
    """Write, check, show and seal what work is judged by."""


@rubric.command()
@click.argument("target", metavar="PIPELINE|FOLDER")
@_options
@json_option
def lint(target: str, *, as_json: bool, **places: str) -> None:
    """Say whether work can be judged by a rubric.

    Of a PIPELINE also whether its PRD is covered, and where what is judged. Exit 0: no errors.
    """
    named = _named(target, **places)
    findings = _linted(named)
    errors = [each for each in findings if each.fatal]
    if as_json:
        kinds = {"errors": errors, "warnings": [each for each in findings if not each.fatal]}
        said = {kind: [_issue(each) for each in found] for kind, found in kinds.items()}
        say(dump({"valid": not errors, "folder": named.place.folder, **said}))
    else:
        lines = [line for each in findings for line in _lines(each)]
        verdict = "not valid" if errors else "valid"
        counts = f"{_count(len(errors), 'error')}, {_count(len(findings) - len(errors), 'warning')}"
        say("\n".join([*lines, f"{printable(named.place.folder)}: {verdict}, {counts}"]))
    if errors:
        sys.exit(1)


@rubric.command()
@click.argument("target", metavar="PIPELINE|FOLDER")
@_options
@json_option
def show(target: str, *, as_json: bool, **places: str) -> None:
    """Print a rubric; of a PIPELINE also at which nodes each feature is judged."""
    named = _named(target, **places)
    found = named.load()
    where = named.scope(found)
    if as_json:
        say(dump(_as_object(found, where)))
    else:
        say("\n".join(map(printable, _page(found, where))))


@rubric.command()
@click.argument("target", metavar="PIPELINE|FOLDER")
@click.option("--check", metavar="FILE", default="", help="Compare with what was printed before.")
@_options
@json_option
def seal(target: str, check: str, *, as_json: bool, **places: str) -> None:
    """Print the SHA-256 of every file, as `sha256sum` does.

    With --check FILE print what is not as it was; exit 0: nothing.
    """
    from attractor.rubric import seal as seals

    named = _named(target, **places)
    named.load()  # what is no rubric is not sealed
    found = seals.hashes(seals.read(named.place.folder))
    differ = seals.differences(_sealed(check), found) if check else []
    if as_json:
        same = {"same": not differ, "differences": differ} if check else {}
        say(dump({"folder": named.place.folder, "files": found, **same}))
    elif check:
        say("\n".join(map(printable, differ)) or "nothing has changed")
    else:
        say("\n".join(f"{found[name]}  {printable(name)}" for name in found))
    if differ:
        sys.exit(1)


@rubric.command()
@click.argument("pipeline")
@_options
@click.option("--model", default="", help="Of the agent that writes.")
@click.option("--rehearse", is_flag=True, help="Ask a scripted model; it costs nothing.")
@json_option
def write(pipeline: str, model: str, rehearse: bool, *, as_json: bool, **places: str) -> None:
    """Have an agent write the rubric of a PIPELINE from its PRD.

    It is written where agents do not look, into the user's state folder, unless --rubric says
    otherwise. One that is there is never overwritten. What is rehearsed is shown and not kept,
    unless --rubric says where.
    """
    from attractor.rubric.commission import Commission, commission

    check_stdout()
    named = _named(pipeline, **places)
    if named.graph is None or named.prd is None:
        fix = "name it with --prd FILE, or put it beside the pipeline as prd/NAME.md"
        raise InputError("there is no document of the requirements", where=pipeline, fix=fix)
    if named.place.exists and not (rehearse and not places["rubric"]):
        fix = f"see `attractor rubric show {pipeline}`, or name another folder with --rubric"
        raise InputError("there is a rubric already", where=named.place.folder, fix=fix)
    told = _Told(as_json=as_json)
    commission(
        Commission(
            folder="" if rehearse and not places["rubric"] else named.place.folder,
            name=named.name or named.prd.path,
            prd=named.prd,
            graph=named.graph,
            model=model,
            rehearsed=rehearse,
        ),
        told,
    )


class _Told:
    """Prints what was written, while it is there."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(
        self,
        found: Rubric,
        where: Scope,
        findings: list[Finding],
        usage: dict[str, Any],
        kept: bool,
    ) -> None:
        for each in findings:
            note("\n".join(_lines(each)))
        if self._as_json:
            said = {"status": "ok", "kept": kept, "usage": usage, **_as_object(found, where)}
            say(dump(said))
            return
        scenarios = sum(len(each.scenarios) for each in found.features)
        counts = f"{_count(len(found.features), 'feature')}, {_count(scenarios, 'scenario')}"
        if kept:
            say(f"wrote {printable(found.folder)}: {counts}")
        else:
            say("\n".join(map(printable, _page(found, where))), more=True)
            say(f"\nrehearsed, and not kept: {counts}")


def _named(target: str, prd: str, rubric: str, project: str) -> _Named:
    from attractor.pipeline.load import load
    from attractor.rubric import locate
    from attractor.rubric import prd as prds

    if os.path.isdir(target):
        folder = os.path.abspath(target)
        return _Named(locate.Place(folder, locate.is_rubric(folder)))
    _, graph = load(target)
    work = os.path.abspath(project) if project else locate.project_of(os.getcwd())
    name = prds.name_of(graph, prd)
    path = prds.find(name, target, work, prd)
    place = locate.find(name, target, work, os.environ, rubric)
    if not place.folder:
        fix = "give the graph a prd_ref, or name the folder with --rubric"
        raise InputError("this pipeline does not say which rubric is its", where=target, fix=fix)
    return _Named(place, graph, prds.read(path) if path else None, name, work)


def _linted(named: _Named) -> list[Finding]:
    from attractor.rubric import lint as rules
    from attractor.rubric import locate
    from attractor.run.preflight import Finding

    try:
        found = named.load()
    except InputError as error:
        return [Finding(error.problem, error.where, error.fix)]
    nodes = frozenset(map(str, named.graph.nodes)) if named.graph else None
    criteria = named.prd.criteria if named.prd else ()
    findings = rules.lint(found, criteria=criteria, nodes=nodes, prd_id=named.name)
    where = named.scope(found)
    for each in where.unjudged(found) if where else ():
        fix = "give work its criteria as promise_ac, or add a gate that judges"
        problem = f"the feature {each} is judged at no node of this pipeline"
        findings.append(Finding(problem, found.where, fix, fatal=False))
    if named.project:  # a run there would be refused; the rubric itself may be good
        placed = locate.findings(named.place, named.name, named.project, os.environ)
        findings += [replace(each, fatal=False) for each in placed]
    return findings


def _sealed(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"cannot be read: {reason}", where=path, fix="check the path") from None
    found = [_SEALED.fullmatch(line) for line in lines]
    if not lines or None in found:
        fix = "give the output of `attractor rubric seal`, without --json"
        raise InputError("this is no seal", where=path, fix=fix)
    return {match[2]: match[1] for match in found if match}


def _as_object(found: Rubric, where: Scope | None) -> dict[str, Any]:
    from dataclasses import asdict

    said = asdict(found)
    said.pop("where")
    for feature in said["features"]:
        feature["judged_at"] = _judged_at(feature["id"], where) if where else None
        del feature["mentioned"]
    return said


def _page(found: Rubric, where: Scope | None) -> Iterator[str]:
    yield f"{found.prd_id}: {found.title}" if found.title else found.prd_id
    yield f"accepted from {found.accept:.2f}, investigated from {found.investigate:.2f}"
    yield found.folder
    for feature in found.features:
        yield ""
        yield from _feature(feature, where)
    for node, text in where.acceptance.items() if where else ():
        yield ""
        yield f"{node} has no feature, and is judged by its acceptance:"
        yield from (f"  {line}" for line in text.splitlines())


def _feature(feature: Feature, where: Scope | None) -> Iterator[str]:
    criteria = f" ({', '.join(feature.criteria)})" if feature.criteria else ""
    yield f"{feature.id} {feature.title}{criteria}: {feature.weight:.2f}"
    if where:
        yield f"  judged at: {', '.join(_judged_at(feature.id, where)) or 'no node'}"
    for scenario in feature.scenarios:
        yield from (f"  {line}" if line else "" for line in scenario.text.splitlines())
    for heading, lines in (
        ("Scoring Guide", feature.guide),
        ("Evidence to Check", feature.evidence),
        ("Red Flags", feature.red_flags),
    ):
        yield from ([f"  # {heading}", *(f"  #   {line}" for line in lines)] if lines else [])


def _judged_at(feature: str, where: Scope) -> list[str]:
    return [node for node, ids in where.features.items() if feature in ids]


def _issue(finding: Finding) -> dict[str, str]:
    return {"problem": finding.problem, "where": finding.where, "fix": finding.fix}


def _lines(finding: Finding) -> list[str]:
    kind = "error" if finding.fatal else "warning"
    head = f"{finding.where}: {kind}: {finding.problem}"
    return [printable(head), f"    fix: {printable(finding.fix)}"]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
