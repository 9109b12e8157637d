"""The circuit breaker of a node: what follows when an attempt has ended without success. Pure.

What is known, and what is done:

* it failed in another way than before: go on at once;
* in the same way, and files were written or models are left to try: wait, longer each time;
* in the same way for the last time allowed, or all attempts are used; nothing was ever written,
  and no model is left: plan it again, once;
* all attempts are used: give it up.

A rate limit is none of this: it ends no attempt.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from attractor.run.limits import Limits
from attractor.run.node_story import Attempt, NodeStory
from attractor.run.times import seconds_of

_MOST_DOUBLINGS: Final = 10


@final
class Action(enum.Enum):
    """What is done next."""

    GO_ON = "go on"
    WAIT = "wait"
    REPLAN = "replan"
    GIVE_UP = "give up"


@final
class Next(NamedTuple):
    """An action, and for a wait until when, in seconds since 1970."""

    action: Action
    until: float = 0.0


def after(node: NodeStory, limits: Limits, models: int, now: float, *, may_replan: bool) -> Next:
    """Return what follows; `models` is how many there are to try, one attempt each."""
    charged = [each for each in node.attempts[node.forgiven :] if not each.free]
    used = len(charged) >= limits.max_attempts
    same = alike(charged)
    left = len(charged) < models
    stuck = used or (same >= limits.max_same_error and not left)
    if stuck and may_replan and not node.replanned and wrote_nothing(charged):
        return Next(Action.REPLAN)
    if used:
        return Next(Action.GIVE_UP)
    until = _rest(charged, same, limits)
    # A clock that was set back ends the rest.
    if charged and seconds_of(charged[-1].ended) <= now < until:
        return Next(Action.WAIT, until)
    return Next(Action.GO_ON)


def wrote_nothing(attempts: Sequence[Attempt]) -> bool:
    """Say whether it is known of all of them that they left nothing behind."""
    return bool(attempts) and all(each.wrote is False and not each.commit for each in attempts)


def alike(attempts: Sequence[Attempt]) -> int:
    """Return how many of the last attempts ended in the same way, one after another."""
    prints = [_print(each) for each in attempts]
    count = 0
    for each in reversed(prints):
        if each != prints[-1]:
            break
        count += 1
    return count


def _print(attempt: Attempt) -> str:
    return re.sub(r"\d+|/\S+", "#", attempt.how.casefold())


def _rest(attempts: Sequence[Attempt], same: int, limits: Limits) -> float:
    if same <= 1:
        return 0.0
    doublings = min(same - 2, _MOST_DOUBLINGS)
    length = min(limits.breaker_open * 2.0**doublings, max(limits.cooldown_max, 0.0))
    return seconds_of(attempts[-1].ended) + length
