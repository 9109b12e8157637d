"""A graph as the rules look at it: handlers, reachability and loops, each worked out once.

Every walk is iterative and linear in nodes and edges, so the size and depth of a graph only cost
time in proportion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, final

from attractor.pipeline.conditions import Condition, ConditionError, parse_condition
from attractor.pipeline.finding import Facts
from attractor.pipeline.graph import Edge, Graph, Node, NodeId

SYSTEM_GATES: Final = frozenset({"wait.system3", "wait.cobuilder"})
GATES: Final = SYSTEM_GATES | {"wait.human"}
SHOWN_NODES: Final = 6  # of a loop; a message must stay readable

_LEFT: Final = -1


@final
class Survey:
    """One graph, the facts about it, and what several rules need to know."""

    def __init__(self, graph: Graph, facts: Facts) -> None:
        self.graph = graph
        self.facts = facts
        self.harness = graph.dialect == "harness"
        self.handlers: dict[NodeId, str] = {
            name: graph.handler(node) for name, node in graph.nodes.items()
        }
        self._conditions: dict[str, Condition | ConditionError] = {}
        self._by_handler: dict[str, list[Node]] = {}
        for node in graph.nodes.values():
            self._by_handler.setdefault(self.handlers[node.id], []).append(node)

    def of(self, *handlers: str) -> list[Node]:
        """Return the nodes with these handlers, handler by handler, in source order."""
        return [node for handler in handlers for node in self._by_handler.get(handler, ())]

    @property
    def starts(self) -> list[Node]:
        """Return the start nodes."""
        return self.of("start")

    @property
    def exits(self) -> list[Node]:
        """Return the exit nodes."""
        return self.of("exit")

    @cached_property
    def phantoms(self) -> frozenset[NodeId]:
        """Return the names that only edges use: a slip of the pen, except in plain Graphviz."""
        if self.graph.dialect == "graphviz":
            return frozenset()
        return frozenset(
            node.id
            for node in self.graph.nodes.values()
            if not node.declared and self.handlers[node.id] not in {"start", "exit"}
        )

    @cached_property
    def reached(self) -> Collection[NodeId]:
        """Return the nodes with a path from a start; without any start, all nodes."""
        if not self.starts:
            return self.graph.nodes
        return _walk((node.id for node in self.starts), self.targets)

    def sound(self, *handlers: str) -> Iterator[Node]:
        """Yield nodes that other rules have no quarrel with: declared, and reachable."""
        for node in self.of(*handlers):
            if node.id in self.reached and node.id not in self.phantoms:
                yield node

    @cached_property
    def checked(self) -> set[NodeId]:
        """Return everything that has a gate of the system's downstream."""
        return self.upstream_of(self.of(*SYSTEM_GATES))

    @cached_property
    def asked(self) -> set[NodeId]:
        """Return everything that has a wait.human downstream."""
        return self.upstream_of(self.of("wait.human"))

    @cached_property
    def sources(self) -> dict[NodeId, list[NodeId]]:
        """Return for each node where the edges into it come from."""
        return {name: [edge.source for edge in into] for name, into in self.graph.incoming.items()}

    @cached_property
    def targets(self) -> dict[NodeId, list[NodeId]]:
        """Return for each node where its edges lead."""
        return {name: [edge.target for edge in out] for name, out in self.graph.outgoing.items()}

    def upstream_of(self, nodes: Iterable[Node]) -> set[NodeId]:
        """Return these nodes and everything from which one of them can be reached."""
        return _walk((node.id for node in nodes), self.sources)

    def condition(self, edge: Edge) -> Condition | ConditionError:
        """Return the condition of an edge as it was read, or why it could not be."""
        text = edge.attrs.get("condition", "")
        found = self._conditions.get(text)
        if found is None:
            try:
                found = parse_condition(text)
            except ConditionError as error:
                found = error
            self._conditions[text] = found
        return found


def _walk(begin: Iterable[NodeId], neighbours: Mapping[NodeId, list[NodeId]]) -> set[NodeId]:
    seen = set(begin)
    waiting = list(seen)
    while waiting:
        for node in neighbours[waiting.pop()]:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return seen


def loops(
    nodes: Iterable[NodeId], outgoing: Mapping[NodeId, list[Edge]]
) -> Iterator[tuple[Edge, list[NodeId]]]:
    """Yield each edge that closes a loop, with the first nodes of the loop: one walk in depth."""
    on_path: dict[NodeId, int] = {}  # where on the path; _LEFT once the walk has left the node
    for root in nodes:
        if root in on_path:
            continue
        path, rest = [root], [iter(outgoing.get(root, ()))]
        on_path[root] = 0
        while rest:
            edge = next(rest[-1], None)
            if edge is None:
                rest.pop()
                on_path[path.pop()] = _LEFT
                continue
            at = on_path.get(edge.target)
            if at is None:
                on_path[edge.target] = len(path)
                path.append(edge.target)
                rest.append(iter(outgoing.get(edge.target, ())))
            elif at != _LEFT:
                yield edge, path[at : at + SHOWN_NODES]
