"""Files that appear whole or not at all, and stay after power loss.

`publish` creates a name that did not exist, and never overwrites: written under `tmp/`, fsynced,
linked to its name, unlinked from `tmp/`, the folder fsynced. `replace` gives an existing name new
content in one step. After a crash at any point a reader sees the old state or the new one.

What a crash may leave over is one draft: the dot file `.NAME.` and 8 hexadecimal digits, in `tmp/`
or (from `replace`) beside NAME. No reader opens it, and nothing removes it by itself: the one
writer of NAME does, with `sweep_drafts`, or the owner of a `tmp/`, by `draft_of`.

Limits: both need a filesystem with atomic link and rename inside one folder tree (every local
POSIX one; network filesystems are not supported), and durability is what the system's fsync gives
(on macOS that does not empty the disk's own cache). Only when the very last step, the fsync of the
folder, fails has the new state appeared although StorageError is raised. `replace` keeps the mode
of the file, not its owner or its other hard links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Final

from signals.errors import StorageError

StrPath = str | os.PathLike[str]

_DRAFT: Final = re.compile(r"\.(.+)\.[0-9a-f]{8}", re.DOTALL)

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, then do the same again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then do the same again"),
    errno.EROFS: ("the filesystem is read-only", "choose a folder that can be written"),
    errno.EACCES: ("permission denied", "check the owner and mode of the folder"),
    errno.EPERM: (
        "this is not permitted here",
        "check the owner and mode of the folder, and that its filesystem has hard links",
    ),
    errno.EXDEV: ("the folder and its tmp/ are on two filesystems", "put them on the same one"),
    errno.EFBIG: ("the file size limit is reached", "raise it (`ulimit -f`), then try again"),
    errno.ENAMETOOLONG: ("the name is too long", "use a shorter one"),
    errno.EISDIR: ("a folder has this name", "move it away, or choose another name"),
    errno.ENOENT: ("the folder does not exist", "create it, or check the path"),
    errno.ENOTDIR: ("part of the path is not a folder", "check the path"),
    errno.EIO: ("the disk reported an error", "check the disk before going on"),
}


@contextlib.contextmanager
def storage_errors(doing: str, path: StrPath) -> Iterator[None]:
    """Turn an OSError inside into a StorageError that names the path and what to do.

    FileExistsError passes: to its caller it is an answer, not a fault of the disk.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        reason, fix = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
        raise StorageError(f"cannot {doing}: {reason}", where=os.fspath(path), fix=fix) from error


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however short the single writes turn out."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def fsync_folder(folder: StrPath) -> None:
    """Make the names in a folder as durable as the files behind them."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_new(path: str, data: bytes, mode: int | None = None) -> None:
    """Write a new file; without a mode it has the usual one, 0644 less the umask."""
    fd = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644 if mode is None else 0o600
    )
    try:
        if mode is not None:
            os.fchmod(fd, mode)
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink_quietly(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _draft_in(folder: StrPath, name: str) -> str:
    return os.path.join(folder, f".{name}.{os.urandom(4).hex()}")


def draft_of(name: str) -> str | None:
    """Return the name of the file that a file called so was to become; None if it is no draft."""
    match = _DRAFT.fullmatch(name)
    return match[1] if match else None


def sweep_drafts(path: StrPath) -> None:
    """Remove the drafts of `path` that dead writers left beside it.

    Only for its one writer, who holds the lease: another's living draft would go too. What cannot
    be removed stays.
    """
    folder, name = os.path.split(os.path.realpath(path))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if draft_of(entry.name) == name and entry.is_file(follow_symlinks=False):
                _unlink_quietly(entry.path)


def publish(folder: StrPath, name: str, data: bytes, *, tmp: StrPath | None = None) -> str:
    """Create `folder/name` durably with this content, and return its path.

    `tmp` (by default `folder/tmp`) must exist on the same filesystem. FileExistsError means that
    the name was taken: nothing was changed, choose another.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise ValueError(f"not the name of a file in a folder: {name!r}")
    final = os.path.join(folder, name)
    draft = _draft_in(tmp or os.path.join(folder, "tmp"), name)
    with storage_errors("publish", final):
        try:
            _write_new(draft, data)
            os.link(draft, final)
        finally:
            _unlink_quietly(draft)
        fsync_folder(folder)
    return final


def replace(path: StrPath, data: bytes, *, check: Callable[[], object] | None = None) -> None:
    """Give `path` this content in one durable step, keeping its mode; a symlink stays a symlink.

    What is there and is no regular file (a folder, a device, a pipe) is refused, never replaced.
    `check` is called when only that step is left to do; what it raises prevents it.
    """
    final = os.path.realpath(path)
    draft = _draft_in(*os.path.split(final))
    with storage_errors("write", path):
        mode = None
        with contextlib.suppress(FileNotFoundError):
            mode = _mode_of_file(final, path)
        try:
            _write_new(draft, data, mode)
            if check is not None:
                check()
            os.replace(draft, final)
        except BaseException:  # no draft stays behind, and the error goes on
            _unlink_quietly(draft)
            raise
        fsync_folder(os.path.dirname(final))


def _mode_of_file(final: str, path: StrPath) -> int:
    mode = os.stat(final).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        fix = "a pipe or a device cannot be written in one step: choose another name"
        raise StorageError("cannot write: this is no regular file", where=os.fspath(path), fix=fix)
    return stat.S_IMODE(mode)
