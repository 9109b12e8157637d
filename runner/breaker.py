"""The circuit breaker: turns that lead nowhere are not begun for ever.

Pure; what it knows is durable. It is fed once for each turn that ended (not for one that a rate
limit stopped), and asked before a turn is begun. It opens after

* `max_no_progress` turns without progress, one after another;
* `max_same_error` turns that ended in the same error, one after another;
* shrinking effort: two turns without progress, each with at most half the effort of the one
  before.

Open, it lets no turn begin for `breaker_open`; then it is half-open: the next turn decides whether
it closes or opens again. A Runner that was killed before that turn began may begin it again.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.run.limits import Limits
from runner import durable

_HALF: Final = 0.5
_EFFORTS: Final = 3  # a turn to compare with, and the two that shrank


@final
class State(enum.Enum):
    """Whether turns may begin."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One turn that ended."""

    progress: bool
    """A commit, or a changed file."""
    error: str = ""
    """The fingerprint of the error that it ended in, or of its red checks."""
    effort: int = 0
    """How many tools it called, or how much it wrote: the same measure each time."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What it remembers."""

    state: State = State.CLOSED
    no_progress: int = 0
    error: str = ""
    same_error: int = 0
    efforts: tuple[int, ...] = ()
    opened_at: float = 0.0
    length: float = 0.0
    trips: int = 0
    """How often it opened since it was closed."""
    why: str = ""
    """Why it opened last, for people; empty while it is closed."""

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return durable.as_json(self)

    @classmethod
    def from_json(cls, value: object) -> Breaker:
        """Return the breaker that was written; ValueError if it cannot be one."""
        return durable.from_json(cls, value)


def record(breaker: Breaker, turn: TurnRecord, now: float, limits: Limits) -> Breaker:
    """Return the breaker after one more turn."""
    seen = _counted(breaker, turn)
    why = _why(seen, limits)
    if breaker.state is not State.CLOSED and not turn.progress:
        why = "the turn that was let through made no progress either"
    if why:
        return replace(
            seen,
            state=State.OPEN,
            opened_at=now,
            length=limits.breaker_open,
            trips=seen.trips + 1,
            why=why,
        )
    return replace(seen, state=State.CLOSED, trips=0, why="")


def left(breaker: Breaker, now: float) -> float:
    """Return how long no turn may begin."""
    if breaker.state is not State.OPEN:
        return 0.0
    return min(breaker.length, max(0.0, breaker.opened_at + breaker.length - now))


def settled(breaker: Breaker, now: float) -> Breaker:
    """Return the breaker as it is to be kept: half-open when its rest is over.

    One that opened in the future, because the clock was set back, opened now.
    """
    if breaker.state is State.OPEN and left(breaker, now) == 0.0:
        return replace(breaker, state=State.HALF_OPEN)
    return replace(breaker, opened_at=min(breaker.opened_at, now))


def _counted(breaker: Breaker, turn: TurnRecord) -> Breaker:
    same = bool(turn.error) and turn.error == breaker.error
    return replace(
        breaker,
        no_progress=0 if turn.progress else breaker.no_progress + 1,
        error=turn.error,
        same_error=breaker.same_error + 1 if same else int(bool(turn.error)),
        efforts=(*breaker.efforts, max(0, turn.effort))[-_EFFORTS:],
    )


def _why(breaker: Breaker, limits: Limits) -> str:
    if breaker.same_error >= limits.max_same_error:
        return f"{breaker.same_error} turns in a row ended in the same error: {breaker.error}"
    if breaker.no_progress >= limits.max_no_progress:
        return f"{breaker.no_progress} turns in a row made no progress"
    if breaker.no_progress >= _EFFORTS - 1 and _shrinks(breaker.efforts):
        return f"the effort shrinks without progress: {', '.join(map(str, breaker.efforts))}"
    return ""


def _shrinks(efforts: tuple[int, ...]) -> bool:
    return len(efforts) == _EFFORTS and all(
        before > 0 and after <= before * _HALF for before, after in itertools.pairwise(efforts)
    )
