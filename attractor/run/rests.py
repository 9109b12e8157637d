"""What of a run rests by the clock, until when and why. Pure.

As far as the journal and a Runner's own state say it: the hour's budget, a task that is tried again
later, a rate limit. How long a node rests between two attempts only its Guardian knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, final

from attractor.run.states import RUNNING
from attractor.run.story import Story
from attractor.run.times import seconds_of, shown
from signals.clock import iso

_LIMITED: Final = "a rate limit"
_NANOSECONDS: Final = 1_000_000_000
_LAST: Final = 253_402_300_799.0
"""The last second that records can carry."""


@final
class Cooling(NamedTuple):
    """A cooldown as the Runner has kept it, in seconds."""

    began: float
    length: float


@final
class Rest(NamedTuple):
    """A rest that is not over; of no node where all of the run rests."""

    node: str
    until: str
    why: str
    """Empty where nobody said."""

    def as_json(self) -> dict[str, Any]:
        """Return the object that scripts get."""
        return self._asdict()

    @property
    def words(self) -> str:
        """Return it as a screen shows it."""
        return f"rests until {shown(self.until)}" + (f": {self.why}" if self.why else "")


def rests(story: Story, cooling: Mapping[str, Cooling | None], now_ns: int) -> tuple[Rest, ...]:
    """Return what rests at this time: the whole run first, then nodes that are under way."""
    if story.ended is not None:
        return ()
    return (*_run(story, now_ns / _NANOSECONDS), *_nodes(story, cooling, now_ns / _NANOSECONDS))


def _run(story: Story, now: float) -> Iterator[Rest]:
    last = story.pauses[-1] if story.pauses else None
    # A clock that was set back ends it.
    if last is not None and seconds_of(last.at) <= now < seconds_of(last.until):
        yield Rest("", last.until, last.why)
    if not story.tasks:
        yield from _again(story, "", now)


def _nodes(story: Story, cooling: Mapping[str, Cooling | None], now: float) -> Iterator[Rest]:
    busy = {each.node for each in story.tasks.values()}
    for name, state in story.core.statuses.items():
        if state not in RUNNING:
            continue
        if (wait := cooling.get(name)) is not None:
            until = min(wait.began, now) + wait.length
            if now < until:
                yield Rest(name, _stamp(until), _LIMITED)
        if name not in busy:
            yield from _again(story, name, now)


def _again(story: Story, name: str, now: float) -> Iterator[Rest]:
    node = story.whole if not name else story.nodes.get(name)
    if node is not None and seconds_of(node.retry_from) <= now < node.retry_at:
        yield Rest(name, _stamp(node.retry_at), node.retry_why)


def _stamp(seconds: float) -> str:
    return iso(int(min(seconds, _LAST) * _NANOSECONDS))
