"""What follows when an attempt has ended without success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.limits import Limits
from attractor.run.node_story import Attempt, NodeStory
from guardian.breaker import Action, Next, after, alike

LIMITS = Limits(max_attempts=5, max_same_error=3, breaker_open=60.0, cooldown_max=3600.0)
END = "2026-11-21T17:00:00.000000Z"
AT = 1_795_280_400.0  # the same moment


def node(*hows: str, wrote: bool | None = False, **more: int) -> NodeStory:
    attempts = [
        Attempt(number, END, ended=END, how=f"failed: {how}", wrote=wrote)
        for number, how in enumerate(hows, start=1)
    ]
    return NodeStory(attempts=attempts, **more)


def follows(story: NodeStory, models: int = 1, now: float = AT) -> Next:
    return after(story, LIMITS, models, now, may_replan=True)


@pytest.mark.parametrize(
    ("story", "models", "wanted"),
    [
        (node("a"), 1, Action.GO_ON),
        (node("a", "b"), 1, Action.GO_ON),
        (node("a", "a"), 1, Action.WAIT),
        (node("a", "a", "a"), 1, Action.REPLAN),
        (node("a", "a", "a"), 3, Action.REPLAN),
        (node("a", "a", "a"), 4, Action.WAIT),
        (node("a", "a", "a", wrote=True), 1, Action.WAIT),
        (node("a", "a", "a", wrote=None), 1, Action.WAIT),
        (node("a", "b", "a", "b", "a"), 1, Action.REPLAN),
        (node("a", "b", "a", "b", "a"), 9, Action.REPLAN),
        (node("a", "b", "a", "b", "a", wrote=True), 1, Action.GIVE_UP),
        (node("a", "b", "a", "b", "a", replanned=1), 1, Action.GIVE_UP),
        (node("a", "a", "a", replanned=1), 1, Action.WAIT),
    ],
)
def test_what_is_known_decides(story: NodeStory, models: int, wanted: Action) -> None:
    assert follows(story, models).action is wanted


def test_the_rest_is_longer_each_time_and_bounded() -> None:
    seen = []
    for count in range(2, 5):
        found = follows(node(*["a"] * count, wrote=True))
        assert found.action is Action.WAIT
        seen.append(found.until - AT)
    assert seen == [60.0, 120.0, 240.0]


def test_what_is_left_of_a_rest_is_what_is_waited() -> None:
    story = node("a", "a", wrote=True)
    assert follows(story, now=AT + 59).action is Action.WAIT
    assert follows(story, now=AT + 60).action is Action.GO_ON


def test_a_clock_that_was_set_back_ends_the_rest() -> None:
    assert follows(node("a", "a", wrote=True), now=AT - 1).action is Action.GO_ON


def test_numbers_and_paths_do_not_make_a_failure_another_one() -> None:
    assert alike(node("exit 3 in /tmp/x1", "exit 4 in /tmp/y").attempts) == 2
    assert alike(node("exit 3", "no answer").attempts) == 1


def test_an_attempt_that_is_not_charged_is_none() -> None:
    story = node("a", "a", "a")
    story.attempts[1].free = True
    assert follows(story).action is Action.WAIT


def test_what_was_before_a_second_chance_does_not_count() -> None:
    assert follows(node("a", "a", "a", forgiven=2)).action is Action.GO_ON


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.booleans(), st.sampled_from([True, False, None])),
        max_size=8,
    ),
    st.integers(1, 4),
    st.integers(0, 1),
)
def test_nothing_that_left_a_trace_is_planned_again(
    said: list[tuple[str, bool, bool | None]], models: int, replanned: int
) -> None:
    attempts = [
        Attempt(number, END, ended=END, how=how, free=free, wrote=wrote)
        for number, (how, free, wrote) in enumerate(said, start=1)
    ]
    story = NodeStory(attempts=attempts, replanned=replanned)
    found = follows(story, models).action
    charged = [each for each in attempts if not each.free]
    if found is Action.REPLAN:
        assert not replanned
        assert all(each.wrote is False for each in charged)
    if len(charged) >= LIMITS.max_attempts:
        assert found in (Action.REPLAN, Action.GIVE_UP)
    else:
        assert found is not Action.GIVE_UP
