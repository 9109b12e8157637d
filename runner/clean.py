"""Removes what an ended run has left: `python -I -m runner.clean RUN_FOLDER ...`.

Worktrees of the run's nodes whose work is merged, the clean trees in the run's folder and, with
`--branches`, its branches that are merged: the nodes' into the integration branch or what the
person has checked out, the integration branch into the latter. What would lose something is kept,
and named with the reason; with `--force` a worktree goes, too, that has changes or is not merged,
and its branch stays. Journal, report and evidence stay in any case.

The caller holds the run's lease, and has seen that it has ended and nothing of it is alive. Killed
at any moment, it can be called again. On stdout: {"removed": [...], "kept": [{"what", "why",
"fix"}]}.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.errors import AttractorError, InputError
from attractor.git import Git, repository
from attractor.run import request as requests
from attractor.run.branch import integration_branch, run_folder
from attractor.run.layout import RunLayout
from attractor.run.locate import nodes_of
from attractor.scratch import remove_folder
from runner import worktree, worktree_record
from signals.atomic import storage_errors
from signals.clock import Clock, SystemClock

_HEADS: Final = "refs/heads/"


@final
@dataclass(slots=True)
class Cleaned:
    """What was removed, and what was kept and why."""

    removed: list[str] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)

    def tried(self, what: str, remove: Callable[[], object]) -> None:
        """Remove something, or note what speaks against it; `remove` says if it was there."""
        try:
            there = remove()
        except AttractorError as error:
            why = error.problem.removeprefix("not removed: ")
            self.kept.append({"what": what, "why": why, "fix": error.fix})
        else:
            self.removed += [what] if there is not False else []


def clean(layout: RunLayout, clock: Clock, *, force: bool, branches: bool) -> Cleaned:
    """Remove what this run has left."""
    asked, done = requests.load(layout.request), Cleaned()
    project = repository(asked.project)
    integration = f"{_HEADS}{integration_branch(asked.run_id)}"
    into = integration if project.commit(integration) else "HEAD"
    for node in nodes_of(layout):
        _remove_worktree(layout, node, project, into, clock, done, force=force)
    if os.path.isdir(layout.trees) and not os.path.islink(layout.trees):
        done.tried(layout.trees, lambda: _remove_trees(layout.trees))
    if branches:
        _remove_branches(project, run_folder(asked.run_id), integration, done)
    return done


def _remove_worktree(
    layout: RunLayout,
    node: str,
    project: Git,
    into: str,
    clock: Clock,
    done: Cleaned,
    *,
    force: bool,
) -> None:
    record = worktree_record.read(layout.worktree_record(node))
    if record is not None:
        remove = functools.partial(
            worktree.discard, layout, node, project, into, clock, force=force
        )
        done.tried(record.path, remove)


def _remove_trees(folder: str) -> None:
    with storage_errors("remove", folder):
        remove_folder(folder)


def _remove_branches(project: Git, run: str, integration: str, done: Cleaned) -> None:
    head, collected = project.commit("HEAD"), project.commit(integration)
    for ref, commit in list(_refs(project, run)):
        known = [head] if ref == integration else [head, collected]
        merged = any(each and project.holds(each, commit) for each in known)
        remove = functools.partial(_remove_ref, project, ref, commit, merged=merged)
        done.tried(_called(ref), remove)


def _refs(project: Git, run: str) -> Iterator[tuple[str, str]]:
    """Yield the run's branches and what was kept beside them, with their commits."""
    words = ("--format=%(objectname) %(refname)", f"{_HEADS}{run}/", f"refs/{run}/")
    for line in os.fsdecode(project.ask("for-each-ref", *words)).splitlines():
        commit, _, ref = line.partition(" ")
        yield ref, commit


def _called(ref: str) -> str:
    return ref.removeprefix(_HEADS)


def _remove_ref(project: Git, ref: str, commit: str, *, merged: bool) -> None:
    name = _called(ref)
    if not merged:
        fix = f"git merge {name}; or, where it is worth nothing: git branch -D {name}"
        if name == ref:
            fix = f"where it is worth nothing: git update-ref -d {ref}"
        raise InputError("it is not merged", where=name, fix=fix)
    if name == ref:
        project.ask("update-ref", "-d", ref, commit)
    else:
        project.ask("branch", "-D", "--", name)  # git keeps one that is checked out


def main(root: str, *flags: str) -> None:
    """Clean one run; what went wrong with all of it is on stderr."""
    force, branches = "--force" in flags, "--branches" in flags
    try:
        done = clean(RunLayout(root), SystemClock(), force=force, branches=branches)
    except AttractorError as error:
        sys.exit(str(error))
    said: dict[str, Any] = {"removed": done.removed, "kept": done.kept}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
