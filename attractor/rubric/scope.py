"""What is judged where: which features of a rubric count at which node of a pipeline. Pure.

A feature belongs to the nodes that it names; one that names none of the pipeline, to the work whose
`promise_ac` is among its criteria. Work is judged by its own features, or by its acceptance text
where it has none. A judging gate is judged by the features of all that stands before it.

A feature that belongs to no node is about the whole. So it counts at the judging gates that have
all work behind them; without such a gate, at those after which no work comes; without any, at the
work after which none comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.rubric.model import Rubric, criteria_in
from attractor.run.plan import implements

_JUDGING: Final = frozenset({"technical", "e2e", "contract"})
_NO_GATES: Final = frozenset(
    {"start", "exit", "conditional", "tool", "parallel", "parallel.fan_in"}
)
_SAYS_WHO: Final = ("gate", "gate_type", "mode")


class Scope(NamedTuple):
    """By the id of a node; one that is judged by nothing is in neither."""

    features: dict[str, list[str]]
    """Ids of features, in the rubric's order."""
    acceptance: dict[str, str]
    """What stands in, where there is no feature."""

    def unjudged(self, rubric: Rubric) -> list[str]:
        """Return the features that count nowhere."""
        met = {each for ids in self.features.values() for each in ids}
        return [each.id for each in rubric.features if each.id not in met]


def scope(graph: Graph, rubric: Rubric | None) -> Scope:
    """Return what is judged where; without a rubric it is acceptance texts alone."""
    before = _before(graph)
    works = [node for node in graph.nodes if is_work(graph, node)]
    judging = [node for node in graph.nodes if is_judging(graph, node)]
    own = _owned(graph, rubric, works)
    found = {node: set(own[node]) for node in works}
    found |= {gate: set(own[gate]).union(*(own[each] for each in before[gate])) for gate in judging}
    order = [each.id for each in rubric.features] if rubric else []
    left = set(order).difference(*found.values())
    for node in _for_the_whole(works, judging, before) if left else ():
        found[node] |= left
    features = {str(node): [each for each in order if each in ids] for node, ids in found.items()}
    return Scope(
        {node: ids for node, ids in features.items() if ids},
        {str(node): _stand_in(graph, node, before) for node in found if not features[node]},
    )


def is_work(graph: Graph, node: NodeId) -> bool:
    """Say whether this node's own work is judged."""
    return implements(graph, node) and not _is_hexagon(graph.nodes[node].attrs)


def _is_hexagon(attrs: Mapping[str, str]) -> bool:
    return attrs.get("shape") == "hexagon"


def is_judging(graph: Graph, node: NodeId) -> bool:
    """Say whether this is a gate at which the Guardian judges what stands before it."""
    attrs, handler = graph.nodes[node].attrs, graph.handler(graph.nodes[node])
    if handler in _NO_GATES or not (handler.startswith("wait.") or _is_hexagon(attrs)):
        return False
    said = (attrs.get(key, "").strip().lower() for key in _SAYS_WHO)
    return next(filter(None, said), "") in _JUDGING


def _owned(
    graph: Graph, rubric: Rubric | None, works: Iterable[NodeId]
) -> Mapping[NodeId, set[str]]:
    owned: dict[NodeId, set[str]] = {node: set() for node in graph.nodes}
    promised = {node: set(criteria_in(_attr(graph, node, "promise_ac"))) for node in works}
    for feature in rubric.features if rubric else ():
        named = [NodeId(each) for each in feature.nodes if each in graph.nodes]
        by_criteria = [node for node in promised if promised[node].intersection(feature.criteria)]
        for node in named or by_criteria:
            owned[node].add(feature.id)
    return owned


def _for_the_whole(
    works: list[NodeId], judging: list[NodeId], before: Mapping[NodeId, set[NodeId]]
) -> list[NodeId]:
    def is_last(node: NodeId) -> bool:
        return not any(node in before[work] for work in works)

    complete = [gate for gate in judging if before[gate].issuperset(works)]
    return complete or [*filter(is_last, judging)] or [*filter(is_last, works)]


def _stand_in(graph: Graph, node: NodeId, before: Mapping[NodeId, set[NodeId]]) -> str:
    if is_work(graph, node):
        return _acceptance(graph.nodes[node])
    works = [each for each in graph.nodes if each in before[node] and is_work(graph, each)]
    texts = [_acceptance(graph.nodes[each]) for each in works]
    return "\n".join(dict.fromkeys(texts)) or _acceptance(graph.nodes[node])


def _acceptance(node: Node) -> str:
    texts = (node.attrs.get(key, "").strip() for key in ("acceptance", "prompt", "label"))
    return next((each for each in texts if each and each != r"\N"), str(node.id))


def _attr(graph: Graph, node: NodeId, key: str) -> str:
    return graph.nodes[node].attrs.get(key, "")


def _before(graph: Graph) -> dict[NodeId, set[NodeId]]:
    """Return all that stands before each node. Arrows that lead back are left out."""
    order = _topological(graph)
    place = {node: at for at, node in enumerate(order)}
    before: dict[NodeId, set[NodeId]] = {node: set() for node in order}
    for node in order:
        for edge in graph.incoming[node]:
            if place[edge.source] < place[node]:
                before[node] |= before[edge.source] | {edge.source}
    return before


def _topological(graph: Graph) -> list[NodeId]:
    """Return the nodes so that every arrow leads forward, but for those that close a circle."""
    beginnings = [node for node in graph.nodes if not graph.incoming[node]]
    finished: dict[NodeId, None] = {}
    met: set[NodeId] = set()
    left = {node: (edge.target for edge in edges) for node, edges in graph.outgoing.items()}
    for first in [*beginnings, *graph.nodes]:
        path = [first] if first not in met else []
        met.add(first)
        while path:
            onward = next((each for each in left[path[-1]] if each not in met), None)
            if onward is None:
                finished[path.pop()] = None
            else:
                met.add(onward)
                path.append(onward)
    return list(reversed(finished))
