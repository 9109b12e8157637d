"""Nodes that a run gets later are played, by a model that goes on as by one that is begun anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rehearsal import default
from attractor.rehearsal.growing import Growing
from attractor.rehearsal.turn import Script, ToolCall
from attractor.run.growth import Change, before_exit, grown, in_parts

PIPELINE = """digraph g {
    s [shape=Mdiamond]; a [files="a.md"]; gate [shape=hexagon]; e [shape=Msquare];
    s -> a -> gate -> e;
}"""
PART = {"label": "l", "prompt": "p", "files": "part.py"}

Grow = Callable[[Callable[[Graph], Change]], None]


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.dot"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def grow(dot: Path) -> Grow:
    """`grow(change)`: make this change in the run's graph, as a run does."""

    def change(made: Callable[[Graph], Change]) -> None:
        _, graph = load(str(dot))
        put(dot, grown(dot.read_text(), "g", [made(graph)]))

    return change


def put(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def playing(dot: Path) -> Script:
    def nodes(graph: Graph) -> Any:
        return default.scenario_for(graph).nodes

    return Script({}, default.NOTHING_LEFT, Growing(str(dot), nodes, default.unknown))


def writes(script: Script, node: str, attempt: int = 1) -> str:
    """Which files the node's worker is told to write."""
    (call,) = script.turns("orchestrator", node, attempt)[0].blocks
    assert isinstance(call, ToolCall)
    assert script.worker(call.input["prompt"], node, attempt)[1] == call.turns
    return str(call.input["prompt"]).partition("Files: ")[2]


def quotes(script: Script, node: str) -> str:
    (call,) = script.turns("judge", node, 1)[0].blocks
    assert isinstance(call, ToolCall)
    return str(call.input["evidence"][0]["file"])


def test_what_was_added_at_the_end_is_played_with_its_own_files(dot: Path, grow: Grow) -> None:
    before = playing(dot)
    assert writes(before, "a") == "a.md"
    grow(lambda graph: before_exit(graph, "e", [{"label": "x", "files": "x.md"}]))
    for script in (before, playing(dot)):
        assert (writes(script, "R01"), quotes(script, "R01")) == ("x.md", "x.md")
        assert writes(script, "a") == "a.md"


def test_the_parts_of_a_split_node_are_played_and_so_is_what_is_left_of_it(
    dot: Path, grow: Grow
) -> None:
    before = playing(dot)
    assert quotes(before, "gate") == "a.md"
    last = {**PART, "files": "rest.py"}
    grow(lambda graph: in_parts(graph, "a", [PART, last]))
    for script in (before, playing(dot)):
        assert (writes(script, "a_1", 1), writes(script, "a", 4)) == ("part.py", "rest.py")
        assert quotes(script, "gate") == "rest.py"  # of what stands before it now


def test_a_node_that_the_graph_does_not_have_is_played_by_its_name_alone(dot: Path) -> None:
    for script in (playing(dot), playing(dot)):
        assert (writes(script, "R01"), quotes(script, "R01")) == ("R01%-1.txt",) * 2
        assert script.turns("replanner", "R01", 1)


def test_a_node_without_turns_of_its_own_has_those_of_everybody(dot: Path) -> None:
    script = playing(dot)
    for node in ("s", ""):
        assert node not in script.nodes
    for node in ("s", "gate", "e", ""):
        assert not script.has("orchestrator", node, 1)
    assert sorted(script.nodes) == ["a", "e", "gate"]
    assert len(script.nodes) == 3


@pytest.mark.parametrize("text", [None, "digraph {"])
def test_a_graph_that_cannot_be_read_stays_as_it_was(dot: Path, text: str | None) -> None:
    script = playing(dot)
    if text is None:
        dot.unlink()
    else:
        put(dot, text)
    assert writes(script, "a") == "a.md"
    put(dot, PIPELINE.replace("a.md", "b.md"))
    assert writes(script, "a") == "b.md"


def test_what_did_not_change_stays_the_same_object(dot: Path) -> None:
    script = playing(dot)
    before = script.nodes["a"]
    put(dot, PIPELINE.replace('a.md"', 'a.md", status=active'))
    assert script.nodes["a"] is before
    put(dot, PIPELINE.replace("a.md", "b.md"))
    assert script.nodes["a"] is not before
