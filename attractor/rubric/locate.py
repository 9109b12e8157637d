"""Where a rubric is, or will be written, and whether agents could read it there.

The places, in order: the folder that is given; `acceptance-tests/NAME` beside the pipeline's folder
or in it; the same in the project; the user's state folder, where one is written that is nowhere.
A rubric is there when its `manifest.yaml` is. Nothing is created.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from attractor import git
from attractor.digest import sha256
from attractor.errors import AttractorError
from attractor.git import Git
from attractor.pipeline.facts import RUBRICS
from attractor.rubric.manifest import MANIFEST
from attractor.run.preflight import Finding

_DIGITS: Final = 12
_MOST_NAME: Final = 60
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Place(NamedTuple):
    """A folder for a rubric."""

    folder: str
    """Absolute; empty where there is no name for it."""
    exists: bool


def find(
    name: str, pipeline: str, project: str, environ: Mapping[str, str], given: str = ""
) -> Place:
    """Return the place of the rubric of the PRD with this name."""
    if given:
        folder = os.path.abspath(given)
        return Place(folder, is_rubric(folder))
    if not name:
        return Place("", exists=False)
    for folder in _places(name, pipeline, project):
        if is_rubric(folder):
            return Place(folder, exists=True)
    folder = state_place(name, project, environ)
    return Place(folder, is_rubric(folder))


def is_rubric(folder: str) -> bool:
    """Say whether a rubric is in this folder."""
    return os.path.lexists(os.path.join(folder, MANIFEST))


def state_place(name: str, project: str, environ: Mapping[str, str]) -> str:
    """Return the folder for a rubric in the user's state folder, where no agent looks."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # which the specification says to ignore
        home = environ.get("HOME") or os.path.expanduser("~")
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "attractor", "rubrics", _key(project), name)


def project_of(start: str) -> str:
    """Return the nearest folder, from here upward, that is a git checkout; else this one."""
    folder = here = os.path.realpath(start)
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above
    return folder


def findings(place: Place, name: str, project: str, environ: Mapping[str, str]) -> list[Finding]:
    """Return how agents that work in this project could come to read the rubric."""
    try:
        return list(_findings(place, name, os.path.realpath(project), environ))
    except AttractorError:
        return []  # no repository: who looks at the project itself says so


def _places(name: str, pipeline: str, project: str) -> Iterator[str]:
    beside = os.path.dirname(os.path.abspath(pipeline))
    for folder in (os.path.dirname(beside), beside, project):
        yield os.path.join(folder, RUBRICS, name)


def _key(project: str) -> str:
    real = os.path.realpath(project)
    digest = sha256(os.fsencode(real)).hexdigest()[:_DIGITS]
    return f"{_STRANGE.sub('-', os.path.basename(real))[:_MOST_NAME]}-{digest}"


def _findings(
    place: Place, name: str, project: str, environ: Mapping[str, str]
) -> Iterator[Finding]:
    folder = os.path.realpath(place.folder) if place.folder else ""
    usual = os.path.join(project, RUBRICS, name) if name else ""
    repository = git.repository(project)
    if folder and folder.startswith(os.path.join(project, "")):
        tracked = bool(repository.ask("ls-files", "-z", "--", f":(literal){folder}"))
        yield _inside(place, folder, tracked, _move(folder, name, project, environ))
    elif usual and _was_committed(repository, usual):
        problem = "the history of this project holds a rubric, which agents can look up in it"
        fix = "write another one, where what was committed is still what is asked"
        yield Finding(problem, usual, fix, fatal=False)


def _inside(place: Place, folder: str, tracked: bool, move: tuple[str, str]) -> Finding:
    out, forget = move
    if tracked:
        problem = "the rubric is committed in this project: the agents it judges can read it"
        return Finding(problem, folder, f"move it out: {out} && {forget}")
    if place.exists:
        problem = "the rubric lies in this project, where it may be committed by mistake"
        return Finding(problem, folder, f"move it out: {out}", fatal=False)
    problem = "the rubric will be written into this project, where it may be committed by mistake"
    return Finding(problem, folder, "leave out --rubric, or name another folder", fatal=False)


def _was_committed(repository: Git, folder: str) -> bool:
    ended = repository.answer("rev-list", "--max-count=1", "HEAD", "--", f":(literal){folder}")
    return bool(ended.stdout)


def _move(folder: str, name: str, project: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the command that moves a rubric to the state folder, and what makes git forget it."""
    there = state_place(name or os.path.basename(folder), project, environ)
    source, target = shlex.quote(folder), shlex.quote(there)
    called = f"git -C {shlex.quote(project)}"
    out = f"mkdir -p {shlex.quote(os.path.dirname(there))} && mv {source} {target}"
    return out, (
        f"{called} add -A -- {source} && {called} commit -m 'Keep the rubric elsewhere' -- {source}"
        "; the history still has it, so change what it asks for"
    )
