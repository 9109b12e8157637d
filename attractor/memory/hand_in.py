"""What an agent hands in: the files in `.attractor/memory/` of its worktree.

The worktree is an agent's, so nothing in it is trusted: only regular files of bounded size and
number are read, and no link is followed, neither a symbolic nor a hard one. The files stay.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Final, final

from attractor.digest import sha256
from attractor.memory.entry import Kind, handed_in
from attractor.memory.page_file import read_up_to

FOLDER: Final = (".attractor", "memory")
MOST_FILES: Final = 20
MOST_BYTES: Final = 64 * 1024
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: it may be a pipe.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@final
@dataclass(slots=True)
class HandedIn:
    """What was found."""

    files: dict[str, list[tuple[Kind, str]]] = field(default_factory=dict)
    """By the hash of each file's bytes."""
    notes: list[str] = field(default_factory=list)


def collect(worktree: str) -> HandedIn:
    """Return what was handed in; without a worktree, or its folder, nothing."""
    found = HandedIn()
    if not worktree:
        return found
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(worktree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            for name in FOLDER:
                folder = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
                stack.callback(os.close, folder)
            names = sorted(each for each in os.listdir(folder) if each.endswith(".md"))
        except OSError:
            return found
        for name in names[:MOST_FILES]:
            _take(folder, name, found)
        if len(names) > MOST_FILES:
            more = len(names) - MOST_FILES
            found.notes.append(f"{more} files more than the {MOST_FILES} that are read")
    return found


def _take(folder: int, name: str, found: HandedIn) -> None:
    shown = ascii(name)[1:-1][:100]
    try:
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except OSError as error:
        found.notes.append(f"{shown} cannot be read: {error.strerror}")
        return
    try:
        about = os.fstat(fd)
        regular = stat.S_ISREG(about.st_mode) and about.st_nlink == 1
        data = read_up_to(fd, MOST_BYTES + 1) if regular else b""
    finally:
        os.close(fd)
    if not regular:
        found.notes.append(f"{shown} is no regular file with one name")
        return
    if len(data) > MOST_BYTES:
        found.notes.append(f"{shown} is larger than {MOST_BYTES} bytes")
        return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        found.notes.append(f"{shown} is not UTF-8")
        return
    found.files[sha256(data).hexdigest()] = list(handed_in(text))
