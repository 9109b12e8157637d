"""Which worktrees a repository knows, and how ours becomes one of them.

Read from git's own files, whose layout git documents, because an older git cannot list them with
names that hold a newline. Only an entry of ours is ever changed, and git does it, unforced.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import InputError, ToolError
from attractor.git import Git
from runner.marks import text_of
from signals.atomic import storage_errors

_UNFINISHED: Final = "initializing"
"""What git writes into the lock of a worktree that it is making."""


@final
@dataclass(frozen=True, slots=True)
class Place:
    """One checkout of a repository."""

    admin: str
    """Git's own folder for it."""
    path: str
    head: str
    """What it stands on, as git writes it: `ref: refs/heads/NAME`, or a commit."""


def places(common: str) -> list[Place]:
    """Return the checkouts of a repository, the main one first."""
    found = [Place(common, os.path.dirname(common), text_of(os.path.join(common, "HEAD")))]
    folder = os.path.join(common, "worktrees")
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            admin = os.path.join(folder, name)
            linked = os.path.join(admin, text_of(os.path.join(admin, "gitdir")))
            path = os.path.dirname(os.path.normpath(linked))
            found.append(Place(admin, path, text_of(os.path.join(admin, "HEAD"))))
    return found


def place_of(common: str, path: str) -> Place | None:
    """Return the entry of the worktree at this path."""
    return next((place for place in places(common)[1:] if place.path == path), None)


def register(project: Git, path: str, branch: str) -> str:
    """Make an entry and a folder without files, or finish one that was begun; return git's folder.

    The path must be ours: what a git that was killed has left there is removed, and nothing else.
    """
    place = place_of(project.common, path)
    if place is not None and _is_whole(place, branch):
        return place.admin
    _clear(project, path, place)
    project.ask("worktree", "add", "--no-checkout", "--", path, branch)
    place = place_of(project.common, path)
    if place is None or not _is_whole(place, branch):
        fix = f"see what git says: git -C {project.work_tree} worktree list"
        raise ToolError("git made a worktree that we cannot find", where=path, fix=fix)
    return place.admin


def _is_whole(place: Place, branch: str) -> bool:
    return (
        text_of(os.path.join(place.admin, "locked")) != _UNFINISHED
        and place.head == f"ref: refs/heads/{branch}"
        and text_of(os.path.join(place.path, ".git")) == f"gitdir: {place.admin}"
    )


def _clear(project: Git, path: str, place: Place | None) -> None:
    """Remove an entry without files, and the empty folder that belongs to it."""
    lock = os.path.join(place.admin, "locked") if place else ""
    locked = bool(lock) and os.path.lexists(lock)
    if locked and text_of(lock) != _UNFINISHED:
        problem = "the folder is gone, and the worktree was locked with `git worktree lock`"
        raise InputError(problem, where=path, fix=f"git worktree unlock {path}")
    if os.path.lexists(path):
        _remove_empty(path)
    if locked:
        project.ask("worktree", "unlock", path)
    if place is not None:
        project.ask("worktree", "remove", "--", path)


def _remove_empty(path: str) -> None:
    names = os.listdir(path) if os.path.isdir(path) and not os.path.islink(path) else [path]
    link = os.path.join(path, ".git")
    if names not in ([], [".git"]) or (names and not text_of(link).startswith("gitdir: ")):
        problem = "something that this run did not make is where the node's worktree should be"
        raise InputError(problem, where=path, fix="move it away, then do the same again")
    with storage_errors("remove", path):
        if names:
            os.unlink(link)
        os.rmdir(path)
