"""Promises on disk, whole and one change at a time.

For the stop hook: a session is released while this file exists:

    completion-state/hooks/<session id>.released.json      {"at", "reason", "by"}

The whole folder, `.claude/completion-state/` of the project: `promises/<id>.json` (open),
`history/<id>.json` (verified or cancelled), `validations/<id>/<criterion>-validation.json`,
`sessions/`, as in the original; and ours: `audit/<id>.jsonl`, `hooks/`, `escalations/`, `.lock`.

Guaranteed: a file is replaced whole and fsynced; changes happen one after the other under one
lock; the audit log holds every change before the file does; a file that cannot be read is named
with its line, never changed, and hides no other. Not guaranteed: anything against the original's
own scripts writing at the same moment, for they take no lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from io import BufferedReader
from typing import Final, NamedTuple

from attractor.errors import BusyError, DamageError, InputError, StorageError
from attractor.promise import model
from attractor.promise.model import Promise
from signals.clock import Clock, iso

LOCK_SECONDS: Final = 10.0
MAX_BYTES: Final = 8 * 1024 * 1024
_PAUSE_SECONDS: Final = 0.005


class Damaged(NamedTuple):
    """A file that cannot be read, and why."""

    path: str
    """With line and column where they are known: `FILE:LINE:COLUMN`."""
    reason: str
    mentions: frozenset[str] = frozenset()
    """Which of the sessions that were asked for it speaks of, as far as its bytes show."""

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "reason": self.reason}

    def error(self) -> DamageError:
        fix = "nothing was changed; repair or remove the file by hand"
        return DamageError(self.reason, where=self.path, fix=fix)


class Listing(NamedTuple):
    """What a folder of promises holds, oldest first."""

    promises: list[Promise]
    damaged: list[Damaged]


def read_json(path: str) -> object:
    """Return what a JSON file holds; DamageError names the line, FileNotFoundError passes."""
    return parse_json(read_bytes(path), path)


def read_bytes(path: str) -> bytes:
    """Return what a regular file of bearable size holds."""
    try:
        with regular_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(path, f"cannot be read: {error.strerror}").error() from error
    if len(data) > MAX_BYTES:
        raise Damaged(path, f"larger than {MAX_BYTES} bytes").error()
    return data


def regular_file(path: str) -> BufferedReader:
    """Open a file for reading; OSError also for what is none."""
    # O_NONBLOCK: a FIFO with this name must not hold the command up.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(fd, "rb")


def parse_json(data: bytes, name: str) -> object:
    """Return the value of a JSON text; DamageError says where it breaks."""
    try:
        found: object = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        raise Damaged(place, f"not JSON: {error.msg}").error() from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Damaged(f"{name}:{line}", "not UTF-8").error() from error
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{name}:1", f"not JSON that we can hold: {error}").error() from error
    return found


def to_bytes(value: object) -> bytes:
    """Return JSON as the original writes it: two spaces, UTF-8, a newline at the end."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair, written as an escape by somebody else, stays an escape.
        return json.dumps(value, indent=2).encode() + b"\n"


