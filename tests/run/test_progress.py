"""What a screen shows of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from attractor.cli.screen import total
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.run.journal import Entry, Journal
from attractor.run.progress import Live, View, count, duration, news, view
from attractor.run.story import Story
from attractor.run.tail import Tail, ended_with
from signals.clock import iso

GRAPH = """
digraph p {
    start [shape=Mdiamond];
    a [shape=box, handler="codergen"];
    b [shape=box, handler="codergen"];
    gate [shape=hexagon, handler="wait.human", gate="business"];
    done [shape=Msquare];
    start -> a -> gate -> done;
    start -> b -> gate;
}
"""
BEGAN = "2026-11-21T14:00:00.000000Z"
BEGAN_NS = int(datetime.fromisoformat(BEGAN).timestamp()) * 10**9


@pytest.fixture
def graph() -> Graph:
    return build(parse(GRAPH))


class Told:
    """A run's journal, entry by entry, a second apart."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.entries: list[Entry] = []
        self.story = Story()
        statuses = dict.fromkeys(graph.nodes, "pending")
        self.add("PipelineOpened", file="p.dot", statuses=statuses)
        request = {"run_id": "r1", "max_parallel": 4}
        self.add("RunStarted", request=request, integration="attractor/r1/integration")
        self.story.rubric = {"scope": {}, "acceptance": {}}  # else nothing begins without it

    @property
    def now_ns(self) -> int:
        return BEGAN_NS + len(self.entries) * 10**9

    def add(self, kind: str, /, **data: Any) -> Entry:
        entry = Entry(len(self.entries) + 1, iso(self.now_ns), kind, data, "", "")
        self.entries.append(entry)
        self.story.apply(entry)
        return entry

    def moved(self, node: str, event: str, before: str, after: str, **more: Any) -> Entry:
        ways = {"event": event, "from": before, "to": after, "attempt": 1, "by": "guardian"}
        return self.add("NodeMoved", node=node, **(ways | more))

    def begun(self, node: str, **more: Any) -> None:
        self.moved(node, "dispatched", "pending", "active", **more)

    def through(self, node: str) -> None:
        self.begun(node)
        self.moved(node, "gate_passed", "active", "validated", closed=True)

    def worked(self, node: str) -> None:
        self.begun(node)
        self.moved(node, "review_requested", "active", "impl_complete")
        self.moved(node, "passed", "impl_complete", "validated", closed=True)

    def asked(self, node: str = "gate") -> None:
        self.add(
            "DecisionAsked",
            id="d1",
            node=node,
            attempt=1,
            kind="gate",
            question="Ship it?",
            options=["approve", "reject"],
        )

    def view(self, **live: Live) -> View:
        return view(self.story, self.graph, live, self.now_ns)

    def row(self, node: str, **live: Live) -> Any:
        return next(row for row in self.view(**live).rows if row.node == node)


@pytest.fixture
def told(graph: Graph) -> Told:
    return Told(graph)


def test_every_node_has_a_row_from_the_beginning(told: Told) -> None:
    seen = told.view()
    assert [row.node for row in seen.rows] == ["start", "a", "b", "gate", "done"]
    assert {row.state for row in seen.rows} == {"pending"}
    assert seen.counts == {"pending": 5}
    assert (seen.run_id, seen.ended, seen.waiting) == ("r1", None, False)


def test_a_node_that_works_shows_its_time_and_what_its_session_did_last(told: Told) -> None:
    told.begun("a")
    later = Live(attempt=1, last="hook PostToolUse", last_at=iso(told.now_ns + 1))
    row = told.row("a", a=later)
    assert (row.state, row.attempt, row.seconds) == ("active", 1, 1.0)
    assert row.last == "hook PostToolUse"
    assert told.row("a", a=later._replace(last_at=BEGAN)).last == "dispatched"
    assert told.row("a", a=later._replace(attempt=7)).last == "dispatched"


def test_the_time_of_a_node_stops_with_it(told: Told) -> None:
    told.worked("a")
    before = told.row("a").seconds
    told.begun("b")
    assert told.row("a").seconds == before == 2.0


def test_what_is_done_about_a_node_is_its_last_event(told: Told) -> None:
    told.begun("a")
    told.add("TaskBegun", task="t1", kind="validate", node="a", attempt=1)
    assert told.row("a").last == "is being judged"
    told.add("TaskBegun", task="t2", kind="rubric", node="", attempt=0)
    assert told.view().doing == "the rubric is being written"


def test_what_was_begun_when_a_run_ended_is_not_done_now(told: Told) -> None:
    told.add("TaskBegun", task="t1", kind="books", node="", attempt=0)
    assert told.view().doing == "beads and promise are being told"
    told.add("RunEnded", result="budget", exit=5, reason="the budget is used", head="")
    assert told.view().doing == ""


