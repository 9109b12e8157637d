"""The bare kernel interface, through ctypes: the floor under every watcher."""

from __future__ import annotations

import ctypes
import os

IN_CREATE = 0x100
IN_MOVED_TO = 0x80


class RawInotify:
    """One watch on one folder; `wait` blocks in read(2) until something appears there."""

    def __init__(self, folder: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        if libc.inotify_add_watch(self.fd, os.fsencode(folder), IN_CREATE | IN_MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def wait(self) -> None:
        """Return after the next event."""
        os.read(self.fd, 4096)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
