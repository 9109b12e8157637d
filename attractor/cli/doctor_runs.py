"""What `attractor doctor` looks at for runs: this project, the person's configuration, runs left.

Looks only. A run that nobody sees to any more is named with the command that resumes it; whether
one that is alive is well, `attractor status` says.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Final

from attractor.cli.doctor_check import Check, Level
from attractor.errors import AttractorError, InputError

_LIBRARIES: Final = ("click", "filelock", "gherkin", "pydantic", "rich", "watchdog", "yaml")
_MIB: Final = 2**20
_MOST_RUNS: Final = 5


def libraries() -> Iterator[Check]:
    """Look for the libraries that the verbs import when they are called."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        fix = "install Attractor again, in an environment of its own"
        yield Check("libraries", Level.FAIL, f"{', '.join(missing)} cannot be imported", fix)
    else:
        yield Check("libraries", Level.OK, ", ".join(_LIBRARIES))


def login() -> Iterator[Check]:
    """Look for anything that shows a login; only the service knows whether it still counts."""
    from attractor.run import preflight, trust

    path = trust.state_file(os.environ)
    if sys.platform == "darwin":
        yield Check("login", Level.OK, "kept in the keychain, which is not looked at")
    elif preflight.shows_login(trust.read_state(path), os.environ):
        yield Check("login", Level.OK, "there is one; only Claude Code knows whether it is good")
    else:
        message = "nothing shows that Claude Code is logged in; without it only rehearsals work"
        fix = "run `claude` once and log in, or set ANTHROPIC_API_KEY"
        yield Check("login", Level.WARN, message, fix)


def project() -> Iterator[Check]:
    """Look at the project around the working directory."""
    from attractor.run.config import find_project

    folder = find_project(os.getcwd())
    if folder is None:
        message = "this is no git repository; without one no run can start here"
        fix = "go to a project, or make this one: git init; git add -A; git commit"
        yield Check("project", Level.WARN, message, fix)
    else:
        yield Check("project", Level.OK, folder)
        yield _trust(folder)
    yield _settings(folder)
    yield _rubrics(folder or os.getcwd())


def _trust(folder: str) -> Check:
    from attractor.run import trust

    path = trust.state_file(os.environ)
    if trust.is_trusted(folder, trust.read_state(path)):
        return Check("trust", Level.OK, "Claude Code trusts this project")
    message = "Claude Code does not trust this project yet; without that only rehearsals work"
    fix = trust.ways(path, f"attractor init --trust {shlex.quote(folder)}")
    return Check("trust", Level.WARN, message, fix)


def _settings(folder: str | None) -> Check:
    from attractor.run import config

    try:
        found = config.load(folder, os.environ)
    except InputError as error:
        return Check("settings", Level.FAIL, f"{error.where}: {error.problem}", error.fix)
    named = [name for layer in (found.project, found.user) for name in layer.values]
    said = ", ".join(dict.fromkeys(named)) or "nothing but defaults"
    return Check("settings", Level.OK, said)


def _rubrics(folder: str) -> Check:
    from attractor.rubric.locate import state_place

    place = os.path.dirname(state_place("any", folder, os.environ))
    there = place
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        return Check("rubrics", Level.OK, f"{place}, where no agent looks")
    message = f"{there} cannot be written; without it no rubric can be made for this project"
    fix = "check its owner and mode, or set XDG_STATE_HOME to another folder"
    return Check("rubrics", Level.FAIL, message, fix)


def disk() -> Iterator[Check]:
    """Look at the space that worktrees and runs need."""
    from attractor.run import room
    from attractor.run.config import find_project

    here = os.getcwd()
    free, needed = room.free(here) or 0, room.needed(find_project(here) or "")
    message = f"{free // _MIB} MiB are free"
    if free >= needed:
        yield Check("disk", Level.OK, message)
    else:
        message += f", {needed // _MIB} are needed; without them no run starts"
        yield Check("disk", Level.WARN, message, "free some space")


def runs() -> Iterator[Check]:
    """Look for runs that have not ended, and that nobody sees to."""
    from attractor.run import locate

    try:
        above = locate.project_above(os.getcwd())
    except InputError:
        yield Check("runs", Level.OK, "there are none here")
        return
    names = locate.runs_of(above)
    left = [check for name in names if (check := _left(above, name)) is not None]
    yield from left[-_MOST_RUNS:]
    if not left:
        yield Check("runs", Level.OK, f"{len(names)} here, none is left behind")


def _left(project_folder: str, name: str) -> Check | None:
    from attractor.run import recount
    from attractor.run.layout import run_layout

    layout = run_layout(project_folder, name)
    if not os.path.isfile(layout.request):
        return None  # a node that was rehearsed alone
    called = shlex.quote(name)
    try:
        state = recount.state_of(layout, recount.story_of(layout))
    except AttractorError as error:
        fix = error.fix or f"see what is there: {shlex.quote(layout.root)}"
        return Check("runs", Level.WARN, f"{name} cannot be read: {error.problem}", fix)
    if state != recount.INTERRUPTED:
        return None
    message = f"{name} has not ended, and nobody sees to it"
    return Check("runs", Level.WARN, message, f"attractor resume {called}")
