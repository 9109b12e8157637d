"""Which lines a commit adds to what it began with, read from git's objects alone.

A line is added when the old version of its file, found also where it was renamed, holds none that
is the same: what was only moved inside of a file is not added. No checkout is made, nothing is run,
and no attribute can hide a file. Binary files and submodules have no lines. A file that is larger
than the bound, and what comes after all files together are, is named as too large.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from attractor.git import Git

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_TOGETHER: Final = 16 * 1024 * 1024
_BATCH: Final = 4 * 1024 * 1024
_HEAD: Final = 8_000
_RAW: Final = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--find-renames", "--no-ext-diff")
_PAIRED: Final = ("R", "C")
_SUBMODULE: Final = "160000"
_SHOWN: Final = 300


@final
@dataclass(frozen=True, slots=True)
class Added:
    """What one file has that it had not before."""

    path: str
    lines: tuple[tuple[int, str], ...] = ()
    too_large: bool = False


@final
class _Entry(NamedTuple):
    path: str
    old: str
    new: str


def added(git: Git, base: str, commit: str) -> list[Added]:
    """Return each file with lines that the commit adds, in the order of their names."""
    entries = list(_entries(git, base, commit))
    texts = _Texts(git, [each.new for each in entries], [each.old for each in entries])
    found = []
    for each in entries:
        if each.new in texts.too_large:
            found.append(Added(each.path, too_large=True))
        elif lines := _new_lines(texts.of(each.old), texts.of(each.new)):
            found.append(Added(each.path, lines))
    return found


def text_at(git: Git, commit: str, path: str) -> str:
    """Return what a file of a commit says; empty where there is none, or no plain small one."""
    said = git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
    if said.status != 0:
        return ""
    blob = said.stdout.decode("ascii", "replace").strip()
    return (_Texts(git, [blob], []).of(blob) or b"").decode("utf-8", "replace")


def there(git: Git, commits: Sequence[str], paths: Sequence[str]) -> set[str]:
    """Return those of these paths that are a file or a folder in one of the commits."""
    asked = [(path, commit) for path in paths if _can_be(path) for commit in commits]
    if not asked:
        return set()
    lines = b"".join(os.fsencode(f"{commit}:{path}\n") for path, commit in asked)
    said = git.ask("cat-file", "--batch-check=%(objecttype)", stdin=lines).split(b"\n")
    return {path for (path, _), kind in zip(asked, said, strict=False) if kind in _KINDS}


_KINDS: Final = (b"blob", b"tree")


def _can_be(path: str) -> bool:
    parts = path.split("/")
    return not any(each in path for each in "\n\0") and not {"", ".", ".."} & set(parts)


def shown(path: str) -> str:
    """Return a name as it may be shown: one line of plain characters, bounded."""
    return ascii(path)[1:-1][:_SHOWN]


def _entries(git: Git, base: str, commit: str) -> Iterator[_Entry]:
    fields = iter(os.fsdecode(git.ask(*_RAW, base, commit, "--")).split("\0"))
    for about in fields:
        if not about:
            return
        _, mode, old, new, status = about.split(" ")
        path = next(fields)
        if status[:1] in _PAIRED:
            path = next(fields)
        if status[:1] != "D" and mode != _SUBMODULE:
            yield _Entry(path, old, new)


@final
class _Texts:
    """The contents of blobs, as far as there is room for them."""

    def __init__(self, git: Git, wanted: Sequence[str], besides: Sequence[str]) -> None:
        self.too_large: set[str] = set()
        self._texts: dict[str, bytes] = {}
        sizes = _sizes(git, [*wanted, *besides])
        room, batch, held = MOST_TOGETHER, [], 0
        for blob in dict.fromkeys(each for each in wanted if each in sizes):
            if sizes[blob] > min(MOST_BYTES, room):
                self.too_large.add(blob)
                continue
            room -= sizes[blob]
            batch.append(blob)
        # An old version that is too large is as if there was none: all lines are new.
        batch += [each for each in besides if sizes.get(each, MOST_BYTES + 1) <= MOST_BYTES]
        part: list[str] = []
        for blob in dict.fromkeys(batch):
            if part and held + sizes[blob] > _BATCH:
                self._texts |= _contents(git, part)
                part, held = [], 0
            part.append(blob)
            held += sizes[blob]
        self._texts |= _contents(git, part)

    def of(self, blob: str) -> bytes | None:
        """Return the content; None for what is binary, absent, or too large."""
        data = self._texts.get(blob)
        return None if data is None or b"\0" in data[:_HEAD] else data


def _sizes(git: Git, blobs: Sequence[str]) -> dict[str, int]:
    asked = "".join(f"{each}\n" for each in dict.fromkeys(blobs)).encode()
    found = {}
    for line in git.ask("cat-file", "--batch-check", stdin=asked).decode().splitlines():
        blob, kind, size = (*line.split(" "), "", "")[:3]
        if kind == "blob":
            found[blob] = int(size)
    return found


def _contents(git: Git, blobs: Sequence[str]) -> dict[str, bytes]:
    if not blobs:
        return {}
    said = git.ask("cat-file", "--batch", stdin="".join(f"{each}\n" for each in blobs).encode())
    found, at = {}, 0
    for blob in blobs:
        begin = said.index(b"\n", at) + 1
        end = begin + int(said[at:begin].rsplit(b" ", 1)[1])
        found[blob] = said[begin:end]
        at = end + 1
    return found


def _new_lines(old: bytes | None, new: bytes | None) -> tuple[tuple[int, str], ...]:
    if new is None:
        return ()
    known = set(old.split(b"\n")) if old is not None else set()
    return tuple(
        (number, line.decode("utf-8", "replace"))
        for number, line in enumerate(new.split(b"\n"), 1)
        if line.strip() and line not in known
    )
