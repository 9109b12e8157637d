"""What a node's own files say of it at this moment, for screens: nothing is decided by it.

Reads the end of the timeline and the Runner's state; what is missing or damaged says nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Final

from attractor.errors import InputError
from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.run.plain import open_plain
from attractor.run.progress import Live
from attractor.run.rests import Cooling
from attractor.run.states import RUNNING
from attractor.run.story import Story

_TAIL_BYTES = 16_384
_COOLING: Final = "cooling"
"""The phase of a Runner whose session waits for a rate limit to be over."""


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
        cooling=_cooling(state),
    )


def of_running(layout: RunLayout, story: Story) -> dict[str, Live]:
    """Return what is known of the nodes that are under way."""
    states = story.core.statuses.items()
    return {str(name): live(layout, name) for name, state in states if state in RUNNING}


def _cooling(state: Mapping[str, object]) -> Cooling | None:
    """Return the cooldown that is under way; what is no time is none."""
    said = state.get("cooldown")
    if state.get("phase") != _COOLING or not isinstance(said, dict):
        return None
    began, length = said.get("started_at"), said.get("length")
    if not isinstance(began, int | float) or not isinstance(length, int | float):
        return None
    return Cooling(began, length) if began >= 0 and length > 0 else None


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
