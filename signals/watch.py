"""Sleep until a signal may have come.

A Watch wakes its caller when a `*.json` file appears in one of its folders. Waking means "list
again", never "here is the message": the listing decides. `wait` comes back at the latest after
`slow_seconds`, so an event that is lost, or a folder that cannot be watched, turns into a delay
of at most that long, never into a loss. What cannot be watched is tried again at each such tick,
and `degraded` says what it is and why.

On Linux a Watch is one inotify instance for all its folders, and no thread: whoever waits reads
the kernel's queue itself, through watchdog's bindings, and between two waits the kernel keeps the
events. Only creations and moves into a folder are asked for, so that a move out, which watchdog's
own observer holds back for half a second, delays nothing. Elsewhere it is that observer.

Limits: one thread may use a Watch at a time. A file that is written in place, not published,
wakes when it is created, perhaps before it is whole. A filesystem that reports nothing (some
network and shared ones) gives only the slow listing, and cannot be told from a quiet folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import threading
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, Protocol, Self, cast, final

from signals.atomic import StrPath
from signals.clock import Clock, SystemClock

if TYPE_CHECKING:
    from watchdog.observers.api import ObservedWatch
    from watchdog.observers.inotify_c import WatchDescriptor

_SUFFIX: Final = ".json"
_HEADER: Final = struct.Struct("iIII")
_READ_BYTES: Final = 1 << 16
_JOIN_SECONDS: Final = 2.0
_LIMITS: Final = {
    errno.ENOSPC: "the limit of watches is reached (fs.inotify.max_user_watches)",
    errno.EMFILE: "the limit of watches or open files is reached (fs.inotify.max_user_instances)",
    errno.ENOENT: "the folder does not exist",
}


class _Source(Protocol):
    """Where events come from."""

    def add(self, folder: str) -> None:
        """Watch one more folder; OSError if it cannot be."""
        ...

    def wait(self, seconds: float, also: Collection[int]) -> bool | None:
        """Return whether what came is of interest; None if nothing came for so long."""
        ...

    def gone(self) -> set[str]:
        """Return the folders that are no longer watched, once."""
        ...

    def close(self) -> None: ...


@final
class _Inotify:
    """All folders in one inotify instance, read by the thread that waits."""

    def __init__(self) -> None:
        from watchdog.observers import inotify_c

        self._c = inotify_c
        self._fd = _checked(inotify_c.inotify_init())
        os.set_inheritable(self._fd, False)
        os.set_blocking(self._fd, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._folders: dict[int, str] = {}
        self._gone: set[str] = set()

    def add(self, folder: str) -> None:
        of = self._c.InotifyConstants
        mask = of.IN_CREATE | of.IN_MOVED_TO | of.IN_MOVE_SELF | of.IN_ONLYDIR
        watch = _checked(self._c.inotify_add_watch(self._fd, os.fsencode(folder), mask))
        self._folders[watch] = folder

    def wait(self, seconds: float, also: Collection[int]) -> bool | None:
        for each in also:
            self._poll.register(each, select.POLLIN)
        ready = {fd for fd, _ in self._poll.poll(seconds * 1000)}
        for each in also:
            self._poll.unregister(each)
        if self._fd not in ready:
            return True if ready else None
        # Read before the caller lists: what comes during the listing, or did not fit into this
        # read, is still in the queue at the next wait.
        return self._understand(os.read(self._fd, _READ_BYTES)) or ready != {self._fd}

    def _understand(self, events: bytes) -> bool:
        of = self._c.InotifyConstants
        woken, at = False, 0
        while at < len(events):
            watch, mask, _, length = _HEADER.unpack_from(events, at)
            at += _HEADER.size + length
            if mask & (of.IN_CREATE | of.IN_MOVED_TO):
                name = events[at - length : at].rstrip(b"\0")
                woken = woken or name.endswith(_SUFFIX.encode())
            elif mask & (of.IN_IGNORED | of.IN_MOVE_SELF):
                woken = self._forget(watch, still_watched=bool(mask & of.IN_MOVE_SELF)) or woken
            else:
                woken = woken or bool(mask & of.IN_Q_OVERFLOW)
        return woken

    def _forget(self, watch: int, *, still_watched: bool) -> bool:
        """Note that a folder was deleted, or renamed and so is another folder now."""
        folder = self._folders.pop(watch, None)
        if folder is None:
            return False
        if still_watched:
            self._c.inotify_rm_watch(self._fd, cast("WatchDescriptor", watch))
        self._gone.add(folder)
        return True

    def gone(self) -> set[str]:
        gone, self._gone = self._gone, set()
        return gone

    def close(self) -> None:
        os.close(self._fd)


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@final
class _Observed:
    """watchdog's Observer, where there is no inotify; its threads end with it."""

    def __init__(self) -> None:
        from watchdog.events import FileCreatedEvent, FileMovedEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        came = self._came = threading.Event()

        class Wake(FileSystemEventHandler):
            def on_any_event(self, event: FileCreatedEvent | FileMovedEvent) -> None:  # type: ignore[override]  # the filter lets through only these
                if os.fsdecode(event.dest_path or event.src_path).endswith(_SUFFIX):
                    came.set()

        self._wake, self._kinds = Wake(), [FileCreatedEvent, FileMovedEvent]
        self._observer = Observer()
        self._observer.start()
        self._folders: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}

    def add(self, folder: str) -> None:
        is_now = _identity(folder)
        watch = self._observer.schedule(self._wake, folder, event_filter=self._kinds)
        self._folders[folder] = watch, is_now

    def wait(self, seconds: float, also: Collection[int]) -> bool | None:
        del also  # here the slow tick alone finds them
        came = self._came.wait(seconds) or None
        # Cleared before the caller lists: what comes during the listing sets it again, and the
        # next wait returns at once.
        self._came.clear()
        return came

    def gone(self) -> set[str]:
        gone = {folder for folder, (_, was) in self._folders.items() if not _is_still(folder, was)}
        for folder in gone:
            self._observer.unschedule(self._folders.pop(folder)[0])
        return gone

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(_JOIN_SECONDS)


