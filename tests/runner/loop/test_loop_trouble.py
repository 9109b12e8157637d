"""The Runner dies, the clock jumps, words come too late: nothing is lost and nothing said twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import ToolError
from runner.session import Look
from runner.state import Phase, load
from signals import atomic, kinds

NEXT = "b" * 40
DONE = "All is built.\n<promise>NODE_COMPLETE</promise>"


class Killed(BaseException):
    """The Runner's end, in the middle of something."""


def test_a_runner_that_is_killed_before_any_write_loses_and_repeats_nothing(
    tmp_path: Path, clock: Any, unheard: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = atomic.replace, [0]

    def dying(path: Any, data: bytes, **how: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        real(path, data, **how)

    monkeypatch.setattr(atomic, "replace", dying)
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        left[0] = 0
        one = unheard(folder, clock)
        left[0] = at
        if not _whole_night(one):
            assert at > 10
            return
        assert one.loop.state.phase is Phase.ENDED
        assert sorted(one.all.values()) == [
            "AGENT_REGISTERED",
            "AGENT_TERMINATED",
            "NEEDS_REVIEW",
            "NEEDS_REVIEW",
            "RUNNER_EXITED",
        ]
        known = load(Path(one.layout.runner_state("build")).read_bytes(), "")
        assert (known.todo, known.applied) == ((), ())
    pytest.fail("it never came to its end")


def test_what_is_about_to_be_done_is_on_disk_before_it_is_done(night: Any) -> None:
    one = night()
    one.commit()
    intents = []

    def send(signal: Any) -> None:
        known = load(Path(one.layout.runner_state("build")).read_bytes(), "")
        intents.append((signal.type, [type(each).__name__ for each in known.todo]))

    one.loop._post.send = send
    one.turn(DONE)
    assert intents == [("NEEDS_REVIEW", ["Signal"])]


def _whole_night(one: Any) -> bool:
    """Play a night; say whether the Runner was killed in it."""
    killed = False
    failed = kinds.ValidationFailed(node_id="build", feedback="No tests.")
    acts: list[Callable[[], object]] = [
        lambda: one.commit() or one.turn(DONE),
        lambda: one.order(failed),
        lambda: one.commit("c" * 40, 2) or one.turn(DONE),
        lambda: one.order(kinds.ValidationPassed(node_id="build")),
    ]
    for act in acts:
        try:
            act()
        except Killed:
            killed = True
            one.crash()
            one.heard()
    return killed


def test_a_runner_of_an_attempt_that_has_ended_touches_nothing(night: Any) -> None:
    one = night()
    one.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    before = list(one.session.done)
    one.session.seen = Look(alive=False, lost=True)
    one.crash()
    assert one.step(3600) == []
    assert one.session.done == before


def test_what_an_older_attempt_said_is_no_word_of_the_new_one(night: Any) -> None:
    one = night()
    one.commit()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("Stop", last_assistant_message=DONE)
    one.assignment = replace(one.assignment, attempt=2)
    one.crash()
    assert one.heard() == ["AGENT_REGISTERED"]
    one.happen("Stop", last_assistant_message=DONE, session_id="another")
    assert one.step() == []


def test_a_session_that_goes_on_after_its_review_is_handed_in_again(night: Any) -> None:
    one = night()
    one.commit()
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    one.order(kinds.Guidance(node_id="build", message="And the docs."), "terminal")
    one.commit("c" * 40, 2)
    assert one.turn(DONE) == ["NEEDS_REVIEW"]
    assert one.signals[0].payload.commit_hash == "c" * 40


def test_a_verdict_about_an_older_commit_says_so(night: Any) -> None:
    one = night()
    one.commit()
    one.turn(DONE)
    one.commit("c" * 40, 2)
    one.turn("Something more.")
    one.order(kinds.ValidationPassed(node_id="build"))
    assert one.signals[-1].payload.reason.startswith(f"validated at {NEXT}")


def test_feedback_survives_a_session_that_is_lost_before_it_received_it(night: Any) -> None:
    one = night()
    one.commit()
    one.turn(DONE)
    one.order(kinds.ValidationFailed(node_id="build", feedback="No tests."))
    one.session.seen = Look(alive=False, lost=True)
    one.loop._stale = True
    one.step()
    assert one.session.words()[-1] == "start"
    one.happen("UserPromptSubmit", prompt="again")
    one.happen("Stop", last_assistant_message="Here I am.")
    one.step()
    assert "No tests." in one.typed()


def test_a_session_that_dies_in_a_cooldown_is_told_at_once(night: Any) -> None:
    one = night(limits={"cooldown_min": 3600, "cooldown_max": 3600})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("StopFailure", error="rate_limit", last_assistant_message="API Error: 429")
    one.step()
    one.session.seen = Look(alive=False, exit_status=1)
    one.loop._stale = True
    assert one.step()[0] == "ORCHESTRATOR_CRASHED"


def test_work_that_is_finished_in_a_cooldown_is_handed_in(night: Any) -> None:
    one = night(limits={"cooldown_min": 3600, "cooldown_max": 3600})
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("StopFailure", error="rate_limit", last_assistant_message="API Error: 429")
    one.step()
    one.commit()
    assert one.turn(DONE) == ["NEEDS_REVIEW"]


def test_a_clock_that_is_set_back_delays_a_delivery_by_one_wait_only(night: Any) -> None:
    one = night(limits={"receipt_within": 5})
    one.turn("<question>Which?</question>")
    one.order(kinds.InputResponse(node_id="build", response="This one."))
    one.step(-3600)
    one.step(6)
    assert one.session.words()[-1] == "submit"


def test_questions_without_end_open_the_breaker(night: Any) -> None:
    one = night(limits={"max_no_progress": 2, "breaker_open": 10})
    heard: list[str] = []
    for number in range(12):
        heard += one.turn(f"<question>Which {number}?</question>")
        heard += one.step(11)
        if heard[-1:] == ["ORCHESTRATOR_STUCK"]:
            break
        one.order(kinds.InputResponse(node_id="build", response=f"This {number}."))
    assert heard[-1] == "ORCHESTRATOR_STUCK"
    assert heard.count("NEEDS_INPUT") < 6


def test_a_tool_that_fails_in_passing_is_tried_again(night: Any, tmp_path: Path) -> None:
    one = night()
    real, left = one.loop._look_at_tree, [2]

    def failing() -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise ToolError("git is busy")
        return real()

    one.loop._look_at_tree = failing
    one.commit()
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("Stop", last_assistant_message=DONE)
    for _ in range(3):
        one.loop._patient_step()
    assert one.heard() == ["NEEDS_REVIEW"]
    left[0] = 10**9
    one.happen("UserPromptSubmit", prompt="Build it.")
    one.happen("Stop", last_assistant_message=DONE)
    one.loop._patient_step()
    one.clock.advance(301)
    with pytest.raises(ToolError):
        one.loop._patient_step()


def exited(night: Any) -> Any:
    found = [each for each in night.signals if each.signal_type == "RUNNER_EXITED"]
    return found[-1].payload.wrote


def test_a_node_that_never_wrote_anything_says_so_in_the_end(night: Any) -> None:
    n = night()
    n.turn("Nothing yet.")
    assert "RUNNER_EXITED" in n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is False


@pytest.mark.parametrize("wrote", [{"dirty": True}, {"head": NEXT, "commits": 1}])
def test_what_was_ever_seen_in_the_worktree_is_remembered_by_the_next_runner(
    night: Any, wrote: dict[str, Any]
) -> None:
    n = night()
    before = n.tree
    n.tree = replace(before, **wrote)
    n.turn("I wrote.")
    n.tree = before
    n.turn("I took it back.")
    n.crash()
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is True


def test_what_was_written_in_the_last_turn_counts(night: Any) -> None:
    n = night()
    n.tree = replace(n.tree, dirty=True)
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is True


def test_what_cannot_be_seen_in_the_end_is_not_said(night: Any) -> None:
    n = night()

    def look() -> object:
        raise ToolError("git cannot say")

    n.loop._look_at_tree = look
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is None
