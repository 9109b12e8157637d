"""Histories: what happens to a session, through the real loop, and what the Guardian hears of it.

Events, signals, worktree and clock are real or set by hand; the session itself is a double that
says what was done with it. The same loop is driven with the real Claude Code in tests/e2e.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import ToolError
from attractor.run.assignment import Assignment
from attractor.run.limits import Limits
from runner.children import Result
from runner.facts import Promise
from runner.loop import Loop
from runner.perform import Performer
from runner.post import Post
from runner.session import Launch, Look
from runner.state import Phase, load
from runner.timeline import Timeline
from signals import atomic, kinds
from signals.mailbox import Mailbox
from signals.sign import new_key, write_key

HEAD, NEXT = "a" * 40, "b" * 40
DONE = "All is built.\n<promise>NODE_COMPLETE</promise>"


@dataclass
class Tree:
    head: str = HEAD
    commits: int = 0
    dirty: bool = False
    branch_ok: bool = True
    fingerprint: str = "f"


@dataclass
class Double:
    """A session that does nothing and remembers everything."""

    seen: Look = field(default_factory=lambda: Look(alive=True))
    done: list[tuple[str, Any]] = field(default_factory=list)
    record: Path | None = None

    def start(self, launch: Launch) -> None:
        self.done.append(("start", launch))
        self.seen = Look(alive=True)
        assert self.record
        said = {"launch": launch.number, "session_id": launch.session_id}
        self.record.write_text(json.dumps(said))

    def look(self) -> Look:
        return self.seen

    def screen(self) -> str:
        return "the screen"

    def deliver(self, text: str) -> None:
        self.done.append(("deliver", text))

    def submit(self) -> None:
        self.done.append(("submit", None))

    def interrupt(self) -> None:
        self.done.append(("interrupt", None))

    def end(self) -> None:
        self.done.append(("end", None))

    def attach(self, *, write: bool) -> list[str]:
        del write
        return []

    def fds(self) -> tuple[int, ...]:
        return ()

    def words(self) -> list[str]:
        return [what for what, _ in self.done]


@dataclass
class Answers:
    """The children: what they were asked, and what they answer next."""

    folder: str
    asked: list[str] = field(default_factory=list)
    ready: list[Result] = field(default_factory=list)

    def check(self, head: str) -> None:
        self.asked.append(f"check-{head}")

    def ask(self, turn: int, message: str, screen: str) -> None:
        del message, screen
        self.asked.append(f"opinion-{turn}")

    def results(self) -> list[Result]:
        ready, self.ready = self.ready, []
        return ready

    def runs(self, name: str) -> bool:
        del name
        return False

    def deadline(self) -> float | None:
        return None

    def fds(self) -> tuple[int, ...]:
        return ()

    def end(self) -> None:
        self.asked.append("end")


class Night:
    """One node's Runner, driven by hand."""

    def __init__(self, folder: Path, clock: Any, **changes: Any) -> None:
        self.clock = clock
        project = folder / "project"
        limits = Limits(**changes.pop("limits", {}))
        self.assignment = Assignment(
            run_id="r1",
            node_id="build",
            attempt=1,
            project=str(project),
            run_root=str(folder / "run"),
            base_commit=HEAD,
            branch="attractor/r1/build",
            worktree=str(project / ".claude/worktrees/build"),
            limits=limits,
            **changes,
        )
        layout = self.layout = self.assignment.layout
        for each in (layout.events("build"), layout.inbox("build"), layout.results("build")):
            Path(each).mkdir(parents=True, exist_ok=True)
        self.key = new_key()
        write_key(layout.key, self.key)
        self.guardian = Mailbox(layout.guardian_mailbox, key=self.key, clock=clock)
        self.guardian.create()
        self.to_runner = Mailbox(layout.runner_mailbox("build"), key=self.key, clock=clock)
        self.to_runner.create()
        self.tree, self.promise = Tree(), Promise.NONE
        self.session = Double(record=Path(layout.session("build")))
        self.children: Any = Answers(layout.results("build"))
        self.events = 0
        self.all: dict[str, str] = {}  # every signal that the Guardian ever heard, by id
        self.loop = self.runner()
        self.loop.begin()
        self.loop.step()

    def runner(self) -> Loop:
        layout = self.layout
        timeline = Timeline(layout.timeline("build"), layout.pane_log("build"), self.clock)
        post = Post(self.assignment, self.clock)
        session, children = self.session, self.children
        return Loop(
            self.assignment,
            session=session,
            look_at_tree=lambda: replace(self.tree),
            promise=lambda _: self.promise,
            usage=lambda state: state,
            first_prompt=lambda: "Build it.",
            post=post,
            children=children,
            performer=Performer(self.assignment, session, post, children, timeline, self.clock),
            timeline=timeline,
            blindness="bwrap",
            clock=self.clock,
        )

    def crash(self) -> None:
        """Kill the Runner, and start another."""
        self.loop = self.runner()
        self.loop.begin()
        self.loop.step()

    def happen(self, kind: str, **data: Any) -> None:
        """One event of the session's hooks."""
        self.events += 1
        name = f"{self.clock.wall_ns() + self.events:020d}-7.json"
        body = data if "attractor" in data else {"hook_event_name": kind, **data}
        (Path(self.layout.events("build")) / name).write_text(json.dumps(body))

    def turn(self, message: str = "Done so far.", **data: Any) -> list[str]:
        """A whole turn that ends with this message; returns what the Guardian heard."""
        self.happen("UserPromptSubmit", prompt=self.typed())
        self.happen("Stop", last_assistant_message=message, **data)
        return self.step()

    def typed(self) -> str:
        texts = [what for how, what in self.session.done if how == "deliver"]
        return texts[-1] if texts else "Build it."

    def step(self, seconds: float = 0) -> list[str]:
        self.clock.advance(seconds)
        self.loop.step()
        return self.heard()

    def heard(self) -> list[str]:
        """What came to the Guardian since the last time."""
        folder = Path(self.guardian.folder)
        # The clock stands still, so names do not tell the order here.
        deliveries = sorted(
            self.guardian.drain(), key=lambda each: (folder / each.name).stat().st_ctime_ns
        )
        self.guardian.acknowledge(*(each.name for each in deliveries))
        self.signals = [each.signal for each in deliveries]
        self.all |= {each.id: each.signal_type for each in self.signals}
        return [each.signal_type for each in self.signals]

    def order(self, payload: kinds.AnyPayload, source: str = "guardian") -> list[str]:
        signal = kinds.compose(source, "runner", payload, run_id="r1", node_id="build", attempt=1)
        self.to_runner.send(signal)
        return self.step()

    def commit(self, head: str = NEXT, commits: int = 1) -> None:
        self.tree = Tree(head=head, commits=commits, fingerprint=head)


