"""An edit changes exactly what it is asked to, in the graph and in the bytes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.pipeline import edit
from attractor.pipeline.attrlist import attributes
from attractor.pipeline.dot import NodeStatement, parse
from attractor.pipeline.graph import Graph, build
from attractor.pipeline.lex import tokens

Shown = tuple[dict[str, dict[str, str]], Counter[Any]]


def graph_of(text: str) -> Graph:
    return build(parse(text))


def shown(graph: Graph) -> Shown:
    nodes = {str(node.id): dict(node.attrs) for node in graph.nodes.values()}
    edges = Counter((e.source, e.target, tuple(sorted(e.attrs.items()))) for e in graph.edges)
    return nodes, edges


def kept(before: str, after: str) -> int:
    """Return how many characters stand unchanged around one change."""
    front = equal_letters(before, after)
    return front + equal_letters(before[front:][::-1], after[front:][::-1])


def equal_letters(one: str, other: str) -> int:
    """Return how many letters at the beginning of both texts are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def one_of(data: st.DataObject, options: list[Any]) -> Any:
    assume(options)
    return options[data.draw(st.integers(0, 10_000)) % len(options)]


VALUES = st.sampled_from(["failed", "impl_complete", "15m", "two words", "", 'q"\\', "a\nb", "\\l"])


