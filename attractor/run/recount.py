"""A run as its files tell it to people: its story and its graph, read and never changed.

The journal is verified to its last whole entry. Where the Guardian has not begun, the story is
empty but for what was asked for. Nothing that is returned goes on changing: read again for news.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import final

from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.run import going_on, journal, keeping
from attractor.run import request as requests
from attractor.run import story as stories
from attractor.run.layout import RunLayout
from attractor.run.records import Decision
from attractor.run.states import DONE
from attractor.run.story import Story
from attractor.run.times import seconds_of
from signals.owner import Liveness

INTERRUPTED = going_on.INTERRUPTED


@final
@dataclass(frozen=True, slots=True)
class Recounted:
    """One run."""

    layout: RunLayout
    story: Story
    graph: Graph = field(repr=False)

    @property
    def run_id(self) -> str:
        """Its name."""
        return str(self.story.request["run_id"])

    @property
    def state(self) -> str:
        """Where it stands, in a word."""
        return state_of(self.layout, self.story)


def recount(layout: RunLayout) -> Recounted:
    """Return the run; DamageError or InputError where its files are not what we wrote."""
    _, graph = load(layout.dot)
    return Recounted(layout, story_of(layout), graph)


def story_of(layout: RunLayout) -> Story:
    """Return only its story."""
    story = stories.read(journal.read(layout.journal).entries)
    if not story.request:
        story.request = requests.load(layout.request).as_json()
    return story


def state_of(layout: RunLayout, story: Story) -> str:
    """Return in a word where the run stands: how it ended, or what it does."""
    if story.ended is not None:
        return str(story.ended["result"])
    if not lives(layout):
        return INTERRUPTED
    if story.stopping is not None:
        return "stopping"
    return "waiting" if _waits(layout, story) else "running"


def until(story: Story, state: str, now: float) -> float:
    """Return up to when a run in this state is counted, in seconds; one that died stands."""
    return (state == INTERRUPTED and seconds_of(story.told_at)) or now


def lives(layout: RunLayout) -> bool:
    """Say whether somebody sees to the run; only proof counts as the contrary."""
    known = (keeping.keeper(layout)[1], keeping.guardian(layout)[1])
    return any(each is not Liveness.DEAD for each in known)


def done(story: Story) -> tuple[int, int]:
    """Return how many of the nodes are done, and how many there are."""
    states = story.core.statuses.values()
    return sum(each in DONE for each in states), len(states)


def command(decision: Decision, run: str) -> list[str]:
    """Return the command with which a person answers, here with the first option."""
    option = decision.options[0] if decision.options else "TEXT"
    return ["attractor", "answer", decision.id, option, "--run", run]


def _waits(layout: RunLayout, story: Story) -> bool:
    if not story.open_decisions() or not os.path.exists(layout.dot):
        return False
    from attractor.run.progress import waits_for_person  # only where somebody is asked

    return waits_for_person(story, load(layout.dot)[1])