@pytest.fixture
def night(tmp_path: Path, clock: Any) -> Callable[..., Night]:
    """`night(checks=..., limits={...})`: a Runner whose session has just been started."""

    def begin(**changes: Any) -> Night:
        made = Night(tmp_path, clock, **changes)
        assert made.heard() == ["AGENT_REGISTERED"]
        return made

    return begin


def test_the_session_is_registered_with_its_wall(tmp_path: Path, clock: Any) -> None:
    made = Night(tmp_path, clock)
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


class Killed(BaseException):
    """The Runner's end, in the middle of something."""


def test_a_runner_that_is_killed_before_any_write_loses_and_repeats_nothing(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
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
        one = Night(folder, clock)
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


def _whole_night(one: Night) -> bool:
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


def exited(night: Night) -> Any:
    found = [each for each in night.signals if each.signal_type == "RUNNER_EXITED"]
    return found[-1].payload.wrote


def test_a_node_that_never_wrote_anything_says_so_in_the_end(night: Any) -> None:
    n = night()
    n.turn("Nothing yet.")
    assert "RUNNER_EXITED" in n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is False


@pytest.mark.parametrize("tree", [Tree(dirty=True), Tree(head=NEXT, commits=1)])
def test_what_was_ever_seen_in_the_worktree_is_remembered_by_the_next_runner(
    night: Any, tree: Tree
) -> None:
    n = night()
    n.tree = tree
    n.turn("I wrote.")
    n.tree = Tree()
    n.turn("I took it back.")
    n.crash()
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is True


def test_what_was_written_in_the_last_turn_counts(night: Any) -> None:
    n = night()
    n.tree = Tree(dirty=True)
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is True


def test_what_cannot_be_seen_in_the_end_is_not_said(night: Any) -> None:
    n = night()

    def look() -> Tree:
        raise ToolError("git cannot say")

    n.loop._look_at_tree = look
    n.order(kinds.KillOrchestrator(node_id="build", reason="enough"))
    assert exited(n) is None
