"""The node's own checkout: made, taken over, or refused; and removed only when nothing is lost.

`ensure` may be killed at any moment and called again: the same worktree comes out. What is about to
be made is written down first, in the run's folder, where no session can write; that record, and not
the look of a folder, says that a worktree is ours. While it says "making", no session was there.
A worktree or a branch that this run did not make is never touched: the error says what it is.

`remove` takes away a worktree whose work is merged, and keeps its branch. Files that git ignores go
with it. Nothing here forces git, resets, prunes or deletes a branch. Submodules stay empty. After
a power cut the files are as good as git and the disk make them; after a kill they are whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from typing import Final

from attractor.errors import InputError
from attractor.git import Git, repository
from attractor.run.assignment import Assignment
from attractor.run.branch import taken
from attractor.run.hide import hide_ours
from attractor.run.layout import RunLayout
from attractor.scratch import remove_folder
from runner import refs
from runner.git import TreeFacts, Worktree, alone, facts, opened
from runner.include import copy_included
from runner.marks import marks, renewed, text_of
from runner.registered import places, register
from runner.worktree_record import Record, Stage, read, write
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

_FILL_SECONDS: Final = 900.0
_MOST_NAMED: Final = 5
_AWAY: Final = "move it away, then do the same again"


def ensure(assignment: Assignment, clock: Clock) -> Worktree:
    """Return the node's worktree, made or taken over; an InputError says why it cannot be."""
    layout, node = assignment.layout, assignment.node_id
    with storage_errors("make", layout.node(node)):
        os.makedirs(layout.node(node), mode=0o700, exist_ok=True)
    with alone(layout.worktree_lock(node), clock) as lock:
        project = repository(assignment.project, lock)
        if project.work_tree != assignment.project:
            fix = f"name it as it really is: {project.work_tree}"
            raise InputError("the project lies behind a link", where=assignment.project, fix=fix)
        atomic.sweep_drafts(layout.worktree_record(node))
        record = read(layout.worktree_record(node))
        if record is None:
            return _make(assignment, project, _begin(assignment, project))
        if (record.path, record.branch) != (assignment.worktree, assignment.branch):
            problem = f"the node's worktree is {record.path} on {record.branch}, not as assigned"
            raise InputError(problem, where=assignment.worktree, fix="start a new run")
        if record.stage is Stage.MADE:
            if os.path.lexists(record.path):
                return _adopt(assignment, project, record)
            worktree = _worktree(assignment, project, record)
            if os.path.lexists(worktree.own_ref):
                refs.published(worktree, worktree.seen(lock))
        return _make(assignment, project, record)


def _begin(assignment: Assignment, project: Git) -> Record:
    """Refuse what is not ours, then note what will be made."""
    path, branch = assignment.worktree, assignment.branch
    base = project.commit(assignment.base_commit)
    if not base:
        problem = f"there is no commit {assignment.base_commit!r:.60} to start from"
        raise InputError(problem, where=project.work_tree, fix="fetch it, or name another one")
    if os.path.lexists(path):
        raise _foreign(project, path)
    refusal = taken(branch, base, project.branch)
    if refusal is not None:
        raise InputError(refusal[0], where=project.work_tree, fix=refusal[1])
    for place in places(project.common):
        if place.head == f"ref: refs/heads/{branch}":
            fix = f"check out another one there: git -C {place.path} switch NAME"
            raise InputError(f"{branch} is checked out elsewhere", where=place.path, fix=fix)
    record = Record(
        stage=Stage.MAKING, attempt=assignment.attempt, path=path, branch=branch, base=base
    )
    _write(assignment, record)
    return record


def _foreign(project: Git, path: str) -> InputError:
    for place in places(project.common):
        if place.path == os.path.realpath(path):
            held = place.head.removeprefix("ref: refs/heads/")
            problem = f"a worktree on {held}, which this run did not make, is already there"
            fix = f"when its work is safe: git worktree remove {path}"
            return InputError(problem, where=path, fix=fix)
    kind = "link" if os.path.islink(path) else "folder" if os.path.isdir(path) else "file"
    return InputError(f"a {kind} that this run did not make is there", where=path, fix=_AWAY)