@settings(max_examples=800)
@given(data=st.data())
def test_setting_an_attribute_changes_that_attribute_only(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    nodes, edges = shown(build(document))
    node, value = one_of(data, list(nodes)), data.draw(VALUES)
    key = data.draw(st.sampled_from(["status", "x", "label", "human.default_choice", "fresh"]))
    after = edit.set_attrs(document, {node: {key: value}})
    nodes[node][key] = value
    assert shown(graph_of(after)) == (nodes, edges)
    lost = len(text) - kept(text, after)
    longest = max((end - start for start, end in value_spans(text, key)), default=0)
    assert lost <= longest
    again = parse(after)
    assert edit.set_attrs(again, {node: {key: value}}) == after


def value_spans(text: str, key: str) -> list[tuple[int, int]]:
    """Return generously where values of this key stand: from the key to the next separator."""
    found, start = [], None
    for token in tokens(text):
        word = text[token.start : token.end]
        if start is not None and (token.kind in {"]", ",", ";"} or word == key):
            found.append((start, token.start))
            start = None
        if word == key:
            start = token.end
    return found


@settings(max_examples=200)
@given(data=st.data())
def test_removing_an_attribute_removes_that_attribute_only(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    nodes, edges = shown(build(document))
    node, key = one_of(data, list(nodes)), data.draw(st.sampled_from(["status", "x", "label"]))
    try:
        after = edit.remove_attrs(document, {node: [key]})
    except InputError:
        return  # it shares the list with another node: tested below
    found, found_edges = shown(graph_of(after))
    gone = {
        (one.key_start, one.value_end)
        for statement in document.statements
        if isinstance(statement, NodeStatement) and statement.refs[0].id == node
        for one in attributes(document.source, statement.lists)
        if one.key == key
    }
    # What is left of it, if anything, is a default.
    left = found[node].pop(key, None)
    was = nodes[node].pop(key, None)
    assert left is None or was is not None
    assert (found, found_edges) == (nodes, edges)
    assert remarks(after) == remarks(text, gone)
    assert edit.remove_attrs(parse(after), {node: [key]}) == after


def remarks(text: str, gone: Collection[tuple[int, int]] = ()) -> list[str]:
    """Return the comments that do not stand inside one of these spans."""
    return [
        text[token.start : token.end]
        for token in tokens(text)
        if token.kind == "comment" and not any(a < token.start < b for a, b in gone)
    ]


@settings(max_examples=800)
@given(data=st.data())
def test_removing_a_node_removes_it_and_its_edges(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    nodes, edges = shown(build(document))
    node = one_of(data, list(nodes))
    del nodes[node]
    left = Counter({edge: n for edge, n in edges.items() if node not in edge[:2]})
    assert shown(graph_of(edit.remove_node(document, node))) == (nodes, left)


@settings(max_examples=800)
@given(data=st.data())
def test_removing_an_edge_removes_that_edge_only(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    graph = build(document)
    nodes, edges = shown(graph)
    edge = one_of(data, graph.edges)
    condition = edge.attrs.get("condition", "")
    after = shown(
        graph_of(edit.remove_edge(document, edge.source, edge.target, condition=condition))
    )
    assert after[0] == nodes
    gone = edges - after[1]
    assert after[1] <= edges
    assert [pair[:2] for pair in gone.elements()] == [(edge.source, edge.target)]


@settings(max_examples=200)
@given(data=st.data())
def test_adding_a_node_or_an_edge_keeps_every_byte(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    nodes, edges = shown(build(document))
    after = edit.add_node(document, "new-one", {"status": "pending", "a.b": "x y"})
    found, found_edges = shown(graph_of(after))
    fresh = found.pop("new-one")
    assert fresh.items() >= {"status": "pending", "a.b": "x y"}.items()
    assert (found, found_edges) == (nodes, edges)
    assert kept(text, after) == len(text)
    source, target = one_of(data, list(nodes)), one_of(data, list(nodes))
    after = edit.add_edge(document, source, target, {"condition": "pass"})
    found, found_edges = shown(graph_of(after))
    (added,) = (found_edges - edges).elements()
    assert added[:2] == (source, target)
    assert ("condition", "pass") in added[2]
    assert found == nodes
    assert kept(text, after) == len(text)


def test_many_edits_at_once_are_the_same_as_one_by_one() -> None:
    body = "\n".join(f'  n{i} [label="N {i}", status=pending]; // {i}' for i in range(5_000))
    text = f"digraph {{\n{body}\n}}\n"
    changes = {f"n{i}": {"status": "active"} for i in range(5_000)}
    after = edit.set_attrs(parse(text), changes)
    assert after == text.replace("status=pending", "status=active")


def test_random_batches_change_exactly_their_nodes() -> None:
    choice = random.Random(7)
    text = "digraph { " + "; ".join(f"n{i} [x={i}]" for i in range(50)) + "; n1 -> m }"
    changes = {f"n{choice.randrange(50)}": {"x": "new", "y": "1"} for _ in range(20)}
    found = shown(graph_of(edit.set_attrs(parse(text), changes | {"m": {"x": "1"}})))[0]
    for i in range(50):
        assert found[f"n{i}"] == changes.get(f"n{i}", {"x": str(i)})
    assert found["m"] == {"x": "1"}


Edit = Callable[[Any], str]


def setting(node: str, **attrs: str) -> Edit:
    return lambda document: edit.set_attrs(document, {node: attrs})


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("a [s=p]", setting("a", s="q"), "a [s=q]"),
        ("a [s=p]", setting("a", s="x y"), 'a [s="x y"]'),
        ("a [s=p]", setting("a", s="node"), 'a [s="node"]'),
        ("a [s=p]", setting("a", s="900s"), 'a [s="900s"]'),
        ("a [s=900s]", setting("a", s="15m"), "a [s=15m]"),
        ('a [s="p"]', setting("a", s="q"), 'a [s="q"]'),
        ('a [s="p" /*1*/ + "q"]', setting("a", s="r"), 'a [s="r"]'),
        ("a [s=<p>]", setting("a", s="r"), 'a [s="r"]'),
        ("a [s=p, s=q]", setting("a", s="r"), "a [s=p, s=r]"),
        ("a [s=p]; a [s=q]; a [t=1]", setting("a", s="r"), "a [s=p]; a [s=r]; a [t=1]"),
        ("a [x=1]", setting("a", s="q"), 'a [x=1, s="q"]'),
        ("a [x=1 y=2]", setting("a", s="q"), 'a [x=1 y=2 s="q"]'),
        ("a [x=1; y=2;]", setting("a", s="q"), 'a [x=1; y=2; s="q";]'),
        ("a [\n  x=1,\n  y=2,\n]", setting("a", s="q"), 'a [\n  x=1,\n  y=2,\n  s="q",\n]'),
        ("a [\n  x=1\n]", setting("a", s="q"), 'a [\n  x=1,\n  s="q"\n]'),
        ("a []", setting("a", s="q"), 'a [s="q"]'),
        ("a // remark\n", setting("a", s="q"), 'a [s="q"] // remark\n'),
        ("a, b [s=p];", setting("a", s="q"), 'a, b [s=p]; a [s="q"];'),
        ("\n  a, b [s=p]; // x\n", setting("a", s="q"), '\n  a, b [s=p]; // x\n  a [s="q"];\n'),
        ("\n  a -> b\n", setting("b", s="q"), '\n  a -> b\n  b [s="q"]\n'),
        ("\n\ta -> b; // x\n", setting("b", s="q"), '\n\ta -> b; // x\n\tb [s="q"];\n'),
        ("\r\n\ta -> b;\r\n", setting("b", s="q"), '\r\n\ta -> b;\r\n\tb [s="q"];\r\n'),
        ("a -> b", setting("b", s="q"), 'a -> b; b [s="q"]'),
        ('a [s="p" + ""]', setting("a", s="p"), 'a [s="p" + ""]'),
        ("a", setting("a"), "a"),
    ],
)
def test_an_attribute_is_set_in_the_manner_of_its_list(
    before: str, change: Edit, after: str
) -> None:
    assert change(parse(f"digraph {{{before}}}")) == f"digraph {{{after}}}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a [x=1, s=p, y=2]", "a [x=1, y=2]"),
        ("a [s=p, y=2]", "a [y=2]"),
        ("a [x=1, s=p]", "a [x=1]"),
        ("a [s=p]", "a"),
        ("a [s=p, x=1, s=q]", "a [x=1]"),
        ("a [x=1 s=p y=2]", "a [x=1 y=2]"),
        ("a [\n  x=1, // one\n  s=p, // two\n  y=2\n]", "a [\n  x=1, // one\n  // two\n  y=2\n]"),
        ("a [\n  x=1,\n  s=p,\n  y=2\n]", "a [\n  x=1,\n  y=2\n]"),
        ("a [s=p]; a [s=q]", "a; a"),
        ("a [s=p /*1*/, /*2*/ x=1]", "a [/*1*/ /*2*/ x=1]"),
        ("a [x=1]", "a [x=1]"),
    ],
)
def test_an_attribute_is_removed_with_its_separator(before: str, after: str) -> None:
    document = parse(f"digraph {{{before}}}")
    assert edit.remove_attrs(document, {"a": ["s"]}) == f"digraph {{{after}}}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n  a;\n  b [x=1];\n  c;\n", "\n  a;\n  c;\n"),
        ("\n  a; b; c;\n", "\n  a; c;\n"),
        ("\n  b [x=1]; // why\n  a\n", "\n  // why\n  a\n"),
        ("\n  a; c;\n  a -> b -> c [x=1];\n", "\n  a; c;\n"),
        ("\n  a; d;\n  a -> b -> c -> d [x=1];\n", "\n  a; d;\n  c -> d [x=1];\n"),
        ("\n  a -> b -> c;\n", "\n  a;\n  c;\n"),
        ("\n a -> c -> b -> d -> e [x=1]\n", "\n a -> c [x=1]\n d -> e [x=1]\n"),
        ("a, b -> c", "a -> c"),
        ("b, a, b [x=1]", "a [x=1]"),
        ("{a b} -> c", "{a} -> c"),
        ("a -> b /* 1 */; /* 2 */", "a /* 1 */; /* 2 */"),
        ('"a"b"c"', '"a" "c"'),
    ],
)
def test_a_node_is_removed_and_its_neighbours_stay(before: str, after: str) -> None:
    assert edit.remove_node(parse(f"digraph {{{before}}}"), "b") == f"digraph {{{after}}}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n  a; b;\n  a -> b [x=1]; // why\n", "\n  a; b;\n  // why\n"),
        ("\n  a -> b;\n", "\n  a;\n  b;\n"),
        ("\n  a; b;\n  z -> a -> b -> c [x=1];\n", "\n  a; b;\n  z -> a [x=1];\n  b -> c [x=1];\n"),
        ("\n  a, c -> b:p [x=1]\n", "\n  a, c\n  b:p\n  c -> b:p [x=1]\n"),
        ("a; b; a -> b -> c", "a; b; b -> c"),
        ("a; b; a -> b; /*1*/ a -> b; /*2*/", "a; b; a -> b; /*1*/ /*2*/"),
    ],
)
def test_an_edge_is_removed_and_the_rest_of_its_statement_stays(before: str, after: str) -> None:
    assert edit.remove_edge(parse(f"digraph {{{before}}}"), "a", "b") == f"digraph {{{after}}}"


