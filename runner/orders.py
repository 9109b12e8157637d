"""What the Guardian's signals, and a person's, mean for the state of a Runner. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, final

from runner import ladder, speech
from runner.breaker import Breaker
from runner.speech import Saying
from runner.state import Phase, State


@final
class Order(NamedTuple):
    """What the Guardian, or a person, sent."""

    name: str  # of its file
    id: str
    type: str
    text: str
    attempt: int | None
    source: str


_MOST_HEARD: Final = 200
COMPLETE: Final = "COMPLETE"
FAILED: Final = "FAILED"


def obey(state: State, order: Order) -> State:
    """Return the state after one signal; one that was obeyed before changes nothing."""
    if order.id in state.heard:
        return state
    heard = replace(state, heard=(*state.heard, order.id)[-_MOST_HEARD:])
    late = order.attempt not in (None, state.attempt)
    meaning = _MEANINGS.get(order.type)
    if meaning is None or late or state.phase in (Phase.ENDING, Phase.CLOSING, Phase.ENDED):
        return heard
    return meaning(heard, order)


def _passed(state: State, order: Order) -> State:
    del order
    reason = "validated"
    if state.head != state.reviewed:
        reason = f"validated at {state.reviewed or 'no commit'}; what came later was not judged"
    return replace(state, phase=Phase.ENDING, mode=COMPLETE, reason=reason, waiting="")


def _rejected(state: State, order: Order) -> State:
    text = f"The work was judged and is not accepted yet.\n\n{order.text}\n\n{_AGAIN}"
    return _resumed(state, order, text, "validation failed")


def _response(state: State, order: Order) -> State:
    return _resumed(state, order, f"The answer to your question:\n\n{order.text}", "an answer")


def _guidance(state: State, order: Order) -> State:
    if not order.text.strip():
        return state
    told = _say(state, order, order.text, "guidance")
    if state.waiting == "guidance":
        # Somebody has looked at it: it begins at the foot again, with all its restarts.
        told = replace(
            told,
            waiting="",
            ladder=ladder.Ladder(),
            breaker=Breaker(),
            refusals=0,
            view=replace(told.view, violations=0),
        )
    return told


def _killed(state: State, order: Order) -> State:
    reason = order.text or f"ended by the {order.source}"
    return replace(state, phase=Phase.ENDING, mode=FAILED, reason=reason, waiting="")


def _resumed(state: State, order: Order, text: str, why: str) -> State:
    told = _say(state, order, text, why)
    return replace(told, waiting="", ladder=ladder.progressed(told.ladder), refusals=0)


def _say(state: State, order: Order, text: str, why: str) -> State:
    urgent = order.source != "guardian"  # a person who nudges does not want to wait
    saying = Saying(id=order.id, text=text, why=why, urgent=urgent)
    return replace(state, speech=speech.add(state.speech, saying))


_AGAIN: Final = (
    "Mend this, have it tested and committed, and end with <promise>NODE_COMPLETE</promise> "
    "on a line of its own when it is done."
)
_MEANINGS: Final[Mapping[str, Callable[[State, Order], State]]] = {
    "VALIDATION_PASSED": _passed,
    "VALIDATION_FAILED": _rejected,
    "INPUT_RESPONSE": _response,
    "GUIDANCE": _guidance,
    "KILL_ORCHESTRATOR": _killed,
}
