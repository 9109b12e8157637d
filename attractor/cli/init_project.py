"""The files that `attractor init` gives a project, one step after the other.

Each step makes what is missing and leaves what is there, so a run that was killed is completed by
the next one. A file appears whole or not at all; of `.gitignore` every byte stays, and lines that
are missing are added at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, final

from attractor.beads import config as beads_config
from attractor.beads import store
from attractor.beads.store import Store, read_regular
from attractor.cli.new import template
from attractor.errors import AttractorError
from attractor.run import trust
from attractor.run.config import SETTINGS, Plain, find_project, project_file, shown
from signals.atomic import draft_of, publish, replace, storage_errors, sweep_drafts

MADE: Final = "made"
CHANGED: Final = "changed"
THERE: Final = "was there"

IGNORED: Final = (".claude/attractor/", ".claude/worktrees/", ".claude/completion-state/")
_MOST_BYTES: Final = 8 << 20
_FIRST: Final = os.path.join("pipelines", "first.dot")
_HEAD: Final = """\
# The settings of this project for Attractor. Every line below is a default: take the `#` at its
# beginning away to change it. These count first: the command line, the environment, a node's and a
# graph's attributes. `attractor config show` says what each setting is, and where it has that from.
"""


@final
class Step(NamedTuple):
    """What one step did."""

    name: str
    path: str
    did: str
    about: str = ""

    def __str__(self) -> str:
        line = f"{self.did:<9}  {self.path}"
        return f"{line}: {self.about}" if self.about else line


def made(folder: str) -> Iterator[Step]:
    """Make what the project lacks."""
    yield _ignored(folder)
    yield _published("settings", project_file(folder), settings_text())
    yield _beads(folder)
    yield _pipeline(folder)


def check_trust(folder: str, environ: Mapping[str, str]) -> None:
    """Raise an error where Claude Code could not be had trust the project, before all else."""
    try:
        trust.check(os.path.abspath(folder), environ)
    except AttractorError as error:
        error.problem = f"nothing was set up: {error.problem}"
        error.fix = "; ".join(filter(None, (error.fix, "all else is set up without --trust")))
        raise


def trusted(folder: str, environ: Mapping[str, str]) -> Step:
    """Have Claude Code trust the project, in the person's own configuration."""
    project = os.path.abspath(folder)
    new = trust.accept(project, environ)
    about = f"Claude Code trusts {trust.main_checkout(project)}"
    return Step("trust", trust.state_file(environ), CHANGED if new else THERE, about)


def notes(folder: str) -> list[str]:
    """Return what a person should know before the first run."""
    here = os.path.realpath(folder)
    top = find_project(here)
    if top is None:
        return ["this is no git repository, and a run needs one: git init"]
    if os.path.realpath(top) != here:
        return [f"this is not the top of its checkout; runs read the files of {top}"]
    return []


def _ignored(folder: str) -> Step:
    path = os.path.join(folder, ".gitignore")
    sweep_drafts(path)
    with storage_errors("read", path):
        try:
            data = read_regular(path, _MOST_BYTES)
        except FileNotFoundError:
            data = b""
    lines = {line.strip().strip(b"/") for line in data.splitlines()}
    missing = [each for each in IGNORED if not _covers(lines, each)]
    if not missing:
        return Step("gitignore", path, THERE)
    end = b"\r\n" if b"\r\n" in data else b"\n"
    start = end if data and not data.endswith(b"\n") else b""
    added = start + b"".join(each.encode() + end for each in missing)
    replace(path, data + added)
    return Step("gitignore", path, CHANGED if data else MADE, ", ".join(missing))


def _covers(lines: set[bytes], entry: str) -> bool:
    inner = entry.strip("/").encode()
    return any(each in lines for each in (inner, b".claude", b".claude/*", b".claude/**"))


def settings_text() -> str:
    """Return a file of settings in which nothing is set."""
    parts = [_HEAD]
    for name, setting in SETTINGS.items():
        choices = f": {', '.join(setting.choices)}" if setting.choices else ""
        parts.append(f"# {setting.about}{choices}\n#{name}: {_value(name, setting.default)}\n")
    return "\n".join(parts)


def _value(name: str, default: Plain) -> str:
    if isinstance(default, tuple):
        return "[]"
    return shown(name, default) or '""'


def _published(name: str, path: str, text: str) -> Step:
    folder = os.path.dirname(path)
    sweep_drafts(path)
    if os.path.lexists(path):
        return Step(name, path, THERE)
    try:
        publish(folder, os.path.basename(path), text.encode(), tmp=folder)
    except FileExistsError:
        return Step(name, path, THERE)
    return Step(name, path, MADE)


def _beads(folder: str) -> Step:
    path = os.path.join(folder, store.FOLDER)
    # The issues come last: with them all is there. A real bd may keep them in a database.
    if os.path.isdir(path) and (os.path.exists(Store(path).path) or _is_foreign(path)):
        return Step("beads", path, THERE)
    for name in _names(path):
        if (meant := draft_of(name)) is not None:
            sweep_drafts(os.path.join(path, meant))
    prefix = beads_config.prefix_of(path, beads_config.read(path))
    store.init(path, prefix)
    return Step("beads", path, MADE, f"ids begin with {prefix}")


def _is_foreign(path: str) -> bool:
    return bool(Store(path).dolt) or any(name.endswith(".db") for name in _names(path))


def _names(path: str) -> list[str]:
    return os.listdir(path) if os.path.isdir(path) else []


def _pipeline(folder: str) -> Step:
    path = os.path.join(folder, _FIRST)
    with storage_errors("make", os.path.dirname(path)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    others = sorted(each for each in os.listdir(os.path.dirname(path)) if each.endswith(".dot"))
    if others and not os.path.lexists(path):
        return Step("pipeline", os.path.dirname(path), THERE, f"{others[0]} is in it")
    return _published("pipeline", path, template("first", "PRD-EXAMPLE-001"))
