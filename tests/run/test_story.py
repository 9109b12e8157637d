"""What a run's journal tells: each event, sums of usage, orders that are over, resumed runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.journal import Entry
from attractor.run.states import TABLE, Move, NodeEvent, NodeState
from attractor.run.story import Story, StoryEvent, read

Told = Callable[..., Story]
NIGHT = Path(__file__).with_name("night.jsonl")
OPENED = ("PipelineOpened", {"statuses": {"a": "pending", "b": "pending"}})
STARTED = (
    "RunStarted",
    {"request": {"run_id": "r", "base_commit": "b" * 40}, "integration": "attractor/r/integration"},
)


def entries(*said: tuple[str, Mapping[str, Any]]) -> list[Entry]:
    """Each one second after the one before."""
    return [
        Entry(seq, f"2026-01-01T00:00:{seq:02}.000000Z", event, dict(data), "", "")
        for seq, (event, data) in enumerate(said, 1)
    ]


def told(*said: tuple[str, Mapping[str, Any]]) -> Story:
    return read(entries(OPENED, STARTED, *said))


def moved(event: str, source: str, target: str, node: str = "a", **more: Any) -> Any:
    return ("NodeMoved", {"node": node, "event": event, "from": source, "to": target} | more)


def heard(type_: str, node: str = "a", attempt: int = 1, **more: Any) -> Any:
    return ("SignalHeard", {"type": type_, "node": node, "attempt": attempt, "text": ""} | more)


def order(type_: str = "GUIDANCE", node: str = "a", attempt: int = 1) -> dict[str, Any]:
    return {"node": node, "attempt": attempt, "type": type_, "payload": {"node_id": node}}


DISPATCHED = moved("dispatched", "pending", "active", attempt=1, base="c" * 40)
HANDED_IN = moved("review_requested", "active", "impl_complete", attempt=1, commit="d" * 40)
BEGUN = ("TaskBegun", {"task": "t-1", "kind": "validate", "node": "a", "attempt": 1})


def night() -> list[Entry]:
    lines = [json.loads(line) for line in NIGHT.read_text().splitlines()]
    return entries(*((each["event"], each["data"]) for each in lines))


def test_nothing_is_a_story_too() -> None:
    story = read([])
    assert (story.request, story.nodes, story.ended, story.tokens) == ({}, {}, None, 0)
    assert (story.node("a").attempt, story.node("a").charged, story.state("a").value) == (
        None,
        0,
        "pending",
    )


def test_a_run_begins_with_its_request_at_the_base_commit() -> None:
    story = told()
    assert story.request["run_id"] == "r"
    assert (story.integration, story.head) == ("attractor/r/integration", "b" * 40)
    assert (story.began_at, story.ended_at) == ("2026-01-01T00:00:02.000000Z", "")


def test_a_dispatch_is_an_attempt_that_is_open() -> None:
    story = told(moved("dispatched", "pending", "active", attempt=1, base="c", feedback="before"))
    (attempt,) = story.node("a").attempts
    assert (attempt.number, attempt.base, attempt.feedback) == (1, "c", "before")
    assert (attempt.began, attempt.ended, attempt.closed) == ("2026-01-01T00:00:03.000000Z", "", 0)
    assert story.open_attempts == {"a": 1}
    assert story.node("a").feedback == ""


def test_what_is_handed_in_is_the_attempts_commit() -> None:
    story = told(DISPATCHED, HANDED_IN)
    assert story.node("a").attempts[0].commit == "d" * 40


def test_a_rejection_is_counted_with_its_reason_and_its_verdict() -> None:
    back = moved(
        "rejected",
        "impl_complete",
        "active",
        attempt=1,
        reason="judged not good yet",
        feedback="it lacks a test",
        verdict={"outcome": "failed", "score": 0.25},
    )
    node = told(DISPATCHED, HANDED_IN, back).node("a")
    at = "2026-01-01T00:00:05.000000Z"
    assert node.verdicts == [{"outcome": "failed", "score": 0.25, "attempt": 1, "at": at}]
    assert (node.attempts[0].rejections, node.attempts[0].returned) == (
        1,
        [(at, "judged not good yet")],
    )
    assert node.feedback == "it lacks a test"


def test_only_verdicts_since_the_work_was_handed_in_judge_it() -> None:
    verdict = {"outcome": "failed", "score": 0.0}
    back = moved("rejected", "impl_complete", "active", attempt=1, verdict=verdict)
    node = told(DISPATCHED, HANDED_IN, back, HANDED_IN).node("a")
    assert (len(node.verdicts), node.since) == (1, 1)


def test_a_pass_ends_the_attempt_and_moves_the_head() -> None:
    passed = moved(
        "passed", "impl_complete", "validated", attempt=1, merged="e" * 40, reason="good"
    )
    story = told(DISPATCHED, HANDED_IN, passed)
    attempt = story.node("a").attempts[0]
    assert (attempt.how, attempt.ended) == ("passed: good", "2026-01-01T00:00:05.000000Z")
    assert (story.head, story.node("a").merged, story.node("a").reason) == ("e" * 40,) * 2 + ("",)
    assert not attempt.closed


def test_a_failure_keeps_its_reason_until_the_next_attempt() -> None:
    failed = moved("failed", "active", "failed", attempt=1, reason="it hung", free=True)
    story = told(DISPATCHED, failed)
    assert (story.node("a").reason, story.node("a").attempts[0].how) == (
        "it hung",
        "failed: it hung",
    )
    assert (story.node("a").attempts[0].free, story.node("a").charged) == (True, 0)
    again = moved("dispatched", "failed", "active", attempt=2)
    story = told(DISPATCHED, failed, again)
    assert (story.node("a").reason, story.node("a").charged) == ("", 1)


@pytest.mark.parametrize(
    ("event", "source"), [("requeued", "failed"), ("reopened", "validated")], ids=str
)
def test_attempts_before_a_new_turn_are_forgiven(event: str, source: str) -> None:
    ends = {"failed": "failed", "validated": "gate_passed"}
    story = told(
        DISPATCHED,
        moved(ends[source], "active", source, attempt=1),
        moved(event, source, "pending"),
    )
    assert story.node("a").charged == 0
    assert len(story.node("a").attempts) == 1


def test_a_session_says_its_id_and_its_wall() -> None:
    said = heard("AGENT_REGISTERED", session_id="s", blindness="bwrap")
    attempt = told(DISPATCHED, said).node("a").attempts[0]
    assert (attempt.session_id, attempt.blindness) == ("s", "bwrap")


@pytest.mark.parametrize(
    ("signal", "key"),
    [
        ("VIOLATION", "violations"),
        ("ORCHESTRATOR_STUCK", "stuck"),
        ("ORCHESTRATOR_CRASHED", "crashes"),
    ],
)
def test_troubles_are_counted_in_their_attempt(signal: str, key: str) -> None:
    story = told(DISPATCHED, heard(signal), heard(signal), heard(signal, attempt=7))
    assert getattr(story.node("a").attempts[0], key) == 2
    assert story.node("a").last == signal


def test_a_signal_counts_as_applied_by_whatever_entry_carries_it() -> None:
    story = told(
        moved("dispatched", "pending", "active", attempt=1, signal_id="s1"),
        heard("VIOLATION", signal_id="s2"),
        ("Stopping", {"reason": "", "result": "stopped", "signal_id": "s3"}),
    )
    assert story.core.applied == {"s1", "s2", "s3"}


def test_the_usage_of_an_attempt_is_what_was_said_last() -> None:
    story = told(
        DISPATCHED,
        heard("VIOLATION", usage={"input_tokens": 5, "cost_usd": 0.1}),
        heard("VIOLATION", usage={"input_tokens": 9, "cost_usd": 0.3}),
    )
    assert (story.used("input_tokens"), story.used("cost_usd")) == (9, 0.3)


def test_the_usage_of_tasks_is_added_up_beside_the_attempts() -> None:
    asked = {"input_tokens": 3, "output_tokens": 2, "cache_creation_tokens": 1}
    story = told(
        DISPATCHED,
        heard("VIOLATION", usage={"input_tokens": 10}),
        BEGUN,
        ("TaskEnded", {"task": "t-1", "node": "a", "what": "", "usage": asked}),
        BEGUN,
        ("TaskEnded", {"task": "t-1", "node": "a", "what": "", "usage": asked}),
        ("TaskBegun", {"task": "t-2", "kind": "rubric", "node": ""}),
        ("TaskEnded", {"task": "t-2", "node": "", "what": "", "usage": {"output_tokens": 7}}),
    )
    assert story.node("a").judging == {
        "input_tokens": 6.0,
        "output_tokens": 4.0,
        "cache_creation_tokens": 2.0,
    }
    assert story.overhead == {"output_tokens": 7.0}
    assert story.tokens == 10 + 6 + 4 + 2 + 7


def test_tokens_from_a_cache_are_not_in_the_budget() -> None:
    said = heard("VIOLATION", usage={"cache_read_tokens": 1_000, "input_tokens": 1})
    story = told(DISPATCHED, said)
    assert (story.tokens, story.used("cache_read_tokens")) == (1, 1_000)


def test_the_usage_of_every_attempt_counts() -> None:
    story = told(
        moved("dispatched", "pending", "active", attempt=1),
        moved("failed", "active", "failed", attempt=1, usage={"requests": 2}),
        moved("dispatched", "failed", "active", attempt=2),
        heard("VIOLATION", attempt=2, usage={"requests": 3}),
    )
    assert story.used("requests") == 5


def test_a_task_is_open_until_an_entry_says_that_it_has_ended_or_was_dropped() -> None:
    story = told(DISPATCHED, BEGUN)
    task = story.tasks["t-1"]
    assert (task.kind, task.node, task.attempt, story.tasks_begun) == ("validate", "a", 1, 1)
    assert not told(DISPATCHED, BEGUN, ("Noted", {"what": "x", "task": "t-1"})).tasks
    failed = moved("failed", "active", "failed", attempt=1, dropped=["t-1"])
    assert not told(DISPATCHED, BEGUN, failed).tasks


def test_a_task_without_a_verdict_says_when_it_may_be_tried_again() -> None:
    silent = ("TaskEnded", {"task": "t-1", "node": "a", "no_verdict": True, "retry_at": 99.0})
    node = told(DISPATCHED, BEGUN, silent).node("a")
    assert (node.no_verdicts, node.retry_at) == (1, 99.0)
    assert node.retry_from == "2026-01-01T00:00:05.000000Z"
    heard_it = ("TaskEnded", {"task": "t-1", "node": "a", "verdict": {"outcome": "investigate"}})
    node = told(DISPATCHED, BEGUN, silent, BEGUN, heard_it).node("a")
    assert (node.no_verdicts, node.retry_at, len(node.verdicts)) == (0, 0.0, 1)


def test_what_is_said_of_the_whole_run_is_noted_once() -> None:
    ended = ("TaskEnded", {"task": "t-9", "node": "", "what": "there is no bead X"})
    story = told(ended, ("Noted", {"what": "another"}), ended)
    assert [each.what for each in story.notes] == ["there is no bead X", "another"]
    assert "" not in story.nodes


def test_orders_wait_until_their_attempt_is_closed() -> None:
    back = moved("rejected", "impl_complete", "active", attempt=1, orders=[order(), order("B")])
    story = told(DISPATCHED, HANDED_IN, back)
    assert [(each.seq, each.place, each.type) for each in story.orders] == [
        (5, 0, "GUIDANCE"),
        (5, 1, "B"),
    ]
    closed = ("AttemptClosed", {"node": "a", "attempt": 1, "why": ""})
    story = told(DISPATCHED, HANDED_IN, back, closed)
    assert (story.orders, story.open_attempts) == ([], {})
    assert story.node("a").attempts[0].closed


def test_guidance_counts_where_it_answers_a_session_that_is_stuck() -> None:
    heard = {"node": "a", "attempt": 1, "signal_id": "s", "orders": [order()]}
    for type_, counted in (("ORCHESTRATOR_STUCK", 1), ("VIOLATION", 0)):
        story = told(DISPATCHED, ("SignalHeard", {**heard, "type": type_}))
        assert story.node("a").attempts[0].guided == counted


def test_a_question_of_an_attempt_that_has_failed_is_withdrawn() -> None:
    asked = {"id": "d1", "node": "a", "attempt": 1, "kind": "input", "question": "Which?"}
    failed = moved("failed", "active", "failed", attempt=1, withdrawn=["d1"])
    story = told(DISPATCHED, ("DecisionAsked", {**asked, "options": []}), failed)
    assert story.open_decisions() == []
    assert (story.decisions["d1"].option, story.decisions["d1"].by) == ("withdrawn", "guardian")


def test_the_orders_of_other_nodes_stay_when_an_attempt_is_closed() -> None:
    story = told(
        DISPATCHED,
        moved("dispatched", "pending", "active", node="b", attempt=1),
        heard("VIOLATION", node="b", orders=[order(node="b")]),
        heard("VIOLATION", orders=[order()], closed=True),
    )
    # What an entry says that closes the attempt comes after the closing.
    assert [each.node for each in story.orders] == ["b", "a"]
    assert story.open_attempts == {"b": 1}


def test_notices_are_for_the_terminal() -> None:
    notice = {"type": "ESCALATION", "payload": {"issue": "x"}}
    (told_,) = told(("Stopping", {"reason": "x", "result": "failed", "notices": [notice]})).notices
    assert (told_.seq, told_.node, told_.attempt, told_.type) == (3, "", 0, "ESCALATION")


ASKED = (
    "DecisionAsked",
    {"id": "d1", "node": "a", "kind": "gate", "question": "?", "options": ["yes", "no"]},
)


def test_a_decision_is_open_until_it_is_answered() -> None:
    (card,) = told(DISPATCHED, ASKED).open_decisions()
    assert (card.id, card.options, card.default, card.deadline) == ("d1", ("yes", "no"), "", "")
    answered = ("DecisionAnswered", {"id": "d1", "option": "no", "note": "n", "by": "terminal"})
    story = told(DISPATCHED, ASKED, answered)
    assert story.open_decisions() == []
    card = story.decisions["d1"]
    assert (card.option, card.note, card.by) == ("no", "n", "terminal")
    assert card.answered_at == "2026-01-01T00:00:05.000000Z"


def test_a_rest_ends_when_a_person_has_the_run_go_on() -> None:
    paused = ("Paused", {"until": "2026-01-01T01:00:00.000000Z", "why": "the hour is used"})
    over = ("Paused", {"until": "2026-01-01T00:00:04.000000Z", "why": "the hour was used"})
    resumed = ("RunResumed", {"request": {"run_id": "r"}, "pid": 1})
    assert told(paused, resumed).pauses[-1].until == "2026-01-01T00:00:04.000000Z"
    assert told(over, DISPATCHED, resumed).pauses[-1].until == "2026-01-01T00:00:04.000000Z"


def test_a_run_that_is_resumed_has_not_ended_and_waits_for_no_task() -> None:
    ended = ("RunEnded", {"result": "stopped", "exit": 4, "reason": "", "head": ""})
    stopping = ("Stopping", {"reason": "", "result": "stopped"})
    story = told(DISPATCHED, BEGUN, stopping, ended)
    assert (story.ended, story.ended_at != "") == (ended[1], True)
    resumed = ("RunResumed", {"request": {"run_id": "r", "budget_usd": 5}, "pid": 1})
    story = told(DISPATCHED, BEGUN, stopping, ended, resumed)
    assert (story.ended, story.ended_at, story.stopping, story.tasks) == (None, "", None, {})
    assert (story.resumed, story.request["budget_usd"]) == (1, 5)
    assert (story.began_at, story.tasks_begun) == ("2026-01-01T00:00:02.000000Z", 1)


def test_a_rubric_is_what_was_sealed() -> None:
    sealed = {"folder": "/f", "by": "hand", "files": {}, "scope": {}, "acceptance": {}}
    assert told(("RubricSealed", {**sealed, "task": "t-1", "usage": {}})).rubric == sealed


def test_events_of_newer_layers_are_passed_over() -> None:
    assert told(("SomethingNew", {"node": "a"})).core.seq == 3


def test_a_whole_night_is_told_rightly() -> None:
    story = read(night())
    jwt, login = story.node("jwt"), story.node("login")
    assert [each.how for each in jwt.attempts] == ["failed: its process is gone", "passed"]
    assert [each["score"] for each in jwt.verdicts] == [0.5, 1.0]
    assert [each["score"] for each in login.verdicts] == [0.0, 1.0]
    assert (jwt.used("cooldowns"), story.resumed, story.tasks, story.orders) == (1, 1, {}, [])
    assert (story.head, story.open_attempts) == ("5" * 40, {})
    assert story.ended is not None
    assert story.ended["exit"] == 0


@given(st.integers(0, len(night())))
def test_a_story_goes_on_from_wherever_it_was_left(cut: int) -> None:
    whole, story = night(), read(night()[:cut])
    for entry in whole[cut:]:
        story.apply(entry)
    assert story == read(whole)


USAGE = st.one_of(st.none(), st.dictionaries(st.sampled_from(["requests", "cost_usd"]), st.just(2)))
NODES = st.sampled_from(["a", "b"])
MORE = st.fixed_dictionaries(
    {},
    optional={
        "usage": USAGE,
        "signal_id": st.text(max_size=3),
        "task": st.sampled_from(["t-1", "t-2"]),
        "dropped": st.lists(st.sampled_from(["t-1", "t-2"]), max_size=2),
        "orders": st.lists(st.builds(order, node=NODES, attempt=st.integers(1, 3)), max_size=2),
        "notices": st.lists(st.just({"type": "ESCALATION", "payload": {}}), max_size=1),
        "closed": st.booleans(),
        "verdict": st.just({"outcome": "passed", "score": 1.0}),
        "review": st.just({"outcome": "findings", "reviewer": "self"}),
        "wrote": st.booleans(),
        "remembered": st.integers(0, 3),
        "looked_back": st.just({"round": 1, "outcome": "silent"}),
        "commit": st.just("d" * 40),
        "feedback": st.text(max_size=3),
        "reason": st.text(max_size=3),
    },
)
EVENTS = [each for each in StoryEvent if each is not StoryEvent.RUN_STARTED]


def particulars(draw: Any, event: str, story: Story) -> dict[str, Any]:
    """What an entry of this event must say, and what else is about a node."""
    about = {"node": draw(NODES), "attempt": draw(st.integers(1, 3)), "what": "x"}
    ended = {"result": "stopped", "reason": "", "exit": 4, "head": ""}
    must: dict[str, dict[str, Any]] = {
        StoryEvent.RUN_RESUMED: {"request": {"run_id": "r"}, "pid": 1},
        StoryEvent.RUBRIC_SEALED: {
            **dict.fromkeys(("folder", "by", "files", "scope")),
            "acceptance": {},
        },
        StoryEvent.SIGNAL_HEARD: {"type": draw(st.sampled_from(["AGENT_REGISTERED", "X"]))},
        StoryEvent.TASK_BEGUN: {"task": "t-1", "kind": "validate"},
        StoryEvent.TASK_ENDED: {"node": draw(st.sampled_from(["", "a"])), "retry_at": 1.0},
        StoryEvent.DECISION_ASKED: {**ASKED[1], "id": f"d{len(story.decisions) + 1}"},
        StoryEvent.DECISION_ANSWERED: {"id": f"d{len(story.decisions)}", "option": "yes"},
        StoryEvent.PAUSED: {"until": "2026-11-21T18:00:00Z", "why": ""},
        StoryEvent.GRAPH_CHANGED: {
            "why": draw(st.sampled_from(["replan", "retrospect"])),
            "change": {"nodes": {"R01": {}}, "attrs": {}, "edges": []},
            "acceptance": {"R01": "x"},
            "round": 1,
        },
        StoryEvent.RUN_ENDED: ended,
        StoryEvent.STOPPING: ended,
    }
    return about | must.get(event, {})


def move(draw: Any, story: Story) -> dict[str, Any]:
    node = draw(NODES)
    state = story.state(node)
    legal = [each for each in NodeEvent if isinstance(TABLE[state, each], Move)]
    event = draw(st.sampled_from(legal or [NodeEvent.DISPATCHED]))
    to = TABLE[state, event]
    target = to.to if isinstance(to, Move) else NodeState.ACTIVE
    number = len(story.node(node).attempts) + (event is NodeEvent.DISPATCHED)
    said = {"node": node, "event": event.value, "from": state.value, "to": target.value}
    return {**said, "attempt": number}


@given(st.data())
def test_no_legal_order_of_entries_breaks_the_story(data: st.DataObject) -> None:
    story = read(entries(OPENED, STARTED))
    for seq in range(3, data.draw(st.integers(3, 30))):
        event = data.draw(st.sampled_from([*EVENTS, "NodeMoved", "NodeMoved"]))
        if event == StoryEvent.DECISION_ANSWERED and not story.decisions:
            continue
        own = move(data.draw, story) if event == "NodeMoved" else None
        own = own if own is not None else particulars(data.draw, event, story)
        story.apply(Entry(seq, "2026-01-01T00:00:00.000000Z", event, data.draw(MORE) | own, "", ""))
        for node in ("a", "b"):
            found = story.node(node)
            assert 0 <= found.charged <= len(found.attempts)
            assert found.since <= len(found.verdicts)
            if node in story.open_attempts:
                assert not found.attempts[-1].closed
        assert story.tokens >= 0
        assert {each.node for each in story.orders} <= {"a", "b"}
