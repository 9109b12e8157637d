"""An approved plan has beads and a promise, once, however often it was killed in between."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from attractor.beads import store
from attractor.plan import books, write
from attractor.plan.draft import files, plan_of
from attractor.plan.pipeline_text import Names
from attractor.promise import model, session
from attractor.promise.store import Store
from attractor.rehearsal.made_plan import plan_for
from attractor.run.journal import Journal
from attractor.run.layout import run_layout
from guardian.tasks import books as tell

GOAL = "A command that greets people by name"


class Killed(BaseException):
    """SIGKILL: no cleanup may run."""


@pytest.fixture
def project(tmp_path: Path) -> str:
    store.init(str(tmp_path / ".beads"), "at")
    return str(tmp_path)


@pytest.fixture
def folder(project: str, clock: Any) -> str:
    said = plan_for(GOAL)
    names = books.names(project, said["name"], [each["id"] for each in said["nodes"]])
    folder = write.plan_folder(project, names.plan)
    known = {"plan": said, "names": names._asdict(), "goal": GOAL}
    write.publish(folder, files(plan_of(said), names), known, clock)
    return folder


def _names(folder: str) -> Names:
    return Names(**write.load(folder)["names"])


def _beads(project: str) -> dict[str, Any]:
    return dict(store.find(project, {}).read().issues)


def test_there_is_an_epic_and_a_bead_for_each_node_blocked_by_those_before_it(
    project: str, folder: str, clock: Any
) -> None:
    assert books.approve(folder, project, clock, by="a person") == []
    names, beads = _names(folder), _beads(project)
    assert {*beads} == {names.epic, *names.beads.values()}
    assert beads[names.epic]["issue_type"] == "epic"
    for node in plan_of(write.load(folder)["plan"]).nodes:
        bead = beads[names.beads[node.id]]
        needs = {(each["depends_on_id"], each["type"]) for each in bead["dependencies"]}
        wanted = {(names.beads[each], "blocks") for each in node.after}
        assert needs == {(names.epic, "parent-child"), *wanted}
        assert bead["acceptance_criteria"] == node.acceptance


def test_the_beads_are_those_that_the_pipeline_names(project: str, folder: str, clock: Any) -> None:
    from attractor.pipeline.load import load

    books.approve(folder, project, clock, by="a person")
    _, graph = load(f"{folder}/{_names(folder).plan}.dot")
    named = {node.attrs["bead_id"] for node in graph.nodes.values() if "bead_id" in node.attrs}
    assert named == {*_names(folder).beads.values()}
    assert named < {*_beads(project)}


def test_the_promise_has_the_criteria_and_waits_for_a_run_to_adopt_it(
    project: str, folder: str, clock: Any
) -> None:
    books.approve(folder, project, clock, by="a person")
    kept = Store(project, clock)
    promise = kept.load(_names(folder).promise)
    said = [(each["id"], each["description"]) for each in model.criteria(promise)]
    criteria = plan_of(write.load(folder)["plan"]).prd.criteria
    assert said == [(each.id, each.text) for each in criteria]
    assert session.is_orphan(promise, kept)


def test_the_criteria_keep_the_names_that_the_requirements_give_them(
    project: str, folder: str, clock: Any
) -> None:
    path = Path(folder, f"{_names(folder).prd}.md")
    lines = path.read_text().splitlines()
    at = [number for number, each in enumerate(lines) if each.startswith("- AC-")]
    lines[at[0] : at[-1] + 1] = lines[at[-1] : at[0] - 1 : -1]
    path.write_text("\n".join(lines))
    books.approve(folder, project, clock, by="a person")
    promise = Store(project, clock).load(_names(folder).promise)
    ids = [each["id"] for each in model.criteria(promise)]
    assert ids == ["AC-5", "AC-4", "AC-3", "AC-2", "AC-1"]


@pytest.mark.parametrize("step", ["_beads", "_promise", "remember"])
def test_who_is_killed_in_between_is_completed_and_nothing_is_there_twice(
    step: str, project: str, folder: str, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(books, step)

    def killed(*arguments: Any) -> Any:
        real(*arguments)
        raise Killed

    with monkeypatch.context() as during:
        during.setattr(books, step, killed)
        with pytest.raises(Killed):
            books.approve(folder, project, clock, by="a person")
    assert not os.path.isfile(os.path.join(folder, books.APPROVED))
    clock.advance(60)
    assert books.approve(folder, project, clock, by="a person") == []
    assert os.path.isfile(os.path.join(folder, books.APPROVED))
    assert len(_beads(project)) == 6
    before = _beads(project)
    clock.advance(60)
    books.approve(folder, project, clock, by="somebody else")
    assert _beads(project) == before
    assert json.loads(Path(folder, books.APPROVED).read_text())["by"] == "a person"


def test_a_promise_that_a_run_has_adopted_stays_the_runs(
    project: str, folder: str, clock: Any
) -> None:
    books.approve(folder, project, clock, by="a person")
    kept = Store(project, clock)
    name = _names(folder).promise
    with kept.locked():
        adopted = kept.save(model.adopt(kept.load(name), "run-1", kept.now()), "run-1")
    Path(folder, books.APPROVED).unlink()
    clock.advance(60)
    books.approve(folder, project, clock, by="a person")
    assert kept.load(name) == adopted


def test_a_bead_of_that_name_that_is_somebody_elses_stays_as_it_is(
    project: str, folder: str, clock: Any
) -> None:
    from attractor.beads.edit import Act, Draft, create

    taken = next(iter(_names(folder).beads.values()))
    with store.find(project, {}).change(clock) as lines:
        create(lines, Draft({"title": "mine"}, name=taken), "at", Act("me", clock.wall_ns()))
    (note,) = books.approve(folder, project, clock, by="a person")
    assert taken in note
    assert _beads(project)[taken]["title"] == "mine"


def test_without_beads_a_note_says_so_and_no_folder_is_made(
    tmp_path: Path, folder: str, clock: Any
) -> None:
    (tmp_path / ".beads").rename(tmp_path / "away")
    (note,) = books.approve(folder, str(tmp_path), clock, by="a person")
    assert "attractor init" in note
    assert not (tmp_path / ".beads").exists()


def test_what_is_only_rehearsed_leaves_nothing_but_its_approval(
    project: str, folder: str, clock: Any
) -> None:
    assert books.approve(folder, project, clock, by="--yes", keep=False) == []
    assert os.path.isfile(os.path.join(folder, books.APPROVED))
    assert _beads(project) == {}
    assert Store(project, clock).names("promises") == []


def test_the_memory_is_told_the_structure_and_one_line(
    project: str, folder: str, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []

    def remember(_: str, structure: str, entry: str, __: object) -> list[str]:
        told.append((structure, entry))
        return ["flagged: something"]

    monkeypatch.setattr(books, "remember", remember)
    assert books.approve(folder, project, clock, by="a person") == ["flagged: something"]
    ((structure, entry),) = told
    assert structure == plan_for(GOAL)["structure"]
    assert entry.startswith(f"Plan command-greets: {GOAL} (5 nodes: ")


def test_names_begin_as_the_projects_beads_do(project: str) -> None:
    found = books.names(project, "greet", ["one", "two"])
    assert found.epic == "at-greet"
    assert found.beads == {"one": "at-greet.1", "two": "at-greet.2"}


def test_a_name_is_taken_by_a_bead_or_a_promise_too(
    project: str, folder: str, clock: Any, tmp_path: Path
) -> None:
    around = {"HOME": str(tmp_path)}
    books.approve(folder, project, clock, by="a person")
    Path(folder).rename(tmp_path / "gone")
    assert books.is_taken(project, "command-greets", around)
    (tmp_path / ".beads").rename(tmp_path / "no-beads")
    assert books.is_taken(project, "command-greets", around)
    (tmp_path / ".claude" / "completion-state").rename(tmp_path / "no-promise")
    assert not books.is_taken(project, "command-greets", around)


@pytest.mark.parametrize("result", ["validated", "failed"])
def test_a_run_of_the_plan_that_ends_well_closes_its_bead_and_verifies_its_promise(
    result: str, project: str, folder: str, clock: Any
) -> None:
    from attractor.pipeline.load import load

    books.approve(folder, project, clock, by="a person")
    clock.advance(60)
    names = _names(folder)
    dot = f"{folder}/{names.plan}.dot"
    layout = run_layout(project, "r1")
    os.makedirs(layout.root)
    nodes = [str(each) for each in load(dot)[1].nodes]
    request = {"project": project, "run_id": "r1", "run_root": layout.root}
    passed = {"outcome": "passed", "score": 0.9, "attempt": 1}
    with Journal.open(layout.journal, clock) as journal:
        journal.append("PipelineOpened", {"statuses": dict.fromkeys(nodes, "pending")})
        journal.append("RunStarted", {"request": request, "integration": "i"})
        for node in nodes if result == "validated" else nodes[:2]:
            moved = {"node": node, "attempt": 1}
            begun = {"event": "dispatched", "from": "pending", "to": "active"}
            done = {"event": "gate_passed", "from": "active", "to": "validated", "verdict": passed}
            journal.append("NodeMoved", moved | begun)
            journal.append("NodeMoved", moved | done)
    spec = {"kind": "books", "request": request, "graph": dot, "result": result}
    assert tell.run(spec, clock) == {"ok": True, "notes": []}
    epic, promise = _beads(project)[names.epic], Store(project, clock).load(names.promise)
    if result == "validated":
        assert (epic["status"], promise["status"]) == ("closed", "verified")
        assert epic["close_reason"] == "validated, as all its beads are (run r1)"
    else:
        assert (epic["status"], promise["status"]) == ("open", "pending")
        assert session.is_orphan(promise, Store(project, clock))