def _make(assignment: Assignment, project: Git, before: Record) -> Worktree:
    """Make the worktree, or what is missing of it; until the end the record says so."""
    record = replace(before, stage=Stage.MAKING, attempt=assignment.attempt)
    if record != before:
        _write(assignment, record)
    hide_ours(project.common)
    _folder_for(record.path, project.work_tree)
    if not project.branch(record.branch):
        _remove_lock(os.path.join(project.common, "refs", "heads", record.branch))
        words = ("update-ref", "-m", "attractor: made", f"refs/heads/{record.branch}", record.base)
        project.ask(*words, "0" * len(record.base))
    admin = register(project, record.path, record.branch)
    _remove_lock(os.path.join(admin, "index"))
    _settings_file(admin)
    tree = Git(admin, project.common, record.path, project.lock, _FILL_SECONDS)
    tree.ask("read-tree", "--reset", "-u", "HEAD")
    hidden = (*assignment.hidden, assignment.run_root)
    notes = copy_included(replace(project, seconds=_FILL_SECONDS), tree, hidden)
    _own_folder(assignment.layout.git(assignment.node_id), tree, tree.commit("HEAD"))
    found = marks(project, record.path, admin)
    record = replace(record, stage=Stage.MADE, admin=admin, marks=found)
    _write(assignment, record)
    return replace(_worktree(assignment, project, record), adopted=False, notes=notes)


def _settings_file(admin: str) -> None:
    # A fence keeps what is there: were it missing, a session could make it, and with
    # extensions.worktreeConfig everybody's git would run what it names.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(os.path.join(admin, "config.worktree"), os.O_CREAT | os.O_EXCL, 0o644))


def _remove_lock(path: str) -> None:
    # Of a git that was killed: one that is alive would hold our own lock, too.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}.lock")


def _folder_for(path: str, project: str) -> None:
    parent = os.path.dirname(path)
    with storage_errors("make", parent):
        os.makedirs(parent, exist_ok=True)
    if os.path.realpath(parent) != parent:
        problem = f"the folder of the worktrees leads to {os.path.realpath(parent)}"
        raise InputError(problem, where=parent, fix=f"let it be a folder in {project}")


def _own_folder(folder: str, tree: Git, head: str) -> None:
    """Make the git folder through which we look, from git's own one as long as that is ours."""
    with storage_errors("make", folder):
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.makedirs(os.path.join(folder, "info"), mode=0o700)
        for name in ("index", "config.worktree", "info/sparse-checkout") if tree.work_tree else ():
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(os.path.join(tree.git_dir, name), os.path.join(folder, name))
    atomic.replace(os.path.join(folder, "commondir"), os.fsencode(f"{tree.common}\n"))
    atomic.replace(os.path.join(folder, "HEAD"), f"{head}\n".encode())


def _adopt(assignment: Assignment, project: Git, record: Record) -> Worktree:
    """Take over what this run made; what a living session did to it, `look` tells."""
    worktree = _worktree(assignment, project, record)
    own = ".git of the worktree"
    now = marks(project, record.path, record.admin, record.marks)
    if os.path.realpath(record.path) != record.path or now[own] != record.marks.get(own):
        problem = "this is not the worktree that this run made, or it leads elsewhere now"
        raise InputError(problem, where=record.path, fix=f"{_AWAY}; its branch is kept")
    if not os.path.isdir(record.admin):
        problem = "git knows nothing of this worktree any more"
        raise InputError(problem, where=record.path, fix=f"{_AWAY}; its branch is kept")
    if not os.path.isfile(os.path.join(worktree.git, "HEAD")):
        _own_folder(worktree.git, replace(project, work_tree=""), record.base)
    if assignment.attempt == record.attempt:
        return worktree
    _fit_for_new_attempt(assignment, project, worktree)
    base = project.commit(assignment.base_commit)
    found = renewed(record.marks, now)
    new = replace(record, attempt=assignment.attempt, base=base, marks=found)
    _write(assignment, new)
    return _worktree(assignment, project, new)


def _fit_for_new_attempt(assignment: Assignment, project: Git, worktree: Worktree) -> None:
    head = text_of(os.path.join(worktree.admin, "HEAD"))
    if head.startswith("ref: ") and head != f"ref: refs/heads/{worktree.branch}":
        there = head.removeprefix("ref: refs/heads/")
        fix = f"git -C {worktree.path} switch {worktree.branch}"
        raise InputError(f"{there} is checked out here", where=worktree.path, fix=fix)
    base = project.commit(assignment.base_commit)
    git = worktree.seen(project.lock)
    now, _ = refs.published(worktree, git)
    forward = head.startswith("ref: ") and base and now and not project.holds(now, base)
    if forward and project.holds(base, now):
        # Its work was merged, and more with it: it goes on from there.
        now = _forward(project, worktree, facts(worktree, git), now, base)
    if not base or not now or not project.holds(now, base):
        problem = f"the node's branch does not hold {assignment.base_commit:.12}"
        fix = f"git -C {worktree.path} merge {assignment.base_commit:.12}"
        raise InputError(problem, where=worktree.path, fix=fix)