def test_a_run_that_rests_says_until_when_and_why_until_it_is_over_or_has_ended(
    told: Told,
) -> None:
    told.add("Paused", until="2026-11-21T14:00:05.000000Z", why="the hour is used")
    assert told.view().doing == "rests until 2026-11-21 14:00:05 UTC: the hour is used"
    for name in ("a", "b"):
        told.begun(name)
    assert told.view().doing == ""
    told.add("Paused", until="2026-11-21T15:00:00.000000Z", why="again")
    told.add("RunEnded", result="stopped", exit=4, reason="stopped by a person", head="")
    assert told.view().doing == ""


def test_tokens_are_what_the_journal_knows_or_the_runner_if_it_knows_more(told: Told) -> None:
    told.begun("a")
    used = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 900, "cost_usd": 0.5}
    told.add("SignalHeard", type="NEEDS_REVIEW", node="a", attempt=1, usage=used)
    assert (told.row("a").tokens, told.row("a").cost) == (15, 0.5)
    more = Live(attempt=1, usage={"input_tokens": 30, "output_tokens": 5, "cost_usd": 0.75})
    assert (told.row("a", a=more).tokens, told.row("a", a=more).cost) == (35, 0.75)
    less = Live(attempt=1, usage={"input_tokens": 1})
    assert told.row("a", a=less).tokens == 15
    seen = told.view(a=more)
    assert (seen.tokens, seen.cost) == (35, 0.75)


def test_what_a_runner_says_at_its_end_is_not_the_last_of_a_node(told: Told) -> None:
    told.worked("a")
    told.add("SignalHeard", type="AGENT_TERMINATED", node="a", attempt=1)
    assert told.row("a").last == "passed"
    told.begun("b")
    told.add("SignalHeard", type="AGENT_CRASHED", node="b", attempt=1)
    assert told.row("b").last == "AGENT_CRASHED"


def test_the_time_between_two_attempts_is_not_a_node_s(told: Told) -> None:
    told.begun("a")
    told.moved("a", "failed", "active", "failed", reason="x", closed=True)
    told.through("start")
    told.moved("a", "dispatched", "failed", "active", attempt=2)
    assert told.row("a").seconds == 1.0 + 1.0


def test_what_was_stopped_has_not_failed(told: Told) -> None:
    told.begun("a")
    told.add("Stopping", reason="enough", result="stopped")
    told.moved("a", "failed", "active", "failed", reason="enough", free=True, closed=True)
    row, seen = told.row("a"), told.view()
    assert (row.state, row.stopped, row.shown) == ("failed", True, "stopped")
    assert (seen.counts, seen.shown) == (
        {"pending": 4, "failed": 1},
        {"pending": 4, "stopped": 1},
    )
    told.add("RunEnded", result="failed", exit=1, reason="x", head="")
    assert told.row("a").shown == "failed"


def test_what_was_used_for_no_node_is_in_the_total(told: Told) -> None:
    told.add("TaskBegun", task="t1", kind="rubric", node="", attempt=0)
    told.add("TaskEnded", task="t1", node="", usage={"input_tokens": 7, "cost_usd": 0.25})
    assert (told.view().tokens, told.view().cost) == (7, 0.25)


def test_a_question_is_shown_with_the_command_that_answers_it(told: Told) -> None:
    told.asked()
    (card,) = told.view().cards
    assert card.command == "attractor answer d1 approve --run r1"
    assert (card.node, card.question, card.options) == ("gate", "Ship it?", ("approve", "reject"))
    told.add("DecisionAnswered", id="d1", option="approve", by="terminal")
    assert told.view().cards == ()


def test_a_rehearsal_says_that_it_would_have_cost_something(told: Told) -> None:
    told.begun("a")
    told.add("SignalHeard", node="a", attempt=1, type="X", usage={"cost_usd": 0.5})
    assert total(told.view()).endswith(", $0.50")
    told.story.request["rehearsed"] = True
    assert total(told.view()).endswith(", which would have cost $0.50")


def all_but_the_gate(told: Told) -> None:
    told.through("start")
    told.worked("a")
    told.worked("b")
    told.begun("gate")
    told.asked()


def test_only_a_person_is_waited_for_when_nothing_else_can_move(told: Told) -> None:
    all_but_the_gate(told)
    assert told.view().waiting
    assert told.row("gate").last == "waits for a person"


def test_a_node_that_may_start_is_not_waiting(told: Told) -> None:
    told.through("start")
    told.worked("a")
    told.begun("gate")
    told.asked()
    assert not told.view().waiting