def test_parallel_edges_are_told_apart_by_their_condition() -> None:
    document = parse("digraph { a; b; a -> b [condition=pass]; a -> b [condition=fail]; }")
    after = edit.remove_edge(document, "a", "b", condition="pass")
    assert after == "digraph { a; b; a -> b [condition=fail]; }"
    with pytest.raises(InputError, match="2 edges") as caught:
        edit.remove_edge(document, "a", "b")
    assert "'fail', 'pass'" in caught.value.fix
    with pytest.raises(InputError, match="No edge"):
        edit.remove_edge(document, "a", "b", condition="other")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("digraph {}", 'digraph {\n    new [x="1"];\n}'),
        ("digraph {\n  // nothing yet\n}", 'digraph {\n    new [x="1"];\n  // nothing yet\n}'),
        ("digraph {\n  a\n  b }", 'digraph {\n  a\n  b; new [x="1"] }'),
        ("digraph {\n  {\n    a\n  }\n}", 'digraph {\n  {\n    a\n  }\n  new [x="1"];\n}'),
    ],
)
def test_a_new_node_stands_behind_the_last_statement(before: str, after: str) -> None:
    assert edit.add_node(parse(before), "new", {"x": "1"}) == after


@pytest.mark.parametrize(
    ("change", "problem", "fix"),
    [
        (lambda d: edit.set_attrs(d, {"wrok": {"x": "1"}}), "no node 'wrok'", "'work'"),
        (lambda d: edit.remove_node(d, "zzz"), "no node 'zzz'", "node list"),
        (lambda d: edit.add_edge(d, "work", "zzz"), "no node 'zzz'", "node list"),
        (lambda d: edit.add_node(d, "work"), "already", "another name"),
        (lambda d: edit.add_node(d, ""), "needs a name", "letters"),
        (lambda d: edit.remove_edge(d, "b", "work"), "no edge b -> work", "no edges"),
        (lambda d: edit.remove_edge(d, "work", "work"), "no edge", "lead to: b"),
        (lambda d: edit.remove_attrs(d, {"b": ["s"]}), "shares", "statement of its own"),
        (lambda d: edit.set_attrs(d, {"work": {"x": "\udcff"}}), "no DOT file", "NUL"),
        (lambda d: edit.add_node(d, "\x00"), "no DOT file", "NUL"),
    ],
)
def test_an_impossible_edit_is_refused_with_what_to_do(
    change: Edit, problem: str, fix: str
) -> None:
    document = parse("digraph { work; work -> b; b, c [s=1] }")
    with pytest.raises(InputError) as caught:
        change(document)
    assert problem in caught.value.problem
    assert fix in caught.value.fix
