"""What can be worked on, and what holds up the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from attractor.beads.ready import blocked, blockers, finished_epics, in_order, ready

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FUTURE = "2026-03-02T00:00:00Z"
PARENT = "parent-child"


def names(found: Any) -> list[str]:
    return [issue["id"] for issue in found]


@pytest.fixture
def ready_names(known: Callable[..., Any]) -> Callable[..., list[str]]:
    return lambda *issues: names(ready(known(*issues), NOW))


@pytest.mark.parametrize("status", ["in_progress", "blocked", "deferred", "closed", "hooked"])
def test_only_what_is_open_is_ready(
    status: str, bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ready_names(bead("a"), bead("b", status=status)) == ["a"]


@pytest.mark.parametrize(
    "field",
    [
        {"pinned": True},
        {"ephemeral": True},
        {"is_template": True},
        {"issue_type": "gate"},
        {"issue_type": "merge-request"},
        {"defer_until": FUTURE},
    ],
)
def test_what_is_no_work_now_is_not_ready(
    field: dict[str, Any], bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ready_names(bead("a", **field)) == []


def test_a_defer_date_that_has_passed_holds_nothing(
    bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ready_names(bead("a", defer_until="2026-03-01T00:00:00Z")) == ["a"]


@pytest.mark.parametrize("parent", [{"defer_until": FUTURE}, {"status": "deferred"}])
def test_parts_of_what_is_deferred_are_deferred(
    parent: dict[str, Any], bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    part = bead("e.1", ("e", PARENT))
    assert ready_names(bead("e", **parent), part, bead("e.1.1", ("e.1", PARENT))) == []


@pytest.mark.parametrize(
    ("status", "free"),
    [
        *((status, False) for status in ("open", "in_progress", "blocked", "deferred", "custom")),
        *((status, True) for status in ("closed", "tombstone", "pinned")),
    ],
)
def test_an_open_blocker_blocks(
    status: str, free: bool, bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ("a" in ready_names(bead("a", "b"), bead("b", status=status))) is free


def test_other_kinds_and_missing_targets_do_not_block_but_external_ones_do(
    bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ready_names(bead("a", ("b", "related"), "gone"), bead("b")) == ["a", "b"]
    assert ready_names(bead("a", "external:other:thing")) == []


def test_an_open_parent_does_not_block_and_is_listed_itself(
    bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    assert ready_names(bead("e", issue_type="epic"), bead("e.1", ("e", PARENT))) == ["e", "e.1"]


def test_parts_of_what_is_blocked_are_blocked(
    bead: Callable[..., Any], known: Callable[..., Any]
) -> None:
    issues = known(
        bead("x"), bead("e", "x"), bead("e.1", ("e", PARENT)), bead("e.1.1", ("e.1", PARENT))
    )
    assert names(ready(issues, NOW)) == ["x"]
    assert blockers(issues) == {"e": ["x"], "e.1": ["e"], "e.1.1": ["e.1"]}


@pytest.mark.parametrize(
    ("target", "free"),
    [
        ({}, False),
        ({"status": "closed", "close_reason": "done"}, False),
        ({"status": "closed", "close_reason": "Build FAILED"}, True),
        ({"status": "open", "close_reason": "failed"}, False),
    ],
)
def test_a_conditional_blocker_releases_only_by_failing(
    target: dict[str, Any],
    free: bool,
    bead: Callable[..., Any],
    ready_names: Callable[..., Any],
) -> None:
    found = ready_names(bead("a", ("b", "conditional-blocks")), bead("b", **target))
    assert ("a" in found) is free


def test_waits_for_waits_for_the_children(
    bead: Callable[..., Any], ready_names: Callable[..., Any]
) -> None:
    waiter, spawner = bead("a", ("s", "waits-for")), bead("s")
    assert "a" in ready_names(waiter, spawner)
    assert "a" not in ready_names(waiter, spawner, bead("s.1", ("s", PARENT)))
    assert "a" in ready_names(waiter, spawner, bead("s.1", ("s", PARENT), status="closed"))


def test_blocked_lists_each_with_what_blocks_it(
    bead: Callable[..., Any], known: Callable[..., Any]
) -> None:
    issues = known(bead("a", "b", "c"), bead("b"), bead("c"), bead("d", status="blocked"))
    done = bead("z", "b", status="closed")
    found = blocked({**issues, "z": done})
    assert [(issue["id"], held) for issue, held in found] == [("a", ["b", "c"]), ("d", [])]


def test_a_circle_ends(bead: Callable[..., Any], known: Callable[..., Any]) -> None:
    issues = known(
        bead("a", "b", ("c", PARENT)),
        bead("b", "a"),
        bead("c", ("a", PARENT)),
        bead("d", ("d", PARENT)),
    )
    assert names(ready(issues, NOW)) == ["d"]


def test_the_three_orders(bead: Callable[..., Any]) -> None:
    found = [
        bead("new-2", created_at="2026-02-28T12:00:00Z", priority=2),
        bead("new-0", created_at="2026-02-28T13:00:00Z", priority=0),
        bead("old-0", created_at="2026-01-02T00:00:00Z", priority=0),
        bead("old-4", created_at="2026-01-01T00:00:00Z", priority=4),
    ]
    assert names(in_order(found, "oldest", NOW)) == ["old-4", "old-0", "new-2", "new-0"]
    assert names(in_order(found, "priority", NOW)) == ["old-0", "new-0", "new-2", "old-4"]
    assert names(in_order(found, "hybrid", NOW)) == ["new-0", "new-2", "old-4", "old-0"]


def test_an_epic_whose_parts_are_all_closed_is_finished(
    bead: Callable[..., Any], known: Callable[..., Any]
) -> None:
    epic, part = bead("e", issue_type="epic"), bead("e.1", ("e", PARENT), status="closed")
    assert finished_epics(known(epic, part)) == ["e"]
    assert finished_epics(known(epic, part, bead("e.2", ("e", PARENT)))) == []
