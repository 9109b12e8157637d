"""A node's Runner and session as their files show them, and what of that is proved.

For people's commands; nothing is decided here. A file that is missing or damaged reads as nothing
known. Only the identity of a process proves anything: `runner` and `session` say what it is, and
`ended` waits for it.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import ToolError
from attractor.process import pidfd
from attractor.run.locate import Found, read_object
from attractor.spawn import run_tool
from signals.clock import Clock
from signals.owner import Liveness, Owner, liveness

ENDED: Final = "ended"
"""The last phase of a Runner: everything that is due was done."""
_TMUX: Final = "tmux"
_ASK_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 1.0
_END_SECONDS: Final = 10.0


@final
@dataclass(frozen=True, slots=True)
class Reached:
    """How a session is reached, as its Runner wrote it."""

    kind: str
    socket: str
    owner: Owner | None
    attach: tuple[str, ...]
    attach_write: tuple[str, ...]
    worktree: str


def runner(found: Found) -> tuple[Owner | None, Liveness]:
    """Return which process is, or was last, the node's Runner; DEAD where there never was one."""
    path = found.layout.runner_owner(found.node_id)
    owner = Owner.from_json(read_object(path))
    if owner is None and not os.path.lexists(path):
        return None, Liveness.DEAD
    return owner, liveness(owner)


def state(found: Found) -> Mapping[str, object]:
    """Return what the Runner wrote of itself last."""
    return read_object(found.layout.runner_state(found.node_id))


def session(found: Found) -> Reached | None:
    """Return how the session is reached; None before the first was started."""
    said = read_object(found.layout.session(found.node_id))
    if not said:
        return None
    return Reached(
        kind=_text(said.get("kind")),
        socket=_text(said.get("socket")),
        owner=Owner.from_json(said.get("owner")),
        attach=_words(said.get("attach")),
        attach_write=_words(said.get("attach_write")),
        worktree=_text(said.get("worktree")),
    )


def lives(reached: Reached) -> bool:
    """Say whether the session is there: its server answers, or its process is not proved dead."""
    if reached.socket:
        try:
            _ask_server(reached, "list-sessions")
        except ToolError:
            return False
        return True
    return reached.owner is not None and liveness(reached.owner) is not Liveness.DEAD


def end_session(reached: Reached, clock: Clock) -> bool:
    """End the session without its Runner; say whether it is gone afterwards."""
    import signal as posix_signals

    if reached.socket:
        with contextlib.suppress(ToolError):  # it may be gone already
            _ask_server(reached, "kill-server")
    owner = reached.owner
    if owner is not None and liveness(owner) is Liveness.ALIVE:
        # Where it leads a group, all of it: what it started must not go on alone.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(owner.pid, posix_signals.SIGKILL)
        ended(owner, _END_SECONDS, clock)
    return not lives(reached)


def ended(owner: Owner, timeout_seconds: float, clock: Clock) -> bool:
    """Wait for the end of a process; say whether it is proved dead before the deadline."""
    with contextlib.ExitStack() as held:
        fd = pidfd(owner.pid)
        if fd >= 0:
            held.callback(os.close, fd)
        # Asked after it was opened: it cannot be another process's descriptor then.
        if fd >= 0 and liveness(owner) is Liveness.ALIVE:
            return bool(select.select([fd], [], [], timeout_seconds)[0])
    # Where the kernel gives no descriptor of a process, it is asked once a second.
    deadline = clock.monotonic() + timeout_seconds
    while liveness(owner) is not Liveness.DEAD:
        left = deadline - clock.monotonic()
        if left <= 0:
            return False
        select.select([], [], [], min(left, _TICK_SECONDS))
    return True


def _ask_server(reached: Reached, *command: str) -> None:
    argv = [_TMUX, "-S", reached.socket, "-f", os.devnull, *command]
    run_tool(argv, timeout_seconds=_ASK_SECONDS)


def _text(value: object) -> str:
    return value if isinstance(value, str) and "\0" not in value else ""


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return ()
