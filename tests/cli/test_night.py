"""`attractor night`: what it refuses before anything is spent, and what it leaves to go on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.cli import watch_run
from attractor.plan import make
from attractor.plan import planner as asking_of
from attractor.plan.model import Project
from attractor.rehearsal.made_plan import plan_for
from attractor.run import keeping, request
from attractor.run.layout import RunLayout

GOAL = "A command that greets people by name"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folders, with nothing in them."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(folder / name))
    for name in ("ATTRACTOR_GOAL", "ATTRACTOR_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository that is worked in, with one commit."""
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, timeout=30)
    (folder / "README.md").write_text("Greets.\n")
    author = ("-c", "user.name=T", "-c", "user.email=t@localhost")
    for words in (("add", "-A"), (*author, "commit", "-q", "-m", "one")):
        subprocess.run(["git", "-C", str(folder), *words], check=True, timeout=30)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the planner is asked; it answers with a good plan."""
    prompts: list[str] = []

    def ask(question: Any, _: str) -> Answer:
        prompts.append(question.prompt)
        return Answer(error_class=ErrorClass.NONE, structured=plan_for(GOAL))

    monkeypatch.setattr(asking_of.asking, "ask", ask)
    monkeypatch.setattr(make, "detect", lambda folder, _: Project(folder))
    return prompts


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which runs got a keeper; none is started."""
    roots: list[str] = []
    monkeypatch.setattr(keeping, "ensure_keeper", lambda layout, _: roots.append(layout.root))
    return roots


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`person("y", ...)`: a terminal, and what a person types into it; returns the questions."""

    def sits_there(*words: str) -> list[str]:
        typed, questions = iter(words), list[str]()

        def asked(question: str) -> str:
            questions.append(question)
            return next(typed)

        monkeypatch.setattr(sys, "stdin", _Terminal())
        monkeypatch.setattr(click, "prompt", lambda text, **_: asked(text))
        monkeypatch.setattr(click, "confirm", lambda text, **_: asked(text) == "y")
        return questions

    return sits_there


class _Terminal:
    def isatty(self) -> bool:
        return True


def _plans(project: Path) -> list[str]:
    folder = project / ".claude" / "attractor" / "plans"
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _runs(project: Path) -> list[str]:
    folder = project / ".claude" / "attractor" / "runs"
    return sorted(os.listdir(folder)) if folder.is_dir() else []


@pytest.mark.parametrize("goal", ["", "  ", "login"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_goal_that_says_nothing_is_asked_about_and_refused_where_nobody_is(
    cli: Any, project: Path, planner: list[str], keepers: list[str], goal: str, more: tuple[str]
) -> None:
    said = cli("night", "--goal", goal, "--rehearse", "--project", project, "--yes", *more)
    assert said.status == 2
    assert "Traceback" not in said.err
    if more:
        assert said.json()["fix"]
    assert (planner, keepers, _plans(project), _runs(project)) == ([], [], [], [])


def test_a_person_is_asked_what_done_looks_like_and_whether_that_is_the_plan(
    cli: Any, project: Path, planner: list[str], keepers: list[str], person: Any
) -> None:
    questions = person("people are greeted by name", "n")
    said = cli("night", "--goal", "greet", "--rehearse", "--project", project)
    assert said.status == 1
    assert questions == ["What does done look like of 'greet'?", "Is this the plan?"]
    assert "greet\n\npeople are greeted by name" in planner[0]
    assert f"attractor run {project}/.claude/attractor/plans/command-greets" in said.err
    assert (keepers, _plans(project), _runs(project)) == ([], ["command-greets"], [])


def test_a_context_that_is_missing_is_named_and_nothing_is_made(
    cli: Any, home: Path, tmp_path: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("night", "--goal", GOAL, "--context", "no/such.md", "--rehearse", "--yes", "--json")
    assert said.status == 1
    assert said.json()["where"] == "no/such.md"
    assert planner == []
    assert [*home.rglob("project")] == []


def test_without_approval_nothing_begins_and_the_plan_is_kept(
    cli: Any, project: Path, planner: list[str], keepers: list[str]
) -> None:
    said = cli("night", "--goal", GOAL, "--rehearse", "--project", project, "--json")
    assert said.status == 2
    found = json.loads(said.out.splitlines()[-1])
    assert "attractor run " in found["fix"]
    assert os.path.isfile(found["pipeline"])
    assert (keepers, _runs(project), len(planner)) == ([], [], 1)


def test_what_a_run_cannot_begin_with_is_said_and_the_plan_is_kept(
    cli: Any, project: Path, planner: list[str], keepers: list[str]
) -> None:
    (project / "README.md").write_text("changed and not committed\n")
    said = cli("night", "--goal", GOAL, "--rehearse", "--project", project, "--yes", "--json")
    assert said.status == 1
    found = json.loads(said.out.splitlines()[-1])
    dot = project / ".claude" / "attractor" / "plans" / "command-greets" / "command-greets.dot"
    again = f"attractor run {dot} --persistent --project {project} --rehearse"
    assert found["fix"].endswith(f"; the plan is kept: {again}")
    assert dot.is_file()
    assert (keepers, _runs(project), len(planner)) == ([], [], 1)


@pytest.mark.parametrize("fault", ["futile@impl_nobody", "snow@impl_name"])
def test_a_fault_that_there_is_not_is_said_and_the_plan_is_kept(
    cli: Any, project: Path, planner: list[str], keepers: list[str], fault: str
) -> None:
    words = ("--rehearse", "--project", project, "--yes", "--fault", fault, "--json")
    said = cli("night", "--goal", GOAL, *words)
    assert said.status == 1
    found = json.loads(said.out.splitlines()[-1])
    assert fault in found["message"]
    assert "; the plan is kept: attractor run " in found["fix"]
    assert (keepers, _plans(project), _runs(project)) == ([], ["command-greets"], [])
    assert len(planner) == 1


def test_a_fault_without_a_rehearsal_is_refused_before_anybody_is_asked(
    cli: Any, project: Path, planner: list[str], keepers: list[str]
) -> None:
    said = cli("night", "--goal", GOAL, "--yes", "--fault", "futile@impl_name", "--json")
    assert said.status == 1
    assert "--rehearse" in said.json()["fix"]
    assert (planner, keepers, _plans(project)) == ([], [], [])


def test_detached_it_begins_a_persistent_run_of_the_plan_and_returns(
    cli: Any, project: Path, planner: list[str], keepers: list[str]
) -> None:
    words = ("--rehearse", "--project", project, "--yes", "--detach", "--json")
    said = cli("night", "--goal", GOAL, "--review", "self,codex", *words)
    assert said.status == 0, said.err
    (begun,) = [json.loads(line) for line in said.out.splitlines()]
    assert (begun["event"], [begun["root"]]) == ("begun", keepers)
    asked = request.load(RunLayout(begun["root"]).request)
    assert (asked.persistent, asked.retrospectives, asked.goal) == (True, 2, GOAL)
    assert asked.plan == str(project / ".claude" / "attractor" / "plans" / "command-greets")
    assert len(planner) == 1


def test_from_elsewhere_the_run_is_named_so_that_it_is_found(
    cli: Any,
    project: Path,
    tmp_path: Path,
    planner: list[str],
    keepers: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("night", "--goal", GOAL, "--rehearse", "--project", project, "--yes", "--detach")
    monkeypatch.chdir(tmp_path)
    said = cli(*words)
    assert f"watch it:  attractor resume {keepers[0]}\n" in said.out
    monkeypatch.chdir(project)
    again = cli(*words)
    assert f"watch it:  attractor resume {os.path.basename(keepers[1])}\n" in again.out
    assert len(planner) == 2


def test_where_only_a_rehearsal_is_asked_for_the_project_is_made(
    cli: Any,
    home: Path,
    tmp_path: Path,
    planner: list[str],
    keepers: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("night", "--goal", GOAL, "--rehearse", "--yes", "--detach")
    assert said.status == 0, said.err
    (root,) = keepers
    assert root.startswith(str(home))
    assert os.path.basename(root) in said.out
    assert "watch it:" in said.out
    assert not (tmp_path / ".claude").exists()
    assert len(planner) == 1


def test_watched_it_reports_in_the_morning_and_exits_as_the_run_ended(
    cli: Any, project: Path, planner: list[str], keepers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_run, "follow", lambda *_, **__: 5)
    words = ("--rehearse", "--project", project, "--yes")
    said = cli("night", "--goal", GOAL, *words)
    assert said.status == 5
    assert "Where the evidence lies" in said.out
    assert (len(planner), len(keepers)) == (1, 1)
