"""What a pipeline means: defaults, chains, subgraphs, handlers and dialects."""

from __future__ import annotations

import pytest

from attractor.pipeline.dot import DotError, parse
from attractor.pipeline.graph import Graph, build, dialect_marks


def graph_of(body: str) -> Graph:
    return build(parse(f"digraph g {{ {body} }}"))


def edges_of(body: str) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph_of(body).edges]


def test_every_pair_of_a_chain_is_an_edge_with_all_attributes() -> None:
    graph = graph_of("a -> b -> c [x=1]")
    assert [(e.source, e.target, e.attrs) for e in graph.edges] == [
        ("a", "b", {"x": "1"}),
        ("b", "c", {"x": "1"}),
    ]
    assert graph.edges[0].attrs is not graph.edges[1].attrs


@pytest.mark.parametrize(
    ("body", "edges"),
    [
        ("{a b} -> c", [("a", "c"), ("b", "c")]),
        ("a -> {b c}", [("a", "b"), ("a", "c")]),
        ("a, b -> c, d", [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")]),
        ("{a -> b} -> c", [("a", "b"), ("a", "c"), ("b", "c")]),
        ("subgraph S {a} subgraph S {b} -> c", [("a", "c"), ("b", "c")]),
        ("{} -> a", []),
    ],
)
def test_groups_are_joined_in_every_pair(body: str, edges: list[tuple[str, str]]) -> None:
    assert edges_of(body) == edges


def test_ports_become_attributes_of_the_edge() -> None:
    assert graph_of("a:p:n -> b:q").edges[0].attrs == {"tailport": "p:n", "headport": "q"}


def test_defaults_reach_what_first_appears_after_them() -> None:
    graph = graph_of("a; node [x=1]; b -> a; node [x=2]; b; c [x=3]; a [y=4]")
    assert {node.id: node.attrs for node in graph.nodes.values()} == {
        "a": {"y": "4"},
        "b": {"x": "1"},
        "c": {"x": "3"},
    }


def test_defaults_of_a_subgraph_end_with_it_and_go_on_when_it_is_opened_again() -> None:
    graph = graph_of("subgraph S { node [x=1]; edge [y=1]; a -> b } c -> d subgraph S { e }")
    assert [dict(node.attrs) for node in graph.nodes.values()] == [
        {"x": "1"},
        {"x": "1"},
        {},
        {},
        {"x": "1"},
    ]
    assert [edge.attrs for edge in graph.edges] == [{"y": "1"}, {}]


def test_a_node_named_before_a_subgraph_of_its_edge_takes_the_outer_defaults() -> None:
    graph = graph_of("a -> { node [x=1]; a b }")
    assert {node.id: node.attrs for node in graph.nodes.values()} == {"a": {}, "b": {"x": "1"}}


def test_graph_attributes_of_a_subgraph_are_its_own() -> None:
    graph = graph_of('goal="out"; graph [rankdir=LR]; subgraph { goal="in"; label="x"; a }')
    assert graph.attrs == {"goal": "out", "rankdir": "LR"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('subgraph { label="Loop A"; a }', "loop-a"),
        ('subgraph { a; graph [label="Loop  A (2)!"] }', "loop-a-2"),
        ('subgraph { label="Loop A"; a [class="own, two"] }', "own,two,loop-a"),
        ('subgraph { label="Out"; subgraph { label="In"; a } }', "out,in"),
        ('subgraph { label="Out"; subgraph { a } } subgraph { label="out"; a }', "out"),
        ('subgraph { label="!"; a }', None),
        ("subgraph { a }", None),
        ('label="Graph"; a', None),
    ],
)
def test_the_label_of_a_subgraph_is_a_class_of_its_nodes(body: str, said: str | None) -> None:
    assert graph_of(body).nodes["a"].attrs.get("class") == said


def test_neighbours_are_listed_for_every_node() -> None:
    graph = graph_of("a -> b; a -> c; d")
    assert [edge.target for edge in graph.outgoing["a"]] == ["b", "c"]
    assert [edge.source for edge in graph.incoming["c"]] == ["a"]
    assert graph.outgoing["d"] == graph.incoming["d"] == []


def test_declared_nodes_are_told_from_those_in_edges_only() -> None:
    graph = graph_of("a -> b; b [x=1]")
    assert [(node.id, node.declared) for node in graph.nodes.values()] == [
        ("a", False),
        ("b", True),
    ]
    assert graph.source.text[graph.nodes["b"].offset :].startswith("b [x=1]")


def test_an_edge_knows_where_its_tail_is_named() -> None:
    graph = graph_of("a -> b -> c")
    assert graph.source.text[graph.edges[1].offset :].startswith("b -> c")


@pytest.mark.parametrize(
    ("attrs", "handler"),
    [
        ("shape=Mdiamond", "start"),
        ("shape=Msquare", "exit"),
        ("shape=box", "codergen"),
        ("", "codergen"),
        ("shape=ellipse", "codergen"),
        ("shape=hexagon", "wait.human"),
        ("shape=diamond", "conditional"),
        ("shape=tripleoctagon", "parallel.fan_in"),
        ("shape=house", "manager_loop"),
        ("type=stack.manager_loop", "manager_loop"),
        ("shape=tab", "research"),
        ("shape=note", "refine"),
        ("shape=octagon", "wait.human"),
        ("shape=parallelogram", "tool"),
        ("shape=component", "parallel"),
        ("shape=box, handler=tool", "tool"),
        ('shape=hexagon, handler="wait.system3"', "wait.system3"),
        ('shape=box, type="wait.human"', "wait.human"),
        ("shape=box, handler=tool, type=codergen", "tool"),
    ],
)
def test_the_handler_is_said_or_follows_from_the_shape(attrs: str, handler: str) -> None:
    graph = graph_of(f"a [{attrs}]")
    assert graph.handler(graph.nodes["a"]) == handler


@pytest.mark.parametrize(
    ("attrs", "handler"),
    [
        ("shape=parallelogram", "parallel"),
        ("shape=parallelogram, command=make", "tool"),
        ("shape=parallelogram, tool_command=make", "tool"),
        ("shape=component", "acceptance-test-writer"),
    ],
)
def test_two_shapes_mean_something_else_where_handlers_are_used(attrs: str, handler: str) -> None:
    graph = graph_of(f"a [{attrs}]; b [handler=codergen]")
    assert graph.handler(graph.nodes["a"]) == handler


def test_start_and_exit_are_known_by_name_where_no_node_has_the_shape() -> None:
    graph = graph_of("node [shape=box]; start -> work -> end")
    assert [graph.handler(n) for n in graph.nodes.values()] == ["start", "codergen", "exit"]
    graph = graph_of("begin [shape=Mdiamond]; begin -> start -> exit -> z; z [handler=exit]")
    assert [graph.handler(n) for n in graph.nodes.values()] == [
        "start",
        "codergen",
        "codergen",
        "exit",
    ]


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ("a [handler=tool, prompt=x]", "harness"),
        ("a [bead_id=b1]", "harness"),
        ("a [status=pending]", "graphviz"),
        ("a [prompt=x, status=pending]", "strongdm"),
        ("goal=x; a", "strongdm"),
        ('a -> b [condition="outcome=success"]', "strongdm"),
        ("a -> b [condition=pass]", "graphviz"),
        ("a -> b", "graphviz"),
    ],
)
def test_the_dialect_is_told_by_its_marks(body: str, dialect: str) -> None:
    assert graph_of(body).dialect == dialect


def test_an_absurd_number_of_edges_is_refused() -> None:
    nodes = " ".join(f"n{number}" for number in range(1_001))
    with pytest.raises(DotError, match="more than 1,000,000 edges"):
        graph_of(f"{{{nodes}}} -> {{{nodes}}}")


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("a [shape=box]; a -> b [condition=pass]", []),
        ("a [bead_id=x, type=t]; b [handler=h]", ["bead_id", "handler"]),
        ('a [prompt=x]; b [type=t]; a -> b [condition="x=1"]', ["prompt", "type"]),
        ('a -> b [condition="x=1"]', ["condition"]),
    ],
)
def test_the_marks_of_a_dialect_are_what_decided_for_it(body: str, marks: list[str]) -> None:
    assert dialect_marks(graph_of(body)) == marks
