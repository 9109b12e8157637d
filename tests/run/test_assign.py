"""A node of a pipeline becomes an assignment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, NodeId, build
from attractor.run import config
from attractor.run.assign import Dispatch, assign, worked_on
from attractor.run.assignment import Assignment, dump, from_json

PLACE = Dispatch(run_id="r1", run_root="/p/run", project="/p", base_commit="0" * 40)


def graph_of(attributes: str, graph: str = "") -> Graph:
    return build(parse(f"digraph g {{ {graph} start -> n -> exit; n [{attributes}] }}"))


def assigned(attributes: str, graph: str = "", place: Dispatch = PLACE) -> Assignment:
    made = graph_of(attributes, graph)
    node = made.nodes[NodeId("n")]
    settings = config.resolve(node.attrs, made.attrs, config.load(None, {}))
    return assign(made, node, settings, place)


def test_the_nodes_with_work_are_found_in_the_order_of_the_source() -> None:
    text = "digraph g { start; b [shape=box]; gate [shape=hexagon]; a; c [handler=tool]; exit }"
    assert worked_on(build(parse(text))) == ["b", "a"]


def test_what_is_assigned_can_be_read_back() -> None:
    made = assigned('prompt="do", files="a.py; b.py,c.py", checks="make\nmake test"')
    assert from_json(json.loads(dump(made)), "here") == made
    assert made.files == ("a.py", "b.py", "c.py")
    assert made.checks == ("make", "make test")


@pytest.mark.parametrize(
    ("attributes", "graph", "expected"),
    [
        ("", "prd_ref=P1", {"prd_ref": "P1"}),
        ("prd_ref=P2", "prd_ref=P1", {"prd_ref": "P2"}),
        ('solution_design="d.md"', "", {"sd_path": "d.md"}),
        ('sd_path="s.md", solution_design="d.md"', "", {"sd_path": "s.md"}),
        ("llm_model=opus", "", {"model": "opus"}),
        ("workers=team, sandbox=off", "", {"workers": "team", "sandbox": "off"}),
        ("", 'target_dir="lib/x"', {"target_dir": "lib/x"}),
        ("target_dir=lib", 'target_dir="lib/x"', {"target_dir": "lib"}),
        ('target_dir="/p/lib"', "", {"target_dir": "lib"}),
        ('target_dir="/p"', "", {"target_dir": ""}),
        ('target_dir="./a/../b"', "", {"target_dir": "b"}),
    ],
)
def test_the_node_counts_before_the_graph(
    attributes: str, graph: str, expected: dict[str, Any]
) -> None:
    made = assigned(attributes, graph)
    assert {key: getattr(made, key) for key in expected} == expected


@pytest.mark.parametrize("folder", ["..", "../x", "/elsewhere", "lib/../../x"])
def test_work_outside_of_the_repository_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="leads out of the repository") as error:
        assigned(f'target_dir="{folder}"')
    assert error.value.where == "node n"


def test_branch_and_worktree_are_the_nodes_own_in_this_run() -> None:
    made = assigned("")
    assert (made.branch, made.worktree) == ("attractor/r1/n", "/p/.claude/worktrees/r1-n")
    again = assigned("", place=replace(PLACE, attempt=3))
    assert (again.worktree, again.attempt) == (made.worktree, 3)
    other = assigned("", place=replace(PLACE, run_id="r2"))
    assert (other.branch, other.worktree) == ("attractor/r2/n", "/p/.claude/worktrees/r2-n")
