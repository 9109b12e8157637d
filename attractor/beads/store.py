"""The `.beads/` folder: found, read, and changed by one process at a time.

A command reads the file once. One that changes something holds the lock from before its read until
after its one atomic, fsynced rewrite; killed at any moment, the file has the old content or the
new. The lock is the kernel's, on the folder itself: nothing to ignore, nothing to clean up.

Limits: it binds only those who ask. A real `bd` in the same folder does not; it takes over what it
finds in the file, as after a `git pull`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Final, final

from attractor.beads.lines import Lines, parse
from attractor.errors import BusyError, InputError
from signals.atomic import replace, storage_errors, sweep_drafts
from signals.clock import Clock

FOLDER: Final = ".beads"
ISSUES: Final = "issues.jsonl"
LOCK_SECONDS: Final = 10.0
MOST_BYTES: Final = 256 << 20
SMALL_BYTES: Final = 64 << 10
_POLL_SECONDS: Final = 0.005
_DOLT: Final = ("embeddeddolt", "dolt")


@final
class Store:
    """One `.beads/` folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, _file_name(folder))

    def read(self) -> Lines:
        """Return what is there now; a writer in the middle of its work does not disturb."""
        with storage_errors("read", self.path):
            try:
                return parse(read_regular(self.path))
            except FileNotFoundError:
                return Lines()

    @contextlib.contextmanager
    def change(self, clock: Clock, timeout_seconds: float = LOCK_SECONDS) -> Iterator[Lines]:
        """Yield the lines, alone; what has been put is written when the block ends well."""
        with self.lock(clock, timeout_seconds):
            lines = self.read()
            yield lines
            if lines.changed:
                sweep_drafts(self.path)
                replace(self.path, lines.render())

    @contextlib.contextmanager
    def lock(self, clock: Clock, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the folder alone among all processes that ask."""
        with storage_errors("lock", self.folder):
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with storage_errors("lock", self.folder):
                self._wait(fd, clock, clock.monotonic() + timeout_seconds)
            yield
        finally:
            os.close(fd)

    def _wait(self, fd: int, clock: Clock, deadline: float) -> None:
        while not _locked(fd):
            if clock.monotonic() >= deadline:
                raise BusyError(
                    "another process is changing the beads",
                    where=self.folder,
                    fix=f"try again in a moment; `fuser {self.folder}` shows who it is",
                )
            time.sleep(_POLL_SECONDS)

    @property
    def dolt(self) -> str:
        """The database of a bd 1.0 in this folder, which our file is only an export of, or ""."""
        return next((name for name in _DOLT if os.path.isdir(os.path.join(self.folder, name))), "")


def read_regular(path: str, limit: int = MOST_BYTES) -> bytes:
    """Return a file's content. InputError: it is not a regular file, or larger than the limit."""
    # Opening a FIFO would wait for a writer, and a device may never end.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("this is not a file", where=path, fix="move it away")
        if facts.st_size > limit:
            problem = f"it has {facts.st_size} bytes; more than {limit} are not read"
            raise InputError(problem, where=path, fix="move it away")
        data = bytearray()
        while part := os.read(fd, min(facts.st_size + 1, limit + 1 - len(data))):
            data += part
        return bytes(data[:limit])
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _file_name(folder: str) -> str:
    """Return the name of the issues file, as metadata.json gives it."""
    name: object = None
    path = os.path.join(folder, "metadata.json")
    odd = contextlib.suppress(OSError, ValueError, AttributeError, RecursionError, InputError)
    with odd:
        name = json.loads(read_regular(path, SMALL_BYTES)).get("jsonl_export")
    if isinstance(name, str) and re.fullmatch(r"[\w-]+\.jsonl", name):
        return name
    return ISSUES


def find(cwd: str, environ: Mapping[str, str], db: str = "") -> Store:
    """Return the store that commands in `cwd` mean. InputError: there is none.

    In this order: `db`, $BEADS_DIR, $BEADS_DB, the nearest `.beads/` upwards inside this
    repository, and for a linked worktree that of its main checkout.
    """
    folder = _given(environ, db) or _above(cwd)
    if not folder or not os.path.isdir(folder):
        raise InputError(
            "there is no .beads folder here or above",
            where=folder or cwd,
            fix="`attractor bd init` makes one",
        )
    return Store(_redirected(folder))


def _given(environ: Mapping[str, str], db: str) -> str:
    if not db and environ.get("BEADS_DIR"):
        return os.path.abspath(environ["BEADS_DIR"])
    db = db or environ.get("BEADS_DB", "")
    if not db:
        return ""
    return os.path.abspath(db if os.path.isdir(db) else os.path.dirname(os.path.abspath(db)))


def _above(cwd: str) -> str:
    folder = os.path.abspath(cwd)
    while True:
        if os.path.isdir(os.path.join(folder, FOLDER)):
            return os.path.join(folder, FOLDER)
        git = os.path.join(folder, ".git")
        if os.path.isfile(git):
            main = _main_checkout(git)
            return os.path.join(main, FOLDER) if main else ""
        if os.path.isdir(git) or os.path.dirname(folder) == folder:
            return ""
        folder = os.path.dirname(folder)


def _main_checkout(git: str) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError, InputError):
        where = read_regular(git, SMALL_BYTES).decode().removeprefix("gitdir:").strip()
        main, found, _ = where.partition("/.git/worktrees/")
        return os.path.normpath(os.path.join(os.path.dirname(git), main)) if found else ""
    return ""


def _redirected(folder: str) -> str:
    """Follow bd's `redirect` file, once; a path in it counts from the project's folder."""
    with contextlib.suppress(OSError, UnicodeDecodeError, InputError):
        data = read_regular(os.path.join(folder, "redirect"), SMALL_BYTES)
        target = data.decode().partition("\n")[0].strip()
        there = os.path.normpath(os.path.join(os.path.dirname(folder), target))
        if target and os.path.isdir(there):
            return there
    return folder


_GITIGNORE: Final = """\
*.db*
daemon.*
bd.sock
last-touched
.local_version
redirect
sync_base.jsonl
.sync.lock
embeddeddolt/
dolt/
"""


def init(folder: str, prefix: str) -> Store:
    """Make a `.beads/` folder; files that are there stay as they are."""
    with storage_errors("make", folder):
        os.makedirs(folder, exist_ok=True)
    metadata = {"database": "beads.db", "jsonl_export": ISSUES}
    files = {
        "config.yaml": f"issue-prefix: {prefix}\nno-db: true\n",
        "metadata.json": json.dumps(metadata) + "\n",
        ".gitignore": _GITIGNORE,
        ISSUES: "",
    }
    for name, text in files.items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            replace(path, text.encode())
    return Store(folder)
