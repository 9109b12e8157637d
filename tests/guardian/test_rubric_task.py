"""The task `rubric` uses what is there, has written what is not, and says what it sealed."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.agents.answer import Answer, ErrorClass
from attractor.pipeline.load import load
from attractor.rehearsal.default import scenario_for
from attractor.rehearsal.server import ScriptedServer
from attractor.rubric import manifest, seal
from attractor.rubric.scope import is_judging, is_work
from attractor.run.request import Request
from attractor.run.roles import Role, role
from guardian import asking
from guardian.tasks import rubric as task

RUN = "run-1"


@pytest.fixture
def asked(root: Path, tmp_path: Path) -> Request:
    """A request about the example `hello`, whose rubric is beside it."""
    for name in ("pipelines", "acceptance-tests"):
        shutil.copytree(root / name, tmp_path / name)
    run_root = tmp_path / "run"
    (run_root / "tasks").mkdir(parents=True)
    pipelines = tmp_path / "pipelines"
    shutil.copy(pipelines / "hello.dot", run_root / "pipeline.dot")
    return Request(
        run_id=RUN,
        project=str(tmp_path / "project"),
        run_root=str(run_root),
        pipeline=str(pipelines / "hello.dot"),
        base_commit="0" * 40,
        prd=str(pipelines / "prd" / "PRD-HELLO-001.md"),
        rubric=str(tmp_path / "acceptance-tests" / "PRD-HELLO-001"),
    )


def spec_of(request: Request) -> dict[str, Any]:
    graph = request.layout.dot
    said = request.as_json()
    return {"kind": "rubric", "task": "t-1", "request": said, "node": "", "attempt": 0} | {
        "graph": graph,
        "out": "out",
    }


@pytest.fixture
def run(clock: Any) -> Callable[[Request], dict[str, Any]]:
    """`run(request)`: the task's answer, as it is after its way through a file."""
    return lambda request: json.loads(json.dumps(task.run(spec_of(request), clock)))  # type: ignore[no-any-return]


@pytest.fixture
def rehearsed(asked: Request, tmp_path: Path) -> Iterator[Request]:
    """The same in a rehearsal, with a rubric still to be written; the real claude answers."""
    program = tools.find_claude()
    if program is None:
        pytest.skip("there is no claude here: install the sdk extra")
    _, graph = load(asked.layout.dot)
    with ScriptedServer(scenario_for(graph, criteria=["AC-1", "AC-2", "AC-3"])) as server:
        yield dataclasses.replace(
            asked,
            rubric=str(tmp_path / "state" / "PRD-HELLO-001"),
            rehearsed=True,
            base_url=server.base_url,
            claude=program,
        )


def test_a_rubric_that_is_there_is_used_as_it_is(
    asked: Request, run: Callable[[Request], dict[str, Any]]
) -> None:
    answer = run(asked)
    assert (answer["ok"], answer["by"], answer["folder"]) == (True, "hand", asked.rubric)
    assert answer["files"] == seal.hashes(seal.read(asked.rubric))
    assert answer["scope"] == {"impl_hello": ["F1"], "judge_hello": ["F1", "F2", "F3"]}
    assert (answer["acceptance"], answer["usage"]["requests"]) == ({}, 0)


def test_a_rubric_by_hand_that_lint_refuses_is_an_error_with_its_findings(
    asked: Request, run: Callable[[Request], dict[str, Any]]
) -> None:
    path = Path(asked.rubric, "manifest.yaml")
    path.write_text(path.read_text().replace("criteria: [AC-3]", "criteria: [AC-2]"))
    answer = run(asked)
    assert asked.rubric in answer["error"]
    assert "ok" not in answer
    (found,) = answer["findings"]
    assert found.startswith(str(path))
    assert "no feature covers AC-3" in found


@pytest.mark.parametrize("text", ["a: [", "features: []"])
def test_a_rubric_that_cannot_be_read_is_an_error_with_its_place(
    asked: Request, run: Callable[[Request], dict[str, Any]], text: str
) -> None:
    Path(asked.rubric, "manifest.yaml").write_text(text)
    answer = run(asked)
    assert len(answer["findings"]) == 1
    assert "manifest.yaml" in answer["findings"][0]


@pytest.mark.parametrize("gone", ["prd", "rubric"])
def test_without_requirements_work_is_judged_by_its_acceptance(
    asked: Request, run: Callable[[Request], dict[str, Any]], gone: str
) -> None:
    shutil.rmtree(asked.rubric)
    answer = run(dataclasses.replace(asked, **{gone: ""}))  # type: ignore[arg-type]
    assert (answer["by"], answer["folder"], answer["files"]) == ("acceptance", "", {})
    assert answer["scope"] == {}
    text = "`python3 hello.py Ada` prints `Hello, Ada!` and exits with 0."
    assert answer["acceptance"] == {"impl_hello": text, "judge_hello": text}


