"""The files of a project, as far as anybody looks: so many, so large, for so long, and no links.

In a git repository those that git tracks; elsewhere those that lie there. A project of several
repositories is a folder that is none itself. Nothing of the project is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, final

from attractor.errors import AttractorError
from attractor.git import Git, repository
from signals.clock import Clock

SECONDS: Final = 20.0
MOST_FILES: Final = 100_000
MOST_READ: Final = 1_000
MOST_BYTES: Final = 256 * 1024
MOST_TOTAL: Final = 16 * 1024 * 1024
MOST_REPOSITORIES: Final = 30
_MOST_FOLDERS: Final = 5_000
_MOST_DEPTH: Final = 12
_REPOSITORY_DEPTH: Final = 2
_PLAIN: Final = ("100644", "100755")
_SUBMODULE: Final = "160000"
OTHERS: Final = frozenset(
    {"node_modules", "vendor", "third_party", "venv", "site-packages", "bower_components"}
)
"""Folders of what others wrote."""
_MADE: Final = frozenset({"target", "dist", "build", "__pycache__"})


@final
class Tree:
    """The paths of a project, relative to it, and their texts."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self.folder = os.path.realpath(folder)
        self._clock = clock
        self._deadline = clock.monotonic() + SECONDS
        self._read, self._bytes = 0, 0
        self.repositories: tuple[str, ...] = ()
        """Folders of repositories; "." for one that is the project itself."""
        self.notes: list[str] = []
        self.paths: frozenset[str] = frozenset()
        self._list()

    def late(self) -> bool:
        """Say whether the time is up."""
        return self._clock.monotonic() > self._deadline

    def note(self, text: str) -> None:
        """Keep what a person should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def has(self, *parts: str) -> bool:
        """Say whether a file is there."""
        return joined(*parts) in self.paths

    def read(self, path: str) -> str | None:
        """Return the text of a file; None where there is none, or where enough was read."""
        if path not in self.paths:
            return None
        if self.late() or self._read >= MOST_READ or self._bytes >= MOST_TOTAL:
            self.note("the project is large: not every manifest was read")
            return None
        whole = os.path.join(self.folder, path)
        # A folder on the way may have become a link since git listed it.
        if os.path.realpath(os.path.dirname(whole)) != os.path.dirname(whole):
            return None
        data = read_bytes(whole)
        if data is None:
            return None
        self._read += 1
        self._bytes += len(data)
        if len(data) > MOST_BYTES:
            self.note(f"{path} is larger than {MOST_BYTES // 1024} KiB and was not read")
            return None
        return data.decode("utf-8-sig", "replace")

    def _list(self) -> None:
        git = _repository(self.folder)
        below = [] if git else list(self._repositories())
        self.repositories = (".",) if git else tuple(below)
        if git:
            found = self._tracked(git, "")
        elif below:
            found = [
                path
                for each in below
                if (inner := _repository(os.path.join(self.folder, each)))
                for path in self._tracked(inner, each)
            ]
        else:
            self.note("this is no git repository: what lies in it was looked at")
            found = list(self._lying())
        if len(found) > MOST_FILES:
            self.note(f"there are more than {MOST_FILES} files; the others were not looked at")
        shown = [each for each in found[:MOST_FILES] if each.isprintable()]
        if odd := len(found[:MOST_FILES]) - len(shown):
            self.note(f"{odd} files have names that cannot be shown, and were not looked at")
        self.paths = frozenset(filter(_is_own, shown))

    def _repositories(self) -> Iterator[str]:
        """Return the repositories at most two folders below, in the order of their names."""
        found = [
            os.path.relpath(place, self.folder)
            for place, inside in self._walk(self.folder, _REPOSITORY_DEPTH)
            if any(entry.name == ".git" for entry in inside) and place != self.folder
        ]
        if len(found) > MOST_REPOSITORIES:
            self.note(f"there are {len(found)} repositories; {MOST_REPOSITORIES} were looked at")
        yield from sorted(found)[:MOST_REPOSITORIES]

    def _tracked(self, git: Git, below: str) -> list[str]:
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            self.note("there was no time to look at every repository")
            return []
        ended = replace(git, seconds=left).answer("ls-files", "--stage", "-z")
        if ended.overflowed or ended.status != 0:
            self.note(f"git did not list all files of {below or 'the project'}")
        found = []
        for each in os.fsdecode(ended.stdout).split("\0")[:-1]:
            about, _, path = each.partition("\t")
            if about.startswith(_PLAIN):
                found.append(joined(below, path))
            elif about.startswith(_SUBMODULE):
                self.note(f"{joined(below, path)[:200]} is a submodule and was not looked into")
        return found

    def _lying(self) -> Iterator[str]:
        count = 0
        for place, inside in self._walk(self.folder, _MOST_DEPTH):
            for entry in inside:
                if entry.is_file(follow_symlinks=False):
                    yield os.path.relpath(entry.path, self.folder)
                    count += 1
            if count > MOST_FILES or self.late():
                self.note(f"not every folder below {os.path.basename(place)} was looked at")
                return

    def _walk(self, top: str, depth: int) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        left, seen = [(top, depth)], 0
        while left and seen < _MOST_FOLDERS:
            place, deep = left.pop()
            seen += 1
            inside = _entries(place)
            yield place, inside
            if deep:
                left += [
                    (entry.path, deep - 1)
                    for entry in reversed(inside)
                    if entry.is_dir(follow_symlinks=False)
                    and not entry.name.startswith(".")
                    and entry.name not in OTHERS | _MADE
                ]


def joined(*parts: str) -> str:
    """Return the path of these, relative; "." is the top."""
    return os.path.normpath(os.path.join(*(each for each in parts if each), ""))


def read_bytes(path: str, most: int = MOST_BYTES) -> bytes | None:
    """Return the first bytes of a plain file, one more than asked for if it is longer."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(fd, most + 1)
    except OSError:
        return None
    finally:
        os.close(fd)


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _repository(folder: str) -> Git | None:
    try:
        return repository(folder)
    except AttractorError:
        return None


def _is_own(path: str) -> bool:
    return OTHERS.isdisjoint(path.split("/"))