class Store:
    """The completion state of one project."""

    def __init__(self, project: str, clock: Clock) -> None:
        self.project = project
        self.clock = clock
        self.root = os.path.join(project, ".claude", "completion-state")

    def now(self) -> str:
        """Return the time as the original's files carry it: whole seconds."""
        return iso(self.clock.wall_ns())[:19] + "Z"

    def path(self, *names: str) -> str:
        """Return a path inside the folder."""
        return os.path.join(self.root, *names)

    def folder(self, *names: str) -> str:
        """Return a folder inside, made durably if it was not there."""
        path = self.path(*names)
        if not os.path.isdir(path):
            _make_folder(path)
        return path

    def names(self, folder: str) -> list[str]:
        """Return the names of the `.json` files of a folder, without the ending, sorted."""
        try:
            found = os.listdir(self.path(folder))
        except FileNotFoundError:
            return []
        return sorted(n[:-5] for n in found if n.endswith(".json") and not n.startswith("."))

    def load(self, name: str) -> Promise:
        """Return a promise, open or in the history; an unknown id suggests near ones."""
        if not model.is_name(name):
            raise InputError(
                f"{name!r} cannot be the id of a promise", fix="see `cs-promise --list`"
            )
        for folder in ("promises", "history"):
            with contextlib.suppress(FileNotFoundError):
                return _promise(
                    read_json(self.path(folder, f"{name}.json")), self.path(folder), name
                )
        raise self._unknown(name)

    def _unknown(self, name: str) -> InputError:
        import difflib

        known = [*self.names("promises"), *self.names("history")]
        near = [each for each in known if name and each.startswith(name)][:3]
        near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.75)
        fix = f"did you mean {' or '.join(near)}?" if near else "see `cs-promise --list`"
        return InputError(f"there is no promise {name!r}", where=self.root, fix=fix)

    def listing(self, folder: str = "promises", own: tuple[str, ...] = ()) -> Listing:
        """Return every promise of a folder; what cannot be read is listed apart.

        Of a damaged file it is said which of the sessions `own` it mentions.
        """
        found, damaged = [], []
        for name in self.names(folder):
            path = self.path(folder, f"{name}.json")
            try:
                promise = _promise(read_json(path), self.path(folder), name)
            except DamageError as error:
                said = _mentioned(path, own)
                damaged.append(Damaged(error.where, error.problem, said))
            except FileNotFoundError:
                continue  # it went to the history between the listing and the reading
            else:
                found.append((_age(promise, path), promise))
        # The original's times have one second; scripts take the last one as the newest.
        found.sort(key=lambda each: each[0])
        return Listing([promise for _, promise in found], damaged)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of all writers; a crash releases it."""
        path = os.path.join(self.folder(), ".lock")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot lock: {error.strerror}", where=path) from error
        try:
            deadline = self.clock.monotonic() + LOCK_SECONDS
            while not _taken(fd):
                if self.clock.monotonic() >= deadline:
                    raise _busy(path)
                time.sleep(_PAUSE_SECONDS)
            yield
        finally:
            os.close(fd)

    def save(self, step: model.Step, session: str) -> Promise:
        """Make a change durable: audit log, file, and for a closed promise the history.

        Under the lock only. A crash after the file leaves a closed promise among the open ones;
        `settle` finishes the move.
        """
        from attractor.promise import audit
        from signals.atomic import replace

        name = step.promise["id"]
        audit.append(self.folder("audit"), name, session, step.changes, self.clock)
        path = os.path.join(self.folder("promises"), f"{name}.json")
        replace(path, to_bytes(step.promise))
        self.settle(step.promise)
        return step.promise

    def settle(self, promise: Promise) -> None:
        """Move a closed promise to the history; under the lock only."""
        from signals.atomic import fsync_folder, storage_errors

        name = f"{promise['id']}.json"
        source = self.path("promises", name)
        if promise["status"] in model.CLOSED and os.path.exists(source):
            with storage_errors("move to the history", source):
                os.replace(source, os.path.join(self.folder("history"), name))
                fsync_folder(self.path("history"))
                fsync_folder(self.path("promises"))


def _promise(value: object, folder: str, name: str) -> Promise:
    path = os.path.join(folder, f"{name}.json")
    fault = model.shape_fault(value, name)
    if fault or not isinstance(value, dict):
        raise Damaged(f"{path}:1", f"not a promise: {fault}").error()
    return value


def _mentioned(path: str, own: tuple[str, ...]) -> frozenset[str]:
    try:
        data = read_bytes(path) if own else b""
    except (DamageError, OSError):
        return frozenset()
    return frozenset(each for each in own if each.encode() in data)


def _age(promise: Promise, path: str) -> tuple[str, int]:
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        changed = 0
    return str(promise.get("ownership", {}).get("created_at") or ""), changed


def _taken(fd: int) -> bool:
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: str) -> BusyError:
    return BusyError(
        f"another command has held the lock for {LOCK_SECONDS:g} seconds",
        where=path,
        fix=f"try again; if it stays, `fuser {path}` (or `lsof`) shows the process that holds it",
    )


def _make_folder(path: str) -> None:
    from signals.atomic import fsync_folder, storage_errors

    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make_folder(parent)
    with storage_errors("make the folder", path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        fsync_folder(parent)
