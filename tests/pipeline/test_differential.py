"""Two strangers read the same random pipelines: Graphviz's own library, and pydot."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build

Attrs = dict[str, str]
NODE, EDGE = 1, 2
DERIVED = {"loop-a", "phase-2"}


def frozen(attrs: Attrs) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(attrs.items()))


def plain(attrs: Attrs) -> Attrs:
    """Return attributes as a stranger has them: no derived classes, nothing that is empty."""
    attrs = dict(attrs)
    if "class" in attrs:
        names = [name for name in attrs["class"].split(",") if name not in DERIVED]
        attrs["class"] = ",".join(names)
    return {key: _flat(value) for key, value in attrs.items() if value}


def _flat(value: str) -> str:
    # No value of the writer has angle brackets around it but the HTML ones.
    return value[1:-1] if value.startswith("<") and value.endswith(">") else value


def ours(graph: Graph) -> tuple[Attrs, list[tuple[str, Attrs]], Counter[Any]]:
    nodes = [(str(node.id), plain(node.attrs)) for node in graph.nodes.values()]
    edges = Counter((e.source, e.target, frozen(plain(e.attrs))) for e in graph.edges)
    return plain(graph.attrs), nodes, edges


class Oracle:
    """Graphviz's cgraph, edge by edge, because pygraphviz merges parallel ones."""

    def __init__(self, text: str, decoded: Any) -> None:
        self.pygraphviz = pytest.importorskip("pygraphviz", reason="pygraphviz is not installed")
        self.raw = self.pygraphviz.graphviz
        self._decoded = decoded
        self.graph = self.pygraphviz.AGraph(string=text)

    def decoded(self, raw: str | bytes) -> str:
        # pygraphviz answers bytes where it meets more than ASCII.
        return str(self._decoded(raw.decode() if isinstance(raw, bytes) else raw))

    def close(self) -> None:
        self.graph.close()

    def _walk(self, first: Any, following: Any) -> Iterator[Any]:
        try:
            item = first()
            while item is not None:
                yield item
                item = following(item)
        except (KeyError, StopIteration):
            return

    def _attrs(self, thing: Any, kind: int) -> Attrs:
        handle = self.graph.handle
        found = {}
        symbols = self._walk(
            lambda: self.raw.agnxtattr(handle, kind, None),
            lambda symbol: self.raw.agnxtattr(handle, kind, symbol),
        )
        for symbol in symbols:
            value = self.raw.agxget(thing, symbol)
            if value:
                found[self.decoded(self.raw.agattrname(symbol))] = self.decoded(value)
        return found

    def read(self) -> tuple[Attrs, list[tuple[str, Attrs]], Counter[Any]]:
        handle, raw = self.graph.handle, self.raw
        nodes, edges = [], Counter[Any]()
        for node in self._walk(lambda: raw.agfstnode(handle), lambda n: raw.agnxtnode(handle, n)):
            nodes.append((self.decoded(raw.agnameof(node)), self._attrs(node, NODE)))
            for edge in self._walk(
                lambda node=node: raw.agfstout(handle, node),
                lambda e: raw.agnxtout(handle, e),
            ):
                tail = self.decoded(raw.agnameof(raw.agtail(edge)))
                head = self.decoded(raw.agnameof(raw.aghead(edge)))
                edges[tail, head, frozen(self._attrs(edge, EDGE))] += 1
        return self._attrs(handle, 0), nodes, edges


@settings(max_examples=800)
@given(data=st.data())
def test_graphviz_reads_the_same_graph(data: st.DataObject, texts: Any, decoded: Any) -> None:
    text = data.draw(texts(dialects=False))
    # The library behind pygraphviz knows no byte-order mark; the `dot` program does.
    oracle = Oracle(text.removeprefix("\ufeff"), decoded)
    try:
        attrs, nodes, edges = oracle.read()
    finally:
        oracle.close()
    assert ours(build(parse(text))) == (attrs, nodes, edges)


class Fixed:
    """What pydot leaves undone: order, defaults, redeclared nodes, quotes and escapes."""

    def __init__(self, text: str, decoded: Any) -> None:
        pydot = pytest.importorskip("pydot", reason="pydot is not installed")
        self.decoded = decoded
        with warnings.catch_warnings():
            # pydot calls functions that the newest pyparsing has renamed.
            warnings.simplefilter("ignore", DeprecationWarning)
            (self.graph,) = pydot.graph_from_dot_data(text)

    def _value(self, raw: str) -> str:
        if not raw.startswith('"'):
            return raw
        return str(self.decoded(raw[1:-1].replace("\\\n", "")))

    def _attrs(self, raw: dict[str, str]) -> Attrs:
        return {self._value(key): self._value(value) for key, value in raw.items()}

    def read(self) -> tuple[list[tuple[str, Attrs]], Counter[Any]]:
        things = [*self.graph.get_node_list(), *self.graph.get_edge_list()]
        nodes: dict[str, Attrs] = {}
        edges = Counter[Any]()
        defaults: dict[str, Attrs] = {"node": {}, "edge": {}}
        for thing in sorted(things, key=lambda one: one.get_sequence()):
            attrs = self._attrs(thing.get_attributes())
            if hasattr(thing, "get_source"):
                ends = [
                    self._value(str(end)) for end in (thing.get_source(), thing.get_destination())
                ]
                for end in ends:
                    nodes.setdefault(end, dict(defaults["node"]))
                edges[(*ends, frozen(plain(defaults["edge"] | attrs)))] += 1
            elif thing.get_name() in defaults:
                defaults[thing.get_name()] |= attrs
            elif thing.get_name() != "graph":
                nodes.setdefault(self._value(thing.get_name()), dict(defaults["node"])).update(
                    attrs
                )
        return [(node, plain(attrs)) for node, attrs in nodes.items()], edges


@settings(max_examples=25)
@given(data=st.data())
def test_pydot_helped_reads_the_same_graph(data: st.DataObject, texts: Any, decoded: Any) -> None:
    text = data.draw(texts(dialects=False, flat=True, tidy=True))
    _, nodes, edges = ours(build(parse(text)))
    assert (nodes, edges) == Fixed(text, decoded).read()
