"""What is tried with a session that is stuck or has crashed, in a fixed order.

Ask, interrupt and guide, restart with its context, hand the node back to the Guardian. Pure; what
it knows is durable. Each rung is given time before the next: `stuck_after`, or less when the
session answered and is stuck all the same. Progress leads back to the foot of the ladder, but the
restarts of an attempt are counted for good; without one left, the node is handed back. On the
last rung it stays, until somebody begins anew with `Ladder()`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.run.limits import Limits
from runner import durable
from runner.decide import Kind, Rung
from runner.phrases import ENDINGS

_NEXT: Final = {
    Rung.ASK: Rung.INTERRUPT,
    Rung.INTERRUPT: Rung.RESTART,
    Rung.RESTART: Rung.RESTART,
    Rung.HAND_BACK: Rung.HAND_BACK,
}
_ORDER: Final = tuple(Rung)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Where on it a node stands."""

    rung: Rung | None = None
    """The last that was tried; None at its foot."""
    at: float = 0.0
    restarts: int = 0
    """In this attempt."""

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return durable.as_json(self)

    @classmethod
    def from_json(cls, value: object) -> Ladder:
        """Return the ladder that was written; ValueError if it cannot be one."""
        return durable.from_json(cls, value)


def step(
    ladder: Ladder,
    kind: Kind,
    now: float,
    limits: Limits,
    *,
    least: Rung = Rung.ASK,
    ended_at: float = 0.0,
) -> tuple[Ladder, Rung | None]:
    """Return the ladder after this moment, and what is to be done, if anything.

    `least` is the lowest rung that can help here (`Decision.least`); `ended_at` is when the
    session's last turn ended. Only a session that is stuck or has crashed climbs.
    """
    if kind not in (Kind.STUCK, Kind.CRASHED) or ladder.rung is Rung.HAND_BACK:
        return settled(ladder, now), None
    if kind is Kind.STUCK and not _tried(ladder, now, limits, least=least, ended_at=ended_at):
        return settled(ladder, now), None
    rung = _rung(ladder, kind, least)
    if rung is Rung.RESTART and ladder.restarts >= limits.max_restarts:
        rung = Rung.HAND_BACK
    restarts = ladder.restarts + (rung is Rung.RESTART)
    return Ladder(rung=rung, at=now, restarts=restarts), rung


def progressed(ladder: Ladder) -> Ladder:
    """Return the ladder after proof that the work moves: a tool's result, a commit, a file."""
    return ladder if ladder.rung is None else replace(ladder, rung=None, at=0.0)


def settled(ladder: Ladder, now: float) -> Ladder:
    """Return the ladder as it is to be kept: no rung was tried in the future."""
    return replace(ladder, at=min(ladder.at, now))


def due_at(ladder: Ladder, limits: Limits) -> float | None:
    """Return when the next rung is due if nothing happens before; None if none is."""
    if ladder.rung in (None, Rung.HAND_BACK):
        return None
    return ladder.at + _wait(ladder.rung, limits)


def words(rung: Rung, why: str) -> str:
    """Return what is said to the session on this rung; empty where nothing is said."""
    seen = why if why.endswith((".", "!", "?")) else f"{why}."
    if rung is Rung.ASK:
        return f"Your supervisor asks. {seen} How does it stand, and what do you need? {ENDINGS}"
    if rung is Rung.INTERRUPT:
        return (
            f"Your supervisor interrupted you. {seen} Leave the way that you were on: look at what "
            f"is done and what is left, take the smallest next step, and commit it. {ENDINGS}"
        )
    if rung is Rung.RESTART:
        return (
            f"Your supervisor started your session again. {seen} What was under way then is gone, "
            f"workers too: look at `git status` and `git log`, and go on from there. {ENDINGS}"
        )
    return ""


def _tried(ladder: Ladder, now: float, limits: Limits, *, least: Rung, ended_at: float) -> bool:
    """Return whether the last rung has had its time, or could not have helped."""
    if ladder.rung is None or _ORDER.index(ladder.rung) < _ORDER.index(least):
        return True
    answered = ladder.at < ended_at <= now
    return answered or now - ladder.at >= _wait(ladder.rung, limits)


def _wait(rung: Rung | None, limits: Limits) -> float:
    if rung is Rung.RESTART:
        return max(limits.stuck_after, limits.start_within)
    return limits.stuck_after


def _rung(ladder: Ladder, kind: Kind, least: Rung) -> Rung:
    following = Rung.ASK if ladder.rung is None else _NEXT[ladder.rung]
    lowest = Rung.RESTART if kind is Kind.CRASHED else least
    return max(following, lowest, key=_ORDER.index)
