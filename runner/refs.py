"""The node's branch while its session is fenced in: a private file, copied back by us alone.

A fenced session sees, in place of the folder of the run's branches, one that holds its own branch
and no other, so it can move no branch but that. What it writes there is a claim: it becomes the
branch's new commit when it is one, and has the base in its past. Nobody else's move of the branch
is ever overwritten. What is done here may be done again after any death.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Final, NamedTuple

from attractor.errors import InputError
from attractor.git import Git, is_commit_id
from runner.git import Worktree, head_of, opened
from runner.marks import text_of
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

_GIVEN: Final = "given"


class Published(NamedTuple):
    """Where the real branch stands now."""

    head: str
    """Its commit; empty if there is no such branch."""
    refused: str
    """Why it does not stand where the session's does; empty if it does."""


def prepare_refs(worktree: Worktree, clock: Clock, *, fenced: bool) -> str:
    """Make the branch ready for a session; return the commit that it will find there.

    Call it before each launch, when no session is alive: locks that a dead one left are removed. A
    commit of the session's that could not be published is kept for a fenced one, and otherwise an
    InputError.
    """
    with opened(worktree, clock) as git:
        now, refused = published(worktree, git)
        with storage_errors("make", worktree.refs):
            _remove_locks(worktree)
            if not fenced:
                return _unfenced(worktree, now, refused)
            _real_folders(worktree)
            for folder in (worktree.refs, worktree.reflogs):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            head = head_of(worktree, git)[0] if refused else ""
            if not (head or now):
                raise _gone(worktree, refused)
            if text_of(worktree.own_ref) != (head or now):
                _clear(worktree.own_ref)
                atomic.replace(worktree.own_ref, f"{head or now}\n".encode())
        if not refused:
            _give(worktree, now)
        return head or now


def _unfenced(worktree: Worktree, now: str, refused: str) -> str:
    if refused or not now:
        raise _gone(worktree, refused)
    _clear(worktree.own_ref)
    return now


def _gone(worktree: Worktree, refused: str) -> InputError:
    problem = refused or f"the branch {worktree.branch} is gone"
    fix = f"let the branch stand where the work is: git branch -f {worktree.branch} COMMIT"
    return InputError(problem, where=worktree.path, fix=fix)


def publish_branch(worktree: Worktree, clock: Clock) -> Published:
    """Move the real branch to where the session has moved its own; without a fence, nothing."""
    with opened(worktree, clock) as git:
        return published(worktree, git)


def published(worktree: Worktree, git: Git) -> Published:
    """Do the same for who has opened it already."""
    now = git.branch(worktree.branch)
    head, wrong = head_of(worktree, git)
    given = _given(worktree)
    if wrong or head == now:
        return Published(now, wrong)
    if now in given or not now:
        if not git.holds(head, worktree.base):
            short = f"{head:.12}"
            return Published(now, f"the session's commit {short} has not the base in its past")
        if len(given) > 1 and now == given[0]:  # we died while git moved the branch
            _clear(os.path.join(worktree.common, "refs", "heads", f"{worktree.branch}.lock"))
        _give(worktree, now, head)
        message = "attractor: the session's work"
        words = ("update-ref", "-m", message, f"refs/heads/{worktree.branch}", head)
        git.ask(*words, now or "0" * len(head))
        return Published(head, "")
    # Moved by somebody else: with nothing of the session's lost, that is where it goes on.
    behind = head in given
    return Published(now, "" if behind else f"somebody else moved {worktree.branch} to {now:.12}")


def _given(worktree: Worktree) -> list[str]:
    """Return the commits that the branch may stand at because of us."""
    return [each for each in text_of(_record(worktree)).split() if is_commit_id(each)]


def _give(worktree: Worktree, *commits: str) -> None:
    # Before the branch is moved: a death in between leaves it at one of the two.
    atomic.replace(_record(worktree), "\n".join(filter(None, commits)).encode())


def _record(worktree: Worktree) -> str:
    return os.path.join(worktree.git, _GIVEN)


def _real_folders(worktree: Worktree) -> None:
    """Make the folders that ours stand in for, so that git does not remove them when empty."""
    for folder in (worktree.ref_folder, worktree.log_folder):
        os.makedirs(folder, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(f"{worktree.ref_folder}/.keep", os.O_CREAT | os.O_EXCL, 0o644))


def _remove_locks(worktree: Worktree) -> None:
    for path in (worktree.own_ref, _record(worktree)):
        atomic.sweep_drafts(path)
    _clear(f"{worktree.own_ref}.lock")
    for name in ("index.lock", "HEAD.lock"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(worktree.admin, name))


def _clear(path: str) -> None:
    """Remove what a session left under a name of ours, whatever it is; nothing is followed."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
