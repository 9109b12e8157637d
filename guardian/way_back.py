"""The way back: a condition whose outcome leads to something that stands before it. Pure.

All that lies on ways from there to the condition becomes due again, and the condition with it, last
of all. So a condition that is done, and whose outcome leads back, is a way back that was begun and
not finished: whoever finds one goes on with it. What was merged stays merged.

What stands before what is told by the way from the start. So one way back may lie inside another,
and neither makes due what is outside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from attractor.pipeline.conditions import evaluate, parse_condition
from attractor.pipeline.graph import Edge, Graph, NodeId
from attractor.run.roles import Role
from attractor.run.states import DONE, NodeEvent, NodeState
from guardian.core import Core


def taken(core: Core, condition: str, outcome: str) -> list[Edge]:
    """Return the edges that an outcome takes."""
    return [each for each in core.graph.outgoing[NodeId(condition)] if _leads(each, outcome)]


def leads_back(core: Core, edge: Edge) -> bool:
    """Say whether an edge leads to something that stands before its source."""
    return id(edge) in _ways_back(core.graph)


def begun(core: Core, condition: str) -> list[Edge]:
    """Return the ways back that a condition has begun and not finished."""
    outcome = core.story.core.outcomes.get(NodeId(condition))
    if core.story.state(condition) not in DONE or outcome is None:
        return []
    return [each for each in taken(core, condition, outcome) if leads_back(core, each)]


def send_back(core: Core, edge: Edge) -> None:
    """Make all between the target of a way back and its condition due again."""
    target, condition = str(edge.target), str(edge.source)
    between = _after(core, target) & _before(core, condition)
    feedback = [core.story.node(each).feedback for each in sorted(between)]
    told = "\n".join(dict.fromkeys(each for each in feedback if each))
    for name in core.terms:
        if name in between and name != condition:
            _reopen(core, name, told)
    if core.story.state(target) is NodeState.PENDING and NodeId(target) in core.plan.ready():
        # Before the condition is reopened: a target may be ready by this way only.
        _dispatch(core, target)


def finish(core: Core, condition: str) -> None:
    """Make the condition itself due again."""
    _reopen(core, condition, "")


def _dispatch(core: Core, name: str) -> None:
    last = core.story.node(name).attempt
    data: dict[str, Any] = {"attempt": (last.number if last else 0) + 1}
    if core.terms[name].role is Role.WORK:
        data["base"] = core.story.head
        data["feedback"] = core.story.node(name).feedback or None
    core.move(name, NodeEvent.DISPATCHED, **data)


def _reopen(core: Core, name: str, feedback: str) -> None:
    state = core.story.state(name)
    event = {NodeState.VALIDATED: NodeEvent.REOPENED, NodeState.FAILED: NodeEvent.REQUEUED}
    if state in event:
        core.move(name, event[state], reason="sent back", feedback=feedback or None)


def _leads(edge: Edge, outcome: str) -> bool:
    condition = edge.attrs.get("condition", "").strip()
    return not condition or evaluate(parse_condition(condition), {"outcome": outcome})


def _after(core: Core, name: str) -> set[str]:
    back, edges = _ways_back(core.graph), core.graph.outgoing
    return _reached(name, lambda at: [each.target for each in edges[at] if id(each) not in back])


def _before(core: Core, name: str) -> set[str]:
    back, edges = _ways_back(core.graph), core.graph.incoming
    return _reached(name, lambda at: [each.source for each in edges[at] if id(each) not in back])


@lru_cache(maxsize=4)
def _ways_back(graph: Graph) -> frozenset[int]:
    """Return the edges that lead to where one has come from, on a walk from the first nodes on."""
    back: set[int] = set()
    seen: set[NodeId] = set()
    for root in sorted(graph.nodes, key=lambda name: bool(graph.incoming[name])):
        if root in seen:
            continue
        seen.add(root)
        path, walk = {root}, [(root, iter(graph.outgoing[root]))]
        while walk:
            at, edges = walk[-1]
            edge = next(edges, None)
            if edge is None:
                walk.pop()
                path.discard(at)
            elif edge.target in path:
                back.add(id(edge))
            elif edge.target not in seen:
                seen.add(edge.target)
                path.add(edge.target)
                walk.append((edge.target, iter(graph.outgoing[edge.target])))
    return frozenset(back)


def _reached(start: str, step: Callable[[NodeId], list[NodeId]]) -> set[str]:
    seen, waiting = {start}, [NodeId(start)]
    while waiting:
        for each in step(waiting.pop()):
            if each not in seen:
                seen.add(str(each))
                waiting.append(each)
    return seen
