from __future__ import annotations

import pickle

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from attractor.errors import InputError
from attractor.run.states import (
    DONE,
    IGNORE,
    OPEN,
    REFUSE,
    RUNNING,
    SETTLED,
    TABLE,
    TERMINAL,
    Effect,
    IllegalTransition,
    Move,
    NodeEvent,
    NodeState,
    advance,
    event_for,
    moves,
)

S, E = NodeState, NodeEvent
PAIRS = [(state, event) for state in NodeState for event in NodeEvent]
MOVES = {pair: answer for pair, answer in TABLE.items() if isinstance(answer, Move)}

# Every arrow that the harness knows, and who may take it: True and False as in `implements`.
HARNESS = {
    (S.PENDING, S.ACTIVE): {True, False},
    (S.ACTIVE, S.IMPL_COMPLETE): {True},
    (S.ACTIVE, S.VALIDATED): {False},
    (S.ACTIVE, S.FAILED): {True, False},
    (S.IMPL_COMPLETE, S.VALIDATED): {True, False},
    (S.IMPL_COMPLETE, S.ACTIVE): {True, False},
    (S.IMPL_COMPLETE, S.FAILED): {True, False},
    (S.VALIDATED, S.ACCEPTED): {True, False},
    (S.FAILED, S.ACTIVE): {True, False},
    (S.FAILED, S.PENDING): {True, False},
}


def reached_from(state: NodeState) -> set[NodeState]:
    seen: set[NodeState] = set()
    waiting = [state]
    while waiting:
        at = waiting.pop()
        following = {move.to for (source, _), move in MOVES.items() if source is at}
        waiting += following - seen
        seen |= following
    return seen


def test_the_table_answers_every_pair_of_state_and_event() -> None:
    assert set(TABLE) == set(PAIRS)


def test_states_and_events_are_written_as_in_dot_and_journal() -> None:
    assert [each.value for each in NodeState] == [
        "pending",
        "active",
        "impl_complete",
        "validated",
        "accepted",
        "failed",
    ]
    assert all(event.value == event.name.lower() for event in NodeEvent)


def test_every_state_that_is_not_done_can_reach_accepted_and_failed() -> None:
    for state in set(NodeState) - DONE:
        assert {S.ACCEPTED, S.FAILED} <= reached_from(state) | {state}, state


def test_validated_leads_to_accepted_or_back_and_accepted_nowhere() -> None:
    assert TABLE[S.VALIDATED, E.REOPENED] == Move(S.PENDING)
    back = {state for (state, event), move in MOVES.items() if event is E.REOPENED}
    assert back == {S.VALIDATED}
    assert reached_from(S.ACCEPTED) == set()


def test_every_state_can_be_reached_from_pending() -> None:
    assert reached_from(S.PENDING) == set(NodeState)


def test_the_arrows_are_those_of_the_harness_and_no_others() -> None:
    allowed: dict[tuple[NodeState, NodeState], set[bool]] = {}
    for implements in (True, False):
        for state in NodeState:
            for target in moves(state, implements=implements):
                allowed.setdefault((state, target), set()).add(implements)
    assert allowed == HARNESS


def test_no_two_events_lead_from_one_state_to_the_same_other() -> None:
    arrows = [(state, move.to) for (state, _), move in MOVES.items()]
    assert len(arrows) == len(set(arrows))


def test_no_move_stays_where_it_is() -> None:
    assert all(move.to is not state for (state, _), move in MOVES.items())


def test_the_subsets_divide_the_states() -> None:
    assert set(NodeState) == OPEN | SETTLED
    assert not OPEN & SETTLED
    assert RUNNING < OPEN
    assert DONE < SETTLED
    assert {state for state in NodeState if not reached_from(state)} == TERMINAL


def test_an_attempt_starts_and_ends_exactly_where_running_is_entered_and_left() -> None:
    for (state, event), move in MOVES.items():
        enters = state not in RUNNING and move.to in RUNNING
        leaves = state in RUNNING and move.to not in RUNNING
        assert (Effect.START_ATTEMPT in move.effects) is enters, (state, event)
        assert (Effect.END_ATTEMPT in move.effects) is leaves, (state, event)


def test_dependents_are_released_exactly_where_done_is_entered() -> None:
    for (state, event), move in MOVES.items():
        enters = state not in DONE and move.to in DONE
        assert (Effect.RELEASE_DEPENDENTS in move.effects) is enters, (state, event)


def test_a_failure_is_counted_exactly_where_failed_is_entered() -> None:
    for (state, event), move in MOVES.items():
        assert (Effect.COUNT_FAILURE in move.effects) is (move.to is S.FAILED), (state, event)


