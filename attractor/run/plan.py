"""Which nodes may start now: the plan of one pipeline, kept up to date move by move.

A node is ready when it is pending and its requirements are met:

* every unconditional edge into it comes from a node that is done (validated or accepted); into a
  condition (a diamond), from one that has ended for good either way, since it decides on that;
* a node with conditional edges only needs one of these routes to be taken. A route is taken when
  its source has ended, and ended as the condition asks: by the outcome on record, or without one
  by its state (done is "pass", failed is "fail");
* conditional edges into a node that also has unconditional ones are retries. They never hold it
  back, so the back edge of a guarded cycle cannot deadlock;
* an exit also needs every gate done (the finalize gate).

Pure: no I/O, no clock. Building a plan costs O(nodes + edges + gates x exits). A move costs the
moved node's own outgoing edges, plus the exits when it is a gate; keeping the ready nodes in
source order adds one binary search and one shift inside the list of those that are ready.

Not promised: that a moved state is legal (`states` says that). A condition that cannot be read is
refused when the plan is built. Of facts, conditions see the outcome only; others are blank here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, final

from attractor.pipeline.conditions import Condition, ConditionError, evaluate, parse_condition
from attractor.pipeline.graph import Edge, Graph, Node, NodeId
from attractor.run.states import DONE, SETTLED, NodeState

_GATE_PREFIX: Final = "wait."
_ITS_OWN_VERDICT: Final = frozenset(
    {"start", "exit", "conditional", "tool", "parallel", "parallel.fan_in"}
)


@final
@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a node still waits for. Of several `route`s, any one is enough."""

    kind: Literal["state", "edge", "route", "gate"]
    source: NodeId
    state: NodeState
    condition: str = ""


@final
@dataclass(frozen=True, slots=True)
class Changes:
    """What a move changed, in source order: pending nodes that may start now, or no longer may."""

    ready: list[NodeId]
    blocked: list[NodeId]


class _Stance(Enum):
    READY = "ready"
    BLOCKED = "blocked"
    STARTED = "started"


def gates(graph: Graph) -> list[NodeId]:
    """Return the nodes that wait for a decision: hexagons, and all with a `wait.` handler."""
    return [node for node in graph.nodes if _is_gate(graph, node) and not is_exit(graph, node)]


def _is_gate(graph: Graph, node: NodeId) -> bool:
    found = graph.nodes[node]
    return found.attrs.get("shape") == "hexagon" or graph.handler(found).startswith(_GATE_PREFIX)


def is_exit(graph: Graph, node: NodeId) -> bool:
    """Say whether the finalize gate stands before this node."""
    return graph.handler(graph.nodes[node]) == "exit"


def implements(graph: Graph, node: NodeId) -> bool:
    """Say whether a node leaves work behind that has to be judged; if unsure, it does."""
    handler = graph.handler(graph.nodes[node])
    return not handler.startswith(_GATE_PREFIX) and handler not in _ITS_OWN_VERDICT


def _decides(graph: Graph, node: Node) -> bool:
    return graph.handler(node) == "conditional"


def open_gates(graph: Graph, statuses: Mapping[NodeId, NodeState]) -> list[NodeId]:
    """Return the gates that still keep an exit from starting; empty means it may."""
    pending = NodeState.PENDING
    return [gate for gate in gates(graph) if statuses.get(gate, pending) not in DONE]


def _condition(edge: Edge) -> str:
    return edge.attrs.get("condition", "").strip()


@lru_cache(maxsize=1024)
def _parsed(condition: str) -> Condition:
    return parse_condition(condition)


