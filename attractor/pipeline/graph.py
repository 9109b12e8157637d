"""What a pipeline means: nodes, edges, handlers, with every default applied.

Pure data and pure functions; no I/O, no clock. The graph remembers for each thing the offset into
the source where it was declared, so that lint can point at it. Order is the order of the source.

The rule for defaults is Graphviz's. A node takes the `node [...]` defaults in force in the scope
where it first appears, be it in an edge; later defaults do not reach it. An edge takes the `edge
[...]` defaults where it is written. What a statement itself says wins, and a later statement over
an earlier one. Defaults of a subgraph end with it; a subgraph opened again under the same name
goes on with its own. As in Graphviz a port becomes `tailport` or `headport` of the edge.

A chain gives its attributes to every pair (the original harness: to the last edge only). An edge's
`key` is an attribute like any other; to Graphviz it makes two edges one.

Beyond Graphviz, as the Attractor specification has it: the label of a subgraph becomes a class of
every node that appears inside (`label="Loop A"`: `loop-a`), behind those of its `class` attribute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal, NewType, assert_never, final

from attractor.pipeline.document import (
    Defaults,
    Document,
    DotError,
    EdgeStatement,
    Mention,
    NodeStatement,
    Ref,
    Subgraph,
    SubgraphEnd,
)
from attractor.pipeline.source import Source

NodeId = NewType("NodeId", str)

Dialect = Literal["harness", "strongdm", "graphviz"]

# The names are the harness's where it has one. `Graph.handler` settles parallelogram and component,
# which mean something else in each dialect.
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
_ALIASES: Final[Mapping[str, str]] = {"stack.manager_loop": "manager_loop"}
_START_IDS: Final = frozenset({"start", "Start"})
_EXIT_IDS: Final = frozenset({"exit", "end"})

_HARNESS_MARKS: Final = frozenset({"handler", "bead_id", "worker_type", "promise_ac"})
_STRONGDM_MARKS: Final = frozenset({"goal", "prompt", "tool_command", "type"})

MOST_EDGES: Final = 1_000_000


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
    """One arrow between two nodes; `a -> b -> c` is two of them with the same attributes.

    `offset` is where its tail is named. It stands between the groups `gap` and `gap + 1` of its
    statement.
    """

    source: NodeId
    target: NodeId
    attrs: dict[str, str]
    offset: int
    statement: EdgeStatement | None = None
    gap: int = 0


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
        """Return what carries the node out: explicit `handler` or `type`, else by its shape.

        A node named `start` or `exit` is one where no node of the graph has the shape or handler.
        """
        said = node.attrs.get("handler") or node.attrs.get("type")
        if said:
            return _ALIASES.get(said, said)
        shape = node.attrs.get("shape", "")
        if shape == "parallelogram":
            return self._parallelogram(node)
        if shape == "component" and self._has_handlers:
            return "acceptance-test-writer"
        handler = SHAPE_HANDLERS.get(shape, "codergen")
        if handler == "codergen":
            return self._by_id.get(node.id, handler)
        return handler

    def _parallelogram(self, node: Node) -> str:
        if "tool_command" in node.attrs or "command" in node.attrs or not self._has_handlers:
            return "tool"
        return "parallel"

    @cached_property
    def _has_handlers(self) -> bool:
        return any("handler" in node.attrs for node in self.nodes.values())

    @cached_property
    def _by_id(self) -> dict[str, str]:
        said: set[str | None] = set()
        for node in self.nodes.values():
            attrs = node.attrs
            said.add(attrs.get("handler") or attrs.get("type") or attrs.get("shape"))
        ids: dict[str, str] = {}
        if not said & {"start", "Mdiamond"}:
            ids |= dict.fromkeys(_START_IDS, "start")
        if not said & {"exit", "Msquare"}:
            ids |= dict.fromkeys(_EXIT_IDS, "exit")
        return ids


def build(document: Document) -> Graph:
    """Return what the document means. Raises DotError only for an absurd number of edges."""
    builder = _Builder(document)
    builder.run()
    builder.apply_classes()
    nodes, edges = builder.nodes, builder.edges
    graph = Graph(
        document.name,
        builder.root.graph_attrs,
        nodes,
        edges,
        document.source,
        _dialect(builder.root.graph_attrs, nodes.values(), edges),
        {node: [] for node in nodes},
        {node: [] for node in nodes},
    )
    outgoing, incoming = graph.outgoing, graph.incoming
    for edge in edges:
        outgoing[edge.source].append(edge)
        incoming[edge.target].append(edge)
    return graph


def _dialect(attrs: Mapping[str, str], nodes: Iterable[Node], edges: list[Edge]) -> Dialect:
    # Not by `status`: we write that into files of every dialect.
    keys: set[str] = set()
    for node in nodes:
        keys.update(node.attrs)
    if keys & _HARNESS_MARKS:
        return "harness"
    if "goal" in attrs or keys & _STRONGDM_MARKS:
        return "strongdm"
    if any("=" in edge.attrs.get("condition", "") for edge in edges):
        return "strongdm"
    return "graphviz"


def dialect_marks(graph: Graph) -> list[str]:
    """Return which attributes of nodes, or else of edges, make the graph's dialect what it is."""
    if graph.dialect == "graphviz":
        return []
    marks = _HARNESS_MARKS if graph.dialect == "harness" else _STRONGDM_MARKS
    return sorted({key for node in graph.nodes.values() for key in node.attrs} & marks) or [
        "condition"
    ]


