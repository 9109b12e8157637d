"""Events of sessions that have no hooks: written by us, where hooks would write theirs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Mapping
from typing import Any

from runner.sessions.stage import Stage
from signals import atomic


def announce(stage: Stage, session_id: str, kind: str, said: Mapping[str, Any]) -> None:
    """Write one event of a session."""
    event = {"hook_event_name": kind, "session_id": session_id, **said}
    event |= {"source": "attractor", "cwd": stage.assignment.work_folder}
    data = json.dumps(event).encode()
    folder = stage.layout.events(stage.node)
    for at in itertools.count(stage.clock.wall_ns()):
        with contextlib.suppress(FileExistsError):
            atomic.publish(folder, f"{at:020d}-{os.getpid()}.json", data, tmp=folder)
            return
