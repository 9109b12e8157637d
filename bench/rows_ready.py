"""The next ready nodes after one transition: the cost must follow the node, not the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphs import fan_text
from measure import Row, paired

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import NodeId, build
from attractor.run.plan import Plan
from attractor.run.states import NodeState

SMALL, LARGE = 1_000, 10_000
MOVES = 500


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    yield paired(
        f"{MOVES} moves and their ready nodes, {LARGE} nodes",
        _moves(LARGE),
        f"the same in a graph of {SMALL}",
        _moves(SMALL),
        budget="about 1x",
    )


def _moves(nodes: int) -> Callable[[], object]:
    graph = build(parse(fan_text(nodes)))
    statuses = dict.fromkeys(graph.nodes, NodeState.PENDING)
    plan = Plan(graph, statuses, {})
    plan.move(NodeId("start"), NodeState.VALIDATED)

    def work() -> None:
        for i in range(MOVES):
            node = NodeId(f"n{i * 10 % nodes}")
            plan.move(node, NodeState.VALIDATED)
            plan.move(node, NodeState.PENDING)

    return work
