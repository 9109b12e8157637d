"""The hooks of a session, as `claude --settings` takes them, and what the guard must know.

Every event is stored before Claude Code goes on, so their order is that of the session. A guard
that cannot be started, or is late, denies the call (`onFailure`); any other hook that fails is
passed over. Command lines name no path that is hidden: Claude Code shows them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import sys
from typing import Any, Final

from attractor.run.assignment import Assignment
from attractor.run.layout import state_folder
from signals import atomic

STORED: Final = (
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PostToolUse",
    "PostToolUseFailure",
    "SubagentStart",
    "SubagentStop",
    "TeammateIdle",
    "TaskCreated",
    "TaskCompleted",
    "Notification",
    "PermissionRequest",
    "StopFailure",
    "PreCompact",
)
"""The events that are stored, and no more."""
PLACES: Final = "guard.json"
_FOLDER: Final = os.path.dirname(os.path.abspath(__file__))
_STORE_SECONDS: Final = 10
_DECIDE_SECONDS: Final = 30
# Only these can be changed from the worktree.
_OWN_SETTINGS: Final = "project_settings|local_settings"


def hook_settings(assignment: Assignment) -> dict[str, Any]:
    """Return the `hooks` section for a node's session, and write what its guard reads.

    StorageError when that cannot be written: there is no session without a guard.
    """
    layout, node = assignment.layout, assignment.node_id
    places = os.path.join(layout.brief(node), PLACES)
    atomic.replace(places, json.dumps(places_of(assignment), indent=2).encode())
    compile_hooks()
    return hooks(sys.executable, layout.events(node), layout.inbox(node), places)


def places_of(assignment: Assignment) -> dict[str, Any]:
    """Return what is the session's and what is not; the nearest place to a path decides."""
    layout, node = assignment.layout, assignment.node_id
    worktrees = os.path.dirname(assignment.worktree)
    return {
        "worktree": assignment.worktree,
        "hidden": [
            state_folder(assignment.project),
            assignment.run_root,
            worktrees,
            *assignment.hidden,
        ],
        "visible": [
            layout.events(node),
            layout.inbox(node),
            layout.brief(node),
            layout.config(node),
            layout.home(node),
        ],
    }


def hooks(python: str, events: str, inbox: str, places: str) -> dict[str, Any]:
    """Return the `hooks` section for these paths."""
    store = _handler(python, _STORE_SECONDS, "store.py", events)
    guard = _handler(python, _DECIDE_SECONDS, "guard.py", events, places) | {"onFailure": "block"}
    turn_end = _handler(python, _DECIDE_SECONDS, "turn_end.py", events, inbox)
    return {event: [{"hooks": [store]}] for event in STORED} | {
        "PreToolUse": [{"hooks": [guard]}],
        "ConfigChange": [{"matcher": _OWN_SETTINGS, "hooks": [guard]}],
        "Stop": [{"hooks": [turn_end]}],
    }


def _handler(python: str, seconds: int, file: str, *arguments: str) -> dict[str, Any]:
    """Return one hook; with `args` no shell is used."""
    words = ["-I", "-S", os.path.join(_FOLDER, file), *arguments]
    return {"type": "command", "command": python, "args": words, "timeout": seconds}


def compile_hooks() -> None:
    """Compile the hooks' neighbours now: within a sandbox nobody can, and each call would.

    What cannot be written costs those calls their speed, and nothing else.
    """
    for name in sorted(os.listdir(_FOLDER)):
        path = os.path.join(_FOLDER, name)
        if name.endswith(".py") and not _is_fresh(path):
            py_compile.compile(path, doraise=False, quiet=2)


def _is_fresh(path: str) -> bool:
    try:
        compiled = os.stat(importlib.util.cache_from_source(path))
        return compiled.st_mtime_ns >= os.stat(path).st_mtime_ns
    except OSError:
        return False
