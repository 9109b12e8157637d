"""Beads and the promise say what the run has done, and nothing of anybody else's is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.promise import model
from attractor.promise.store import Store
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout
from attractor.run.story import Story
from guardian import books
from guardian.tasks import books as task

DOT = """
digraph work {
    graph [label="Login", promise_id="promise-0a1b2c3d"];
    start [shape=Mdiamond];
    one [shape=box, bead_id="at-1", promise_ac="AC-1", acceptance="One works."];
    two [shape=box, bead_id="at-2", promise_ac="AC-2", label="The second"];
    judge [shape=hexagon, gate=technical, promise_ac="AC-1"];
    finish [shape=Msquare];
    start -> one -> judge -> two -> finish;
}
"""
NAME = "promise-0a1b2c3d"
ME = "attractor-r1"
FAILED = {"outcome": "fail", "reason": "it never compiled"}


@dataclass
class Told:
    """A run whose journal is written by the test."""

    root: Path
    story: Story
    graph: Graph
    seq: int = 0

    def add(self, kind: str, **data: Any) -> None:
        self.seq += 1
        at = f"2026-02-24T12:00:{self.seq:02}Z"
        self.story.apply(SimpleNamespace(seq=self.seq, event=kind, data=data), at)

    def move(self, node: str, event: str, source: str, target: str, **data: Any) -> None:
        said = {"node": node, "event": event, "from": source, "to": target, "attempt": 1}
        self.add("NodeMoved", **said, **data)

    def begin(self, node: str, source: str = "pending") -> None:
        self.move(node, "dispatched", source, "active", base="b" * 40)

    def validate(self, node: str, score: float = 0.97, **more: Any) -> None:
        verdict = {"outcome": "passed", "score": score, "attempt": 1, **more}
        self.move(node, "review_requested", "active", "impl_complete")
        merged = {"verdict": verdict, "merged": "c0ffee" * 6 + "cafe"}
        self.move(node, "passed", "impl_complete", "validated", **merged)

    def judged(self, score: float = 0.8) -> None:
        self.begin("judge")
        verdict = {"outcome": "passed", "score": score, "attempt": 1}
        self.move("judge", "gate_passed", "active", "validated", verdict=verdict)

    def end(self, result: str, reason: str = "") -> None:
        self.add("RunEnded", result=result, exit=0, reason=reason, head="h")

    def wanted(self) -> dict[str, Any]:
        return books.wanted(self.story, self.graph)


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Told]:
    def make(dot: str = DOT) -> Told:
        root = tmp_path / ".claude" / "attractor" / "runs" / "r1"
        root.mkdir(parents=True)
        graph = build(parse(dot))
        run = Told(root, Story(), graph)
        run.add("PipelineOpened", statuses=dict.fromkeys(map(str, graph.nodes), "pending"))
        request = {"run_id": "r1", "run_root": str(root), "project": str(tmp_path)}
        run.add("RunStarted", request=request, integration="attractor/r1/integration")
        return run

    return make


# What is wanted.


def test_a_run_that_has_begun_nothing_touches_no_bead(told: Callable[..., Told]) -> None:
    assert told().wanted()["beads"] == {}


def test_a_dispatched_node_has_its_bead_in_progress_also_while_it_waits_for_another_attempt(
    told: Callable[..., Told],
) -> None:
    run = told()
    run.begin("one")
    assert run.wanted()["beads"] == {"at-1": {"status": "in_progress", "reason": ""}}
    run.move("one", "failed", "active", "failed", reason="the session crashed")
    assert run.wanted()["beads"]["at-1"]["status"] == "in_progress"


def test_a_validated_node_has_its_bead_closed_with_score_and_commit(
    told: Callable[..., Told],
) -> None:
    run = told()
    run.begin("one")
    run.validate("one")
    reason = "validated, score 0.97, merged as c0ffeec0ffee"
    assert run.wanted()["beads"] == {"at-1": {"status": "closed", "reason": reason}}


def test_a_node_that_failed_for_good_has_its_bead_open_with_the_reason(
    told: Callable[..., Told],
) -> None:
    run = told()
    run.begin("one")
    run.move("one", "failed", "active", "failed", **FAILED)
    reason = "one has failed: it never compiled"
    assert run.wanted()["beads"] == {"at-1": {"status": "open", "reason": reason}}


def test_a_run_that_was_stopped_gives_back_what_is_not_done(told: Callable[..., Told]) -> None:
    run = told()
    run.begin("one")
    run.end("stopped", "enough for today")
    reason = "the run has ended (stopped): enough for today"
    assert run.wanted()["beads"] == {"at-1": {"status": "open", "reason": reason}}
    run.add("RunResumed", request=run.story.request, pid=1)
    assert run.wanted()["beads"]["at-1"]["status"] == "in_progress"


def test_a_bead_that_two_nodes_name_is_closed_with_the_second(told: Callable[..., Told]) -> None:
    run = told(DOT.replace("at-2", "at-1"))
    run.begin("one")
    run.validate("one", 0.9)
    assert run.wanted()["beads"]["at-1"]["status"] == "in_progress"
    run.begin("two")
    run.validate("two", 0.7)
    assert run.wanted()["beads"]["at-1"]["reason"].startswith("validated, score 0.70, ")


def test_a_node_without_a_score_closes_its_bead_without_one(told: Callable[..., Told]) -> None:
    run = told()
    run.begin("one")
    run.move("one", "gate_passed", "active", "validated")
    assert run.wanted()["beads"]["at-1"] == {"status": "closed", "reason": "validated"}


def test_a_graph_that_names_no_promise_makes_none(told: Callable[..., Told]) -> None:
    assert told(DOT.replace(NAME, "")).wanted()["promise"] == {}


def test_a_criterion_is_met_when_all_nodes_that_name_it_are_done(
    told: Callable[..., Told],
) -> None:
    run = told()
    run.begin("one")
    run.validate("one")
    first = run.wanted()["promise"]
    assert (first["id"], first["title"], first["verify"]) == (NAME, "Login", False)
    assert first["criteria"]["AC-1"]["met_by"] == ""
    assert first["criteria"]["AC-2"]["description"] == "The second"
    run.judged()
    met = run.wanted()["promise"]["criteria"]["AC-1"]
    folder = RunLayout(str(run.root)).evidence("judge", 1)
    assert met == {
        "description": "One works.",
        "met_by": "judge",
        "evidence": folder,
        "score": 0.8,
    }


@pytest.mark.parametrize(
    ("result", "verify", "release"), [("validated", True, False), ("failed", False, True)]
)
def test_the_promise_is_verified_or_given_back_when_the_run_has_ended(
    result: str, verify: bool, release: bool, told: Callable[..., Told]
) -> None:
    run = told()
    run.end(result)
    promise = run.wanted()["promise"]
    assert (promise["verify"], promise["release"]) == (verify, release)


@pytest.mark.parametrize(("result", "closes"), [("validated", True), ("failed", False)])
def test_the_bead_above_the_others_is_closed_when_the_run_ended_validated(
    result: str, *, closes: bool, told: Callable[..., Told]
) -> None:
    run = told()
    assert run.wanted()["epic"] == {}
    assert bool(books.wanted(run.story, run.graph, result)["epic"]) is closes
    run.end(result)
    assert bool(run.wanted()["epic"]) is closes


def test_the_owner_of_a_run_is_a_name_whatever_the_run_is_called() -> None:
    assert books.owner("20260224-auth") == "attractor-20260224-auth"
    assert model.is_name(books.owner("../ä b" * 60))


# What is told.

BEAD = {
    "id": "at-1",
    "title": "old",
    "status": "open",
    "priority": 2,
    "issue_type": "task",
    "created_at": "2026-02-24T12:00:00Z",
    "updated_at": "2026-02-24T12:00:00Z",
}


@dataclass
class Project:
    """A project, and the task on it."""

    folder: Path
    clock: Any

    def put(self, *beads: Mapping[str, Any]) -> None:
        (self.folder / ".beads").mkdir(exist_ok=True)
        lines = "".join(json.dumps(each) + "\n" for each in beads)
        (self.folder / ".beads" / "issues.jsonl").write_text(lines)

    def tell(self, wanted: Mapping[str, Any]) -> list[str]:
        self.clock.advance(60)
        root = self.folder / ".claude" / "attractor" / "runs" / "r1"
        root.mkdir(parents=True, exist_ok=True)
        request = {"project": str(self.folder), "run_id": "r1", "run_root": str(root)}
        said = task.run({"kind": "books", "request": request, **wanted}, self.clock)
        assert said["ok"] is True
        before = self.files()
        again = task.run({"kind": "books", "request": request, **wanted}, self.clock)
        assert again == said
        assert self.files() == before
        notes: list[str] = said["notes"]
        return notes

    def files(self) -> dict[str, bytes]:
        found = {str(path): path for path in self.folder.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in sorted(found.items())}

    def bead(self, name: str = "at-1") -> dict[str, Any]:
        lines = (self.folder / ".beads" / "issues.jsonl").read_text().splitlines()
        return next(each for each in map(json.loads, lines) if each["id"] == name)

    def promise(self) -> dict[str, Any]:
        return Store(str(self.folder), self.clock).load(NAME)


@pytest.fixture
def project(tmp_path: Path, clock: Any) -> Project:
    return Project(tmp_path, clock)


def bead(status: str, reason: str = "") -> dict[str, Any]:
    return {"beads": {"at-1": {"status": status, "reason": reason}}}


def test_a_bead_goes_in_progress_and_is_closed_with_the_verdict(project: Project) -> None:
    project.put(BEAD)
    assert project.tell(bead("in_progress")) == []
    now = project.bead()
    assert (now["status"], now["claimed_by_session"]) == ("in_progress", ME)
    assert project.tell(bead("closed", "validated, score 0.97")) == []
    now = project.bead()
    assert (now["status"], now["closed_by_session"]) == ("closed", ME)
    assert now["close_reason"] == "validated, score 0.97 (run r1)"


def test_a_bead_that_this_run_closed_is_begun_again_when_the_graph_leads_back(
    project: Project,
) -> None:
    project.put(BEAD)
    project.tell(bead("in_progress"))
    project.tell(bead("closed", "validated"))
    assert project.tell(bead("in_progress")) == []
    assert project.bead()["status"] == "in_progress"


def test_a_failed_bead_is_open_again_and_says_why_once(project: Project) -> None:
    project.put(BEAD)
    project.tell(bead("in_progress"))
    project.tell(bead("open", "it never compiled"))
    now = project.bead()
    assert (now["status"], now.get("claimed_by_session")) == ("open", None)
    assert [each["text"] for each in now["comments"]] == ["it never compiled (run r1)"]


@pytest.mark.parametrize("status", ["in_progress", "open", "closed"])
def test_a_bead_that_somebody_else_closed_stays_as_it_is(status: str, project: Project) -> None:
    closed = BEAD | {"status": "closed", "close_reason": "not wanted"}
    project.put(closed)
    (said,) = project.tell(bead(status, "why"))
    assert "closed by somebody else" in said
    assert project.bead() == closed


def test_a_bead_that_somebody_else_works_on_is_told_of_a_failure_and_stays_theirs(
    project: Project,
) -> None:
    project.put(BEAD | {"status": "in_progress", "assignee": "joe", "claimed_by_session": "s"})
    project.tell(bead("open", "it never compiled"))
    now = project.bead()
    assert (now["status"], now["assignee"]) == ("in_progress", "joe")
    assert len(now["comments"]) == 1


EPIC = BEAD | {"id": "at", "issue_type": "epic", "external_ref": "plan:login"}


def below(name: str, parent: str = "at", **more: Any) -> dict[str, Any]:
    link = {"issue_id": name, "depends_on_id": parent, "type": "parent-child"}
    return BEAD | {"id": name, "dependencies": [link]} | more


def whole(*names: str) -> dict[str, Any]:
    said = {"status": "closed", "reason": "validated"}
    return {"beads": dict.fromkeys(names, said), "epic": {**said, "reason": "all is validated"}}


def test_the_bead_of_a_plan_is_closed_once_all_below_it_are(project: Project) -> None:
    project.put(EPIC, below("at.1"), below("at.2", status="closed"))
    assert project.tell(bead("closed", "validated") | {"epic": {}}) == ["there is no bead at-1"]
    assert project.bead("at") == EPIC
    assert project.tell(whole("at.1")) == []
    now = project.bead("at")
    assert (now["status"], now["close_reason"]) == ("closed", "all is validated (run r1)")
    assert now["closed_by_session"] == ME


def test_the_bead_of_a_plan_stays_open_while_one_below_it_is(project: Project) -> None:
    project.put(EPIC, below("at.1"), below("at.2"), below("at.2.1", "at.2", status="blocked"))
    assert project.tell(whole("at.1")) == ["the bead at stays open, as at.2, at.2.1 are"]
    assert project.bead("at") == EPIC


@pytest.mark.parametrize(
    "change",
    [
        {"status": "in_progress"},
        {"status": "deferred"},
        {"updated_at": "2026-02-24T13:00:00Z"},
    ],
)
def test_the_bead_of_a_plan_that_somebody_changed_stays_as_it_is(
    change: dict[str, str], project: Project
) -> None:
    project.put(EPIC | change, below("at.1"))
    assert project.tell(whole("at.1")) == [
        "the bead at was changed by somebody, and stays as it is"
    ]
    assert project.bead("at") == EPIC | change
    assert project.bead("at.1")["status"] == "closed"


@pytest.mark.parametrize(
    "change",
    [
        {"external_ref": "gh-1"},
        {"external_ref": None},
        {"issue_type": "task"},
        {"status": "closed", "close_reason": "enough"},
        {"status": "tombstone"},
    ],
)
def test_what_is_no_open_bead_of_a_plan_is_passed_over(
    change: dict[str, Any], project: Project
) -> None:
    there = {key: value for key, value in (EPIC | change).items() if value is not None}
    project.put(there, below("at.1"), below("at.9", "gone"), BEAD)
    assert project.tell(whole("at.1", "at.9", "at-1")) == []
    assert project.bead("at") == there


def test_what_the_journal_says_is_told_and_the_end_as_it_will_be(
    project: Project, told: Callable[..., Told]
) -> None:
    run = told()
    project.put(BEAD)
    dot = run.root / "pipeline.dot"
    dot.write_text(DOT)
    opened = {"statuses": dict.fromkeys(map(str, run.graph.nodes), "pending")}
    move = {"node": "one", "event": "dispatched", "from": "pending", "to": "active", "attempt": 1}
    with Journal.open(RunLayout(str(run.root)).journal, project.clock) as journal:
        journal.append_all([("PipelineOpened", opened), ("NodeMoved", move)])
    assert project.tell({"graph": str(dot), "result": ""}) == []
    assert (project.bead()["status"], model.owner(project.promise())) == ("in_progress", ME)
    assert project.tell({"graph": str(dot), "result": "failed"}) == []
    assert (project.bead()["status"], model.owner(project.promise())) == ("open", None)


def test_what_there_is_not_is_a_note(project: Project) -> None:
    (said,) = project.tell(bead("in_progress"))
    assert "there is no .beads folder" in said
    project.put()
    assert project.tell(bead("in_progress")) == ["there is no bead at-1"]


def test_the_environment_does_not_say_whose_beads_are_meant(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEADS_DIR", str(tmp_path_factory.mktemp("other")))
    project.put(BEAD)
    assert project.tell(bead("in_progress")) == []
    assert project.bead()["status"] == "in_progress"


def wanted(
    *met: str, verify: bool = False, release: bool = False, path: str = ""
) -> dict[str, Any]:
    criteria = {
        each: {
            "description": f"{each} holds",
            "met_by": "judge" if each in met else "",
            "evidence": path,
            "score": 0.9 if each in met else None,
        }
        for each in ("AC-1", "login")
    }
    said = {"id": NAME, "title": "Login", "criteria": criteria}
    return {"promise": said | {"verify": verify, "release": release}}


def test_a_promise_is_made_as_the_graph_names_it_and_owned_by_the_run(project: Project) -> None:
    assert project.tell(wanted()) == []
    promise = project.promise()
    assert [each["id"] for each in model.criteria(promise)] == ["AC-1", "login"]
    assert (model.owner(promise), promise["status"]) == (ME, "in_progress")
    audit = (project.folder / ".claude/completion-state/audit" / f"{NAME}.jsonl").read_text()
    assert [json.loads(line)["what"] for line in audit.splitlines()] == [
        "promise",
        "AC-1",
        "login",
        "promise",
    ]


def test_a_criterion_is_met_with_the_report_which_is_checked(project: Project) -> None:
    report = project.folder / "report.json"
    report.write_text("{}")
    project.tell(wanted("AC-1", path=str(report)))
    first, second = model.criteria(project.promise())
    assert (first["status"], first["evidence"], first["evidence_type"]) == (
        "met",
        "report.json",
        "file",
    )
    assert first["met_by"] == ME
    assert second["status"] == "pending"


def test_a_later_report_takes_the_place_of_an_earlier(project: Project) -> None:
    report = project.folder / "report.json"
    report.write_text("{}")
    project.tell(wanted("AC-1", path=str(report)))
    before = model.criteria(project.promise())[0]["check"]["sha256"]
    report.write_text("{ }")
    project.tell(wanted("AC-1", path=str(report)))
    assert model.criteria(project.promise())[0]["check"]["sha256"] != before


def test_the_promise_is_verified_when_the_run_ended_validated(project: Project) -> None:
    report = project.folder / "report.json"
    report.write_text("{}")
    project.tell(wanted("AC-1", path=str(report)))
    assert project.tell(wanted("AC-1", "login", verify=True, path=str(report))) == []
    promise = project.promise()
    assert promise["status"] == "verified"
    assert promise["verification"]["verified_by"] == ME
    assert promise["verification"]["gates"]["evidence_checked"] == 2


def test_a_promise_with_unmet_criteria_is_never_verified(project: Project) -> None:
    (said,) = project.tell(wanted("AC-1", verify=True))
    assert "1 of 2 criteria are not met" in said
    assert project.promise()["status"] == "in_progress"


def test_evidence_that_is_a_command_is_not_run(project: Project) -> None:
    project.tell(wanted("AC-1"))
    store = Store(str(project.folder), project.clock)
    with store.locked():
        claim = model.Evidence("touch was-run", "command", {"kind": "command"})
        step = model.meet(store.load(NAME), "login", claim, "somebody", "now")
        store.save(step, "somebody")
    said = wanted("AC-1", verify=True)
    (note,) = project.tell(said)
    assert "evidence that is a command" in note
    assert project.promise()["status"] == "in_progress"
    assert not (project.folder / "was-run").exists()


def test_a_promise_of_another_session_is_linked_and_stays_its(project: Project) -> None:
    store = Store(str(project.folder), project.clock)
    with store.locked():
        store.save(model.create(NAME, "Mine", ["One works"], "theirs", store.now()), "theirs")
    assert project.tell(wanted("AC-1")) == ["promise-0a1b2c3d has no criterion 'login'"]
    promise = project.promise()
    assert (model.owner(promise), promise["status"]) == ("theirs", "pending")
    assert model.criteria(promise)[0]["met_by"] == ME
    project.tell(wanted("AC-1", verify=True))
    assert project.promise()["status"] == "verified"


def test_a_run_that_did_not_succeed_leaves_its_promise_to_whoever_adopts_it(
    project: Project,
) -> None:
    project.tell(wanted())
    project.tell(wanted(release=True))
    assert model.owner(project.promise()) is None
    project.tell(wanted())
    assert model.owner(project.promise()) == ME


def test_a_promise_that_was_cancelled_stays_so(project: Project) -> None:
    project.tell(wanted())
    store = Store(str(project.folder), project.clock)
    with store.locked():
        store.save(model.cancel(store.load(NAME), store.now()), "somebody")
    assert project.tell(wanted("AC-1")) == [f"{NAME} is cancelled already"]
    assert project.promise()["status"] == "cancelled"


def test_a_name_that_no_promise_can_have_is_a_note(project: Project) -> None:
    said = wanted()
    said["promise"]["id"] = "../x"
    (note,) = project.tell(said)
    assert "cannot be the id of a promise" in note


def test_a_damaged_promise_is_a_note_and_the_beads_are_told_all_the_same(project: Project) -> None:
    project.put(BEAD)
    folder = project.folder / ".claude/completion-state/promises"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.json").write_text("{broken")
    (note,) = project.tell(wanted() | bead("in_progress"))
    assert f"{NAME}.json:1:2" in note
    assert project.bead()["status"] == "in_progress"


def test_where_somebody_holds_the_beads_it_is_to_be_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.put(BEAD)
    monkeypatch.setattr("attractor.beads.store._locked", lambda _: False)

    class Passing:
        now = 0.0

        def wall_ns(self) -> int:
            return project.clock.now_ns  # type: ignore[no-any-return]

        def monotonic(self) -> float:
            self.now += 100.0
            return self.now

    root = project.folder / "root"
    root.mkdir()
    request = {"project": str(project.folder), "run_id": "r1", "run_root": str(root)}
    said = task.run({"request": request, **bead("in_progress")}, Passing())
    assert said["ok"] is False
    assert "another process is changing the beads" in said["notes"][0]
    assert list(root.iterdir()) == []


def test_a_node_may_name_several_criteria(told: Callable[..., Told]) -> None:
    run = told(DOT.replace('promise_ac="AC-2"', 'promise_ac="AC-2, AC-3"'))
    assert list(run.wanted()["promise"]["criteria"]) == ["AC-1", "AC-2", "AC-3"]
