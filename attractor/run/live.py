"""What a node's own files say of it at this moment, for screens: nothing is decided by it.

Reads the end of the timeline and the Runner's state; what is missing or damaged says nothing.
"""

from __future__ import annotations

import json
import os

from attractor.errors import InputError
from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.run.plain import open_plain
from attractor.run.progress import Live

_TAIL_BYTES = 16_384


def live(layout: RunLayout, node_id: str) -> Live:
    """Return what is known of one node."""
    state = read_object(layout.runner_state(node_id))
    attempt, usage = state.get("attempt"), state.get("usage")
    last, last_at = _last(layout.timeline(node_id))
    return Live(
        attempt=attempt if isinstance(attempt, int) else 0,
        last=last,
        last_at=last_at,
        usage=usage if isinstance(usage, dict) else {},
    )


def _last(timeline: str) -> tuple[str, str]:
    try:
        fd = open_plain(timeline, os.O_RDONLY)
    except (OSError, InputError):
        return "", ""
    with open(fd, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL_BYTES, 0))
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        try:
            said = json.loads(line)
            return f"{said['kind']} {said['what']}", str(said["at"])
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return "", ""