@final
class Plan:
    """The ready nodes of one pipeline. The graph must not change while a plan is in use."""

    def __init__(
        self,
        graph: Graph,
        statuses: Mapping[NodeId, NodeState],
        outcomes: Mapping[NodeId, str],
    ) -> None:
        self._graph = graph
        self._order = list(graph.nodes)
        self._position = {node: at for at, node in enumerate(self._order)}
        self._states = {node: statuses.get(node, NodeState.PENDING) for node in self._order}
        self._outcomes = {node: outcomes[node] for node in self._order if node in outcomes}
        self._gates = frozenset(gates(graph))
        self._exits = [node for node in self._order if is_exit(graph, node)]
        self._decides = {node.id for node in graph.nodes.values() if _decides(graph, node)}
        self._required = dict.fromkeys(self._order, 0)
        self._met = dict.fromkeys(self._order, 0)
        self._taken = dict.fromkeys(self._order, 0)
        self._routed: set[NodeId] = set()
        self._count_requirements()
        for node in self._order:
            self._tally(node, 1)
        self._ready = [
            at for at, node in enumerate(self._order) if self._stance(node) is _Stance.READY
        ]

    def ready(self) -> list[NodeId]:
        """Return all nodes that may start now, in source order."""
        return [self._order[at] for at in self._ready]

    def state(self, node: NodeId) -> NodeState:
        """Return the state that the plan has been told."""
        return self._states[node]

    def move(self, node: NodeId, new_state: NodeState, outcome: str | None = None) -> Changes:
        """Take in that a node has moved; its outcome is kept for as long as it stays ended."""
        touched = dict.fromkeys([node, *(edge.target for edge in self._graph.outgoing[node])])
        if node in self._gates:
            touched.update(dict.fromkeys(self._exits))
        before = {each: self._stance(each) for each in touched}
        self._tally(node, -1)
        self._states[node] = new_state
        if outcome is not None:
            self._outcomes[node] = outcome
        elif new_state not in SETTLED:
            self._outcomes.pop(node, None)
        self._tally(node, 1)
        return self._settle(before)

    def blocked(self, node: NodeId) -> list[Requirement]:
        """Say what a node waits for; empty means that it is ready."""
        state = self._states[node]
        if state is not NodeState.PENDING:
            return [Requirement("state", node, state)]
        unmet = [
            Requirement("edge", edge.source, self._states[edge.source])
            for edge in self._graph.incoming[node]
            if not _condition(edge) and not self._holds(edge)
        ]
        if node in self._routed and not self._taken[node]:
            unmet += [
                Requirement("route", edge.source, self._states[edge.source], _condition(edge))
                for edge in self._graph.incoming[node]
            ]
        return unmet + self._unmet_gates(node)

    def _unmet_gates(self, node: NodeId) -> list[Requirement]:
        if node not in self._exits:
            return []
        return [
            Requirement("gate", gate, self._states[gate])
            for gate in self._in_order(self._gates)
            if self._states[gate] not in DONE
        ]

    def _count_requirements(self) -> None:
        for node, edges in self._graph.incoming.items():
            plain = sum(not self._is_route(edge) for edge in edges)
            self._required[node] = plain
            if edges and not plain:
                self._routed.add(node)
        for node in self._exits:
            self._required[node] += len(self._gates)

    def _is_route(self, edge: Edge) -> bool:
        condition = _condition(edge)
        try:
            return bool(condition and _parsed(condition))
        except ConditionError as error:
            error.where = self._graph.source.where(edge.offset)
            raise

    def _tally(self, node: NodeId, step: Literal[1, -1]) -> None:
        """Add (or take back) what this node's present state contributes to others."""
        for edge in self._graph.outgoing[node]:
            if self._holds(edge):
                counter = self._taken if _condition(edge) else self._met
                counter[edge.target] += step
        if node in self._gates and self._states[node] in DONE:
            for exit_ in self._exits:
                self._met[exit_] += step

    def _holds(self, edge: Edge) -> bool:
        state = self._states[edge.source]
        condition = _condition(edge)
        if not condition:
            # A failure without an outcome may be followed by another attempt.
            failed = state is NodeState.FAILED and edge.source in self._outcomes
            return state in DONE or (failed and edge.target in self._decides)
        if state not in SETTLED:
            return False
        by_state = "pass" if state in DONE else "fail"
        outcome = self._outcomes.get(edge.source, by_state)
        return evaluate(_parsed(condition), {"outcome": outcome})

    def _stance(self, node: NodeId) -> _Stance:
        if self._states[node] is not NodeState.PENDING:
            return _Stance.STARTED
        met = self._met[node] == self._required[node]
        routed = node not in self._routed or self._taken[node] > 0
        return _Stance.READY if met and routed else _Stance.BLOCKED

    def _settle(self, before: Mapping[NodeId, _Stance]) -> Changes:
        ready: list[NodeId] = []
        blocked: list[NodeId] = []
        for node in self._in_order(before):
            was, now = before[node], self._stance(node)
            if was is now:
                continue
            if was is _Stance.READY:
                del self._ready[bisect_left(self._ready, self._position[node])]
            if now is _Stance.READY:
                insort(self._ready, self._position[node])
                ready.append(node)
            elif now is _Stance.BLOCKED:
                blocked.append(node)
        return Changes(ready, blocked)

    def _in_order(self, nodes: Iterable[NodeId]) -> list[NodeId]:
        return sorted(nodes, key=self._position.__getitem__)
