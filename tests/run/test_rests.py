"""What of a run rests by the clock."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.pipeline.graph import NodeId
from attractor.run.node_story import Attempt, NodeStory
from attractor.run.progress import Live, resting_of
from attractor.run.records import Pause, Task
from attractor.run.rests import Cooling, rests
from attractor.run.states import NodeState
from attractor.run.story import Story
from attractor.run.times import seconds_of

AT = "2026-11-21T14:00:00.000000Z"
LATER = "2026-11-21T14:01:00.000000Z"
AT_NS = int(seconds_of(AT)) * 10**9
HALF = AT_NS + 30 * 10**9


@pytest.fixture
def story() -> Story:
    """A run in which `a` is under way."""
    made = Story()
    made.core.statuses[NodeId("a")] = NodeState.ACTIVE
    made.nodes["a"] = NodeStory(attempts=[Attempt(2, AT)])
    return made


def told(story: Story, now_ns: int, **cooling: Cooling | None) -> list[tuple[str, ...]]:
    return [tuple(each) for each in rests(story, cooling, now_ns)]


def test_a_pause_of_the_hour_rests_the_run_until_it_is_over(story: Story) -> None:
    story.pauses = [Pause(AT, LATER, "the hour is used")]
    assert told(story, HALF) == [("", LATER, "the hour is used")]
    assert told(story, AT_NS + 60 * 10**9) == []


def test_a_clock_that_was_set_back_ends_a_rest(story: Story) -> None:
    story.pauses = [Pause(AT, LATER, "the hour is used")]
    story.nodes["a"].retry_from, story.nodes["a"].retry_at = AT, seconds_of(LATER)
    assert told(story, AT_NS - 10**9) == []
    # A cooldown goes on, and is never more than the whole of it.
    cooling = Cooling(seconds_of(AT), 60.0)
    assert told(story, AT_NS - 10**9, a=cooling) == [
        ("a", "2026-11-21T14:00:59.000000Z", "a rate limit")
    ]


def test_a_cooldown_rests_its_node(story: Story) -> None:
    cooling = Cooling(seconds_of(AT), 60.0)
    assert told(story, HALF, a=cooling) == [("a", LATER, "a rate limit")]
    assert told(story, AT_NS + 60 * 10**9, a=cooling) == []
    assert told(story, HALF, a=Cooling(0.0, 1e300))[0][1].startswith("9999-12-31")


def test_a_task_that_is_tried_again_rests_its_node_and_says_why(story: Story) -> None:
    ways = {"node": "a", "what": "the model is busy", "retry_at": seconds_of(LATER)}
    story._task_ended({"task": "t", **ways}, AT)
    assert told(story, HALF) == [("a", LATER, "the model is busy")]
    story.tasks["t"] = Task("t", "validate", "a", 2, {}, AT)
    assert told(story, HALF) == []


def test_the_run_itself_may_wait_to_try_again(story: Story) -> None:
    story._task_ended(
        {"task": "t", "node": "", "what": "no rubric", "retry_at": seconds_of(LATER)}, AT
    )
    assert told(story, HALF) == [("", LATER, "no rubric")]


def test_what_has_ended_rests_no_more(story: Story) -> None:
    story.pauses = [Pause(AT, LATER, "the hour is used")]
    cooling = Cooling(seconds_of(AT), 60.0)
    story.core.statuses[NodeId("a")] = NodeState.FAILED
    assert told(story, HALF, a=cooling) == [("", LATER, "the hour is used")]
    story.ended = {"result": "stopped"}
    assert told(story, HALF, a=cooling) == []


@pytest.mark.parametrize(("known", "counts"), [({}, True), ({"attempt": 1}, False)])
def test_a_runner_speaks_of_its_own_attempt(
    story: Story, known: dict[str, Any], *, counts: bool
) -> None:
    live = Live(**({"attempt": 2, "cooling": Cooling(seconds_of(AT), 60.0)} | known))
    assert bool(resting_of(story, {"a": live}, HALF)) is counts
