"""What a fence must know of the disk: the shape of it, never the content.

A symbolic link is never taken for what it leads to, and nothing here raises.
"""

from __future__ import annotations

import enum
import os
import stat
from typing import Final, Protocol, final


@final
class Kind(enum.Enum):
    """What is at a path; a symbolic link is never taken for what it leads to."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"
    NOTHING = "nothing"


class Disk(Protocol):
    """What `fence_for` must know of the disk."""

    def kind(self, path: str) -> Kind:
        """Say what is at this very path."""

    def real(self, path: str) -> str:
        """Return the path with all links followed."""

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder; nothing when it cannot be listed."""


_KINDS: Final = (
    (stat.S_ISREG, Kind.FILE),
    (stat.S_ISDIR, Kind.FOLDER),
    (stat.S_ISLNK, Kind.LINK),
)


@final
class RealDisk:
    """The disk as it is."""

    def kind(self, path: str) -> Kind:
        try:
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):
            return Kind.NOTHING
        for test, kind in _KINDS:
            if test(mode):
                return kind
        return Kind.OTHER

    def real(self, path: str) -> str:
        return os.path.realpath(path)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except OSError:
            return []
