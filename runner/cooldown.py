"""A wait that a limit outside imposes. It costs no attempt and no turn of the breaker.

Pure; what it knows is durable. The provider's own word on when to come back is taken, within
`reset_max`; without one the waits double from `cooldown_min` to `cooldown_max`. A word that did
not hold is trusted no more alone: the next wait is at least our own. Wall clock times, since they
outlive the process: `left` is never more than the whole wait, wherever the clock was set, and a
clock that was set back is mended by `settled`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.run.limits import Limits
from runner import durable

_SPREAD: Final = 0.25  # of the shortest cooldown: nodes that were stopped together come back apart


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """The wait that is under way, or the last; `Cooldown()` once a turn was let through."""

    started_at: float = 0.0
    length: float = 0.0
    count: int = 0
    """How many, one after another."""
    told: bool = False
    """Whether the length is the provider's word."""

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return durable.as_json(self)

    @classmethod
    def from_json(cls, value: object) -> Cooldown:
        """Return the cooldown that was written; ValueError if it cannot be one."""
        return durable.from_json(cls, value)


def begin(
    cooldown: Cooldown, now: float, reset_at: float | None, limits: Limits, jitter: float = 0.0
) -> Cooldown:
    """Return the next cooldown; `jitter` is from 0 to 1. Ask `spent` first."""
    told = reset_at is not None and reset_at > now
    wait, most = _own(cooldown.count + 1, limits), limits.cooldown_max
    if reset_at is not None and told:
        before = _own(cooldown.count, limits) if cooldown.count else 0.0
        wait, most = max(reset_at - now, before), limits.reset_max
    spread = min(1.0, max(0.0, jitter)) * _SPREAD * min(wait, limits.cooldown_min)
    return Cooldown(
        started_at=now, length=min(wait + spread, most), count=cooldown.count + 1, told=told
    )


def left(cooldown: Cooldown, now: float) -> float:
    """Return how many seconds of it are left."""
    return min(cooldown.length, max(0.0, cooldown.started_at + cooldown.length - now))


def settled(cooldown: Cooldown, now: float) -> Cooldown:
    """Return the cooldown as it is to be kept: one that begins in the future begins now."""
    return replace(cooldown, started_at=min(cooldown.started_at, now))


def spent(cooldown: Cooldown, limits: Limits) -> bool:
    """Return whether there were so many, one after another, that a person is needed."""
    return cooldown.count >= limits.max_cooldowns


def _own(count: int, limits: Limits) -> float:
    doublings = min(count - 1, 60)  # beyond, the float is of no use and the limit long reached
    return float(min(limits.cooldown_max, limits.cooldown_min * 2.0**doublings))
