"""The life of a node: every state, every event, and what each event does in each state.

Theory of operation
===================

A node is always in exactly one `NodeState`. Nothing sets a state: something *happens*
(`NodeEvent`), `TABLE` says where that leads and what has to be done about it (`Effect`), and the
writer of the journal records the event, the state and the reason in one entry before it carries
out a single effect. The state of a run is the fold of those entries through this table.

There are two rules. First: everything that decides about states is in this file. Second: every
pair of state and event is written down. A pair that is missing is a mistake in the program, found
by a test; it is never a default.

Three answers are possible.

* A `Move`: the new state, and the effects, in the order in which they are due.
* `IGNORE`: the event is late news. `review_requested` and `failed` are reported by somebody who
  cannot know what was decided meanwhile (a Runner may die after its node was validated), so in a
  state that has no attempt under way they change nothing.
* `REFUSE`: the event is a decision that does not fit. Whoever decides knows the state, so this is
  a mistake, and `advance` raises `IllegalTransition`, which names the events that would be legal.

The ordinary way is pending, active, impl_complete, validated, accepted. Some things are on
purpose:

* Only a verdict leads to validated. A node with an implementation gets there through
  impl_complete; one without (a gate, a tool, a condition, the start, the exit) is its own verdict
  and goes there straight from active (`gate_passed`).
* `passed` means that the work is judged, merged, and the merge tested. A conflict or a red check
  is a `rejected`, with that as its feedback. So dependents start from what was tested. The one
  arrow back from validated is `reopened`: a decision of the graph (a diamond whose "fail" leads
  back) makes everything between there and here due again; its work stays merged.
* `rejected` keeps the attempt: the same session gets the feedback. `failed` ends the attempt, and
  a later `dispatched` starts the next one; whether there is a next one is not decided here.
* A cooldown or a crash of our own processes is no event: the attempt goes on afterwards.
* accepted is the only state that no event leaves.

Limits: the table does not know attempts, dependencies or retries. Superseded attempts are fenced
off, and repeated signals dropped by their id, before anything arrives here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import InputError


@final
class NodeState(enum.Enum):
    """Where a node stands; the values are those of the `status` attribute in DOT."""

    PENDING = "pending"  # waits for its dependencies, or for a free place
    ACTIVE = "active"  # an attempt is under way
    IMPL_COMPLETE = "impl_complete"  # the attempt asks to be judged
    VALIDATED = "validated"  # judged, merged, tested: its dependents may start
    ACCEPTED = "accepted"  # closed for good
    FAILED = "failed"  # the attempt is over without success


RUNNING: Final = frozenset({NodeState.ACTIVE, NodeState.IMPL_COMPLETE})  # an attempt exists
DONE: Final = frozenset({NodeState.VALIDATED, NodeState.ACCEPTED})  # dependents may start
OPEN: Final = frozenset({NodeState.PENDING}) | RUNNING  # the run still works on it
SETTLED: Final = frozenset(NodeState) - OPEN  # nothing happens unless somebody decides so
TERMINAL: Final = frozenset({NodeState.ACCEPTED})  # nothing can happen any more


@final
class NodeEvent(enum.Enum):
    """What can happen to a node; the values are what the journal says."""

    DISPATCHED = "dispatched"  # decided: an attempt begins
    REVIEW_REQUESTED = "review_requested"  # reported: the attempt says that it is ready
    PASSED = "passed"  # decided: judged good, merged, the merge tested
    GATE_PASSED = "gate_passed"  # decided: a node without an implementation is satisfied
    REJECTED = "rejected"  # decided: judged not good yet; feedback says why
    FAILED = "failed"  # decided or reported: the attempt is over without success
    ACCEPTED = "accepted"  # decided: closed for good
    REQUEUED = "requeued"  # decided: a failed node waits for its turn again
    REOPENED = "reopened"  # decided: a way back was taken, and what was done is due again


@final
class Effect(enum.Enum):
    """What must be done because of a move, after the move is durable; each may be done twice."""

    START_ATTEMPT = "start_attempt"  # spawn whoever carries the node out
    ASK_VALIDATION = "ask_validation"  # have the work judged, then merged and tested
    DELIVER_FEEDBACK = "deliver_feedback"  # tell the same attempt what is missing
    END_ATTEMPT = "end_attempt"  # stop its session; its branch and evidence stay
    COUNT_FAILURE = "count_failure"  # retry, give up, or ask a person
    RELEASE_DEPENDENTS = "release_dependents"  # look which nodes have become ready


@final
@dataclass(frozen=True, slots=True)
class Move:
    """Where an event leads, and what is then due, in this order."""

    to: NodeState
    effects: tuple[Effect, ...] = ()


@final
class Answer(enum.Enum):
    """The two answers that move nothing."""

    IGNORE = "ignore"
    REFUSE = "refuse"


IGNORE: Final = Answer.IGNORE
REFUSE: Final = Answer.REFUSE

_S, _E, _F = NodeState, NodeEvent, Effect

_START: Final = Move(_S.ACTIVE, (_F.START_ATTEMPT,))
_FAIL: Final = Move(_S.FAILED, (_F.END_ATTEMPT, _F.COUNT_FAILURE))
_PASS: Final = Move(_S.VALIDATED, (_F.END_ATTEMPT, _F.RELEASE_DEPENDENTS))

TABLE: Final[Mapping[tuple[NodeState, NodeEvent], Move | Answer]] = {
    (_S.PENDING, _E.DISPATCHED): _START,
    (_S.PENDING, _E.REVIEW_REQUESTED): REFUSE,
    (_S.PENDING, _E.PASSED): REFUSE,
    (_S.PENDING, _E.GATE_PASSED): REFUSE,
    (_S.PENDING, _E.REJECTED): REFUSE,
    (_S.PENDING, _E.FAILED): REFUSE,
    (_S.PENDING, _E.ACCEPTED): REFUSE,
    (_S.PENDING, _E.REQUEUED): REFUSE,
    (_S.PENDING, _E.REOPENED): REFUSE,
    (_S.ACTIVE, _E.DISPATCHED): REFUSE,
    (_S.ACTIVE, _E.REVIEW_REQUESTED): Move(_S.IMPL_COMPLETE, (_F.ASK_VALIDATION,)),
    (_S.ACTIVE, _E.PASSED): REFUSE,
    (_S.ACTIVE, _E.GATE_PASSED): _PASS,
    (_S.ACTIVE, _E.REJECTED): REFUSE,
    (_S.ACTIVE, _E.FAILED): _FAIL,
    (_S.ACTIVE, _E.ACCEPTED): REFUSE,
    (_S.ACTIVE, _E.REQUEUED): REFUSE,
    (_S.ACTIVE, _E.REOPENED): REFUSE,
    (_S.IMPL_COMPLETE, _E.DISPATCHED): REFUSE,
    (_S.IMPL_COMPLETE, _E.REVIEW_REQUESTED): IGNORE,
    (_S.IMPL_COMPLETE, _E.PASSED): _PASS,
    (_S.IMPL_COMPLETE, _E.GATE_PASSED): REFUSE,
    (_S.IMPL_COMPLETE, _E.REJECTED): Move(_S.ACTIVE, (_F.DELIVER_FEEDBACK,)),
    (_S.IMPL_COMPLETE, _E.FAILED): _FAIL,
    (_S.IMPL_COMPLETE, _E.ACCEPTED): REFUSE,
    (_S.IMPL_COMPLETE, _E.REQUEUED): REFUSE,
    (_S.IMPL_COMPLETE, _E.REOPENED): REFUSE,
    (_S.VALIDATED, _E.DISPATCHED): REFUSE,
    (_S.VALIDATED, _E.REVIEW_REQUESTED): IGNORE,
    (_S.VALIDATED, _E.PASSED): REFUSE,
    (_S.VALIDATED, _E.GATE_PASSED): REFUSE,
    (_S.VALIDATED, _E.REJECTED): REFUSE,
    (_S.VALIDATED, _E.FAILED): IGNORE,
    (_S.VALIDATED, _E.ACCEPTED): Move(_S.ACCEPTED),
    (_S.VALIDATED, _E.REQUEUED): REFUSE,
    (_S.VALIDATED, _E.REOPENED): Move(_S.PENDING),
    (_S.ACCEPTED, _E.DISPATCHED): REFUSE,
    (_S.ACCEPTED, _E.REVIEW_REQUESTED): IGNORE,
    (_S.ACCEPTED, _E.PASSED): REFUSE,
    (_S.ACCEPTED, _E.GATE_PASSED): REFUSE,
    (_S.ACCEPTED, _E.REJECTED): REFUSE,
    (_S.ACCEPTED, _E.FAILED): IGNORE,
    (_S.ACCEPTED, _E.ACCEPTED): REFUSE,
    (_S.ACCEPTED, _E.REQUEUED): REFUSE,
    (_S.ACCEPTED, _E.REOPENED): REFUSE,
    (_S.FAILED, _E.DISPATCHED): _START,
    (_S.FAILED, _E.REVIEW_REQUESTED): IGNORE,
    (_S.FAILED, _E.PASSED): REFUSE,
    (_S.FAILED, _E.GATE_PASSED): REFUSE,
    (_S.FAILED, _E.REJECTED): REFUSE,
    (_S.FAILED, _E.FAILED): IGNORE,
    (_S.FAILED, _E.ACCEPTED): REFUSE,
    (_S.FAILED, _E.REQUEUED): Move(_S.PENDING),
    (_S.FAILED, _E.REOPENED): REFUSE,
}

# True: only for nodes with an implementation to judge; False: only for nodes without one; None:
# never asked for by name, because it follows from the graph.
_ONLY_WHERE_IMPLEMENTED: Final = {
    _E.REVIEW_REQUESTED: True,
    _E.GATE_PASSED: False,
    _E.REOPENED: None,
}


@final
class IllegalTransition(InputError):  # noqa: N818 - the name is the sentence; h11 and we say it so
    """An event, or a target state, that does not fit the state; `legal` names what does."""

    code = "transition"

    @property
    def state(self) -> NodeState:
        """The state in which the node is."""
        return NodeState(self.details["state"])

    @property
    def event(self) -> NodeEvent | None:
        """The event that did not fit; None where a target state was asked for."""
        said = self.details.get("event")
        return NodeEvent(said) if said else None

    @property
    def legal(self) -> tuple[str, ...]:
        """The events, or the target states, that would have been legal."""
        return tuple(self.details["legal"])


def advance(state: NodeState, event: NodeEvent, *, where: str = "") -> Move:
    """Return what the event does: a move, which stays in `state` without effects for late news."""
    answer = TABLE[state, event]
    if isinstance(answer, Move):
        return answer
    if answer is IGNORE:
        return Move(state)
    legal = [each.value for each in NodeEvent if isinstance(TABLE[state, each], Move)]
    raise IllegalTransition(
        f"{event.value} cannot happen to a node that is {state.value}",
        where=where,
        fix=_say_legal("what can happen to it is", legal),
        state=state.value,
        event=event.value,
        legal=legal,
    )


def moves(state: NodeState, *, implements: bool) -> dict[NodeState, NodeEvent]:
    """Return the states that a node can go to from here, each with the event that leads there."""
    return {
        move.to: event
        for event in NodeEvent
        if isinstance(move := TABLE[state, event], Move)
        and _ONLY_WHERE_IMPLEMENTED.get(event, implements) is implements
    }


def event_for(
    state: NodeState, target: NodeState, *, implements: bool, where: str = ""
) -> NodeEvent:
    """Return the event that moves a node to `target`, or raise with the legal target states.

    `implements` says whether the node has an implementation to be judged.
    """
    legal = moves(state, implements=implements)
    if target in legal:
        return legal[target]
    names = [each.value for each in legal]
    raise IllegalTransition(
        f"a node that is {state.value} cannot become {target.value}"
        if target is not state
        else f"the node is already {state.value}",
        where=where,
        fix=_say_legal("from here it can become", names),
        state=state.value,
        target=target.value,
        legal=names,
    )


def _say_legal(what: str, names: list[str]) -> str:
    return f"{what} {' or '.join(names)}" if names else "nothing can happen to it any more"
