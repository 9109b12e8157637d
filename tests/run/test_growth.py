"""How the graph of a run grows."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, NodeId, build
from attractor.pipeline.lint import Severity, lint
from attractor.run.growth import LATER, Change, before_exit, grown, in_parts
from attractor.run.plan import Plan
from attractor.run.states import NodeState

TEXT = """digraph g {
  // what a person wrote
  start [shape=Mdiamond, handler="start", label="Start"]; // stays
  a [shape=box, handler="codergen", label="A", prompt="do a", acceptance="a is done", files="a.py",
     worker_type="backend-solutions-engineer", bead_id="B-1", status="failed"];
  finish [shape=Msquare, handler="exit", label="End"];
  start -> a -> finish;
}
"""
PART = {"label": "More", "prompt": "do more", "acceptance": "more is done", "files": "m.py"}


def graph(text: str = TEXT) -> Graph:
    return build(parse(text))


def edges(found: Graph) -> set[tuple[str, str]]:
    return {(str(each.source), str(each.target)) for each in found.edges}


def apply(change: Change, text: str = TEXT) -> str:
    return grown(text, "g.dot", [Change.from_json(change.as_json())])


@pytest.fixture
def later() -> Change:
    return before_exit(graph(), "finish", [PART, PART])


@pytest.fixture
def parts() -> Change:
    return in_parts(graph(), "a", [PART, {**PART, "label": "Two"}, {**PART, "label": "Last"}])


def test_what_is_added_at_the_end_stands_between_the_work_and_the_exit(later: Change) -> None:
    found = graph(apply(later))
    assert [str(each) for each in found.nodes][-2:] == ["R01", "R02"]
    assert {("a", "R01"), ("R01", "finish"), ("a", "R02"), ("R02", "finish")} <= edges(found)
    assert found.nodes[NodeId("R01")].attrs[LATER] == "retrospect"


def test_a_second_round_counts_on_and_does_not_hang_on_the_first(later: Change) -> None:
    text = apply(later)
    again = before_exit(graph(text), "finish", [PART])
    found = graph(apply(again, text))
    assert ("a", "R03") in edges(found)
    assert ("R01", "R03") not in edges(found)


def test_an_exit_behind_a_condition_hands_the_condition_on() -> None:
    text = TEXT.replace("start -> a -> finish;", 'start -> a; a -> finish [condition="pass"];')
    found = graph(apply(before_exit(graph(text), "finish", [PART]), text))
    (edge,) = found.incoming[NodeId("R01")]
    assert edge.attrs["condition"] == "pass"


def test_a_node_is_cut_into_a_row_that_ends_in_itself(parts: Change) -> None:
    found = graph(apply(parts))
    assert {("start", "a_1"), ("a_1", "a_2"), ("a_2", "a"), ("a", "finish")} <= edges(found)
    assert found.nodes[NodeId("a")].attrs["label"] == "Last"
    assert found.nodes[NodeId("a_2")].attrs["label"] == "Two"


def test_a_part_has_how_its_node_is_done_and_not_what(parts: Change) -> None:
    attrs = graph(apply(parts)).nodes[NodeId("a_1")].attrs
    assert attrs["worker_type"] == "backend-solutions-engineer"
    assert "bead_id" not in attrs
    assert attrs.get("status", "pending") == "pending"


def test_one_part_writes_the_node_anew_and_adds_nothing() -> None:
    found = graph(apply(in_parts(graph(), "a", [PART])))
    assert len(found.nodes) == 3
    assert found.nodes[NodeId("a")].attrs["prompt"] == "do more"
    assert found.nodes[NodeId("a")].attrs["bead_id"] == "B-1"


@pytest.mark.parametrize("name", ["later", "parts"])
def test_a_change_can_be_made_twice_and_keeps_what_a_person_wrote(
    name: str, request: pytest.FixtureRequest
) -> None:
    change: Change = request.getfixturevalue(name)
    once = apply(change)
    assert apply(change, once) == once
    assert "// what a person wrote" in once
    assert "// stays" in once


@pytest.mark.parametrize("name", ["later", "parts"])
def test_what_has_grown_is_sound(name: str, request: pytest.FixtureRequest) -> None:
    change: Change = request.getfixturevalue(name)
    found = lint(graph(apply(change)), [])
    # Beads and workers are what a plan gives; nobody here has planned.
    errors = [each for each in found if each.severity is Severity.ERROR]
    assert [each for each in errors if each.rule != "required_attributes"] == []


def test_the_parts_are_ready_one_after_another(parts: Change) -> None:
    found = graph(apply(parts))
    states: dict[Any, NodeState] = {NodeId("start"): NodeState.VALIDATED}
    plan = Plan(found, states, {})
    for name in ("a_1", "a_2", "a"):
        assert plan.ready() == [NodeId(name)]
        plan.move(NodeId(name), NodeState.ACTIVE)
        plan.move(NodeId(name), NodeState.VALIDATED)
    assert plan.ready() == [NodeId("finish")]


def test_a_name_that_is_taken_is_not_given_again() -> None:
    text = TEXT.replace("start -> a", 'a_1 [shape=box, handler="codergen"]; start -> a_1 -> a')
    change = in_parts(graph(text), "a", [PART, PART])
    assert list(change.nodes) == ["a_2"]


def test_a_gate_that_repeats_a_node_s_checks_has_those_of_its_parts_instead() -> None:
    gates = (
        'b [shape=box, handler="codergen", checks="make b\\nmake all"];'
        'g [shape=hexagon, gate="unit", checks="make a\\nmake b\\nmake all"];'
        'a [checks="make a\\nmake all", skill_file="skills/a/SKILL.md"];'
    )
    text = TEXT.replace("start -> a", f"{gates} a -> g; start -> a")
    parts = [{**PART, "checks": "make x"}, {**PART, "checks": "make y"}]
    found = graph(apply(in_parts(graph(text), "a", parts), text))
    assert found.nodes[NodeId("g")].attrs["checks"] == "make b\nmake all\nmake x\nmake y"
    assert found.nodes[NodeId("a")].attrs["skill_file"] == ""