def test_every_effect_is_due_somewhere() -> None:
    assert {effect for move in MOVES.values() for effect in move.effects} == set(Effect)


def test_only_reports_are_ever_ignored() -> None:
    ignored = {event for (_, event), answer in TABLE.items() if answer is IGNORE}
    assert ignored == {E.REVIEW_REQUESTED, E.FAILED}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_advance_does_what_the_table_says(state: NodeState, event: NodeEvent) -> None:
    answer = TABLE[state, event]
    if isinstance(answer, Move):
        assert advance(state, event) is answer
    elif answer is IGNORE:
        assert advance(state, event) == Move(state)
    else:
        with pytest.raises(IllegalTransition) as refused:
            advance(state, event)
        legal = tuple(e.value for e in NodeEvent if (state, e) in MOVES)
        assert (refused.value.state, refused.value.event) == (state, event)
        assert refused.value.legal == legal
        assert all(name in refused.value.fix for name in legal)


@pytest.mark.parametrize("implements", [True, False])
@pytest.mark.parametrize("state", NodeState)
@pytest.mark.parametrize("target", NodeState)
def test_event_for_finds_the_event_or_names_the_legal_targets(
    state: NodeState, target: NodeState, implements: bool
) -> None:
    legal = {to for (source, to), who in HARNESS.items() if source is state and implements in who}
    if target in legal:
        event = event_for(state, target, implements=implements)
        assert advance(state, event).to is target
        return
    with pytest.raises(IllegalTransition) as refused:
        event_for(state, target, implements=implements, where="p.dot node a")
    assert set(refused.value.legal) == {each.value for each in legal}
    assert all(each.value in refused.value.fix for each in legal)
    assert refused.value.event is None
    assert refused.value.where == "p.dot node a"


def test_an_illegal_transition_says_what_would_be_legal() -> None:
    with pytest.raises(IllegalTransition) as refused:
        event_for(S.ACTIVE, S.ACCEPTED, implements=True)
    assert str(refused.value) == (
        "a node that is active cannot become accepted\n"
        "  from here it can become impl_complete or failed"
    )
    with pytest.raises(IllegalTransition, match="already active"):
        event_for(S.ACTIVE, S.ACTIVE, implements=True)
    with pytest.raises(IllegalTransition, match="nothing can happen to it any more"):
        event_for(S.ACCEPTED, S.ACTIVE, implements=True)


def test_an_illegal_transition_is_the_users_mistake_and_survives_pickling() -> None:
    with pytest.raises(InputError) as refused:
        advance(S.PENDING, E.ACCEPTED, where="p.dot")
    error = refused.value
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.legal) == (IllegalTransition, str(error), error.legal)
    assert error.as_json() == {
        "status": "error",
        "code": "transition",
        "message": "accepted cannot happen to a node that is pending",
        "where": "p.dot",
        "fix": "what can happen to it is dispatched",
        "state": "pending",
        "event": "accepted",
        "legal": ["dispatched"],
    }


class Life(RuleBasedStateMachine):
    """Random events against one node, and what must hold of it whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.state = S.PENDING
        self.judged = False
        self.attempts = 0
        self.ended = 0
        self.done = False

    @rule(event=st.sampled_from(NodeEvent))
    def happens(self, event: NodeEvent) -> None:
        answer = TABLE[self.state, event]
        try:
            move = advance(self.state, event)
        except IllegalTransition:
            assert answer is REFUSE
            return
        assert answer is not REFUSE
        self.attempts += move.effects.count(Effect.START_ATTEMPT)
        self.ended += move.effects.count(Effect.END_ATTEMPT)
        self.judged = self.judged or event in {E.PASSED, E.GATE_PASSED}
        if event is E.REOPENED:
            # A way back begins anew: no verdict of before counts.
            self.judged = self.done = False
        self.state = move.to

    @precondition(lambda self: self.state is S.ACCEPTED)
    @rule(event=st.sampled_from(NodeEvent))
    def nothing_leaves_accepted(self, event: NodeEvent) -> None:
        assert not isinstance(TABLE[self.state, event], Move)

    @invariant()
    def done_is_never_undone(self) -> None:
        assert not self.done or self.state in DONE
        self.done = self.state in DONE

    @invariant()
    def nothing_is_done_without_a_verdict(self) -> None:
        assert self.state not in DONE or self.judged

    @invariant()
    def an_attempt_is_under_way_exactly_while_running(self) -> None:
        assert self.attempts - self.ended == (self.state in RUNNING)


TestLife = Life.TestCase