def _forward(project: Git, worktree: Worktree, found: TreeFacts, now: str, base: str) -> str:
    """Move files and branch on to a commit that holds the branch's own; return where it stands."""
    if found.tampered:
        fix = "look at it, and save what is worth keeping"
        raise InputError(found.tampered, where=worktree.path, fix=fix)
    tree = Git(worktree.admin, worktree.common, worktree.path, project.lock, _FILL_SECONDS)
    _remove_lock(os.path.join(worktree.admin, "index"))
    # Files that were changed and not committed stay; where that cannot be, git refuses.
    tree.ask("read-tree", "-m", "-u", now, base)
    ref = f"refs/heads/{worktree.branch}"
    _remove_lock(os.path.join(worktree.common, ref))
    project.ask("update-ref", "-m", "attractor: goes on from what was merged", ref, base, now)
    return base


def remove(worktree: Worktree, merged_into: str, clock: Clock) -> None:
    """Remove a worktree whose work is in `merged_into`, a branch or commit; keep its branch.

    An InputError says what would be lost. Call it when no session is alive.
    """
    with opened(worktree, clock) as git:
        if os.path.lexists(worktree.path):
            _refuse_loss(worktree, git, merged_into)
            common = Git(worktree.common, worktree.common, "", git.lock, _FILL_SECONDS)
            common.ask("worktree", "remove", "--", worktree.path)


def discard(
    layout: RunLayout, node: str, project: Git, merged_into: str, clock: Clock, *, force: bool
) -> bool:
    """Do the same with what a run made for a node; say whether there was anything.

    With `force`, changes that are not committed and a branch that is not merged are no reason to
    keep it. Killed in between, done again: from the record that says "making" on, nothing of it is
    worth keeping, and `ensure` would make it anew.
    """
    record = read(layout.worktree_record(node))
    if record is None or not record.admin:
        return False
    worktree, path = _made(layout, node, project, record), layout.worktree_record(node)
    with opened(worktree, clock) as git:
        atomic.sweep_drafts(path)
        there = os.path.lexists(record.path)
        if record.stage is Stage.MADE:
            if not there:
                return False
            _refuse_loss(worktree, git, merged_into, force=force)
            write(path, replace(record, stage=Stage.MAKING))
        with storage_errors("remove", record.path):
            if os.path.realpath(record.path) == record.path and os.path.isdir(record.path):
                remove_folder(record.path)
        if os.path.isdir(record.admin):
            common = Git(worktree.common, worktree.common, "", git.lock, _FILL_SECONDS)
            common.ask("worktree", "remove", "--force", "--", record.path)
        # What somebody puts there afterwards is not ours.
        write(path, replace(record, stage=Stage.MADE))
    return there


def _refuse_loss(worktree: Worktree, git: Git, merged_into: str, *, force: bool = False) -> None:
    """Raise InputError where removing the worktree would lose something."""
    now, refused = refs.published(worktree, git)
    found = facts(worktree, git)
    target = git.commit(merged_into)
    detached = git.commit(text_of(os.path.join(worktree.admin, "HEAD")))
    locked = text_of(os.path.join(worktree.admin, "locked"))
    problem = fix = ""
    if found.tampered or refused:
        problem, fix = found.tampered or refused, "look at it, and save what is worth keeping"
    elif found.dirty and not force:
        problem = f"it holds changes that are not committed: {_first_lines(found.stat)}"
        fix = f"commit them (git -C {worktree.path} commit), or move them away"
    elif not force and not (target and git.holds(target, now)):
        problem = f"its branch {worktree.branch} is not merged into {merged_into}"
        fix = "merge it first"
    elif detached and not any(each and git.holds(each, detached) for each in (target, now)):
        problem = f"it stands at {detached:.12}, which is on no merged branch"
        fix = f"give it a branch: git branch NAME {detached:.12}"
    elif os.path.lexists(os.path.join(worktree.admin, "locked")):
        problem = f"it was locked with `git worktree lock`: {locked or 'without a reason'}"
        fix = f"git worktree unlock {worktree.path}"
    if problem:
        raise InputError(f"not removed: {problem}", where=worktree.path, fix=fix)


def _first_lines(stat: str) -> str:
    return "; ".join(line.strip() for line in stat.splitlines()[:_MOST_NAMED])


def _write(assignment: Assignment, record: Record) -> None:
    write(assignment.layout.worktree_record(assignment.node_id), record)


def _worktree(assignment: Assignment, project: Git, record: Record) -> Worktree:
    return _made(assignment.layout, assignment.node_id, project, record)


def _made(layout: RunLayout, node: str, project: Git, record: Record) -> Worktree:
    return Worktree(
        path=record.path,
        branch=record.branch,
        base=record.base,
        common=project.common,
        admin=record.admin,
        git=layout.git(node),
        refs=layout.refs(node),
        reflogs=layout.reflogs(node),
        lock=layout.worktree_lock(node),
        marks=record.marks,
        adopted=True,
    )
