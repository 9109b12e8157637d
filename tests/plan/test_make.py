"""A plan is asked for, checked, sent back with what is wrong, and published or kept aside."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.errors import InputError, StorageError, ToolError
from attractor.pipeline.facts import gather
from attractor.pipeline.lint import lint
from attractor.pipeline.load import load
from attractor.plan import make, write
from attractor.plan.goal import Document, Goal
from attractor.plan.model import Project
from attractor.rehearsal.made_plan import plan_for
from attractor.rubric import prd

GOAL = "A command that greets people by name"
GOOD, BAD = plan_for(GOAL), plan_for(GOAL, broken=True)


@pytest.fixture
def project(tmp_path: Path) -> str:
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=30)
    return str(folder)


@pytest.fixture
def plan(
    project: str, clock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[make.Planned, list[str]]]:
    """`plan(answers)`: have a plan made by a planner that says these; also what it was asked."""

    def made(
        answers: list[Any], prompts: list[str] | None = None, **asked: Any
    ) -> tuple[make.Planned, list[str]]:
        said = iter(answers)
        heard: list[str] = [] if prompts is None else prompts

        def ask(prompt: str, number: int) -> Answer:
            heard.append(prompt)
            assert number == len(heard)
            found = next(said)
            if isinstance(found, Answer):
                return found
            usage = Usage(requests=1)
            return Answer(error_class=ErrorClass.NONE, structured=found, usage=usage)

        order = make.Asked(**{"project": project, "goal": Goal(GOAL), **asked})
        return make.plan(order, clock, environ={"HOME": str(tmp_path)}, ask=ask), heard

    monkeypatch.setattr(make, "detect", lambda folder, _: Project(folder))
    return made


def test_a_good_answer_becomes_a_whole_plan_that_lints_clean(plan: Any, project: str) -> None:
    planned, _ = plan([GOOD])
    folder = Path(project, ".claude", "attractor", "plans", "command-greets")
    assert (planned.folder, planned.name) == (str(folder), "command-greets")
    document, graph = load(planned.dot)
    facts = gather(planned.dot, graph, files=True)
    assert lint(graph, document.warnings, facts, strict=True) == []
    name = prd.name_of(graph)
    assert prd.find(name, planned.dot, project) == planned.prd
    assert prd.read(planned.prd).criteria == tuple(f"AC-{each}" for each in range(1, 6))
    for node in GOOD["nodes"]:
        assert (folder / "skills" / node["id"] / "SKILL.md").is_file()


def test_nothing_of_the_users_is_touched(plan: Any, project: str) -> None:
    plan([GOOD])
    argv = ["git", "-C", project, "status", "--porcelain", "-uall"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    assert os.listdir(project) == [".git", ".claude"] or sorted(os.listdir(project)) == [
        ".claude",
        ".git",
    ]


def test_a_plan_can_be_made_where_there_is_no_repository(plan: Any, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    planned, _ = plan([GOOD], project=str(tmp_path / "plain"))
    assert os.path.isfile(planned.dot)


def test_what_is_known_of_a_plan_stands_in_it(plan: Any) -> None:
    wanted = Goal(GOAL, (Document("n.md", "x", 9, 1),), ("n.md: cut",))
    planned, _ = plan([GOOD], goal=wanted)
    known = json.loads(Path(planned.folder, "plan.json").read_text())
    assert known["goal"] == GOAL
    assert known["context"] == [{"name": "n.md", "bytes": 9, "taken": 1}]
    assert known["notes"] == ["n.md: cut"]
    assert known["plan"] == GOOD
    assert known["usage"]["requests"] == 1
    assert make.found(planned.project, planned.name) == planned


def test_faults_go_back_to_the_planner_and_what_was_refused_is_kept(
    plan: Any, project: str
) -> None:
    planned, prompts = plan([BAD, GOOD])
    assert planned.rounds == 2
    assert "both write" in prompts[1]
    assert "<refused>" in prompts[1]
    assert "<refused>" not in prompts[0]
    kept = Path(write.rejected_folder(project), "1")
    assert "both write" in (kept / "faults.txt").read_text()
    assert json.loads((kept / "draft.json").read_text()) == BAD


def test_three_bad_answers_are_no_plan(plan: Any, project: str) -> None:
    prompts: list[str] = []
    with pytest.raises(InputError, match="in 3 rounds") as refused:
        plan([BAD, BAD, BAD, GOOD], prompts)
    assert len(prompts) == 3
    assert refused.value.exit_status == 1
    assert refused.value.where == write.rejected_folder(project)
    assert sorted(os.listdir(refused.value.where)) == ["1", "2", "3"]
    assert not os.path.exists(write.plans_folder(project))


def test_what_was_refused_is_kept_out_of_git(plan: Any, project: str) -> None:
    with pytest.raises(InputError):
        plan([BAD] * 3)
    argv = ["git", "-C", project, "status", "--porcelain", "-uall"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""


def test_a_rate_limit_says_until_when(plan: Any) -> None:
    limited = Answer(error_class=ErrorClass.RATE_LIMIT, error="429", retry_at=1_772_000_000.0)
    with pytest.raises(ToolError, match="until 2026-02-25T06:13:20Z") as refused:
        plan([limited])
    assert refused.value.exit_status == 1
    assert refused.value.details == {"retry_at": 1_772_000_000.0}


def test_no_answer_is_no_plan_and_nothing_is_asked_again(plan: Any, project: str) -> None:
    prompts: list[str] = []
    crashed = Answer(error_class=ErrorClass.AUTH, error="please log in")
    with pytest.raises(ToolError, match="please log in"):
        plan([crashed, GOOD], prompts)
    assert len(prompts) == 1
    assert not os.path.exists(write.plans_folder(project))


def test_a_second_plan_has_a_name_of_its_own_and_the_first_stays(plan: Any) -> None:
    first, _ = plan([GOOD])
    before = Path(first.dot).read_bytes()
    second, _ = plan([GOOD])
    assert (first.name, second.name) == ("command-greets", "command-greets-2")
    assert os.path.basename(second.prd) == "PRD-COMMAND-GREETS-2.md"
    assert Path(first.dot).read_bytes() == before


def test_the_rubric_of_a_plan_that_was_removed_judges_no_other(plan: Any, tmp_path: Path) -> None:
    from attractor.rubric import locate

    first, _ = plan([GOOD])
    place = locate.state_place(first.names.prd, first.project, {"HOME": str(tmp_path)})
    os.makedirs(place)
    Path(place, "manifest.yaml").write_text("prd_id: x")
    os.rename(first.folder, tmp_path / "gone")
    assert plan([GOOD])[0].name == "command-greets-2"


def test_who_comes_second_by_a_moment_gets_another_name(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan([GOOD])
    real, seen = make.books.is_taken, list[str]()

    def late(project: str, name: str, environ: Any) -> bool:
        seen.append(name)
        return len(seen) > 1 and real(project, name, environ)

    monkeypatch.setattr(make.books, "is_taken", late)
    planned, prompts = plan([GOOD])
    assert planned.name == "command-greets-2"
    assert len(prompts) == 1


def test_a_person_may_name_the_plan(plan: Any) -> None:
    assert plan([GOOD], name="My Plan!")[0].name == "my-plan"


def test_what_the_project_remembers_is_asked_for_and_comes_first(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Any]] = []

    def brief(project: str, query: str, **more: Any) -> str:
        asked.append((query, more["role"]))
        return "Tests are run with pytest."

    monkeypatch.setattr(make, "brief", brief)
    _, prompts = plan([GOOD])
    assert prompts[0].startswith("<memory>\nTests are run with pytest.")
    assert asked == [(GOAL, "planner")]
    _, prompts = plan([GOOD], settings=("memory=off",))
    assert "pytest" not in prompts[0]


@pytest.mark.parametrize("known", [{"plan": {}}, {"plan": {"name": 3}, "names": {}, "scope": "x"}])
def test_a_damaged_plan_is_no_plan(known: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(known))
    with pytest.raises(InputError, match="no plan"):
        make.found_in(str(tmp_path), str(tmp_path))


def test_a_plan_whose_names_lead_out_of_its_folder_is_no_plan(plan: Any) -> None:
    folder = plan([GOOD])[0].folder
    path = Path(folder, "plan.json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"names": known["names"] | {"plan": "../../evil"}}))
    with pytest.raises(InputError, match="no plan"):
        make.found_in(folder, folder)


@pytest.mark.parametrize("name", ["plans", "plan.rejected"])
def test_nobody_is_asked_where_no_plan_could_be_written(plan: Any, project: str, name: str) -> None:
    folder = Path(project, ".claude", "attractor")
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    prompts: list[str] = []
    with pytest.raises(StorageError, match="not a folder"):
        plan([GOOD], prompts)
    assert prompts == []
    assert (folder / name).read_text() == "mine"
