"""What a journal says: entries in, state out; what cannot have happened is damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from attractor.errors import DamageError
from attractor.run.fold import RunState, fold
from attractor.run.states import NodeState


@dataclass(frozen=True)
class Entry:
    seq: int
    event: str
    data: Mapping[str, Any]


def journal(*entries: tuple[str, dict[str, Any]]) -> list[Entry]:
    return [Entry(seq, event, data) for seq, (event, data) in enumerate(entries, 1)]


OPENED = ("PipelineOpened", {"file": "p.dot", "statuses": {"a": "pending", "b": "pending"}})


def moved(node: str, source: str, target: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return ("NodeMoved", {"node": node, "event": "any", "from": source, "to": target} | more)


def values(statuses: Mapping[Any, NodeState]) -> dict[str, str]:
    return {node: state.value for node, state in statuses.items()}


def test_an_empty_journal_is_an_empty_state() -> None:
    assert fold([]) == RunState()


def test_moves_carry_state_attempt_outcome_and_the_signal_that_caused_them() -> None:
    state = fold(
        journal(
            OPENED,
            moved("a", "pending", "active", attempt=2),
            moved("a", "active", "validated", outcome="fail", signal_id="s-1"),
        )
    )
    assert values(state.statuses) == {"a": "validated", "b": "pending"}
    assert (state.attempts, state.outcomes, state.applied) == ({"a": 2}, {"a": "fail"}, {"s-1"})
    assert state.seq == 3


def test_an_outcome_stays_while_its_node_is_ended_and_goes_when_it_starts_again() -> None:
    ended = journal(
        OPENED,
        moved("a", "pending", "active"),
        moved("a", "active", "failed", outcome="partial"),
    )
    assert fold(ended).outcomes == {"a": "partial"}
    again = Entry(4, *moved("a", "failed", "pending"))
    assert fold([*ended, again]).outcomes == {}


def test_an_accepted_node_keeps_the_outcome_of_its_validation() -> None:
    state = fold(
        journal(
            OPENED,
            moved("a", "pending", "validated", outcome="partial"),
            moved("a", "validated", "accepted"),
        )
    )
    assert state.outcomes == {"a": "partial"}


def test_events_of_newer_layers_are_passed_over_but_counted() -> None:
    state = fold(journal(OPENED, ("RubricSealed", {"files": 3})))
    assert values(state.statuses) == {"a": "pending", "b": "pending"}
    assert state.seq == 2


def test_the_last_move_remembers_what_a_view_showed_before_it() -> None:
    opened_and_moved = journal(OPENED, moved("a", "pending", "active"))
    assert values(fold(opened_and_moved).shown_before) == {"a": "pending"}
    saved = Entry(3, "CheckpointSaved", {"checkpoint": "c.json"})
    assert fold([*opened_and_moved, saved]).shown_before == {}


def test_a_restore_sets_statuses_and_outcomes_and_remembers_only_what_it_changed() -> None:
    state = fold(
        journal(
            OPENED,
            moved("a", "pending", "failed", outcome="fail"),
            (
                "CheckpointRestored",
                {
                    "checkpoint": "c.json",
                    "statuses": {"a": "validated", "b": "pending"},
                    "outcomes": {"a": "partial"},
                },
            ),
        )
    )
    assert values(state.statuses) == {"a": "validated", "b": "pending"}
    assert values(state.shown_before) == {"a": "failed"}
    assert state.outcomes == {"a": "partial"}


def test_adopting_a_status_takes_it_and_forgets_the_outcome() -> None:
    state = fold(
        journal(
            OPENED,
            moved("a", "pending", "failed", outcome="fail"),
            ("StatusesAdopted", {"statuses": {"a": "validated"}, "was": {"a": "failed"}}),
        )
    )
    assert values(state.statuses)["a"] == "validated"
    assert (state.outcomes, state.shown_before) == ({}, {})


def test_added_nodes_start_from_their_own_status() -> None:
    state = fold(journal(OPENED, ("NodesAdded", {"statuses": {"c": "accepted"}})))
    assert values(state.statuses) == {"a": "pending", "b": "pending", "c": "accepted"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (moved("a", "active", "failed"), "from active, but the node is pending"),
        (moved("z", "pending", "active"), "which no entry before it mentions"),
        (moved("a", "pending", "finished"), "'finished' is not a state"),
        (moved("a", "nowhere", "active"), "'nowhere' is not a state"),
        (("NodeMoved", {"from": "pending", "to": "active"}), "its 'node' is not text"),
        (OPENED, "opened a second time"),
        (("NodesAdded", {"statuses": {"a": "pending"}}), "'a' is added a second time"),
        (("StatusesAdopted", {"statuses": {"z": "pending"}}), "no entry before it mentions"),
        (("StatusesAdopted", {}), "it has no 'statuses'"),
        (("CheckpointRestored", {"statuses": {}}), "it has no 'outcomes'"),
        (("CheckpointSaved", {}), "its 'checkpoint' is not text"),
    ],
)
def test_an_impossible_entry_is_damage_that_names_it_and_changes_nothing(
    entry: tuple[str, dict[str, Any]], problem: str
) -> None:
    state = fold(journal(OPENED))
    with pytest.raises(DamageError, match="entry 2") as caught:
        state.apply(Entry(2, *entry))
    assert problem in caught.value.problem
    assert caught.value.details["seq"] == 2
    assert state == fold(journal(OPENED))
