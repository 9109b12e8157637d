"""What a new worktree gets beside the commit.

`.worktreeinclude` in the main checkout lists, in the syntax of `.gitignore`, files that no commit
holds and that the work needs, such as `.env`. They are copied once, when the worktree is made, and
only what is ignored there too, so that no secret is committed by accident. Never copied: links and
what lies behind one, anything of a run (its rubrics, keys and journal), and what the node must not
see. Nothing is written through a link. Not done: keeping the copies fresh.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attractor.errors import InputError
from attractor.git import Git
from attractor.run.hide import OURS
from runner.marks import shown
from signals.atomic import storage_errors

LIST: Final = ".worktreeinclude"
MOST_FILES: Final = 10_000
MOST_BYTES: Final = 1024 * 1024 * 1024
_MOST_NAMED: Final = 10
_NEVER: Final = (*(name.encode() for name in OURS), b".git/")


def copy_included(project: Git, tree: Git, hidden: Sequence[str]) -> tuple[str, ...]:
    """Copy what the list names into the worktree; return what a person should know about it."""
    listed = os.path.join(project.work_tree, LIST)
    if not os.path.isfile(listed):
        return ()
    words = ("ls-files", "-z", "--others", "--ignored", f"--exclude-from={listed}")
    names = [name for name in project.ask(*words).split(b"\0")[:-1] if not name.startswith(_NEVER)]
    if len(names) > MOST_FILES:
        problem = f"it names {len(names)} files, and at most {MOST_FILES} are copied"
        raise InputError(problem, where=listed, fix="name fewer; install the rest in the worktree")
    walls = [os.fsencode(os.path.realpath(each)) for each in hidden]
    source, target = os.fsencode(project.work_tree), os.fsencode(tree.work_tree)
    fit = [each for each in names if _may_go(source, target, each, walls)]
    ignored = set(_ignored(tree, fit))
    left = [each for each in names if each not in ignored]
    _copy(source, target, sorted(ignored), listed)
    if not left:
        return ()
    some = ", ".join(map(shown, left[:_MOST_NAMED]))
    return (f"{LIST}: not copied, as they are links, hidden or not ignored there: {some}",)


def _may_go(source: bytes, target: bytes, name: bytes, walls: Iterable[bytes]) -> bool:
    """Say whether a file is a plain one, may be seen, and has no link in its way."""
    path = os.path.join(source, name)
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return False
    real = os.path.realpath(path)
    if any(real == wall or real.startswith(wall + b"/") for wall in walls):
        return False
    return not any(_in_the_way(os.path.join(target, folder)) for folder in _folders(name))


def _in_the_way(folder: bytes) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(folder).st_mode)
    except FileNotFoundError:
        return False


def _folders(name: bytes) -> Iterator[bytes]:
    """Yield each folder above a file, the outermost first."""
    parts = name.split(b"/")[:-1]
    for count in range(1, len(parts) + 1):
        yield b"/".join(parts[:count])


def _ignored(tree: Git, names: list[bytes]) -> list[bytes]:
    """Return those that git ignores in the worktree, and no commit of it holds."""
    if not names:
        return []
    ended = tree.answer("check-ignore", "-z", "--stdin", stdin=b"\0".join(names) + b"\0")
    if ended.status not in (0, 1):
        problem = f"git cannot say which of the files are ignored: {ended.stderr}"
        raise InputError(problem, where=LIST, fix="name fewer files there")
    return ended.stdout.split(b"\0")[:-1]


def _copy(source: bytes, target: bytes, names: Iterable[bytes], where: str) -> None:
    left = MOST_BYTES
    for name in names:
        left -= os.lstat(os.path.join(source, name)).st_size
        if left < 0:
            problem = f"it names more than {MOST_BYTES // 1024**3} GiB"
            raise InputError(problem, where=where, fix="name fewer files there")
        with storage_errors("copy", os.path.join(source, name).decode("utf-8", "replace")):
            for folder in _folders(name):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(os.path.join(target, folder))
            _copy_one(os.path.join(source, name), os.path.join(target, name))


def _copy_one(source: bytes, target: bytes) -> None:
    # Over a half copy of before: it is ignored and in no commit, and no session was there yet.
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(reading, "rb") as file:
        mode = stat.S_IMODE(os.fstat(reading).st_mode) & 0o777
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            writing = os.open(target, flags, mode)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return  # a link of that name: what it leads to is not ours
        with open(writing, "wb") as copy:
            shutil.copyfileobj(file, copy)