def test_in_a_rehearsal_the_agent_writes_one_that_stays_in_the_run(
    rehearsed: Request, run: Callable[[Request], dict[str, Any]]
) -> None:
    answer = run(rehearsed)
    assert answer["by"] == "agent", answer
    assert Path(answer["folder"]).is_relative_to(rehearsed.layout.tasks)
    assert not Path(rehearsed.rubric).exists()
    assert answer["files"] == seal.hashes(seal.read(answer["folder"]))
    assert manifest.load(answer["folder"]).written_by == RUN
    assert answer["scope"]["impl_hello"]
    assert answer["usage"]["requests"] == 1
    again = run(rehearsed)
    assert (again["files"], again["by"]) == (answer["files"], "agent")
    assert again["usage"]["requests"] == 0


def test_the_question_leaves_nothing_behind_and_neither_does_a_dead_one(
    rehearsed: Request, run: Callable[[Request], dict[str, Any]]
) -> None:
    above = Path(rehearsed.layout.tasks, "t-1.asking")
    (above / "1-dead" / "home").mkdir(parents=True)
    run(rehearsed)
    assert list(above.iterdir()) == []


def test_what_an_agent_writes_in_a_real_run_lies_where_the_request_says(
    asked: Request,
    run: Callable[[Request], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    feature = {
        "id": "F1",
        "title": "X",
        "weight": 1,
        "criteria": ["AC-1", "AC-2", "AC-3"],
        "scenarios": [{"name": "a", "steps": ["Then a file is there"]}],
        "scoring_guide": ["1.0: it is"],
        "evidence": ["a.py"],
    }
    answers = [
        Answer(error_class=ErrorClass.NONE, structured={"title": "X", "features": [each]})
        for each in ({**feature, "criteria": ["AC-1"]}, feature)
    ]
    monkeypatch.setattr(asking, "ask", lambda *_, **__: answers.pop(0))
    request = dataclasses.replace(asked, rubric=str(tmp_path / "state" / "PRD-HELLO-001"))
    answer = run(request)
    assert (answer["by"], answer["folder"]) == ("agent", request.rubric)
    assert Path(request.layout.tasks, "t-1.refused", "1", "reasons.txt").is_file()
    assert run(request)["by"] == "agent"


def test_who_reached_nobody_has_not_tried(
    asked: Request,
    run: Callable[[Request], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked = dataclasses.replace(asked, rubric=str(tmp_path / "none"))
    for error, free in (("connection refused", True), ("overloaded", None)):
        said = Answer(error_class=ErrorClass.API, error=error)
        monkeypatch.setattr(asking, "ask", lambda *_, said=said, **__: said)
        assert run(asked).get("free") is free


def test_a_rate_limit_says_when_to_come_back(
    asked: Request,
    run: Callable[[Request], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    said = Answer(error_class=ErrorClass.RATE_LIMIT, error="later", retry_at=1_772_000_500.0)
    monkeypatch.setattr(asking, "ask", lambda *_, **__: said)
    answer = run(dataclasses.replace(asked, rubric=str(tmp_path / "none")))
    assert (answer["error"], answer["error_class"]) == ("later", "rate_limit")
    assert answer["retry_at"] == 1_772_000_500.0
    assert "ok" not in answer


def test_the_scope_agrees_with_the_guardian_on_what_each_node_is(root: Path) -> None:
    for path in (root / "pipelines").glob("**/*.dot"):
        _, graph = load(str(path))
        for node in graph.nodes.values():
            assert is_judging(graph, node.id) == (role(graph, node) is Role.JUDGE), node.id
            assert is_work(graph, node.id) == (role(graph, node) is Role.WORK), node.id


def test_the_task_answers_as_a_process_of_its_own(asked: Request, tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.json", tmp_path / "out.json"
    spec.write_text(json.dumps(spec_of(asked)))
    command = [sys.executable, "-I", "-m", "guardian.task", str(spec), str(out)]
    subprocess.run(command, check=True, timeout=60)
    assert json.loads(out.read_text())["ok"] is True


def test_the_writer_is_told_what_people_have_laid_down(
    asked: Request,
    run: Callable[[Request], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []

    def ask(_: Any, *, prompt: str, **__: Any) -> Answer:
        heard.append(prompt)
        return Answer(error_class=ErrorClass.AUTH, error="nobody is logged in")

    monkeypatch.setattr(task, "remembered", lambda *_: "- Constraint: no network")
    monkeypatch.setattr(asking, "ask", ask)
    said = run(dataclasses.replace(asked, rubric=str(tmp_path / "none")))
    assert "nobody is logged in" in said["error"]
    assert heard[0].endswith("- Constraint: no network")
