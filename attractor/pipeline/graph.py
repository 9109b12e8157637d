"""What a pipeline means: nodes, edges, handlers, with every default applied.

Pure data and pure functions; no I/O, no clock. The graph remembers for each thing the offset into
the source where it was declared, so that lint can point at it. Order is the order of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NewType, final

from attractor.pipeline.source import Source

NodeId = NewType("NodeId", str)

Dialect = Literal["harness", "strongdm", "graphviz"]

# The handlers' names are the harness's where it has one (DESIGN 3, harness-formats 1.4 and 1.9).
SHAPE_HANDLERS: Final[Mapping[str, str]] = {
    "Mdiamond": "start",
    "Msquare": "exit",
    "box": "codergen",
    "hexagon": "wait.human",
    "diamond": "conditional",
    "parallelogram": "parallel",
    "component": "parallel",
    "tripleoctagon": "parallel.fan_in",
    "house": "manager_loop",
    "octagon": "wait.human",
    "tab": "research",
    "note": "refine",
}


@final
@dataclass(slots=True, eq=False)
class Node:
    """One node: its attributes with defaults applied, as decoded text."""

    id: NodeId
    attrs: dict[str, str]
    offset: int
    declared: bool  # False: it appears in edges only


@final
@dataclass(slots=True, eq=False)
class Edge:
    """One arrow between two nodes; `a -> b -> c` is two of them with the same attributes."""

    source: NodeId
    target: NodeId
    attrs: dict[str, str]
    offset: int


@final
@dataclass(eq=False)
class Graph:
    """A whole pipeline. `outgoing` and `incoming` hold every node, also those without edges."""

    name: str
    attrs: dict[str, str]
    nodes: dict[NodeId, Node]
    edges: list[Edge]
    source: Source
    dialect: Dialect
    outgoing: dict[NodeId, list[Edge]] = field(default_factory=dict)
    incoming: dict[NodeId, list[Edge]] = field(default_factory=dict)

    def handler(self, node: Node) -> str:
        """Return what carries the node out: explicit `handler` or `type`, else by its shape."""
        raise AssertionError  # the pipeline helper fills this
