"""The only place where a clock is read.

Two kinds of time, never mixed: wall time goes into records that other processes read, monotonic
time measures waits inside one process. Everything that decides takes time as an argument.
"""

from __future__ import annotations

import time
from typing import Protocol, final

_NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """What a loop may ask of time; tests pass one that stands still."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, UTC; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; comparable only inside this process."""
        ...


@final
class SystemClock:
    """The machine's own clocks."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


def stamp(wall_ns: int) -> str:
    """Return the time as signal names carry it: `20260224T120000.123456Z`, sortable as text."""
    seconds, rest = divmod(wall_ns, _NANOSECONDS)
    day = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{day}.{rest // 1000:06d}Z"


def iso(wall_ns: int) -> str:
    """Return the time as records carry it: `2026-02-24T12:00:00.123456Z`."""
    seconds, rest = divmod(wall_ns, _NANOSECONDS)
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{day}.{rest // 1000:06d}Z"
