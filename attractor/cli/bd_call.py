"""One call of `attractor bd`: the flags that every verb takes, the store, and who is acting.

bd takes its global flags before the verb and after it, so every command and group has them all.
Those that are about bd's database and daemon are taken and mean nothing here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, final

import click

from attractor.beads import config
from attractor.beads.edit import Act
from attractor.beads.issue import (
    IMPL_COMPLETE,
    STORED_STATUSES,
    TYPES,
    Issue,
    check_text,
    check_word,
)
from attractor.beads.lines import Lines
from attractor.beads.store import Store, find
from attractor.cli.output import dump, note, say
from attractor.errors import AttractorError, InputError, UsageError
from signals.clock import SystemClock

_META: Final = "attractor.bd."
_SHOWN_DAMAGE: Final = 5
_IGNORED: Final = (
    *("--no-daemon", "--no-auto-flush", "--no-auto-import", "--no-db", "--sandbox", "--readonly"),
    *("--allow-stale", "--verbose"),
)


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    # Shared by the contexts of bd, its groups and its verbs: a flag counts wherever it stands.
    if value:
        ctx.meta[f"{_META}{param.name}"] = value


def _flag(*names: str, takes: bool = False, says: str = "", hidden: bool = False) -> click.Option:
    return click.Option(
        names,
        is_flag=not takes,
        help=says,
        hidden=hidden,
        expose_value=False,
        callback=_remember,
    )


def _globals() -> list[click.Parameter]:
    return [
        _flag("--json", says="Print one JSON document."),
        _flag("-q", "--quiet", says="Print nothing but errors and what was asked for."),
        _flag("--actor", takes=True, says="Who is doing this (else $BD_ACTOR, git, $USER)."),
        _flag("--db", takes=True, says="Use the .beads folder that this is, or is in."),
        *(_flag(name, hidden=True) for name in _IGNORED),
    ]


class BdCommand(click.Command):
    """A verb, with the global flags."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += _globals()


class BdGroup(click.Group):
    """A group of verbs, with the global flags; its errors have bd's key `error`."""

    command_class = BdCommand

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += _globals()

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AttractorError as error:
            error.details.setdefault("error", error.problem)
            raise
        except click.exceptions.NoArgsIsHelpError:
            raise  # a group without a verb: its help is the answer
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else ctx.command_path
            problem = error.format_message()
            fix = f"see `{path} --help`"
            raise UsageError(problem, where=path, fix=fix, error=problem) from None


@final
class Call:
    """What a verb needs of the world."""

    def __init__(self, ctx: click.Context) -> None:
        self._meta = ctx.meta
        self.clock = SystemClock()
        self._settings: dict[str, Any] | None = None
        self._store: Store | None = None

    def _flag(self, name: str) -> str:
        return str(self._meta.get(f"{_META}{name}") or "")

    @property
    def as_json(self) -> bool:
        return bool(self._flag("json"))

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = find(os.getcwd(), os.environ, self._flag("db"))
        return self._store

    @property
    def settings(self) -> dict[str, Any]:
        if self._settings is None:
            self._settings = config.read(self.store.folder)
        return self._settings

    @property
    def prefix(self) -> str:
        return config.prefix_of(self.store.folder, self.settings)

    def read(self) -> Lines:
        """Return the beads; damage is named on stderr."""
        lines = self.store.read()
        self._name_damage(lines)
        return lines

    @contextlib.contextmanager
    def change(self) -> Iterator[Lines]:
        """Yield the beads to be changed; one write when the block ends well."""
        with self.store.change(self.clock) as lines:
            self._name_damage(lines)
            yield lines
        if lines.changed and self.store.dolt:
            self.warn(
                f"{self.store.folder} holds a bd database in {self.store.dolt}/: "
                "bd sees this change only after `bd import`"
            )

    def _name_damage(self, lines: Lines) -> None:
        for each in lines.damage[:_SHOWN_DAMAGE]:
            self.warn(f"{self.store.path}:{each.number}: {each.reason}; the line is kept as it is")
        if len(lines.damage) > _SHOWN_DAMAGE:
            more = len(lines.damage) - _SHOWN_DAMAGE
            self.warn(f"and {more} more lines; `attractor bd doctor` checks them")

    def act(self) -> Act:
        """Return who does this, and when."""
        environ = os.environ
        session = environ.get("CLAUDE_SESSION_ID") or environ.get("CLAUDE_CODE_SESSION_ID") or ""
        return Act(self._actor(), self.clock.wall_ns(), check_text("session", session))

    def _actor(self) -> str:
        given = self._flag("actor") or os.environ.get("BD_ACTOR") or os.environ.get("BEADS_ACTOR")
        given = given or config.shown(self.settings.get("actor") or "")
        name = given or self._git_name() or os.environ.get("USER") or "unknown"
        return check_text("actor", str(name)).strip() or "unknown"

    def _git_name(self) -> str:
        from attractor.errors import ToolError
        from attractor.spawn import run_tool  # only where nothing nearer names the actor

        try:
            argv = ["git", "config", "user.name"]
            said = run_tool(argv, timeout_seconds=5.0, cwd=self.store.folder)
        except ToolError:
            return ""
        return said.decode("utf-8", "replace").strip()

    def status(self, word: str) -> str:
        """Return a status that exists here."""
        known = (*STORED_STATUSES, IMPL_COMPLETE)
        if word in known:
            return word
        return check_word("status", word, (*known, *config.custom(self.settings, "status.custom")))

    def kind(self, word: str) -> str:
        """Return a type of issue that exists here."""
        if word in TYPES:
            return word
        return check_word("type", word, (*TYPES, *config.custom(self.settings, "types.custom")))

    def say(self, value: object, text: Callable[[], str] | str) -> None:
        """Print the result: the value under --json, else the text."""
        if self.as_json:
            say(dump(value))
        elif not self._flag("quiet") and (words := text if isinstance(text, str) else text()):
            say(words)

    def warn(self, text: str) -> None:
        """Tell a person something beside the result."""
        note(f"warning: {text}")


def current() -> Call:
    """Return the call that is being run."""
    return Call(click.get_current_context())


def words_of(values: Sequence[str]) -> list[str]:
    """Return what was given in repeated flags or with commas."""
    return [word for value in values for each in value.split(",") if (word := each.strip())]


def body(text: str | None, path: str | None) -> str | None:
    """Return a description from its flag or its file (`-`: stdin)."""
    if path is None:
        return None if text is None else check_text("description", text)
    if text is not None:
        raise click.UsageError("give --description or --body-file, not both")
    try:
        with click.open_file(path, encoding="utf-8") as file:
            return str(file.read()).rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        fix = "give a file with UTF-8 text, or - for stdin"
        raise InputError(f"cannot read it: {error}", where=path, fix=fix) from None


def ids_of(found: Sequence[Issue]) -> str:
    """Return the ids of issues for a sentence."""
    return ", ".join(issue["id"] for issue in found)
