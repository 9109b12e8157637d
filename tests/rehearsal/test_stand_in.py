"""Who answers a Runner when there is no Guardian."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.errors import InputError
from attractor.rehearsal.stand_in import StandIn
from signals import kinds


def heard(signal_type: str, **payload: Any) -> kinds.Signal:
    said = kinds.payload_of(signal_type, {"node_id": "n", **payload})
    return kinds.compose("runner", "guardian", said)


def answered(stand_in: StandIn, *signals: kinds.Signal) -> list[str | None]:
    answers = [stand_in.answer(signal) for signal in signals]
    return [answer and answer.signal_type for answer in answers]


def test_work_passes_unless_it_was_asked_for_otherwise_in_turn() -> None:
    stand_in = StandIn(["fail=mend it", "pass"])
    first = stand_in.answer(heard("NEEDS_REVIEW"))
    assert first == ("VALIDATION_FAILED", {"feedback": "mend it"})
    assert answered(stand_in, *[heard("NEEDS_REVIEW")] * 2) == ["VALIDATION_PASSED"] * 2


def test_a_question_gets_an_answer_that_fits_any() -> None:
    answer = StandIn().answer(heard("NEEDS_INPUT", question="red or blue?"))
    assert answer
    assert answer.signal_type == "INPUT_RESPONSE"
    assert answer.payload["response"]


def test_who_is_handed_back_gets_advice_once_and_is_ended_the_second_time() -> None:
    stuck = heard("ORCHESTRATOR_STUCK", rung="hand back")
    assert answered(StandIn(), stuck, stuck) == ["GUIDANCE", "KILL_ORCHESTRATOR"]


@pytest.mark.parametrize(
    "signal",
    [
        heard("ORCHESTRATOR_STUCK", rung="ask"),
        heard("ORCHESTRATOR_STUCK"),
        heard("VIOLATION"),
        heard("RUNNER_EXITED"),
    ],
)
def test_nothing_is_said_to_what_asks_nothing(signal: kinds.Signal) -> None:
    assert StandIn(["fail=x"]).answer(signal) is None


@pytest.mark.parametrize("text", ["", "maybe", "fail=", "fail= \n", "PASS"])
def test_what_is_no_verdict_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no verdict"):
        StandIn([text])


def test_every_answer_is_a_signal_that_can_be_sent() -> None:
    stand_in = StandIn(["fail=x", "pass"])
    stuck = heard("ORCHESTRATOR_STUCK", rung="hand back")
    for signal in (*[heard("NEEDS_REVIEW")] * 3, heard("NEEDS_INPUT"), stuck, stuck):
        answer = stand_in.answer(signal)
        assert answer
        kinds.payload_of(answer.signal_type, {"node_id": "n", **answer.payload})
