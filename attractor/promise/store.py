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
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from attractor.errors import BusyError, DamageError, InputError, StorageError
from attractor.promise import files, model
from attractor.promise.files import MAX_BYTES, Damaged, parse_json, read_bytes, read_json, to_bytes
from attractor.promise.model import Promise
from signals.clock import Clock, iso

LOCK_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.005


class Listing(NamedTuple):
    """What a folder of promises holds, oldest first."""

    promises: list[Promise]
    damaged: list[Damaged]


class Store:
    """The completion state of one project."""

    def __init__(self, project: str, clock: Clock) -> None:
        self.project = project
        self.clock = clock
        self.root = os.path.join(project, ".claude", "completion-state")
        self.moved: set[str] = set()
        """Promises that had been closed before, and were moved to the history only now."""

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
        return files.names(self.path(folder))

    def load(self, name: str) -> Promise:
        """Return a promise, open or in the history; an unknown id suggests near ones."""
        if not model.is_name(name):
            raise InputError(
                f"{name!r} cannot be the id of a promise", fix="see `cs-promise --list`"
            )
        for folder in ("promises", "history"):
            with contextlib.suppress(FileNotFoundError):
                value = read_json(self.path(folder, f"{name}.json"), follow=False)
                return _promise(value, self.path(folder), name)
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
                promise = _promise(read_json(path, follow=False), self.path(folder), name)
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
        """Hold the lock of all writers; a crash releases it, and the next one finishes its work."""
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
            self._finish()
            yield
        finally:
            os.close(fd)

    def save(self, step: model.Step, session: str) -> Promise:
        """Make a change durable: audit log, file, and for a closed promise the history.

        Under the lock only. A crash after the file leaves a closed promise among the open ones;
        the next holder of the lock finishes the move.
        """
        from attractor.promise import audit, escalation
        from signals.atomic import replace

        name, data = step.promise["id"], to_bytes(step.promise)
        if len(data) > MAX_BYTES:
            raise InputError(
                f"{name} would be larger than {MAX_BYTES} bytes, and could not be read again",
                fix="keep what is long in a file, and give its path: --type file",
            )
        audit.append(self.folder("audit"), name, session, step.changes, self.clock)
        path = os.path.join(self.folder("promises"), f"{name}.json")
        replace(path, data)
        self._settle(step.promise)
        escalation.clear_answered(self.root, session, self.clock)
        return step.promise

    def _finish(self) -> None:
        """Finish what a death left: drafts, closed promises not yet moved, answered escalations."""
        from signals.atomic import draft_of

        for folder in ("promises", "hooks"):
            with contextlib.suppress(FileNotFoundError):
                for each in os.listdir(self.path(folder)):
                    if (draft_of(each) or "").endswith(".json"):
                        with contextlib.suppress(OSError):
                            os.unlink(self.path(folder, each))
        for name in self.names("promises"):
            path = self.path("promises", f"{name}.json")
            with contextlib.suppress(DamageError, FileNotFoundError):
                data = read_bytes(path, follow=False)
                if not any(f'"{each}"'.encode() in data for each in model.CLOSED):
                    continue
                promise = _promise(parse_json(data, path), self.path("promises"), name)
                if promise["status"] in model.CLOSED:
                    self._settle(promise)
                    self.moved.add(name)
        if os.path.isdir(self.path("escalations")):
            from attractor.promise import escalation

            self.folder("audit")
            escalation.clear_answered(self.root, "", self.clock)

    def _settle(self, promise: Promise) -> None:
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
        data = read_bytes(path, follow=False) if own else b""
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
