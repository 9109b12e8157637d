"""A private folder for as long as something is done, outside of every project.

Nothing above it configures an agent that works there. It is held while it is used; what was left by
a process that was killed is removed by the next one that makes such a folder, when nobody holds it
and no process has its number.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Final

from signals.owner import owner_of

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def scratch(name: str) -> Iterator[str]:
    """Yield the real path of a new folder, which is gone afterwards with all that is in it."""
    prefix = f"attractor-{name}-"
    _sweep(prefix)
    made, held = _made(prefix)
    try:
        yield os.path.realpath(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def _made(prefix: str) -> tuple[str, int]:
    """Make a folder and hold it; who sweeps may have taken it for left before it was held."""
    while True:
        made = tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-")
        with contextlib.suppress(FileNotFoundError):
            held = os.open(made, _FOLDER)
            if _is_held(held) and os.path.lexists(made):
                return made, held
            os.close(held)


def _is_held(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no filesystem for locks: nobody sweeps there either
    return True


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


def _sweep(prefix: str) -> None:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            found = re.fullmatch(rf"{re.escape(prefix)}(\d+)-\w+", entry.name)
            if found and owner_of(int(found[1])) is None:
                _remove_left(entry.path)


def _remove_left(path: str) -> None:
    """Remove a folder of ours that nobody holds, also not where processes have other numbers."""
    with contextlib.suppress(OSError):
        folder = os.open(path, _FOLDER)
        try:
            if os.fstat(folder).st_uid == os.geteuid():
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(folder)
