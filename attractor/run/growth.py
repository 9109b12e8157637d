"""How the graph of a run grows while it runs: what was added, written into its text. Pure.

A change names nodes that are new, attributes that are said anew, and edges that are new; nothing is
ever taken away. It can be made twice: what is there already stays as it is, with every comment.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.pipeline import edit
from attractor.pipeline.document import Document
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, Node, NodeId, build
from attractor.run.node_story import RETROSPECT

Attrs = Mapping[str, str]

_GATE: Final = "hexagon"
LATER: Final = "added_by"
"""The attribute of nodes that were added when it was looked back."""


@final
@dataclass(frozen=True, slots=True)
class Change:
    """What is new."""

    nodes: Mapping[str, Attrs] = field(default_factory=dict)
    attrs: Mapping[str, Attrs] = field(default_factory=dict)
    """Of nodes that are there."""
    edges: Sequence[tuple[str, str, Attrs]] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        edges = [[source, target, dict(attrs)] for source, target, attrs in self.edges]
        return {
            "nodes": {name: dict(attrs) for name, attrs in self.nodes.items()},
            "attrs": {name: dict(attrs) for name, attrs in self.attrs.items()},
            "edges": edges,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Change:
        """Return the change that `as_json` described."""
        edges = tuple((source, target, attrs) for source, target, attrs in value["edges"])
        return cls(value["nodes"], value["attrs"], edges)


def grown(text: str, name: str, changes: Iterable[Change]) -> str:
    """Return the text of a pipeline with these changes made."""
    for change in changes:
        text = _changed(text, name, change)
    return text


def _changed(text: str, name: str, change: Change) -> str:
    for node, attrs in change.nodes.items():
        document, graph = _read(text, name)
        if NodeId(node) not in graph.nodes:
            text = edit.add_node(document, node, attrs)
    document, graph = _read(text, name)
    if new := _differing(graph, change.attrs):
        text = edit.set_attrs(document, new)
    for source, target, attrs in change.edges:
        document, graph = _read(text, name)
        if not _is_there(graph, source, target, attrs):
            text = edit.add_edge(document, source, target, attrs)
    return text


def _read(text: str, name: str) -> tuple[Document, Graph]:
    document = parse(text, name)
    return document, build(document)


def _differing(graph: Graph, wanted: Mapping[str, Attrs]) -> dict[str, dict[str, str]]:
    found = {}
    for name, attrs in wanted.items():
        own = graph.nodes[NodeId(name)].attrs
        new = {key: value for key, value in attrs.items() if own.get(key) != value}
        if new:
            found[name] = new
    return found


def _is_there(graph: Graph, source: str, target: str, attrs: Attrs) -> bool:
    wanted = attrs.get("condition", "")
    return any(
        str(edge.target) == target and edge.attrs.get("condition", "") == wanted
        for edge in graph.outgoing[NodeId(source)]
    )


# The two ways in which a graph grows


def before_exit(graph: Graph, exit_node: str, added: Sequence[Attrs]) -> Change:
    """Return what puts new work between an exit and all that stands before it."""
    later = {str(each.id) for each in graph.nodes.values() if each.attrs.get(LATER)}
    free = (f"R{number:02}" for number in itertools.count(1))
    unused = (name for name in free if NodeId(name) not in graph.nodes)
    names = list(itertools.islice(unused, len(added)))
    nodes = {name: {**attrs, LATER: RETROSPECT} for name, attrs in zip(names, added, strict=True)}
    edges: list[tuple[str, str, Attrs]] = []
    for name in names:
        edges += [
            (str(edge.source), name, _arrow(edge.attrs))
            for edge in graph.incoming[NodeId(exit_node)]
            if str(edge.source) not in later
        ]
        edges.append((name, exit_node, {}))
    return Change(nodes, {}, tuple(edges))


def _arrow(attrs: Attrs) -> Attrs:
    return {key: attrs[key] for key in ("condition", "label") if attrs.get(key)}


def in_parts(graph: Graph, node: str, parts: Sequence[Attrs]) -> Change:
    """Return what puts all parts but the last before a node, in a row; the last is the node's."""
    *first, last = parts
    own = graph.nodes[NodeId(node)]
    names = _names(graph, node, len(first))
    nodes = {name: _inherited(own) | dict(part) for name, part in zip(names, first, strict=True)}
    edges: list[tuple[str, str, Attrs]] = []
    if names:
        arrows = graph.incoming[NodeId(node)]
        plain = [edge for edge in arrows if not edge.attrs.get("condition", "").strip()]
        edges += [(str(edge.source), names[0], _arrow(edge.attrs)) for edge in plain or arrows]
        edges += [(one, two, {}) for one, two in zip(names, [*names[1:], node], strict=True)]
    # How it was to be done was said of the old plan.
    anew = {**last, "skill_file": ""} if own.attrs.get("skill_file") else last
    return Change(nodes, {node: anew, **_gates(graph, own, parts)}, tuple(edges))


def _gates(graph: Graph, node: Node, parts: Sequence[Attrs]) -> dict[str, Attrs]:
    """Return the checks of gates that repeat those of a node, with those of its parts instead."""
    old, new = (
        _checks(node),
        [line for part in parts for line in part.get("checks", "").split("\n")],
    )
    others = {
        line
        for each in graph.nodes.values()
        if each.id != node.id and each.attrs.get("shape") != _GATE
        for line in _checks(each)
    }
    gone = set(old) - others
    found: dict[str, Attrs] = {}
    for each in graph.nodes.values():
        lines = _checks(each)
        if new and each.attrs.get("shape") == _GATE and gone & set(lines):
            kept = [line for line in lines if line not in gone]
            found[str(each.id)] = {"checks": "\n".join(dict.fromkeys([*kept, *filter(None, new)]))}
    return found


def _checks(node: Node) -> list[str]:
    said = node.attrs.get("checks") or node.attrs.get("check") or ""
    return [line for line in said.split("\n") if line.strip()]


def _names(graph: Graph, node: str, count: int) -> list[str]:
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        name = f"{node}_{number}"
        if NodeId(name) not in graph.nodes:
            found.append(name)
    return found


_OWN: Final = frozenset(
    {"acceptance", "bead_id", "checks", "check", "files", "label", "promise_ac", "prompt"}
    | {"skill_file", "status"}
)


def _inherited(node: Node) -> dict[str, str]:
    """Return what a part has of the node that it is a part of: how, not what."""
    return {key: value for key, value in node.attrs.items() if key not in _OWN}
