"""Each type of signal has its row, and does what the row says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attractor.run.limits import Limits
from attractor.run.states import NodeState
from guardian.advance import advance
from guardian.hearing import RULES, Heard, hear
from signals.names import SIGNAL_TYPES

GRAPH = """digraph g {
  start [handler="start"]; w [handler="codergen"]; finish [handler="exit"];
  start -> w -> finish;
}"""
RUBRIC = {"ok": True, "folder": "/r", "by": "hand", "files": {}, "scope": {}, "acceptance": {}}
NEWS = {
    "AGENT_CRASHED": {"agent_id": "a"},
    "AGENT_REGISTERED": {"agent_id": "a", "session_id": "s1", "blindness": "bwrap"},
    "AGENT_TERMINATED": {"agent_id": "a"},
    "NODE_COMPLETE": {"node_id": "w", "summary": "done"},
    "ORCHESTRATOR_CRASHED": {"node_id": "w", "last_output": "boom"},
    "VALIDATION_COMPLETE": {"node_id": "w", "summary": "well"},
}
FOR_OTHERS = sorted(name for name, rule in RULES.items() if rule is None)


@pytest.fixture
def core(house: type[Any]) -> Any:
    """A run whose only work is under way."""
    made = house(GRAPH, {"": Limits(max_violations=3)})
    loop = made.guardian()
    loop.step()
    made.finish("rubric-1", RUBRIC)
    loop.step()
    assert loop.core.story.state("w") is NodeState.ACTIVE
    return loop.core


def said(
    kind: str, id_: str = "s1", node: str = "w", attempt: int | None = 1, **payload: Any
) -> Heard:
    return Heard(id_, kind, "runner", node, attempt, payload)


def made(core: Any) -> list[tuple[str, dict[str, Any]]]:
    return core.take()


def test_every_type_of_signal_has_exactly_one_row() -> None:
    assert set(RULES) == SIGNAL_TYPES


@pytest.mark.parametrize("kind", sorted(NEWS))
def test_news_are_noted_and_move_nothing(core: Any, kind: str) -> None:
    hear(core, said(kind, **NEWS[kind]))
    ((event, data),) = made(core)
    assert (event, data["type"], data["signal_id"]) == ("SignalHeard", kind, "s1")
    assert core.story.state("w") is NodeState.ACTIVE


@pytest.mark.parametrize("kind", FOR_OTHERS)
def test_what_is_for_somebody_else_leaves_no_trace(core: Any, kind: str) -> None:
    hear(core, said(kind, node_id="w"))
    assert made(core) == []


def test_a_registered_session_is_known_by_its_id(core: Any) -> None:
    hear(core, said("AGENT_REGISTERED", **NEWS["AGENT_REGISTERED"]))
    attempt = core.attempt("w")
    assert (attempt.session_id, attempt.blindness) == ("s1", "bwrap")


def test_a_signal_counts_once(core: Any) -> None:
    for _ in range(2):
        hear(core, said("NODE_COMPLETE"))
    assert len(made(core)) == 1


@pytest.mark.parametrize("attempt", [None, 0, 2])
def test_a_signal_of_another_attempt_leaves_no_trace(core: Any, attempt: int | None) -> None:
    hear(core, said("NEEDS_REVIEW", attempt=attempt, commit_hash="c"))
    assert made(core) == []


def test_a_signal_of_an_attempt_that_is_over_leaves_no_trace(core: Any) -> None:
    hear(core, said("RUNNER_EXITED", reason="gone"))
    made(core)
    hear(core, said("NEEDS_REVIEW", "s2", commit_hash="c"))
    assert made(core) == []


@pytest.mark.parametrize("node", ["nobody", "", "finish"])
def test_a_signal_about_what_is_not_under_way_leaves_no_trace(core: Any, node: str) -> None:
    hear(core, said("NEEDS_REVIEW", node=node, commit_hash="c"))
    assert made(core) == []


def test_what_is_handed_in_is_to_be_judged(core: Any) -> None:
    hear(core, said("NEEDS_REVIEW", commit_hash="c1", summary="done", usage={"turns": 2}))
    ((_, data),) = made(core)
    assert (data["event"], data["commit"], data["to"]) == (
        "review_requested",
        "c1",
        "impl_complete",
    )
    assert core.attempt("w").usage == {"turns": 2}


def test_a_claim_without_a_commit_is_noted_only(core: Any) -> None:
    hear(core, said("NEEDS_REVIEW", summary="done"))
    assert made(core)[0][0] == "SignalHeard"
    assert core.story.state("w") is NodeState.ACTIVE


def test_what_is_handed_in_while_something_is_judged_is_noted_only(core: Any) -> None:
    hear(core, said("NEEDS_REVIEW", commit_hash="c1"))
    hear(core, said("NEEDS_REVIEW", "s2", commit_hash="c2"))
    assert core.attempt("w").commit == "c1"
    assert made(core)[1][0] == "SignalHeard"


def test_a_question_begins_a_task_that_answers_it(core: Any) -> None:
    hear(core, said("NEEDS_INPUT", question="Which?", options=["a", "b"]))
    ((event, data),) = made(core)
    assert (event, data["kind"], data["signal_id"]) == ("TaskBegun", "answer", "s1")
    assert data["about"] == {"question": "Which?", "options": ["a", "b"]}


def test_the_first_violation_is_answered_and_the_last_ends_the_attempt(core: Any) -> None:
    for number in range(3):
        hear(core, said("VIOLATION", f"v{number}", reason="it wrote"))
    advance(core)
    told = [[each["type"] for each in data.get("orders", [])] for _, data in made(core)]
    assert told == [["GUIDANCE"], [], [], ["KILL_ORCHESTRATOR"]]
    assert core.story.state("w") is NodeState.FAILED


@pytest.mark.parametrize("rung", ["ask", "interrupt", "restart", None])
def test_a_stuck_session_is_its_runners_matter_at_first(core: Any, rung: str | None) -> None:
    hear(core, said("ORCHESTRATOR_STUCK", rung=rung))
    ((_, data),) = made(core)
    assert "orders" not in data


def test_who_hands_back_gets_guidance_from_what_was_seen(core: Any) -> None:
    hear(core, said("ORCHESTRATOR_STUCK", rung="hand back", last_output="waiting for the moon"))
    ((_, data),) = made(core)
    (order,) = data["orders"]
    assert order["type"] == "GUIDANCE"
    assert "waiting for the moon" in order["payload"]["message"]


def test_guidance_is_given_twice_and_then_the_attempt_is_over(core: Any) -> None:
    for number in range(3):
        hear(core, said("ORCHESTRATOR_STUCK", f"h{number}", rung="hand back"))
    advance(core)
    told = [[each["type"] for each in data.get("orders", [])] for _, data in made(core)]
    assert told == [["GUIDANCE"], ["GUIDANCE"], [], ["KILL_ORCHESTRATOR"]]


@pytest.mark.parametrize("mode", ["COMPLETE", "FAILED", None])
def test_a_runner_that_ends_before_anything_was_accepted_has_failed(
    core: Any, mode: str | None
) -> None:
    hear(core, said("RUNNER_EXITED", mode=mode, reason="it is over"))
    ((_, data),) = made(core)
    assert (data["event"], data["closed"]) == ("failed", True)
    assert "orders" not in data


def test_a_runner_that_ends_after_handing_in_closes_its_attempt_only(core: Any) -> None:
    hear(core, said("NEEDS_REVIEW", commit_hash="c1"))
    hear(core, said("RUNNER_EXITED", "s2", mode="COMPLETE", reason="COMPLETE"))
    assert made(core)[1][0] == "AttemptClosed"
    assert core.story.state("w") is NodeState.IMPL_COMPLETE


def test_a_wish_to_stop_is_taken_once(core: Any) -> None:
    for number in range(2):
        hear(core, Heard(f"x{number}", "STOP_RUN", "terminal", "", None, {"reason": "enough"}))
    ((event, data),) = made(core)
    assert (event, data["reason"], data["result"]) == ("Stopping", "enough", "stopped")


def asked(core: Any) -> None:
    core.add(
        "DecisionAsked",
        {"id": "d1", "node": "w", "attempt": 1, "kind": "input", "question": "?",
         "options": ["a", "b"]},
    )  # fmt: skip
    core.take()


def response(text: str, id_: str = "p1") -> Heard:
    return Heard(id_, "INPUT_RESPONSE", "terminal", "w", None, {"response": text})


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "a", '"a"', "{}", '{"decision": "d1"}', "[" * 5_000,
        '{"decision": "d9", "option": "a"}', '{"decision": "d1", "option": "c"}',
    ],
)  # fmt: skip
def test_an_answer_that_is_none_leaves_no_trace(core: Any, text: str) -> None:
    asked(core)
    hear(core, response(text))
    assert made(core) == []


def test_an_answer_to_a_session_reaches_it_with_its_note(core: Any) -> None:
    asked(core)
    hear(core, response(json.dumps({"decision": "d1", "option": "b", "note": "mind it"})))
    ((event, data),) = made(core)
    assert (event, data["by"]) == ("DecisionAnswered", "terminal")
    assert data["orders"][0]["payload"]["response"] == "b\nmind it"


def test_a_decision_is_answered_once(core: Any) -> None:
    asked(core)
    for number, option in enumerate("ab"):
        hear(core, response(json.dumps({"decision": "d1", "option": option}), f"p{number}"))
    assert len(made(core)) == 1
    assert core.story.decisions["d1"].option == "a"


def test_nothing_is_heard_of_a_run_that_has_ended(core: Any) -> None:
    core.story.ended = {"result": "failed"}
    hear(core, said("NEEDS_REVIEW", commit_hash="c"))
    hear(core, Heard("x", "STOP_RUN", "terminal", "", None, {}))
    assert made(core) == []
