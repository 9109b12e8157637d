"""Which work stands before a node, on the ways that lead forward. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from attractor.pipeline.graph import Graph, NodeId


@final
class Upstream:
    """The ways of one graph that are surely gone.

    Not counted is an arrow that closes a circle, since it leads back, and one with a condition.
    """

    def __init__(self, graph: Graph, worked: Collection[str]) -> None:
        self._graph = graph
        self._worked = [node for node in graph.nodes if node in worked]
        self._place = _places(graph)

    def work(self, node: NodeId) -> list[NodeId]:
        """Return the nodes with work for an agent before this one, in the order of the source."""
        found, waiting = {node}, [node]
        while waiting:
            for edge in self._graph.incoming[waiting.pop()]:
                leads_on = self._place[edge.source] < self._place[edge.target]
                sure = leads_on and not edge.attrs.get("condition", "").strip()
                if sure and edge.source not in found:
                    found.add(edge.source)
                    waiting.append(edge.source)
        return [each for each in self._worked if each in found and each != node]


def _places(graph: Graph) -> dict[NodeId, int]:
    """Return an order in which every arrow leads forward, but for those that close a circle."""
    finished: list[NodeId] = []
    met: set[NodeId] = set()
    roots = [node for node in graph.nodes if not graph.incoming[node]]
    for first in [*roots, *graph.nodes]:
        path = [] if first in met else [first]
        met.add(first)
        while path:
            onward = (edge.target for edge in graph.outgoing[path[-1]] if edge.target not in met)
            if (further := next(onward, None)) is None:
                finished.append(path.pop())
            else:
                met.add(further)
                path.append(further)
    return {node: at for at, node in enumerate(reversed(finished))}
