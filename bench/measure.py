"""Timing that can be trusted on a noisy machine: two things in turn, medians, ratios pair by pair.

A row is printed, never asserted: benchmarks inform people, tests decide.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the report: ours against a floor or a peer, measured in the same run."""

    what: str
    against: str
    ours_seconds: float
    theirs_seconds: float
    ratio: float
    budget: str = ""

    def line(self) -> str:
        """Return the row as it is printed."""
        ours = f"{self.what:<52} {human(self.ours_seconds):>10}"
        theirs = f"{self.against:<38} {human(self.theirs_seconds):>10}"
        budget = f"budget {self.budget}" if self.budget else ""
        return f"{ours}  {theirs}  {self.ratio:>6.2f}x  {budget}".rstrip()


class Taken(NamedTuple):
    """What some work took: by the clock, and of this process's processor time."""

    seconds: float
    processor: float


@dataclass(frozen=True)
class Line:
    """A row that is no ratio of two durations."""

    what: str
    ours: str
    against: str
    theirs: str
    budget: str = ""

    def line(self) -> str:
        """Return the row as it is printed."""
        text = f"{self.what:<52} {self.ours:>10}  {self.against:<38} {self.theirs:>10}"
        return f"{text}  {'budget ' + self.budget if self.budget else ''}".rstrip()


def human(seconds: float) -> str:
    """Return a duration as it is printed."""
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e6:.1f} us"


def seconds_of(work: Work) -> float:
    """Return how long one call takes, with a clean collector before it."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def taken_by(work: Work) -> Taken:
    """Return what one call takes, with a clean collector before it."""
    gc.collect()
    start, used = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - start, time.process_time() - used)


def paired(
    what: str, ours: Work, against: str, theirs: Work, *, budget: str = "", pairs: int = 7
) -> Row:
    """Run both in turn, once to warm up and then `pairs` times, and return medians."""
    seconds_of(ours)
    seconds_of(theirs)
    taken = [(seconds_of(ours), seconds_of(theirs)) for _ in range(pairs)]
    return Row(
        what,
        against,
        statistics.median(mine for mine, _ in taken),
        statistics.median(other for _, other in taken),
        statistics.median(mine / other for mine, other in taken),
        budget,
    )
