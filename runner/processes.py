"""Ends what a session started, also what left its process group and its session.

Where there is a sandbox with a pid namespace of its own, killing its first process ends all in it
at once. Elsewhere a child of a tool survives even SIGKILL of the agent and of its group; it is
found by the marker that the session's environment carries, and by descent.

Limits: without a sandbox, a process that empties its environment and leaves its parents is not
found; on macOS, where other processes' environments cannot be read, only descent is followed.
"""

from __future__ import annotations

import contextlib
import os
import signal as posix_signals
import time
from collections.abc import Iterable, Mapping
from typing import Final

from attractor.spawn import run_tool
from signals.clock import Clock
from signals.owner import Liveness, Owner, liveness, owner_of

MARKER: Final = "ATTRACTOR_SESSION"
_PROC: Final = "/proc"
_ROUNDS: Final = 50
_PS_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 2.0


def kill_marked(
    marker: str, *, grace_seconds: float, clock: Clock, roots: Iterable[int] = ()
) -> list[int]:
    """End every process whose environment says MARKER=marker, the roots, and what they started.

    SIGTERM first, SIGKILL after the grace. Returns the pids of who is left; none is the rule.
    """
    found = _found(marker, roots)
    _signal(found, posix_signals.SIGTERM)
    _wait(found, grace_seconds, clock)
    for _ in range(_ROUNDS):
        # Again and again, because each may have started another before it was killed.
        found = _found(marker, (each.pid for each in found if liveness(each) is Liveness.ALIVE))
        if not found:
            break
        _signal(found, posix_signals.SIGKILL)
        _wait(found, _LAST_SECONDS, clock)
    return [each.pid for each in found]


def _found(marker: str, roots: Iterable[int]) -> list[Owner]:
    """Return the living that are marked, in `roots`, or descend from one of these."""
    parents = _parents()
    spared = _ancestors(os.getpid(), parents)
    wanted = f"{MARKER}={marker}".encode()
    named = {pid for pid in roots if pid in parents}
    named |= {pid for pid in parents if wanted in _environment(pid)}
    named -= spared
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    waiting = list(named)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in named:
                named.add(child)
                waiting.append(child)
    return [owner for pid in sorted(named) if (owner := owner_of(pid))]


def _ancestors(pid: int, parents: Mapping[int, int]) -> set[int]:
    seen = {0, 1}
    while pid not in seen:
        seen.add(pid)
        pid = parents.get(pid, 0)
    return seen


def _parents() -> dict[int, int]:
    """Return each living process's parent; a zombie is not alive."""
    if not os.path.isdir(f"{_PROC}/self"):
        said = run_tool(["ps", "-A", "-o", "pid=,ppid=,state="], timeout_seconds=_PS_SECONDS)
        rows = (line.split() for line in said.decode("ascii", "replace").splitlines())
        return {int(row[0]): int(row[1]) for row in rows if row[2][0] != "Z"}
    found = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (stat := _read(f"{_PROC}/{name}/stat")):
            state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
            if state not in (b"Z", b"X"):
                found[int(name)] = int(parent)
    return found


def _environment(pid: int) -> list[bytes]:
    return _read(f"{_PROC}/{pid}/environ").split(b"\0")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _signal(owners: Iterable[Owner], number: int) -> None:
    for owner in owners:
        if liveness(owner) is Liveness.ALIVE:  # the pid may be somebody else's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(owner.pid, number)


def _wait(owners: Iterable[Owner], seconds: float, clock: Clock) -> None:
    """Wait until all have ended, at most so long."""
    deadline = clock.monotonic() + seconds
    pause = 0.001
    left = list(owners)
    while left := [each for each in left if liveness(each) is not Liveness.DEAD]:
        if clock.monotonic() >= deadline:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
