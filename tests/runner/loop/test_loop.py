"""Histories: what happens to a session, through the real loop, and what the Guardian hears of it.

Events, signals, worktree and clock are real or set by hand; the session itself is a double that
says what was done with it. The same loop is driven with the real Claude Code in tests/e2e.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.children import Result
from runner.facts import Promise
from runner.session import Look
from runner.state import Phase
from signals import kinds

NEXT = "b" * 40
DONE = "All is built.\n<promise>NODE_COMPLETE</promise>"


def test_the_session_is_registered_with_its_wall(
    tmp_path: Path, clock: Any, unheard: Callable[..., Any]
) -> None:
    made = unheard(tmp_path, clock)
    assert made.session.words() == ["start"]
    assert made.heard() == ["AGENT_REGISTERED"]
    assert made.signals[0].payload.blindness == "bwrap"
    assert made.signals[0].attempt == 1


def test_commits_and_a_claim_are_handed_in_for_review(night: Any) -> None:
    one = night()
    one.commit()
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    payload = one.signals[0].payload
    assert payload.commit_hash == NEXT
    assert payload.summary == "All is built."
    assert one.step(3600) == []


def test_a_claim_with_nothing_done_is_never_a_review_and_in_the_end_stuck(night: Any) -> None:
    one = night(limits={"max_refusals": 2, "max_no_progress": 9})
    heard = [one.turn(DONE) for _ in range(3)]
    assert heard[:2] == [[], []]
    assert heard[2] == ["ORCHESTRATOR_STUCK"]
    assert one.signals[0].payload.rung == "hand back"
    assert "no commit" in one.session.done[1][1]


def test_red_checks_go_back_to_the_session_with_what_they_said(night: Any) -> None:
    one = night(checks=("make test",))
    one.commit()
    assert one.turn(DONE) == []
    assert one.children.asked == [f"check-{NEXT}"]
    said = {"head": NEXT, "status": "red", "command": "make test", "tail": "1 failed"}
    one.children.ready = [Result(f"check-{NEXT}", said, "/evidence")]
    assert one.step() == []
    assert "1 failed" in one.typed()
    one.commit("c" * 40, 2)
    assert one.turn(DONE) == []
    said = {"head": "c" * 40, "status": "green"}
    one.children.ready = [Result(f"check-{'c' * 40}", said, "/evidence")]
    assert one.step() == ["NEEDS_REVIEW"]
    assert one.signals[0].payload.evidence_path == "/evidence"


def test_a_check_that_died_is_not_green(night: Any) -> None:
    one = night(checks=("make test",))
    one.commit()
    one.turn(DONE)
    one.children.ready = [Result(f"check-{NEXT}", None, "")]
    assert one.step() == []
    assert "could not be run" in one.typed()


def test_a_worktree_that_left_its_branch_is_named_as_such(night: Any) -> None:
    one = night()
    one.commit()
    one.tree.branch_ok = False
    assert one.turn(DONE) == []
    assert "not on its own branch" in one.typed()


def test_an_open_promise_holds_a_review_back(night: Any) -> None:
    one = night()
    one.commit()
    one.promise = Promise.OPEN
    assert one.turn(DONE) == []
    assert "promise" in one.typed()


def test_a_promise_that_was_taken_away_was_not_kept(night: Any) -> None:
    one = night()
    one.commit()
    one.promise = Promise.OPEN
    one.turn("Still at it.")
    one.promise = Promise.NONE
    assert one.turn(DONE) == []
    one.promise = Promise.KEPT
    assert one.turn(DONE) == ["NEEDS_REVIEW"]


def test_a_question_waits_for_its_answer_however_long(night: Any) -> None:
    one = night()
    assert one.turn("<question>Which port?</question>") == ["NEEDS_INPUT"]
    assert one.signals[0].payload.question == "Which port?"
    assert one.step(86_400) == []
    assert one.order(kinds.InputResponse(node_id="build", response="8080")) == []
    assert "8080" in one.typed()


def test_a_verdict_of_failure_reaches_the_same_session_and_monitoring_goes_on(night: Any) -> None:
    one = night()
    one.commit()
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    assert one.order(kinds.ValidationFailed(node_id="build", feedback="No tests.")) == []
    assert "No tests." in one.typed()
    assert one.turn(DONE) == []  # nothing new was committed
    one.commit("c" * 40, 2)
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    assert one.session.words().count("start") == 1


def test_a_passed_verdict_ends_the_session_and_the_runner(night: Any) -> None:
    one = night()
    one.commit()
    one.turn(DONE)
    heard = one.order(kinds.ValidationPassed(node_id="build"))
    assert heard == ["AGENT_TERMINATED", "RUNNER_EXITED"]
    assert (one.signals[-1].payload.mode, one.signals[-1].payload.reason) == (
        "COMPLETE",
        "validated",
    )
    assert one.session.words()[-1] == "end"
    assert one.loop.state.phase is Phase.ENDED


def test_an_order_to_kill_is_obeyed_in_any_state(night: Any) -> None:
    one = night()
    heard = one.order(kinds.KillOrchestrator(node_id="build", reason="enough"), "terminal")
    assert heard == ["AGENT_TERMINATED", "RUNNER_EXITED"]
    assert (one.signals[-1].payload.mode, one.signals[-1].payload.reason) == ("FAILED", "enough")


def test_orders_for_an_older_attempt_or_another_node_change_nothing(night: Any) -> None:
    one = night()
    for node, attempt in (("other", 1), ("build", 1)):
        payload = kinds.KillOrchestrator(node_id=node, reason="x")
        signal = kinds.compose("guardian", "runner", payload, run_id="r1", attempt=attempt)
        if node == "build":
            one.assignment = replace(one.assignment, attempt=2)
            one.crash()
            one.heard()
        one.to_runner.send(signal)
        one.step()
    assert one.loop.state.phase is Phase.WATCHING
    assert one.to_runner.waiting() == []


def test_a_violation_is_signalled_once_and_the_turn_goes_on(night: Any) -> None:
    one = night()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("", attractor="denied", reason="it wrote a.py", event={"tool_name": "Write"})
    assert one.step() == ["VIOLATION"]
    assert one.signals[0].payload.reason == "it wrote a.py"
    assert one.step() == []


def test_a_dead_session_is_reported_with_its_last_lines_and_the_node_given_back(
    night: Any,
) -> None:
    one = night()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.step()
    one.session.seen = Look(alive=False, exit_status=1, last_lines="Error: no such model")
    one.loop._stale = True
    heard = one.step()
    assert heard == [
        "ORCHESTRATOR_CRASHED",
        "AGENT_CRASHED",
        "RUNNER_EXITED",
    ]
    assert "no such model" in one.signals[0].payload.last_output


def test_a_session_that_was_lost_with_its_terminal_is_resumed_with_its_context(night: Any) -> None:
    one = night(limits={"max_restarts": 1})
    first = one.session.done[0][1].session_id
    one.session.seen = Look(alive=False, lost=True)
    one.loop._stale = True
    assert one.step() == []
    launch = one.session.done[-1][1]
    assert (launch.resume, launch.session_id, launch.number) == (True, first, 2)
    one.session.seen = Look(alive=False, lost=True)
    one.loop._stale = True
    assert one.step()[0] == "ORCHESTRATOR_CRASHED"


def test_nobody_who_cannot_be_asked_is_called_dead(night: Any) -> None:
    one = night()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.session.seen = Look(alive=None)
    one.loop._stale = True
    assert one.step() == []


def test_the_ladder_asks_interrupts_restarts_and_hands_back(night: Any) -> None:
    one = night(limits={"stuck_after": 10, "receipt_within": 1, "max_restarts": 1})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.step()
    rungs, woken = [], False
    for _ in range(200):
        for signal_type in one.step(5):
            if signal_type == "ORCHESTRATOR_STUCK":
                rungs += [each.payload.rung for each in one.signals]
        if rungs[-1:] == ["restart"] and not woken:
            woken = True
            one.happen("UserPromptSubmit", prompt="again")
    assert rungs == ["ask", "interrupt", "restart", "hand back"]
    assert one.session.words().count("interrupt") == 1
    assert one.loop.state.waiting == "guidance"


def test_progress_leads_back_to_the_foot_of_the_ladder(night: Any) -> None:
    one = night(limits={"stuck_after": 10})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.step()
    assert one.step(11) == ["ORCHESTRATOR_STUCK"]
    one.clock.advance(1)
    one.happen("UserPromptSubmit", prompt=one.typed())
    one.happen("PostToolUse", tool_use_id="a")
    assert one.step(5) == []
    assert one.step(11) == ["ORCHESTRATOR_STUCK"]
    assert one.signals[0].payload.rung == "ask"


def test_a_rate_limit_costs_no_attempt_and_survives_the_runner(night: Any) -> None:
    one = night(limits={"cooldown_min": 3600, "cooldown_max": 3600})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("StopFailure", error="rate_limit", last_assistant_message="API Error: 429")
    assert one.step() == []
    assert one.loop.state.phase is Phase.COOLING
    assert one.step(1800) == []
    one.crash()
    left = one.loop.sleep_seconds()
    assert left is not None
    assert 1799 < left < 1801
    assert one.step(1801) == []
    assert "rate limit" in one.typed()
    one.commit()
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    assert one.signals[0].payload.usage.cooldowns == 1
    assert one.signals[0].payload.usage.cooldown_seconds == 3600


def test_background_work_is_waited_for_not_judged(night: Any) -> None:
    one = night()
    one.commit()
    tasks = [{"type": "subagent", "status": "running"}]
    assert one.turn(DONE, background_tasks=tasks) == []
    assert one.session.words() == ["start"]
    assert one.turn(DONE) == ["NEEDS_REVIEW"]


def test_where_facts_do_not_decide_a_model_is_asked_once(night: Any) -> None:
    one = night()
    one.commit()
    assert one.turn("That should be it.") == []
    assert one.children.asked == ["opinion-1"]
    said = {"ok": True, "structured": {"state": "done", "text": ""}}
    one.children.ready = [Result("opinion-1", said, "")]
    assert one.step() == ["NEEDS_REVIEW"]


def test_no_opinion_is_not_a_pass(night: Any) -> None:
    one = night()
    one.commit()
    one.turn("That should be it.")
    one.children.ready = [Result("opinion-1", {"ok": False}, "")]
    assert one.step() == []
    assert one.session.words()[-1] == "deliver"


def test_guidance_for_a_busy_session_goes_through_the_stop_hook(night: Any) -> None:
    one = night()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.step()
    one.order(kinds.Guidance(node_id="build", message="Use sqlite."))
    waiting = list(Path(one.layout.inbox("build")).iterdir())
    assert len(waiting) == 1
    said = json.loads(waiting[0].read_text())
    assert "Use sqlite." in said["text"]
    one.happen("", attractor="delivered", ids=[said["id"]], event={"hook_event_name": "Stop"})
    one.step()
    assert list(Path(one.layout.inbox("build")).iterdir()) == []
    assert one.session.words() == ["start"]


def test_guidance_whose_receipt_is_lost_is_typed_again_and_then_reported(night: Any) -> None:
    one = night(limits={"receipt_within": 5})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("Stop", last_assistant_message="<question>Which?</question>")
    one.step()
    one.order(kinds.InputResponse(node_id="build", response="This one."))
    heard = []
    while not heard:
        heard += one.step(5)
    assert one.session.words().count("deliver") == 3
    assert one.session.words().count("submit") == 6
    assert heard == ["ORCHESTRATOR_STUCK"]
    assert one.signals[0].payload.rung == "restart"
    assert "never received" in one.signals[0].payload.last_output
