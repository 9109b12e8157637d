"""Which nodes are ready: the rules one by one, then against a plan built from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from attractor.pipeline.conditions import ConditionError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Edge, Graph, NodeId, build
from attractor.run.plan import Plan, open_gates
from attractor.run.states import NodeState

PENDING, ACTIVE, VALIDATED, ACCEPTED, FAILED = (
    NodeState.PENDING,
    NodeState.ACTIVE,
    NodeState.VALIDATED,
    NodeState.ACCEPTED,
    NodeState.FAILED,
)


def graph_of(body: str) -> Graph:
    return build(parse(f"digraph p {{ {body} }}", "p.dot"))


def plan_of(body: str, outcomes: dict[str, str] | None = None, **statuses: NodeState) -> Plan:
    states = {NodeId(node): state for node, state in statuses.items()}
    return Plan(graph_of(body), states, {NodeId(k): v for k, v in (outcomes or {}).items()})


def test_a_node_without_requirements_is_ready_and_others_wait() -> None:
    assert plan_of("a -> b").ready() == ["a"]


@pytest.mark.parametrize("done", [VALIDATED, ACCEPTED])
def test_a_node_is_ready_when_all_its_sources_are_done(done: NodeState) -> None:
    body = "a -> c; b -> c"
    assert plan_of(body, a=done).ready() == ["b"]
    assert plan_of(body, a=done, b=done).ready() == ["c"]


@pytest.mark.parametrize("state", [ACTIVE, NodeState.IMPL_COMPLETE, FAILED])
def test_a_source_that_is_not_done_holds_its_targets_back(state: NodeState) -> None:
    assert plan_of("a -> b", a=state).ready() == []


def test_ready_nodes_come_in_the_order_of_the_source_whatever_the_order_of_moves() -> None:
    plan = plan_of("r; d; b; a; c; r -> d; r -> b; r -> a; r -> c", r=VALIDATED)
    for node in "bcad":
        plan.move(NodeId(node), ACTIVE)
    for node in "cadb":
        plan.move(NodeId(node), PENDING)
    assert plan.ready() == ["d", "b", "a", "c"]


ROUTES = "d [shape=diamond]; d -> good [condition=pass]; d -> bad [condition=fail]"


@pytest.mark.parametrize(
    ("state", "outcome", "ready"),
    [
        (VALIDATED, None, ["good"]),
        (FAILED, None, ["bad"]),
        (VALIDATED, "fail", ["bad"]),
        (VALIDATED, "partial", []),
        (ACTIVE, None, []),
    ],
)
def test_a_route_is_taken_by_the_recorded_outcome_or_else_by_the_state(
    state: NodeState, outcome: str | None, ready: list[str]
) -> None:
    plan = plan_of(ROUTES)
    plan.move(NodeId("d"), state, outcome)
    assert plan.ready() == ready


def test_one_taken_route_of_several_is_enough() -> None:
    body = "a -> c [condition=pass]; b -> c [condition=pass]"
    assert plan_of(body, a=VALIDATED, b=FAILED).ready() == ["c"]


def test_the_specification_s_words_mean_the_same_outcomes() -> None:
    body = 'a -> b [condition="outcome=success"]; a -> c [condition="outcome=fail"]'
    assert plan_of(body, a=VALIDATED).ready() == ["b"]


def test_the_back_edge_of_a_guarded_cycle_never_deadlocks() -> None:
    plan = plan_of(
        "s -> impl; impl -> d; d [shape=diamond]; d -> end [condition=pass];"
        "d -> impl [condition=fail]",
        s=ACCEPTED,
    )
    assert plan.ready() == ["impl"]
    plan.move(NodeId("impl"), VALIDATED)
    plan.move(NodeId("d"), VALIDATED, "fail")
    assert plan.ready() == []
    # The retry: the loop goes round again, and the old outcome is forgotten.
    assert plan.move(NodeId("impl"), PENDING).ready == ["impl"]
    plan.move(NodeId("d"), PENDING)
    plan.move(NodeId("impl"), VALIDATED)
    assert plan.ready() == ["d"]
    assert plan.move(NodeId("d"), VALIDATED).ready == ["end"]


def test_a_condition_that_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(ConditionError) as caught:
        plan_of('a -> b [condition="x == y"]')
    assert caught.value.where.startswith("p.dot:1:")


GATED = "g1 [shape=hexagon]; g2 [shape=hexagon]; w; end [shape=Msquare]; w -> end"


def test_an_exit_waits_for_every_gate_even_one_that_no_edge_leads_from() -> None:
    plan = plan_of(GATED, w=VALIDATED, g1=VALIDATED)
    assert plan.ready() == ["g2"]
    assert plan.move(NodeId("g2"), VALIDATED).ready == ["end"]
    assert plan.move(NodeId("g1"), FAILED).blocked == ["end"]


def test_an_exit_that_looks_like_a_gate_does_not_wait_for_itself() -> None:
    assert plan_of("end [shape=hexagon, handler=exit]").ready() == ["end"]


def test_open_gates_are_named_in_source_order() -> None:
    graph = graph_of(GATED)
    assert open_gates(graph, {NodeId("g1"): ACTIVE}) == ["g1", "g2"]
    assert open_gates(graph, {NodeId("g1"): ACCEPTED, NodeId("g2"): VALIDATED}) == []


def test_blocked_names_each_requirement_as_data() -> None:
    plan = plan_of(GATED + "; v -> end", g1=VALIDATED, w=FAILED)
    said = [(each.kind, each.source, each.state) for each in plan.blocked(NodeId("end"))]
    assert said == [("edge", "w", FAILED), ("edge", "v", PENDING), ("gate", "g2", PENDING)]


def test_blocked_names_all_routes_when_none_is_taken() -> None:
    plan = plan_of(ROUTES, d=ACTIVE)
    [route] = plan.blocked(NodeId("good"))
    assert (route.kind, route.source, route.condition) == ("route", "d", "pass")


def test_blocked_is_empty_for_a_ready_node_and_names_the_state_of_a_started_one() -> None:
    plan = plan_of("a; b", b=ACTIVE)
    assert plan.blocked(NodeId("a")) == []
    [state] = plan.blocked(NodeId("b"))
    assert (state.kind, state.state) == ("state", ACTIVE)


def test_a_move_reports_what_became_ready_and_what_no_longer_is() -> None:
    plan = plan_of("a -> b; a -> c; x -> c")
    changes = plan.move(NodeId("a"), VALIDATED)
    assert (changes.ready, changes.blocked) == (["b"], [])
    changes = plan.move(NodeId("a"), FAILED)
    assert (changes.ready, changes.blocked) == ([], ["b"])


class Counting(dict[NodeId, list[Edge]]):
    """A mapping that counts the edges that are looked at."""

    def __init__(self, edges: dict[NodeId, list[Edge]]) -> None:
        super().__init__(edges)
        self.touched = 0

    def __getitem__(self, node: NodeId) -> Any:
        return self._counted(super().__getitem__(node))

    def items(self) -> Any:
        return [(node, self[node]) for node in self]

    def values(self) -> Any:
        return [self[node] for node in self]

    def _counted(self, edges: list[Edge]) -> Iterator[Edge]:
        for edge in edges:
            self.touched += 1
            yield edge


def touched_by_a_move(width: int) -> int:
    """Move one node of degree 2 in a graph with `width` such nodes; count the edges touched."""
    chains = "".join(f"a{n} -> b{n}; a{n} -> c{n};" for n in range(width))
    graph = graph_of(chains)
    plan = Plan(graph, {}, {})
    outgoing, incoming = Counting(graph.outgoing), Counting(graph.incoming)
    graph.outgoing, graph.incoming = outgoing, incoming
    graph.edges = []
    changes = plan.move(NodeId("a1"), VALIDATED)
    assert changes.ready == ["b1", "c1"]
    return outgoing.touched + incoming.touched


def test_a_move_touches_its_own_edges_and_not_the_graph() -> None:
    small, large = touched_by_a_move(3), touched_by_a_move(1000)
    assert small == large
    assert large <= 4 * 2  # degree 2, at most four looks at each edge


CONDITIONS = ["", "", "", "pass", "fail", "partial", "pass|partial", "outcome!=fail"]
SHAPES = ["box", "box", "diamond", "hexagon", "Msquare", "hexagon, handler=exit"]


class IncrementalPlan(RuleBasedStateMachine):
    """After every move, the plan equals one that is built from scratch."""

    @initialize(data=st.data())
    def draw_a_graph(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(1, 5))
        nodes = [f"n{at} [shape={data.draw(st.sampled_from(SHAPES))}];" for at in range(size)]
        pairs = data.draw(
            st.lists(
                st.tuples(
                    st.integers(0, size - 1), st.integers(0, size - 1), st.sampled_from(CONDITIONS)
                ),
                max_size=8,
            )
        )
        edges = [f'n{a} -> n{b} [condition="{c}"];' for a, b, c in pairs]
        self.graph = graph_of("".join(nodes + edges))
        self.states = dict.fromkeys(self.graph.nodes, PENDING)
        self.outcomes: dict[NodeId, str] = {}
        self.plan = Plan(self.graph, self.states, self.outcomes)

    @rule(
        at=st.integers(0, 4),
        state=st.sampled_from(NodeState),
        outcome=st.sampled_from([None, None, "pass", "fail", "partial"]),
    )
    def move(self, at: int, state: NodeState, outcome: str | None) -> None:
        node = list(self.graph.nodes)[at % len(self.graph.nodes)]
        before_ready, before_blocked = self.plan.ready(), self.waiting(self.plan)
        if state not in {VALIDATED, ACCEPTED, FAILED}:
            outcome = None
            self.outcomes.pop(node, None)
        elif outcome:
            self.outcomes[node] = outcome
        self.states[node] = state
        changes = self.plan.move(node, state, outcome)
        fresh = Plan(self.graph, self.states, self.outcomes)
        assert changes.ready == [n for n in fresh.ready() if n not in before_ready]
        assert changes.blocked == [n for n in self.waiting(fresh) if n not in before_blocked]

    def waiting(self, plan: Plan) -> list[NodeId]:
        ready = set(plan.ready())
        return [n for n in self.graph.nodes if plan.state(n) is PENDING and n not in ready]

    @invariant()
    def it_equals_a_plan_from_scratch(self) -> None:
        fresh = Plan(self.graph, self.states, self.outcomes)
        assert self.plan.ready() == fresh.ready()
        for node in self.graph.nodes:
            assert self.plan.blocked(node) == fresh.blocked(node)
            assert bool(self.plan.blocked(node)) is (node not in self.plan.ready())


# Few and short: shrinking a failure takes many runs, and must end before the test's timeout.
IncrementalPlan.TestCase.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=15, phases=set(Phase) - {Phase.explain}
)
test_moves_keep_the_plan_equal_to_one_from_scratch = IncrementalPlan.TestCase


def test_a_condition_starts_when_what_stands_before_it_has_ended_for_good_either_way() -> None:
    graph = graph_of("a [shape=box] d [shape=diamond] a -> d")
    plan = Plan(graph, {NodeId("a"): ACTIVE}, {})
    assert plan.move(NodeId("a"), FAILED).ready == []  # another attempt may follow
    plan.move(NodeId("a"), ACTIVE)
    assert plan.move(NodeId("a"), FAILED, "fail").ready == ["d"]
