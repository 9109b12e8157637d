"""A private folder for as long as something is done, outside of every project.

Nothing above it configures an agent that works there. What was left by a process that was killed
is removed by the next one that makes such a folder, an hour later, when no process has its number.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Final

from signals.clock import Clock
from signals.owner import owner_of

_STALE_SECONDS: Final = 3600.0


@contextlib.contextmanager
def scratch(name: str, clock: Clock) -> Iterator[str]:
    """Yield the real path of a new folder, which is gone afterwards with all that is in it."""
    prefix = f"attractor-{name}-"
    _sweep(prefix, clock)
    made = tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-")
    try:
        yield os.path.realpath(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_folder(path: str) -> None:
    """Remove a folder, also what a check made unwritable in it; no link is followed."""
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    # Only now, as it is rare: a folder that its maker may not write cannot be emptied.
    for at, names, _ in os.walk(path):
        for each in (at, *(os.path.join(at, name) for name in names)):
            if not stat.S_ISLNK(os.lstat(each).st_mode):
                os.chmod(each, 0o700)
    shutil.rmtree(path)


def _sweep(prefix: str, clock: Clock) -> None:
    above = tempfile.gettempdir()
    oldest = clock.wall_ns() / 1e9 - _STALE_SECONDS
    with contextlib.suppress(OSError), os.scandir(above) as entries:
        for entry in entries:
            found = re.fullmatch(rf"{re.escape(prefix)}(\d+)-\w+", entry.name)
            if found and owner_of(int(found[1])) is None and _is_ours(entry, oldest):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_ours(entry: os.DirEntry[str], oldest: float) -> bool:
    try:
        about = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    private = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
    return private and about.st_mtime < oldest
