"""Sleep until one of some files in a folder was written, made or moved.

Waking means "look again", never more, and `wait` comes back after a while by itself, so an event
that is lost is a delay. Where the system gives no events, `degraded` says so and the while is
shorter. (`signals.watch` is for mailboxes: it sees files that appear, not files that grow.)
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Self, final

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

_SLOW_SECONDS: Final = 5.0
_BLIND_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 2.0
_UNHEARD: Final = logging.NullHandler()


@final
class Following:
    """Wakes its caller when one of the named files of a folder changes."""

    def __init__(self, folder: str, names: Collection[str]) -> None:
        self._folder = folder
        self._names = frozenset(names)
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None
        self.degraded = ""

    def __enter__(self) -> Self:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        # An observer that ends may complain of it; without a handler that goes to the terminal.
        logging.getLogger("watchdog").addHandler(_UNHEARD)
        noticed = self._noticed

        class Wake(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                noticed(event)

        observer = Observer()
        try:
            observer.schedule(Wake(), self._folder)
            observer.start()
        except OSError as error:
            self.degraded = f"looking every {_BLIND_SECONDS:g} s, because {error.strerror or error}"
        else:
            self._observer = observer
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(_JOIN_SECONDS)

    def wait(self, seconds: float = _SLOW_SECONDS) -> None:
        """Sleep until something changed, or for so long; then look, whatever woke you."""
        longest = seconds if self._observer is not None else min(seconds, _BLIND_SECONDS)
        self._changed.wait(longest)
        # Before the caller looks: what is written while it does wakes it again.
        self._changed.clear()

    def _noticed(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed", "closed_no_write"):
            return  # our own reading, too
        paths = (event.src_path, event.dest_path)
        if any(os.path.basename(os.fsdecode(path)) in self._names for path in paths):
            self._changed.set()
