"""A run's journal while it is being written: each entry once, as it comes.

For screens, which decide nothing: chain and sums are not verified (`journal.read` does that), only
that each entry follows the one before. Where one does not, because the writer took back what it
could not make durable, the whole story begins anew, and `new` says so. What has no end yet waits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Final, NamedTuple, Self, final

from attractor.run.journal import Entry
from attractor.run.plain import open_plain
from attractor.run.story import StoryEvent
from signals.atomic import storage_errors

_START: Final = "0" * 64


@final
class New(NamedTuple):
    """What was added since; `anew` says that it is everything, and that all before is void."""

    entries: list[Entry]
    anew: bool


@final
class Tail:
    """A reader of one journal; a context manager, because it keeps the file open."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._at = 0
        self._sum = _START

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def new(self) -> New:
        """Return the entries that were not returned before; none while there is no journal."""
        with storage_errors("read the journal", self._path):
            if self._fd < 0:
                try:
                    self._fd = open_plain(self._path, os.O_RDONLY)
                except FileNotFoundError:
                    return New([], anew=False)
            found = self._read()
            if found is not None:
                return New(found, anew=False)
            self._close()
            self._fd = open_plain(self._path, os.O_RDONLY)
            return New(self._read() or [], anew=True)

    def _read(self) -> list[Entry] | None:
        """Return what follows; None where the file no longer goes on from what was read."""
        if os.fstat(self._fd).st_size < self._at:
            return None
        with open(self._fd, "rb", closefd=False) as file:
            file.seek(self._at)
            *lines, _ = file.read().split(b"\n")
        entries = []
        for line in lines:
            entry = _entry(line)
            if entry is None or entry.prev != self._sum:
                return None
            entries.append(entry)
            self._at += len(line) + 1
            self._sum = entry.sum
        return entries

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._at, self._sum = -1, 0, _START


def length(path: str) -> int:
    """Return the number of the journal's last entry; 0 for none."""
    with Tail(path) as tail:
        entries = tail.new().entries
    return entries[-1].seq if entries else 0


def ended_with(path: str) -> str:
    """Return the result of this journal's run; empty if it has not ended, or was resumed since."""
    return _result(path, (StoryEvent.RUN_ENDED,))


def ending_with(path: str) -> str:
    """Return the same, also of a run that is being ended."""
    return _result(path, (StoryEvent.RUN_ENDED, StoryEvent.STOPPING))


def _result(path: str, said_by: Collection[str]) -> str:
    result = ""
    with Tail(path) as tail:
        for entry in tail.new().entries:
            if entry.event in said_by:
                result = str(entry.data.get("result") or entry.event)
            elif entry.event == StoryEvent.RUN_RESUMED:
                result = ""
    return result


def _entry(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
