"""The files that we keep beside a pipeline: opened only as the plain files that we write.

A folder may come from elsewhere (a clone, an archive), with anything under the names that are ours:
a symbolic link to somebody's `.bashrc`, a pipe that nobody writes to, a file without end. So these
names are opened as plain files of bounded size, never through a link and never waiting; what is
something else is refused, and left alone. Folders on the way to them are the user's own choice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from attractor.errors import InputError
from signals.atomic import StrPath, draft_of, storage_errors

MOST_BYTES: Final = 1024 * 1024 * 1024

_ELSEWHERE: Final = "a symbolic link"
_MODE: Final = 0o644


def open_plain(path: StrPath, flags: int) -> int:
    """Open a plain file; InputError says what else has its name."""
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _unfit(path, _ELSEWHERE) from None
        if error.errno == errno.ENXIO:  # a pipe without a reader, a socket
            raise _unfit(path, "no plain file") from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise _unfit(path, "no plain file")


def content(fd: int, path: StrPath) -> bytes:
    """Return the whole content of a file that `open_plain` opened, if it is of a sane size."""
    if os.fstat(fd).st_size > MOST_BYTES:
        raise InputError(
            f"this file is larger than {MOST_BYTES // 1024**3} GiB, which is the limit",
            where=os.fspath(path),
            fix="is it the right file? Move it away, then do the same again",
        )
    with open(fd, "rb", closefd=False) as file:
        return file.read()


def refuse_link(path: str) -> None:
    """Raise InputError where a symbolic link has the name of a file of ours."""
    if os.path.islink(path):
        raise _unfit(path, _ELSEWHERE)


def is_own_folder(path: str) -> bool:
    """Say whether a folder of ours is there; InputError where something else has its name."""
    with storage_errors("look at", path):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return False
    if not stat.S_ISDIR(mode):
        raise _unfit(path, _ELSEWHERE if stat.S_ISLNK(mode) else "no folder")
    return True


def sweep(folder: str, ours: Callable[[str], bool]) -> None:
    """Remove the drafts of files whose name is ours; only for who holds the lease of them all."""
    with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
        for entry in entries:
            name = draft_of(entry.name)
            if name is not None and ours(name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _unfit(path: StrPath, what: str) -> InputError:
    return InputError(
        f"this is {what}, where a file of Attractor's own belongs",
        where=os.fspath(path),
        fix="find out who put it there; when it is moved away, a new one is written",
    )
