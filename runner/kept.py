"""Whether the session kept its own completion promise, asked of `cs-verify` from outside.

The Stop hook holds a session to its promise, but a Stop hook fails open; so a review is not asked
for while criteria are open. The promises lie in the worktree, and are read by a program of ours
that runs outside of this process.
"""

from __future__ import annotations

import os
from typing import Final

from attractor import spawn
from runner.facts import Promise

_SECONDS: Final = 30.0
_KEPT: Final = 0


def promise(worktree: str, session_id: str) -> Promise:
    """Return how it stands; where it cannot be known it counts as open."""
    state = os.path.join(worktree, ".claude", "completion-state")
    if not _holds(state, "promises"):
        return Promise.KEPT if _holds(state, "history") else Promise.NONE
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "CLAUDE_PROJECT_DIR": worktree,
        "CLAUDE_SESSION_ID": session_id,
    }
    ended = spawn.run_leashed(
        spawn.own_command("attractor.promise", "cs-verify", "--check"),
        timeout_seconds=_SECONDS,
        cwd=worktree,
        env=env,
        max_output_bytes=1024 * 1024,
    )
    return Promise.KEPT if ended.status == _KEPT else Promise.OPEN


def _holds(state: str, folder: str) -> bool:
    try:
        return any(name.endswith(".json") for name in os.listdir(os.path.join(state, folder)))
    except OSError:
        return False
