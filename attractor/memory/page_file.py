"""ARCHITECT.md on disk: read without trust, kept aside where it cannot be used, written whole.

What is no page of ours (no text, not our sections, no regular file, a link out of the project) is
never written. Such a file is copied aside once, as it is, and stays where it was.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import AttractorError, DamageError
from attractor.memory import architect, places
from attractor.memory.architect import Page
from attractor.run.hide import hide_ours
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock, stamp

LOCK_SECONDS: Final = 20.0
_MOST_ASIDE: Final = 16 * 1024 * 1024
_WRITE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_CHUNK: Final = 1024 * 1024


@final
@dataclass(frozen=True, slots=True)
class Found:
    """What there is where the page should be."""

    page: Page | None
    missing: bool = False
    """There is none; `page` is the empty one then."""
    problem: str = ""
    """Why there is none that can be used."""
    read_only: bool = False
    """Its mode lets nobody write it, so it is not replaced."""

    @property
    def there(self) -> Page | None:
        """Return the page, if there is one that says what is remembered."""
        return None if self.missing else self.page

    @property
    def writable(self) -> bool:
        """Whether lines may be added."""
        return self.page is not None and not self.read_only


@contextlib.contextmanager
def locked(project: str, clock: Clock) -> Iterator[None]:
    """Be the only one who changes the page; BusyError after a while."""
    from signals.lease import lease  # writers only; it costs a start 40 ms

    folder = places.folder(project)
    with storage_errors("make the folder", folder):
        os.makedirs(folder, exist_ok=True)
    with lease(places.lock(project), clock, LOCK_SECONDS):
        yield


def load(project: str) -> Found:
    """Return the page of a project; a damaged one is no error."""
    path = places.page(project)
    try:
        data = _content(path, project)
        read_only = not os.stat(path).st_mode & _WRITE
        text = architect.decoded(data)
        if not text.strip():
            page = architect.read(architect.empty())
            return Found(page, missing=True, read_only=read_only)
        return Found(architect.read(text), read_only=read_only)
    except FileNotFoundError:
        return Found(architect.read(architect.empty()), missing=True)
    except DamageError as error:
        return Found(None, problem=error.problem)
    except OSError as error:
        return Found(None, problem=f"it cannot be read: {error.strerror or error}")


def save(project: str, found: Found, text: str) -> None:
    """Write the page, whose lock is held; a new one is kept out of git, unless it is tracked."""
    path = places.page(project)
    if found.missing:
        hide(project, page=True)
    atomic.sweep_drafts(path)
    atomic.replace(path, text.encode())


def keep_aside(project: str, clock: Clock) -> str:
    """Copy what cannot be used, and return the copy's path; empty where it cannot be copied."""
    try:
        data = _content(places.page(project), project, _MOST_ASIDE)
    except (OSError, DamageError):
        return ""
    folder = places.aside(project)
    with storage_errors("keep a file aside", folder):
        os.makedirs(os.path.join(folder, "tmp"), exist_ok=True)
        for name in sorted(os.listdir(folder)):
            if name.startswith("ARCHITECT.") and _is(os.path.join(folder, name), data):
                return os.path.join(folder, name)
        with contextlib.suppress(FileExistsError):
            return atomic.publish(folder, f"ARCHITECT.{stamp(clock.wall_ns())}.md", data)
    return ""


def read_up_to(fd: int, most: int) -> bytes:
    """Return the bytes of an open file, as many as there are, up to a number."""
    parts, left = list[bytes](), most
    while left > 0 and (part := os.read(fd, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _content(path: str, project: str, most: int = architect.MOST_BYTES) -> bytes:
    real, top = os.path.realpath(path), os.path.realpath(project)
    if os.path.commonpath([real, top]) != top:
        raise DamageError("it is a link that leads out of the project")
    # Not blocking: it may have become a pipe.
    fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise DamageError("it is no regular file")
        return read_up_to(fd, most + 1)
    finally:
        os.close(fd)


def _is(path: str, data: bytes) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(len(data) + 1) == data
    return False


def hide(project: str, *, page: bool = False) -> None:
    """Keep our folders out of git, and a page that is about to be made, unless it is tracked."""
    from attractor.git import repository

    with contextlib.suppress(AttractorError):  # no repository, or no git: nothing to hide it from
        git = repository(os.path.realpath(project))
        name = f":(top,literal){architect.NAME}"
        more = [f"/{architect.NAME}"] if page and not git.ask("ls-files", "-z", "--", name) else []
        hide_ours(git.common, *more)
