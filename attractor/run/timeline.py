"""Reading what happened to a node's session: its timeline and its pane's snapshots, in one order.

The Runner writes both (`runner/timeline.py`), one whole piece at a time, and moves a file that has
grown too large to `.1`. A `Reader` shows each piece once, also while they are written and moved.
What the pane shows is the session's own word: a line in it that looks like the head of a snapshot
can cut one in two, but never becomes anything else than a piece of the pane.

Limits: between two readings a file may be moved once; if twice, the pieces between are not shown.
The order is that of the times in the pieces, within what one reading finds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

from attractor.run.plain import open_plain
from signals.atomic import storage_errors

PANE: Final = "pane"
_HEAD: Final = re.compile(r"--- (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (.*) ---")


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that happened; of the kind `pane` it has the text that the pane showed."""

    at: str
    kind: str
    what: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object that stands for it."""
        said: dict[str, Any] = {"at": self.at, "kind": self.kind, "what": self.what}
        if self.detail:
            said["detail"] = dict(self.detail)
        return said | ({"text": self.text} if self.kind == PANE else {})


@final
class Reader:
    """Both files of one node; a context manager, because it keeps them open."""

    def __init__(self, timeline: str, pane_log: str) -> None:
        self._timeline = _Tail(timeline)
        self._pane = _Tail(pane_log)
        self._snapshots = _Snapshots()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timeline.close()
        self._pane.close()

    def new(self) -> list[Piece]:
        """Return what was not returned before, oldest first."""
        pieces = [*_events(self._timeline.lines()), *self._snapshots.of(self._pane.lines())]
        return sorted(pieces, key=lambda piece: piece.at)


@final
class _Tail:
    """The lines of one growing file, each once, through its being moved away."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._rest = b""
        self._begun = False

    def lines(self) -> Iterator[str]:
        """Yield the whole lines that are new; what has no end yet waits for it."""
        with storage_errors("read", self._path):
            if not self._begun:
                self._begun = True
                yield from self._older()
            yield from self._whole()
            while self._moved():
                # What was moved away was complete before another file got its name.
                yield from self._whole()
                self.close()
                self._fd = _opened(self._path)
                yield from self._whole()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._rest = -1, b""

    def _older(self) -> Iterator[str]:
        # The newer is opened first: it may be moved over the older at any moment.
        self._fd = _opened(self._path)
        newer, self._fd = self._fd, _opened(f"{self._path}.1")
        try:
            if self._fd >= 0 and not (newer >= 0 and _same(newer, self._fd)):
                yield from self._whole()
        finally:
            self.close()
            self._fd = newer

    def _moved(self) -> bool:
        try:
            now = os.lstat(self._path)
        except FileNotFoundError:
            return False
        return self._fd < 0 or not os.path.samestat(now, os.fstat(self._fd))

    def _whole(self) -> Iterator[str]:
        if self._fd < 0:
            return
        with open(self._fd, "rb", closefd=False) as file:
            data = self._rest + file.read()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")


def _events(lines: Iterator[str]) -> Iterator[Piece]:
    for line in lines:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue  # torn by a crash; it decides nothing
        if isinstance(said, dict):
            at, kind, what = (str(said.get(key, "")) for key in ("at", "kind", "what"))
            detail = said.get("detail")
            yield Piece(at, kind, what, detail if isinstance(detail, dict) else {})


@final
class _Snapshots:
    """Cuts the pane's log into its snapshots."""

    def __init__(self) -> None:
        self._at = ""
        self._why = ""

    def of(self, lines: Iterator[str]) -> Iterator[Piece]:
        shown: list[str] = []
        begun = False
        for line in lines:
            head = _HEAD.fullmatch(line)
            # A time before that of the snapshot it stands in: no head of ours.
            if head is None or head[1] < self._at:
                shown.append(line)
                continue
            if shown or begun:
                yield self._piece(shown)
            self._at, self._why, shown, begun = head[1], head[2], [], True
        if shown or begun:
            yield self._piece(shown)

    def _piece(self, shown: list[str]) -> Piece:
        return Piece(self._at, PANE, self._why, text="\n".join(shown))


def _opened(path: str) -> int:
    try:
        return open_plain(path, os.O_RDONLY)
    except FileNotFoundError:
        return -1


def _same(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))
