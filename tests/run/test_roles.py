"""What carries a node out follows from its handler, its shape and what its gate asks for."""

from __future__ import annotations

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, Node, NodeId, build
from attractor.run.roles import IMPOSSIBLE, Role, options, role


def node(attrs: str, name: str = "n") -> tuple[Graph, Node]:
    text = f'digraph g {{ {name} [{attrs}]; other [handler="codergen"]; }}'
    graph = build(parse(text))
    return graph, graph.nodes[NodeId(name)]


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ('handler="start"', Role.PLACE),
        ('handler="parallel"', Role.PLACE),
        ('handler="parallel.fan_in"', Role.PLACE),
        ("shape=Mdiamond", Role.PLACE),
        ("shape=tripleoctagon", Role.PLACE),
        ('handler="exit"', Role.EXIT),
        ("shape=Msquare", Role.EXIT),
        ('handler="conditional"', Role.CONDITION),
        ("shape=diamond", Role.CONDITION),
        ('handler="tool", command="true"', Role.TOOL),
        ('shape=parallelogram, command="true"', Role.TOOL),
        ('handler="codergen"', Role.WORK),
        ("shape=box", Role.WORK),
        ('handler="research"', Role.WORK),
        ("shape=note", Role.WORK),
        ('shape=hexagon, gate="unit"', Role.CHECK),
        ('handler="wait.system3", gate_type="unit"', Role.CHECK),
        ('shape=hexagon, gate="technical"', Role.JUDGE),
        ('shape=hexagon, gate=" E2E "', Role.JUDGE),
        ('handler="wait.system3", gate_type="contract"', Role.JUDGE),
        ('handler="wait.human", mode="technical"', Role.JUDGE),
        ('shape=hexagon, gate="business"', Role.PERSON),
        ('shape=hexagon, gate="business", mode="technical"', Role.PERSON),
        ('shape=hexagon, gate="nonsense"', Role.PERSON),
        ("shape=hexagon", Role.PERSON),
        ('handler="wait.human"', Role.PERSON),
        ("shape=octagon", Role.PERSON),
    ],
)
def test_a_node_has_one_role(attrs: str, expected: Role) -> None:
    assert role(*node(attrs)) is expected


@pytest.mark.parametrize("attrs", ['handler="acceptance-test-writer"', "shape=house"])
def test_what_no_guardian_carries_out_is_known_by_its_handler(attrs: str) -> None:
    graph, found = node(attrs)
    assert graph.handler(found) in IMPOSSIBLE


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ("", ("approve", "reject")),
        ('options=""', ("approve", "reject")),
        ('options="only"', ("approve", "reject")),
        ('options="yes, yes"', ("approve", "reject")),
        ('options="ship, hold ,later,,"', ("ship", "hold", "later")),
    ],
)
def test_a_person_chooses_among_two_options_at_least(attrs: str, expected: tuple[str, ...]) -> None:
    _, found = node(attrs)
    assert options(found) == expected
