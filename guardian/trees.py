"""Clean checkouts in the run's folder, in which work is judged, merged and packed.

A tree lies in a folder of its own: `tree/` with the files of one commit and nothing else, detached;
`git/`, its git folder; whatever else is put beside them. The repository knows nothing of it: no
entry in `.git/worktrees`, no branch, nothing to prune, and the person's checkout, index and HEAD
are not looked at. What is committed in the tree lies in the repository's one store of objects.

Killed at any moment, the next call with the same folder begins anew: it waits for a git that
outlived the dead one, then removes what that one left. Hooks are off and submodules stay empty; a
filter that the person's settings name (such as that of Git LFS) runs, as for every checkout.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, final

from attractor.errors import BusyError, InputError
from attractor.git import Git, repository
from attractor.scratch import remove_folder
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

_TREE: Final = "tree"
_GIT: Final = "git"
_LOCK: Final = "lock"
_FILL_SECONDS: Final = 900.0
_LOCK_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.02


@final
class Tree(NamedTuple):
    """One clean checkout."""

    path: str
    git: Git
    """Its repository, seen with its files."""


def path_in(folder: str) -> str:
    """Return where the files of the tree in this folder are."""
    return os.path.join(folder, _TREE)


def git_in(folder: str) -> str:
    """Return where its git folder is."""
    return os.path.join(folder, _GIT)


@contextlib.contextmanager
def clean(project: str, folder: str, commit: str, clock: Clock) -> Iterator[str]:
    """Yield the path of a clean tree at the commit; with the folder, it is gone afterwards."""
    with opened(project, folder, commit, clock) as tree:
        yield tree.path


@contextlib.contextmanager
def opened(project: str, folder: str, commit: str, clock: Clock) -> Iterator[Tree]:
    """Do the same, for who needs git there."""
    with _alone(folder, clock) as lock:
        _empty(folder)
        try:
            yield _made(project, folder, commit, lock)
        finally:
            _remove(folder)


@contextlib.contextmanager
def keep(project: str, folder: str, commit: str, clock: Clock) -> Iterator[Tree]:
    """Yield a clean tree that is kept, whatever happens in it; one made before is removed first."""
    with _alone(folder, clock) as lock:
        _empty(folder)
        yield _made(project, folder, commit, lock)


def remove(folder: str, clock: Clock) -> None:
    """Remove a tree that was kept, or what a dead process left of one; none is fine, too."""
    if os.path.isdir(folder):
        with _alone(folder, clock):
            _remove(folder)


def _made(project: str, folder: str, commit: str, lock: int) -> Tree:
    source = repository(project, lock)
    found = source.commit(commit)
    if not found:
        fix = "fetch it, or start a new run"
        raise InputError(f"there is no commit {commit!r:.60}", where=project, fix=fix)
    path, git_dir = path_in(folder), git_in(folder)
    with storage_errors("make", folder):
        os.mkdir(path, 0o755)
        os.mkdir(git_dir, 0o700)
        # Empty, so that what the repository's settings say of it leads to nothing of another's.
        atomic.replace(os.path.join(git_dir, "config.worktree"), b"")
    atomic.replace(os.path.join(git_dir, "commondir"), os.fsencode(f"{source.common}\n"))
    atomic.replace(os.path.join(git_dir, "gitdir"), os.fsencode(f"{path}/.git\n"))
    atomic.replace(os.path.join(git_dir, "HEAD"), f"{found}\n".encode())
    atomic.replace(os.path.join(path, ".git"), os.fsencode(f"gitdir: {git_dir}\n"))
    git = Git(git_dir, source.common, path, lock, _FILL_SECONDS)
    git.ask("read-tree", "--reset", "-u", "HEAD")
    return Tree(path, git)


@contextlib.contextmanager
def _alone(folder: str, clock: Clock) -> Iterator[int]:
    """Hold the folder of a tree; a git that a dead process left behind holds it as well."""
    with storage_errors("make", folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.islink(folder):
        raise InputError("a link is where a tree should be", where=folder, fix="remove it")
    deadline = clock.monotonic() + _LOCK_SECONDS
    while (fd := _taken(folder)) is None:
        if clock.monotonic() >= deadline:
            problem = "another process works on this tree, and does not end"
            path = os.path.join(folder, _LOCK)
            raise BusyError(problem, where=folder, fix=f"`fuser {path}` shows which one it is")
        time.sleep(_POLL_SECONDS)
    try:
        yield fd
    finally:
        os.close(fd)


def _taken(folder: str) -> int | None:
    path = os.path.join(folder, _LOCK)
    with storage_errors("take the lock", path):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It is removed with the folder: one that is no longer there keeps nobody out.
        if os.path.samestat(os.fstat(fd), os.lstat(path)):
            return fd
    os.close(fd)
    return None


def _remove(folder: str) -> None:
    _empty(folder)
    with storage_errors("remove", folder):
        os.unlink(os.path.join(folder, _LOCK))
        with contextlib.suppress(OSError):  # somebody waits, and has made the lock anew
            os.rmdir(folder)


def _empty(folder: str) -> None:
    """Remove everything but the lock, also what a check made unwritable; no link is followed."""
    with storage_errors("remove", folder):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name == _LOCK:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                remove_folder(path)
            else:
                os.unlink(path)