def _identity(folder: str) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _is_still(folder: str, was: tuple[int, int]) -> bool:
    try:
        return _identity(folder) == was
    except OSError:
        return False


@final
class _Nothing:
    """No events at all: the slow listing alone."""

    def add(self, folder: str) -> None:
        raise AssertionError(f"nobody watches {folder}")

    def wait(self, seconds: float, also: Collection[int]) -> bool | None:
        return bool(select.select(also, (), (), seconds)[0]) or None

    def gone(self) -> set[str]:
        return set()

    def close(self) -> None:
        pass


def _open_source() -> _Source:
    return _Inotify() if sys.platform.startswith("linux") else _Observed()


@final
class Watch:
    """Wakes its caller when a signal may have come to one of the folders; see the module.

    List once after entering, and after every `wait`, whatever it returned: nothing is missed.
    """

    def __init__(
        self, folders: Iterable[StrPath], *, slow_seconds: float = 5.0, clock: Clock | None = None
    ) -> None:
        self._slow_seconds = slow_seconds
        self._clock = clock or SystemClock()
        self._source: _Source = _Nothing()
        self._folders = [os.path.abspath(folder) for folder in folders]
        self._unwatched = dict.fromkeys(self._folders, "not yet watched")

    def __enter__(self) -> Self:
        self._watch_what_is_not()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()
        self._source = _Nothing()
        self._unwatched = dict.fromkeys(self._folders, "the watch has ended")

    @property
    def degraded(self) -> str:
        """Say which folders are not watched and why; empty while all of them are."""
        said = "; ".join(f"{folder}: {why}" for folder, why in self._unwatched.items())
        return f"listing every {self._slow_seconds:g} s instead of watching {said}" if said else ""

    def add(self, folder: StrPath) -> None:
        """Watch one more folder. List it afterwards: what was in it already wakes nobody."""
        self._folders.append(os.path.abspath(folder))
        self._unwatched[self._folders[-1]] = "not yet watched"
        self._watch_what_is_not()

    def wait(self, timeout_seconds: float | None = None, *, also: Collection[int] = ()) -> bool:
        """Sleep until there may be something to list, and then list, whatever this returns.

        True: an event came since the last wait. False: the timeout or the slow tick, whichever
        is sooner; None means the slow tick alone. `also` are descriptors that wake when they
        become readable, such as a pidfd; without inotify they may wait for the slow tick.
        """
        seconds = self._slow_seconds
        if timeout_seconds is not None:
            seconds = min(seconds, max(timeout_seconds, 0.0))
        deadline = self._clock.monotonic() + seconds
        while (woken := self._source.wait(seconds, also)) is False:
            seconds = max(deadline - self._clock.monotonic(), 0.0)
        self._unwatched |= dict.fromkeys(self._source.gone(), "the folder is gone")
        # Before the caller lists, so that nothing falls between the listing and the new watch.
        self._watch_what_is_not()
        return bool(woken)

    def _watch_what_is_not(self) -> None:
        for folder in [*self._unwatched]:
            try:
                if isinstance(self._source, _Nothing):
                    self._source = _open_source()
                self._source.add(folder)
            except OSError as error:
                why = _LIMITS.get(error.errno or 0, error.strerror or str(error))
                self._unwatched[folder] = why
            else:
                del self._unwatched[folder]
