"""A process that is not our child: is it alive, wake me when it ends, end it.

Whoever it is, is said by its identity, so a pid that was given to somebody else is never taken for
it, watched for it, or killed for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal as posix_signals
from typing import Final, final

from signals.owner import Liveness, Owner, liveness, owner_of

_END_SECONDS: Final = 5.0


@final
class Process:
    """A process that is not our child, by its identity."""

    def __init__(self, owner: Owner | None) -> None:
        self.owner = owner
        self._ended = owner is None
        self._fd = -1

    @property
    def alive(self) -> bool | None:
        """Whether it runs; None: that is not known."""
        if self._ended:
            return False
        state = liveness(self.owner)
        self._ended = state is Liveness.DEAD or (self._fd >= 0 and _readable(self._fd, 0))
        if self._ended:
            self.close()
            return False
        return None if state is Liveness.UNKNOWN else True

    def fds(self) -> tuple[int, ...]:
        """Return what becomes readable when it ends; nothing where that cannot be had.

        It stays readable until `alive` was asked: whoever sleeps on it never misses an end that
        came after the last look, and nobody is woken for one that was seen.
        """
        if self._fd < 0 and self.owner is not None and not self._ended:
            self._fd = _handle(self.owner)
        return (self._fd,) if self._fd >= 0 else ()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        if fds := self.fds():
            _readable(fds[0], seconds)
        return self.alive is False

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still the one that we mean."""
        if self.owner is None or self.alive is not True:
            return
        # It may end meanwhile; then the descriptor is no process's.
        with contextlib.suppress(OSError):
            if fds := self.fds():
                posix_signals.pidfd_send_signal(fds[0], number)
            else:
                os.kill(self.owner.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to it with its group, of which it is the leader."""
        if self.owner is not None and self.alive is True:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.owner.pid, number)

    def end(self, program: int, grace_seconds: float) -> None:
        """Ask the program in it to end, so that it can write what it has; then kill it."""
        if program and self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(program, posix_signals.SIGTERM)
            self.wait(grace_seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it, and see it end."""
        self.signal(posix_signals.SIGKILL)
        self.wait(_END_SECONDS)

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def first_child(pid: int) -> int:
    """Return the pid of the program that this process has started; 0 where that cannot be seen."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def fenced_program(report: str) -> int:
    """Return the pid of the program that bwrap has started, from what it reports; 0: unknown."""
    try:
        with open(report, "rb") as file:
            return first_child(int(json.loads(file.readline())["child-pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _handle(owner: Owner) -> int:
    """Return what becomes readable when it ends; -1 where the slow listing has to find that."""
    fd = pidfd(owner.pid)
    # Between our reading of the record and now the pid may have gone to somebody else.
    if fd >= 0 and owner_of(owner.pid) == owner:
        return fd
    if fd >= 0:
        os.close(fd)
    return _readable_at_once() if liveness(owner) is Liveness.DEAD else -1


def pidfd(pid: int) -> int:
    """Return a descriptor that becomes readable when a process ends; -1 where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # macOS has none; the slow listing finds its end
        return -1


def _readable_at_once() -> int:
    fd, other_end = os.pipe()
    os.close(other_end)
    return fd


def _readable(fd: int, seconds: float) -> bool:
    # Not select(): a descriptor may have a number above its bound.
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
