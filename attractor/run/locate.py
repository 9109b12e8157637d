"""Which run and which node a person means, from where they stand.

The project is found upward from a folder: the nearest one with runs of ours. What lies inside of a
node's worktree is passed by, because an agent writes there and a person's terminal must not act on
files that it planted. For the same reason a run counts only with its key, which git cannot carry
with the mode that it must have. Nothing is created, and nothing but names and the key is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import InputError
from attractor.run.layout import RunLayout, current_run, escape, run_layout, state_folder
from attractor.run.plain import open_plain
from signals.sign import read_key

_WORKTREES: Final = f"{os.sep}.claude{os.sep}worktrees{os.sep}"
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_NAMED: Final = 20


@final
@dataclass(frozen=True, slots=True)
class Found:
    """One node of one run that is there, and the run's key."""

    layout: RunLayout
    node_id: str
    key: bytes
    run_id: str
    named: str
    """How a command line names it."""


def find(node_id: str, run: str | None, start: str) -> Found:
    """Return the node that is meant; InputError names the nodes, or runs, that are there."""
    layout = find_run(run, start)
    if not os.path.isdir(layout.node(node_id)):
        known = nodes_of(layout)
        fix = f"the nodes of this run are {_named(known)}" if known else "none was dispatched yet"
        problem = f"there is no node {node_id!r:.80} in this run"
        raise InputError(problem, where=layout.root, fix=fix)
    said = read_object(layout.assignment(node_id)).get("run_id")
    run_id = said if isinstance(said, str) and said else os.path.basename(layout.root)
    words = [node_id] if run is None else ["--run", run, node_id]
    return Found(layout, node_id, read_key(layout.key), run_id, shlex.join(words))


def find_run(run: str | None, start: str) -> RunLayout:
    """Return the run that is meant: a folder, a name, the project's current one, or its newest.

    A name is looked for in the project above, then among what was rehearsed without one.
    """
    if run is not None and (os.sep in run or run in (os.curdir, os.pardir)):
        folder = os.path.realpath(os.path.join(start, run))
        if not os.path.isdir(os.path.join(folder, "nodes")):
            fix = "give the folder of a run, or its name"
            raise InputError("there is no such run", where=run, fix=fix)
        return RunLayout(folder)
    if run is not None:
        return _called(run, start)
    project = project_above(start)
    current = current_run(project)
    if os.path.isdir(os.path.join(current, "nodes")):
        return RunLayout(os.path.realpath(current))
    runs = runs_of(project)
    if not runs:
        fix = "`attractor run` makes one"
        raise InputError("this project has no run yet", where=state_folder(project), fix=fix)
    return RunLayout(os.path.realpath(run_layout(project, runs[-1]).root))


def whole_run(run: str | None, start: str) -> RunLayout:
    """Return the run that is meant, one that `attractor run` began."""
    layout = find_run(run, start)
    if not os.path.isfile(layout.request):
        fix = "`attractor run` begins one; a node that was rehearsed alone has no such run"
        raise InputError("this is no run of a whole pipeline", where=layout.root, fix=fix)
    return layout


def run_called(name: str | None, start: str) -> RunLayout | None:
    """Return the run of a whole pipeline that is meant; None if there is none."""
    try:
        return whole_run(name, start)
    except InputError:
        return None


def rehearsals(environ: Mapping[str, str]) -> str:
    """Return the folder with what was rehearsed without a project of the person's."""
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # which the specification says to ignore
        home = environ.get("HOME") or os.path.expanduser("~")
        data = os.path.join(home, ".local", "share")
    return os.path.join(data, "attractor", "rehearsals")


def rehearsed_project(run_id: str, environ: Mapping[str, str]) -> str:
    """Return the repository that is made for a rehearsal without a project."""
    return os.path.join(rehearsals(environ), escape(run_id), "project")


def _called(run: str, start: str) -> RunLayout:
    """Return the run of this name: of the project above, or one that was rehearsed without it."""
    runs: list[str] = []
    where, fix = start, "none is here; `attractor runs` lists those that were rehearsed"
    with contextlib.suppress(InputError):
        project = project_above(start)
        where, runs = state_folder(project), runs_of(project)
        if run in runs:
            return RunLayout(os.path.realpath(run_layout(project, run).root))
    if (rehearsed := _rehearsed(run)) is not None:
        return rehearsed
    if runs:
        fix = f"the runs are {_named(runs)}; `attractor runs` also lists what was rehearsed"
    raise InputError(f"there is no run {run!r:.80}", where=where, fix=fix)


def _rehearsed(run: str) -> RunLayout | None:
    folder = rehearsals(os.environ)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    # Its own comes first; a run may also have been begun in the project of another rehearsal.
    others = (os.path.join(folder, each, "project") for each in names)
    for project in (rehearsed_project(run, os.environ), *others):
        layout = run_layout(project, run)
        if os.path.isfile(layout.key):
            return RunLayout(os.path.realpath(layout.root))
    return None


def project_above(start: str) -> str:
    """Return the nearest folder, from here upward, that has runs and is no node's worktree."""
    here = os.path.realpath(start)
    if _WORKTREES in f"{here}{os.sep}":
        here = here[: here.index(_WORKTREES)]
    folder = here
    while not os.path.isdir(os.path.join(state_folder(folder), "runs")):
        above = os.path.dirname(folder)
        if above == folder:
            fix = "change to the folder of the project, or give the run's folder with --run"
            raise InputError("no run of Attractor is here, or above", where=here, fix=fix)
        folder = above
    return folder


def runs_of(project: str) -> list[str]:
    """Return the names of a project's runs, the one that began last at the end."""
    folder = os.path.join(state_folder(project), "runs")
    with os.scandir(folder) as entries:
        begun = [
            (os.stat(key).st_mtime_ns, entry.name)
            for entry in entries
            # Written once, when the run begins.
            if entry.name[0] != "." and os.path.isfile(key := RunLayout(entry.path).key)
        ]
    return [name for _, name in sorted(begun)]


def nodes_of(layout: RunLayout) -> list[str]:
    """Return the ids of the nodes of a run that have a folder, in order."""
    folder = os.path.dirname(layout.node("any"))
    if not os.path.isdir(folder):
        return []
    found = (_node_id(layout, name) for name in os.listdir(folder))
    return sorted(each for each in found if each is not None)


def _node_id(layout: RunLayout, name: str) -> str | None:
    """Return the id whose folder has this name; the assignment in it says which."""
    said = read_object(os.path.join(os.path.dirname(layout.node("any")), name, "assignment.json"))
    node_id = said.get("node_id")
    if isinstance(node_id, str) and os.path.basename(layout.node(node_id)) == name:
        return node_id
    return name if os.path.basename(layout.node(name)) == name else None


def read_object(path: str) -> dict[str, object]:
    """Return the JSON object in a file of ours; an empty one where there is none."""
    try:
        fd = open_plain(path, os.O_RDONLY)
        with open(fd, "rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
    except (OSError, InputError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
