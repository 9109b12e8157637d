"""Killed at every file operation: no command on a pipeline loses, doubles or halves anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.load import load
from attractor.run.checkpoint import listing, save
from attractor.run.fold import fold
from attractor.run.journal import read
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

pytestmark = pytest.mark.crash

PIPELINE = """\
/* a header */
digraph p {
\ta [status=pending shape=box]   // no comma
\tb [status=pending, shape=hexagon];
\tother [shape=hexagon,status = "pending"]

\ta -> b -> other // the chain
}
# a trailer
"""

PROGRAM = """
from attractor.run.checkpoint import restore, save
from attractor.run.states import NodeState
from attractor.run.transition import Request, adopt, transition_node
from signals.clock import SystemClock

CLOCK = SystemClock()

def move(node, state):
    moved = transition_node("p.dot", Request(node, NodeState(state)), CLOCK)
    tell([node, moved.target.value, moved.seq])

def main(state, what, *arguments):
    if what == "move":
        move(*arguments)
    elif what == "save":
        tell(save("p.dot", CLOCK, verify=True).name)
    elif what == "restore":
        tell(restore("p.dot", "latest", CLOCK).seq)
    elif what == "adopt":
        tell([each.node for each in adopt("p.dot", [], CLOCK)])

def again(state, *arguments):
    move("other", "active")
"""


def move(state: Path, node: str, target: str) -> None:
    transition_node(str(state / "p.dot"), Request(node, NodeState(target)), SystemClock())


def entries(state: Path) -> list[Any]:
    return read(state / "p.dot.journal.jsonl").entries


def but_for_statuses(text: str) -> str:
    return re.sub(r'(status ?= ?)("?)\w+("?)', r"\1\2?\3", text).replace('"?"', "?")


def shown(state: Path) -> dict[str, str]:
    return {n: node.attrs["status"] for n, node in load(state / "p.dot")[1].nodes.items()}


def check_invariants(state: Path) -> list[Any]:
    """Return the journal's entries, after everything that must hold whatever was killed."""
    found = entries(state)
    folded = {node: status.value for node, status in fold(found).statuses.items()}
    assert shown(state) == folded
    assert but_for_statuses((state / "p.dot").read_text()) == but_for_statuses(PIPELINE)
    assert [
        each.problem for each in listing(str(state / "p.dot"), verify=True) if each.problem
    ] == []
    # `again` has run: no command leaves the drafts of the one that was killed before it.
    assert [path for path in state.rglob(".*") if path.is_file()] == []
    recorded = [each.data["checkpoint"] for each in found if each.event == "CheckpointSaved"]
    assert set(recorded) <= {each.name for each in listing(str(state / "p.dot"))}
    return found


def moves(found: list[Any], node: str) -> list[tuple[str, str]]:
    return [
        (each.data["from"], each.data["to"])
        for each in found
        if each.event == "NodeMoved" and each.data["node"] == node
    ]


def a_pipeline(state: Path) -> None:
    (state / "p.dot").write_text(PIPELINE)


def a_pipeline_with_a_journal(state: Path) -> None:
    a_pipeline(state)
    move(state, "b", "active")


def a_pipeline_whose_last_rewrite_was_missed(state: Path) -> None:
    a_pipeline_with_a_journal(state)
    before = (state / "p.dot").read_text()
    move(state, "b", "failed")
    (state / "p.dot").write_text(before)


def a_pipeline_with_a_torn_journal(state: Path) -> None:
    a_pipeline_with_a_journal(state)
    with (state / "p.dot.journal.jsonl").open("ab") as journal:
        journal.write(b'{"at":"2026')


def a_pipeline_with_a_new_node(state: Path) -> None:
    a_pipeline(state)
    whole = (state / "p.dot").read_text()
    without = whole.replace('\tother [shape=hexagon,status = "pending"]\n', "").replace(
        "-> other", ""
    )
    (state / "p.dot").write_text(without)
    move(state, "b", "active")
    text = (state / "p.dot").read_text()
    status = re.search(r"b \[status=[^,]+", text)
    assert status is not None
    (state / "p.dot").write_text(re.sub(r"b \[status=[^,]+", status[0], whole))


@pytest.mark.parametrize(
    "fresh",
    [
        a_pipeline,
        a_pipeline_with_a_journal,
        a_pipeline_whose_last_rewrite_was_missed,
        a_pipeline_with_a_torn_journal,
        a_pipeline_with_a_new_node,
    ],
)
def test_a_killed_transition_has_happened_once_or_not_at_all(
    sweep: Any, fresh: Callable[[Path], None]
) -> None:
    def check(state: Path, death: Any) -> None:
        found = check_invariants(state)
        assert moves(found, "a") in ([], [("pending", "active")])
        assert moves(found, "other") == [("pending", "active")]
        for node, target, seq in [*death.told, *death.recovered]:
            assert found[seq - 1].data["node"] == node
            assert found[seq - 1].data["to"] == target

    swept = sweep(
        f"transition of {fresh.__name__}",
        PROGRAM,
        fresh=fresh,
        check=check,
        recover="again",
        arguments=["move", "a", "active"],
    )
    assert swept.points >= 8


def test_a_killed_save_leaves_a_whole_checkpoint_or_none(sweep: Any) -> None:
    def check(state: Path, death: Any) -> None:
        found = check_invariants(state)
        saved = [each.data["checkpoint"] for each in found if each.event == "CheckpointSaved"]
        assert len(saved) <= 1
        assert set(death.told) <= set(saved)

    swept = sweep(
        "checkpoint save",
        PROGRAM,
        fresh=a_pipeline_with_a_journal,
        check=check,
        recover="again",
        arguments=["save"],
    )
    assert swept.points >= 12


def test_a_killed_restore_is_whole_or_has_not_happened(sweep: Any) -> None:
    def fresh(state: Path) -> None:
        a_pipeline(state)
        save(str(state / "p.dot"), SystemClock())
        move(state, "a", "active")
        move(state, "b", "active")
        move(state, "a", "failed")

    def check(state: Path, death: Any) -> None:
        found = check_invariants(state)
        restored = [each.seq for each in found if each.event == "CheckpointRestored"]
        assert len(restored) <= 1
        assert set(death.told) <= set(restored)
        statuses = {"a": "pending", "b": "pending"} if restored else {"a": "failed", "b": "active"}
        assert shown(state) == statuses | {"other": "active"}

    swept = sweep(
        "checkpoint restore",
        PROGRAM,
        fresh=fresh,
        check=check,
        recover="again",
        arguments=["restore"],
    )
    assert swept.points >= 8


ADOPTING_AGAIN = (
    PROGRAM
    + """
def adopt_again(state, *arguments):
    adopt("p.dot", [], CLOCK)
    again(state)
"""
)


def test_a_killed_adoption_leaves_the_edit_to_be_adopted_again(sweep: Any) -> None:
    def fresh(state: Path) -> None:
        a_pipeline_with_a_journal(state)
        text = (state / "p.dot").read_text()
        (state / "p.dot").write_text(text.replace("a [status=pending", "a [status=validated"))

    def check(state: Path, death: Any) -> None:
        found = check_invariants(state)
        adopted = [each.data for each in found if each.event == "StatusesAdopted"]
        assert adopted == [{"statuses": {"a": "validated"}, "was": {"a": "pending"}}]
        assert death.told in ((), (["a"],))

    swept = sweep(
        "transition --adopt",
        ADOPTING_AGAIN,
        fresh=fresh,
        check=check,
        recover="adopt_again",
        arguments=["adopt"],
    )
    assert swept.points >= 4