@final
class _Scope:
    """The braces of the graph or of one subgraph: its own defaults and what appears inside."""

    __slots__ = ("children", "edge_attrs", "graph_attrs", "members", "node_attrs", "parent")

    def __init__(self, parent: _Scope | None) -> None:
        self.parent = parent
        self.node_attrs: dict[str, str] = {}
        self.edge_attrs: dict[str, str] = {}
        self.graph_attrs: dict[str, str] = {}
        self.members: dict[NodeId, None] = {}
        self.children: dict[object, _Scope] = {}


class _Builder:
    """One pass over the statements."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes: dict[NodeId, Node] = {}
        self.order: dict[NodeId, int] = {}
        self.edges: list[Edge] = []
        self.root = _Scope(None)
        self.scope = self.root
        self.scopes: list[_Scope] = []
        self.scope_of: dict[int, _Scope] = {}
        # The defaults in force: what the scope says over what its parents said before it opened.
        self.node_defaults: dict[str, str] = {}
        self.edge_defaults: dict[str, str] = {}
        self.outer: list[tuple[dict[str, str], dict[str, str]]] = []

    def run(self) -> None:
        for statement in self.document.statements:
            if isinstance(statement, NodeStatement):
                self._declare(statement)
            elif isinstance(statement, EdgeStatement):
                self._connect(statement)
            else:
                self._take(statement)

    def _take(self, statement: Defaults | Mention | Subgraph | SubgraphEnd) -> None:
        match statement:
            case Defaults():
                self._set_defaults(statement)
            case Mention():
                for ref in statement.refs:
                    self._appear(ref)
            case Subgraph():
                self._open(statement)
            case SubgraphEnd():
                self._close()
            case _:
                assert_never(statement)

    def _appear(self, ref: Ref) -> Node:
        key = NodeId(ref.id)
        node = self.nodes.get(key)
        if node is None:
            self.order[key] = len(self.order)
            node = self.nodes[key] = Node(key, self.node_defaults.copy(), ref.start, declared=False)
        if self.scope is not self.root:
            self.scope.members[key] = None
        return node

    def _declare(self, statement: NodeStatement) -> None:
        attrs = statement.attrs
        for ref in statement.refs:
            node = self._appear(ref)
            if not node.declared:
                node.declared, node.offset = True, ref.start
            if attrs:
                node.attrs.update(attrs)

    def _set_defaults(self, statement: Defaults) -> None:
        if statement.target == "node":
            self.scope.node_attrs.update(statement.attrs)
            self.node_defaults.update(statement.attrs)
        elif statement.target == "edge":
            self.scope.edge_attrs.update(statement.attrs)
            self.edge_defaults.update(statement.attrs)
        else:
            self.scope.graph_attrs.update(statement.attrs)

    def _open(self, subgraph: Subgraph) -> None:
        key = id(subgraph) if subgraph.name is None else subgraph.name
        scope = self.scope.children.get(key)
        if scope is None:
            scope = self.scope.children[key] = _Scope(self.scope)
            self.scopes.append(scope)
        self.scope_of[id(subgraph)] = self.scope = scope
        self.outer.append((self.node_defaults, self.edge_defaults))
        self.node_defaults = {**self.node_defaults, **scope.node_attrs}
        self.edge_defaults = {**self.edge_defaults, **scope.edge_attrs}

    def _close(self) -> None:
        assert self.scope.parent is not None  # the parser has matched the braces
        self.scope = self.scope.parent
        self.node_defaults, self.edge_defaults = self.outer.pop()

    def _connect(self, statement: EdgeStatement) -> None:
        groups = [self._group(group) for group in statement.groups]
        self._refuse_flood(statement, groups)
        for gap, (tails, heads) in enumerate(pairwise(groups)):
            for tail in tails:
                for head in heads:
                    self._edge(statement, gap, tail, head)

    def _edge(self, statement: EdgeStatement, gap: int, tail: Ref, head: Ref) -> None:
        attrs = self.edge_defaults.copy()
        if tail.port:
            attrs["tailport"] = tail.port
        if head.port:
            attrs["headport"] = head.port
        attrs.update(statement.attrs)
        edge = Edge(NodeId(tail.id), NodeId(head.id), attrs, tail.start, statement, gap)
        self.edges.append(edge)

    def _group(self, group: tuple[Ref, ...] | Subgraph) -> Sequence[Ref]:
        if not isinstance(group, Subgraph):
            for ref in group:
                self._appear(ref)
            return group
        found = sorted(self._members(self.scope_of[id(group)]), key=self.order.__getitem__)
        return [Ref(node, group.start, group.end, "") for node in found]

    def _members(self, scope: _Scope) -> Iterable[NodeId]:
        """Return what appears in a scope and the scopes inside it; those are closed by now.

        Those without a name cannot be opened again, so they are gathered up once and for all.
        """
        inside = list(scope.children.values())
        while inside:
            child = inside.pop()
            scope.members.update(child.members)
            inside.extend(child.children.values())
        scope.children = {
            key: child for key, child in scope.children.items() if isinstance(key, str)
        }
        return scope.members

    def _refuse_flood(self, statement: EdgeStatement, groups: list[Sequence[Ref]]) -> None:
        sizes = [len(group) for group in groups]
        more = sum(a * b for a, b in pairwise(sizes))
        if len(self.edges) + more > MOST_EDGES:
            raise DotError.at(
                self.document.source,
                statement.start,
                f"With this statement the graph has more than {MOST_EDGES:,} edges.",
                "Draw the edges to one node between the two groups instead.",
            )

    def apply_classes(self) -> None:
        """Give every node the classes that the labels of its subgraphs make, outermost first."""
        if not any("label" in scope.graph_attrs for scope in self.scopes):
            return
        classes: dict[int, tuple[str, ...]] = {id(self.root): ()}
        for scope in self.scopes:  # parents come before their children
            own = _class_of(scope.graph_attrs.get("label", ""))
            inherited = classes[id(scope.parent)]
            classes[id(scope)] = (*inherited, own) if own else inherited
        for scope in self.scopes:
            for node in scope.members:
                _add_classes(self.nodes[node], classes[id(scope)])


_not_of_class = re.compile(r"[^a-z0-9_-]").sub


def _class_of(label: str) -> str:
    return _not_of_class("", re.sub(r"\s+", "-", label.strip().lower()))


def _add_classes(node: Node, classes: Iterable[str]) -> None:
    said = [name.strip() for name in node.attrs.get("class", "").split(",") if name.strip()]
    fresh = [name for name in dict.fromkeys(classes) if name not in said]
    if fresh:
        node.attrs["class"] = ",".join([*said, *fresh])
