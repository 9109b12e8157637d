"""Whether there is room in the budgets for one more session or question. Pure.

What is begun sets tokens aside beforehand, by the length of what it is told; when it tells what it
has used, that counts instead. A budget of the run or of a node that cannot hold what is wanted ends
the run; one of the hour makes it wait until enough of the hour has passed. What only waits for
others to end, waits. Money is set aside at the price that the run has paid so far.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, final

from attractor.run.states import NodeState
from attractor.run.story import BUDGETED, Story
from attractor.run.times import seconds_of

if TYPE_CHECKING:
    from attractor.run.request import Request

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_ANSWER: Final = 2_000
_CHARACTERS: Final = 4
MODEL_TASKS: Final = frozenset(
    {"answer", "replan", "retrospect", "review", "rubric", "validate"},
)
"""The tasks that ask a model."""


@final
class Own(NamedTuple):
    """The budget of one node; None for none."""

    tokens: int | None = None
    usd: float | None = None


@final
class Room(NamedTuple):
    """Whether something may begin, and if not, what is to be done about it."""

    ok: bool
    until: float = 0.0
    """When the hour's budget has room for it; 0 for none."""
    why: str = ""
    over: bool = False
    """Whether the run ends, because there never is."""


_YES: Final = Room(ok=True)
_LATER: Final = Room(ok=False)


def tokens_for(characters: int) -> int:
    """Return what to set aside for something that is told so much."""
    return _ANSWER + characters // _CHARACTERS


def own_budget(asked: Request, own: Own) -> Own:
    """Return a node's budget: what the person asked for counts before what the node says."""
    tokens = own.tokens if asked.node_budget_tokens is None else asked.node_budget_tokens
    usd = own.usd if asked.node_budget_usd is None else asked.node_budget_usd
    return Own(tokens, usd)


def used_up(story: Story, asked: Request, nodes: Iterable[tuple[str, Own]]) -> str:
    """Return which budget is used, in words; empty for none. `nodes` are those under way."""
    tokens, usd = story.spent_tokens, story.spent_usd
    if asked.budget_tokens is not None and tokens >= asked.budget_tokens:
        return f"the budget of {asked.budget_tokens} tokens is used: {tokens:.0f}"
    if asked.budget_usd is not None and usd >= asked.budget_usd:
        return f"the budget of {asked.budget_usd:g} USD is used: {_dollars(usd)}"
    for name, given in nodes:
        own = own_budget(asked, given)
        if own == Own():
            continue
        tokens, usd = _of_node(story, name)
        if own.tokens is not None and tokens >= own.tokens:
            return f"the budget of {name}, {own.tokens} tokens, is used: {tokens:.0f}"
        if own.usd is not None and usd >= own.usd:
            return f"the budget of {name}, {own.usd:g} USD, is used: {_dollars(usd)}"
    return ""


def _dollars(usd: float) -> str:
    """Return an amount; what is less than a cent is no nothing."""
    return f"{usd:.2f}" if usd >= 1 else f"{usd:.2g}"


def room(story: Story, asked: Request, node: str, given: Own, wanted: int, now: float) -> Room:
    """Say whether so many tokens can be set aside for a node, or with "" for the run."""
    own = own_budget(asked, given) if node else Own()
    price = story.spent_usd / story.spent_tokens if story.spent_tokens else 0.0
    aside, of_node = _set_aside(story, ""), _set_aside(story, node) if node else 0
    node_tokens, node_usd = _of_node(story, node) if node else (0.0, 0.0)
    for most, used, reserved, unit, rate, whose in (
        (asked.budget_tokens, story.spent_tokens, aside, "tokens", 1.0, "the run"),
        (asked.budget_usd, story.spent_usd, aside, "USD", price, "the run"),
        (own.tokens, node_tokens, of_node, "tokens", 1.0, node),
        (own.usd, node_usd, of_node, "USD", price, node),
    ):
        if most is None or used + (reserved + wanted) * rate <= most:
            continue
        if reserved:
            return _LATER
        left, need = max(0.0, most - used), wanted * rate
        why = f"the budget of {whose} has {left:g} of {most:g} {unit} left, and {need:g} are needed"
        return Room(ok=False, why=why, over=True)
    return _this_hour(story, asked, wanted, aside, price, now)


def _this_hour(
    story: Story, asked: Request, wanted: int, aside: int, price: float, now: float
) -> Room:
    for place, most, rate, unit in (
        (0, asked.budget_tokens_per_hour, 1.0, "tokens"),
        (1, asked.budget_usd_per_hour, price, "USD"),
    ):
        if most is None:
            continue
        spent = [(at, amount) for at, amount in _within_hour(story, place, now) if amount]
        used = sum(amount for _, amount in spent)
        need = (aside + wanted) * rate
        # What is more than an hour's worth by itself begins when the hour is empty.
        if used + need <= most or not (used or aside):
            continue
        if not spent:
            return _LATER
        until = _until(spent, used + need - most)
        why = f"{used:g} of {most:g} {unit} were used within an hour"
        return Room(ok=False, until=until, why=why)
    return _YES


def _within_hour(story: Story, place: int, now: float) -> list[tuple[float, float]]:
    found = []
    for minute in reversed(story.spent):
        # A minute counts until the last second of it is an hour ago.
        at = seconds_of(f"{minute}:00Z") + _MINUTE
        if at + _HOUR <= now:
            break
        found.append((at, story.spent[minute][place]))
    return found[::-1]


def _until(spent: list[tuple[float, float]], too_much: float) -> float:
    """Return when so much of what was spent is an hour ago, or all of it."""
    for at, amount in spent:
        too_much -= amount
        if too_much <= 0:
            return at + _HOUR
    return spent[-1][0] + _HOUR


def _of_node(story: Story, name: str) -> tuple[float, float]:
    node = story.node(name)
    return sum(node.used(key) for key in BUDGETED), node.used("cost_usd")


def _set_aside(story: Story, node: str) -> int:
    """Return what is set aside and not used yet: for a node, or for all.

    A session that has handed in waits for what is wanted now: it holds nothing back.
    """
    total = sum(each.reserved for each in story.tasks.values() if node in ("", each.node))
    for name, number in story.open_attempts.items():
        attempt = story.attempt(name, number)
        waits = story.state(name) is NodeState.IMPL_COMPLETE
        if attempt is not None and node in ("", name) and not waits:
            used = sum(int(attempt.usage.get(key) or 0) for key in BUDGETED)
            total += max(0, attempt.reserved - used)
    return total
