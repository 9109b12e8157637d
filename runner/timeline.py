"""What happened to a node's session and what was decided about it, one JSON object a line.

For people (`attractor logs`) and reports; nothing is decided from it. A line is written with one
call, so a reader sees whole lines; a line may be missing after a power cut, or stand there twice
after a crash. It never grows beyond its bound: the older half is kept beside it as `.1`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, final

from signals.atomic import storage_errors, write_all
from signals.clock import Clock, iso

_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_TEXT: Final = 4_000


@final
class Timeline:
    """One node's timeline and its pane's snapshots."""

    def __init__(self, path: str, pane_log: str, clock: Clock) -> None:
        self._path = path
        self._pane_log = pane_log
        self._clock = clock
        self._last_screen = ""

    def add(self, kind: str, what: str, detail: Mapping[str, Any] | None = None) -> None:
        """Append one line."""
        line: dict[str, Any] = {"at": iso(self._clock.wall_ns()), "kind": kind, "what": what}
        if detail:
            line["detail"] = {key: _bounded(value) for key, value in detail.items()}
        _append(self._path, json.dumps(line, ensure_ascii=False, default=str) + "\n")

    def screen(self, why: str, text: str) -> None:
        """Keep what the pane shows, unless it shows what it showed last."""
        if not text.strip() or text == self._last_screen:
            return
        self._last_screen = text
        head = f"--- {iso(self._clock.wall_ns())} {why} ---\n"
        # A line of the session's must not look like the head of a snapshot.
        lines = text.rstrip().replace("\n---", "\n ---").removeprefix("---")
        _append(self._pane_log, f"{head}{lines}\n")


def _bounded(value: object) -> object:
    if isinstance(value, str) and len(value) > _MOST_TEXT:
        return f"{value[:_MOST_TEXT]} ... ({len(value)} characters)"
    return value


def _append(path: str, text: str) -> None:
    with storage_errors("write the timeline", path):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(path, flags, 0o600)
        try:
            if os.fstat(fd).st_size > _MOST_BYTES:
                os.rename(path, f"{path}.1")
            write_all(fd, text.encode("utf-8", "replace"))
        finally:
            os.close(fd)
