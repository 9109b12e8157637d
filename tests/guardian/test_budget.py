"""Whether there is room in the budgets for one more session or question."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.node_story import Attempt, NodeStory
from attractor.run.records import Task
from attractor.run.request import Request
from attractor.run.states import NodeState
from attractor.run.story import Story
from attractor.run.times import seconds_of
from guardian.budget import Own, room, tokens_for, used_up

NOW = seconds_of("2026-11-21T17:30:00Z")


def request(**asked: Any) -> Request:
    return Request(
        run_id="r", project="/p", run_root="/p/r", pipeline="/p/r.dot", base_commit="b", **asked
    )


def story(spent: dict[str, tuple[float, float]] | None = None, **more: Any) -> Story:
    made = Story(**more)
    for minute, (tokens, usd) in (spent or {}).items():
        made.spent[f"2026-11-21T{minute}"] = [tokens, usd]
        made.spent_tokens += tokens
        made.spent_usd += usd
    return made


def working(reserved: int, used: int, state: NodeState = NodeState.ACTIVE) -> Story:
    attempt = Attempt(1, "", reserved=reserved, usage={"input_tokens": used})
    made = story({"17:20": (used, 0.0)} if used else None)
    made.nodes["w"] = NodeStory(attempts=[attempt])
    made.open_attempts["w"] = 1
    made.core.statuses["w"] = state  # type: ignore[index]
    return made


def test_without_budgets_there_is_always_room() -> None:
    assert room(story({"17:29": (1e9, 1e9)}), request(), "", Own(), 10**9, NOW).ok


@pytest.mark.parametrize(("used", "ok"), [(5_999.0, True), (6_000.0, True), (6_001.0, False)])
def test_what_is_wanted_must_fit_beside_what_is_used(used: float, *, ok: bool) -> None:
    found = room(story({"17:20": (used, 0)}), request(budget_tokens=10_000), "", Own(), 4_000, NOW)
    assert found.ok is ok
    assert found.over is not ok
    assert ok or "4000 are needed" in found.why


def test_what_is_set_aside_counts_and_only_waits() -> None:
    asked = request(budget_tokens=10_000)
    busy = working(4_000, 1_000)  # 3,000 of them are still aside
    assert room(busy, asked, "", Own(), 6_000, NOW).ok
    found = room(busy, asked, "", Own(), 6_001, NOW)
    assert (found.ok, found.over, found.until) == (False, False, 0.0)


def test_a_session_that_has_handed_in_holds_nothing_back() -> None:
    waits = working(4_000, 1_000, NodeState.IMPL_COMPLETE)
    assert room(waits, request(budget_tokens=10_000), "", Own(), 9_000, NOW).ok


def test_a_task_holds_what_was_set_aside_for_it() -> None:
    busy = story()
    busy.tasks["t"] = Task("t", "review", "w", 1, {}, "", 3_000)
    assert not room(busy, request(budget_tokens=4_000), "", Own(), 2_000, NOW).ok


def test_an_hour_that_is_full_says_when_there_is_room_again() -> None:
    spent = {"16:25": (5_000.0, 0.0), "16:40": (3_000.0, 0.0), "17:20": (4_000.0, 0.0)}
    asked = request(budget_tokens_per_hour=10_000)
    # 16:25 is more than an hour ago; the 3,000 of 16:40 must be, too.
    assert room(story(spent), asked, "", Own(), 3_000, NOW).ok
    found = room(story(spent), asked, "", Own(), 3_001, NOW)
    assert found.until == seconds_of("2026-11-21T17:41:00Z")
    assert not found.over
    assert room(story(spent), asked, "", Own(), 3_001, found.until).ok


def test_more_than_an_hour_holds_begins_when_the_hour_is_empty() -> None:
    asked = request(budget_tokens_per_hour=1_000)
    assert room(story({"15:00": (9e9, 0.0)}), asked, "", Own(), 5_000, NOW).ok
    assert not room(story({"17:00": (1.0, 0.0)}), asked, "", Own(), 5_000, NOW).ok


def test_money_is_set_aside_at_the_price_paid_so_far() -> None:
    paid = story({"17:20": (1_000.0, 1.0)})
    assert room(paid, request(budget_usd=3.0), "", Own(), 2_000, NOW).ok
    assert room(paid, request(budget_usd=3.0), "", Own(), 2_001, NOW).over
    assert room(paid, request(budget_usd_per_hour=2.0), "", Own(), 1_001, NOW).until


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ({"node_budget_tokens": 3_000}, Own()),
        ({}, Own(tokens=3_000)),
        ({"node_budget_tokens": 3_000}, Own(tokens=10**9)),
    ],
)
def test_a_node_has_a_budget_of_its_own(asked: dict[str, int], own: Own) -> None:
    found = working(0, 2_000, NodeState.IMPL_COMPLETE)
    assert room(found, request(**asked), "w", own, 1_000, NOW).ok
    assert room(found, request(**asked), "w", own, 1_001, NOW).over
    assert room(found, request(**asked), "other", own, 3_000, NOW).ok
    assert used_up(found, request(**asked), [("w", own)]) == ""
    full = working(0, 3_000)
    assert "w, 3000 tokens" in used_up(full, request(**asked), [("w", own)])


def test_a_used_budget_is_named() -> None:
    spent = story({"17:20": (500.0, 2.5)})
    assert "500 tokens" in used_up(spent, request(budget_tokens=500), [])
    assert "2.5 USD" in used_up(spent, request(budget_usd=2.5), [])
    assert used_up(spent, request(budget_tokens=501, budget_usd=2.6), []) == ""


@pytest.mark.parametrize(
    ("usd", "said"), [(0.00123, "0.0012"), (0.0343, "0.034"), (1.5, "1.50"), (1234.567, "1234.57")]
)
def test_what_was_spent_is_never_told_as_nothing(usd: float, said: str) -> None:
    spent = story({"17:20": (500, usd)})
    assert used_up(spent, request(budget_usd=0.001), []).endswith(f" is used: {said}")
    spent.nodes["w"] = NodeStory(judging={"cost_usd": usd})
    assert used_up(spent, request(), [("w", Own(usd=0.001))]).endswith(f" is used: {said}")


def test_more_text_has_more_set_aside() -> None:
    assert tokens_for(0) < tokens_for(4_000) < tokens_for(8_000)


MINUTES = st.dictionaries(
    st.builds("{:02}:{:02}".format, st.integers(15, 17), st.integers(0, 29)),
    st.tuples(st.integers(0, 10_000).map(float), st.just(0.0)),
    max_size=8,
)


@given(MINUTES, st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_rest_ends_in_room_and_is_never_longer_than_an_hour(
    spent: dict[str, tuple[float, float]], most: int, wanted: int
) -> None:
    spent = dict(sorted(spent.items()))
    asked = request(budget_tokens_per_hour=most)
    found = room(story(spent), asked, "", Own(), wanted, NOW)
    within = sum(
        tokens
        for minute, (tokens, _) in spent.items()
        if seconds_of(f"2026-11-21T{minute}:00Z") > NOW - 3_600
    )
    if within + wanted > most and within:
        assert not found.ok
    if found.ok:
        return
    assert NOW < found.until <= NOW + 3_660
    assert room(story(spent), asked, "", Own(), wanted, found.until).ok
