"""The only place where a clock is read.

Two kinds of time, never mixed: wall time goes into records that other processes read, monotonic
time measures waits inside one process. Everything that decides takes time as an argument.
"""

from __future__ import annotations

import time
from typing import Final, Protocol, final

_NANOSECONDS: Final = 1_000_000_000
_YEAR_10000: Final = 253_402_300_800 * _NANOSECONDS


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
    """Return the time as signal names carry it: `20260224T120000.123456Z`.

    Sorting stamps as text sorts them in time; below the microsecond the time is cut off.
    """
    return _text("%Y%m%dT%H%M%S", wall_ns)


def iso(wall_ns: int) -> str:
    """Return the time as records carry it: `2026-02-24T12:00:00.123456Z`; sorts like a stamp."""
    return _text("%Y-%m-%dT%H:%M:%S", wall_ns)


def _text(day_format: str, wall_ns: int) -> str:
    # Outside of this range a year has a sign or five digits, and text no longer sorts as time.
    if not 0 <= wall_ns < _YEAR_10000:
        raise ValueError(f"not a time between the years 1970 and 9999: {wall_ns} ns")
    seconds, rest = divmod(wall_ns, _NANOSECONDS)
    return f"{time.strftime(day_format, time.gmtime(seconds))}.{rest // 1000:06d}Z"
