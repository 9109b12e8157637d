"""A folder that is there as a whole, or not at all.

It is written as a draft whose name nothing else has, and gets its own in one step. A draft that a
killed process left behind is removed by the next one, an hour later.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import Final

from signals.atomic import fsync_folder
from signals.clock import Clock

_DRAFT: Final = re.compile(r"\.[^/]+\.draft")
_STALE_SECONDS: Final = 3600.0


def draft_of(folder: str) -> str:
    """Return the folder that is filled before it gets this name."""
    above, name = os.path.split(folder)
    return os.path.join(above, f".{name}.draft")


def claim(folder: str, clock: Clock) -> str:
    """Make the draft, which only one process can; FileExistsError for all others."""
    draft = draft_of(folder)
    sweep(os.path.dirname(folder), clock)
    os.mkdir(draft, 0o700)
    return draft


def publish(draft: str, folder: str) -> None:
    """Give a filled draft its name; FileExistsError where something has it."""
    fsync_folder(draft)
    if os.path.lexists(folder):  # an empty folder would be replaced without a word
        raise FileExistsError(folder)
    os.rename(draft, folder)
    fsync_folder(os.path.dirname(folder))


def sweep(above: str, clock: Clock) -> None:
    """Remove the drafts of those that were killed."""
    oldest = clock.wall_ns() / 1e9 - _STALE_SECONDS
    with os.scandir(above) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                old = entry.stat(follow_symlinks=False).st_mtime < oldest
                if old and _DRAFT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
