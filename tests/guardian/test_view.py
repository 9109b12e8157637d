"""The run's file shows where its nodes stand, is parsed once, and stays the person's own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import load
from attractor.run.states import NodeState
from guardian import view as views
from guardian.view import View

NODES = [f"n{each}" for each in range(40)]
TEXT = "digraph g {{\n    // What a person wrote stays.\n{}\n}}\n"
SAID = TEXT.format("\n".join(f'    {name} [label="{name}", status=pending];' for name in NODES))
UNSAID = TEXT.format("\n".join(f'    {name} [label="{name}"];' for name in NODES))
EDGES_ONLY = TEXT.format(f"    {' -> '.join(NODES)};")
Statuses = dict[NodeId, NodeState]


def all_pending() -> Statuses:
    return {NodeId(name): NodeState.PENDING for name in NODES}


def shown(path: Path) -> dict[str, str]:
    nodes = load(str(path))[1].nodes.values()
    return {str(node.id): node.attrs.get("status", "pending") for node in nodes}


def values(statuses: Statuses) -> dict[str, str]:
    return {str(node): state.value for node, state in statuses.items()}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which files were parsed, in order."""
    found: list[str] = []

    def counted(path: str) -> Any:
        found.append(path)
        return load(path)

    monkeypatch.setattr(views, "load", counted)
    return found


def moves(count: int, seed: int = 1) -> Callable[[Statuses], None]:
    choice = random.Random(seed)

    def move(statuses: Statuses) -> None:
        for _ in range(count):
            statuses[NodeId(choice.choice(NODES))] = choice.choice(list(NodeState))

    return move


@pytest.mark.parametrize("text", [SAID, UNSAID])
def test_however_often_nodes_move_the_file_is_parsed_once(
    text: str, tmp_path: Path, parsed: list[str]
) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(text)
    view, statuses, move = View(str(path)), all_pending(), moves(2)
    for _ in range(200):
        move(statuses)
        view.show(statuses)
        assert (view.trouble, view.edited) == ("", [])
    assert len(parsed) == 1
    assert shown(path) == values(statuses)
    for line in text.splitlines():
        assert line.partition("[")[0] in path.read_text()


def test_nodes_without_a_statement_cost_one_parse_each_at_most(
    tmp_path: Path, parsed: list[str]
) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(EDGES_ONLY)
    view, statuses, move = View(str(path)), all_pending(), moves(1)
    for _ in range(400):
        move(statuses)
        view.show(statuses)
    assert shown(path) == values(statuses)
    assert len(parsed) <= 2 * len(NODES) + 1


@pytest.mark.parametrize("same_time", [False, True])
def test_what_a_person_edits_between_two_moves_stays_and_a_status_is_put_right(
    tmp_path: Path, parsed: list[str], same_time: bool
) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(SAID)
    view, statuses = View(str(path)), all_pending()
    statuses[NodeId("n1")] = NodeState.ACTIVE
    view.show(statuses)
    was = path.stat()
    # As long as it was, in place, and at the same time: only the content tells.
    text = path.read_text().replace('label="n7", status=pending', 'label="N7", status=PENDING')
    path.write_text(text)
    if same_time:
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert path.stat().st_ino == was.st_ino
        assert path.stat().st_size == was.st_size
    statuses[NodeId("n2")] = NodeState.ACTIVE
    view.show(statuses)
    assert view.edited == ["n7"]
    assert 'label="N7"' in path.read_text()
    assert shown(path) == values(statuses)
    statuses[NodeId("n3")] = NodeState.ACTIVE
    view.show(statuses)
    assert view.edited == []
    assert shown(path) == values(statuses)
    assert len(parsed) == 2


@pytest.mark.parametrize("first", [False, True])
def test_what_a_person_saves_while_the_file_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(SAID)
    view, statuses = View(str(path)), all_pending()
    statuses[NodeId("n1")] = NodeState.ACTIVE
    if not first:
        view.show(statuses)
    unchanged, saves = views.check_unchanged, [1]

    def saved_first(name: str, text: str) -> None:
        if saves.pop() if saves else 0:
            path.write_text(path.read_text().replace('label="n7"', 'label="mine"'))
        unchanged(name, text)

    monkeypatch.setattr(views, "check_unchanged", saved_first)
    statuses[NodeId("n2")] = NodeState.FAILED
    view.show(statuses)
    assert not saves
    assert 'label="mine"' in path.read_text()
    assert shown(path) == values(statuses)


def test_a_file_that_cannot_be_read_is_left_alone_and_shown_again_once_it_can(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(SAID)
    view, statuses = View(str(path)), all_pending()
    statuses[NodeId("n1")] = NodeState.ACTIVE
    view.show(statuses)
    whole = path.read_text()
    path.write_text("digraph {")
    statuses[NodeId("n2")] = NodeState.ACTIVE
    view.show(statuses)
    assert view.trouble
    assert path.read_text() == "digraph {"
    path.write_text(whole)
    view.show(statuses)
    assert view.trouble == ""
    assert shown(path) == values(statuses)


def test_nodes_that_the_file_has_not_are_passed_over_and_new_ones_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.dot"
    path.write_text(SAID)
    view, statuses = View(str(path)), all_pending()
    statuses[NodeId("gone")] = NodeState.PENDING
    view.show(statuses)
    statuses[NodeId("gone")] = statuses[NodeId("n1")] = NodeState.ACTIVE
    view.show(statuses)
    assert view.trouble == ""
    assert "gone" not in path.read_text()
    # The graph has grown: the file was written by another hand, and there is one more node.
    path.write_text(path.read_text().replace("}\n", "    more [x=1];\n}\n"))
    statuses[NodeId("more")] = NodeState.PENDING
    view.show(statuses)
    assert "more [x=1]" in path.read_text()
    statuses[NodeId("more")] = NodeState.ACTIVE
    view.show(statuses)
    assert shown(path)["more"] == "active"
    assert shown(path)["n1"] == "active"