def test_another_node_that_works_is_not_waiting(told: Told) -> None:
    told.through("start")
    told.begun("a")
    told.begun("b")
    told.asked("a")
    assert not told.view().waiting


def test_a_ready_node_without_a_free_place_does_not_move(told: Told) -> None:
    told.story.request["max_parallel"] = 1
    told.through("start")
    told.begun("a")
    told.asked("a")
    assert told.view().waiting


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("TaskBegun", {"task": "t1", "kind": "answer", "node": "gate", "attempt": 1}),
        ("Stopping", {"reason": "", "result": "stopped"}),
        ("RunEnded", {"result": "stopped", "exit": 4}),
        ("DecisionAnswered", {"id": "d1", "option": "approve"}),
    ],
)
def test_nobody_is_waited_for_while_something_is_done(
    told: Told, event: str, data: dict[str, Any]
) -> None:
    all_but_the_gate(told)
    told.add(event, **data)
    assert not told.view().waiting


def test_an_end_is_seen_with_its_status_and_its_time(told: Told) -> None:
    told.add("RunEnded", result="budget", exit=5, reason="used up")
    seen = told.view()
    assert seen.ended is not None
    assert (seen.ended["exit"], seen.seconds) == (5, 1.0)
    assert view(told.story, told.graph, {}, told.now_ns + 10**12).seconds == 1.0
    assert seen.as_json()["ended"]["result"] == "budget"


def test_each_entry_is_told_in_words(told: Told) -> None:
    moved = told.moved("a", "dispatched", "pending", "active")
    assert news(told.story, moved).as_json() == {
        "at": moved.at,
        "event": "NodeMoved",
        "node": "a",
        "state": "active",
        "attempt": 1,
        "what": "dispatched",
    }
    ended = told.add("RunEnded", result="failed", exit=1, reason="no way on")
    assert news(told.story, ended).what == "failed: no way on"
    assert news(told.story, told.entries[1]).what == "the run begins, on attractor/r1/integration"
    unknown = told.add("SomethingNew", text="x" * 9_000)
    assert news(told.story, unknown).what == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.9, "0:00"), (67, "1:07"), (3_723, "1:02:03"), (360_000, "100:00:00")],
)
def test_a_length_of_time_is_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (999, "999"), (12_345, "12.3k"), (4_500_000, "4.5M")]
)
def test_a_number_of_tokens_is_short(amount: int, text: str) -> None:
    assert count(amount) == text


# -- the journal while it grows


def test_a_tail_gives_each_entry_once(tmp_path: Any, clock: Any) -> None:
    path = str(tmp_path / "j")
    with Tail(path) as tail, Journal.open(path, clock) as journal:
        assert tail.new().entries == []
        journal.append("One", {})
        journal.append("Two", {})
        assert [each.event for each in tail.new().entries] == ["One", "Two"]
        assert tail.new().entries == []
        journal.append("Three", {})
        assert [each.event for each in tail.new().entries] == ["Three"]


def test_a_tail_waits_for_a_journal_and_for_the_end_of_a_line(tmp_path: Any, clock: Any) -> None:
    path = tmp_path / "j"
    with Tail(str(path)) as tail:
        assert tail.new().entries == []
        with Journal.open(path, clock) as journal:
            journal.append("One", {})
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        assert tail.new().entries == []
        path.write_bytes(whole)
        assert [each.event for each in tail.new().entries] == ["One"]


def test_what_was_taken_back_makes_the_story_begin_anew(tmp_path: Any, clock: Any) -> None:
    path = tmp_path / "j"
    with Tail(str(path)) as tail:
        with Journal.open(path, clock) as journal:
            journal.append("One", {})
        one = path.read_bytes()
        with Journal.open(path, clock) as journal:
            journal.append("Two", {"x": 1})
        assert len(tail.new().entries) == 2
        path.write_bytes(one)
        found = tail.new()
        assert ([each.event for each in found.entries], found.anew) == (["One"], True)
        with Journal.open(path, clock) as journal:
            journal.append("Two", {"x": 2})
        assert [each.event for each in tail.new().entries] == ["Two"]
        path.write_bytes(one)
        with Journal.open(path, clock) as journal:
            journal.append("Two", {"x": 3})
            journal.append("Three", {})
        found = tail.new()
        assert ([each.event for each in found.entries], found.anew) == (
            ["One", "Two", "Three"],
            True,
        )


def test_a_run_that_was_resumed_has_not_ended(tmp_path: Any, clock: Any) -> None:
    path = str(tmp_path / "j")
    assert ended_with(path) == ""
    with Journal.open(path, clock) as journal:
        journal.append("RunEnded", {"result": "budget"})
        assert ended_with(path) == "budget"
        journal.append("RunResumed", {"request": {}})
        assert ended_with(path) == ""
