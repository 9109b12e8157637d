"""How much room on the disk a run needs before something new begins: one threshold, for all.

`doctor`, the look before a run, and the Guardian before each session ask here. What is wanted is a
floor, for what the run writes itself (journal, logs, what sessions and agents say), and as much as
the project's commit takes twice: the worktree of a session, and the clean tree in which its work is
judged. Not in it is what agents build or install there: nobody knows that before.
"""

from __future__ import annotations

import os
from typing import Final

FLOOR: Final = 128 * 1024 * 1024
_TREES: Final = 2
_SIZES: Final = ("ls-tree", "-r", "-l", "-z", "--full-tree", "HEAD")


def needed(project: str) -> int:
    """Return how many bytes must be free; of a project without a commit, or a place, the floor."""
    return FLOOR + _TREES * _size(project)


def shortage(folder: str, wanted: int) -> str:
    """Return what is to be said of a disk that has less than that; empty where it has not."""
    left = free(folder)
    if left is None or left >= wanted:
        return ""
    return f"the disk is nearly full: {left // 2**20} MiB are left, {wanted // 2**20} are needed"


def free(folder: str) -> int | None:
    """Return how many bytes are free for us there, or will be; None where nobody can tell."""
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _size(project: str) -> int:
    from attractor.errors import AttractorError
    from attractor.git import repository

    try:
        said = repository(project).ask(*_SIZES) if project else b""
    except AttractorError:
        return 0  # no commit yet, no repository, or more files than git is let list
    # Each is "MODE TYPE OBJECT SIZE<tab>PATH"; a submodule has no size.
    sizes = [each.partition(b"\t")[0].split()[-1] for each in said.split(b"\0") if each]
    return sum(int(each) for each in sizes if each.isdigit())
