"""`attractor plan`: what is asked, what is shown, and what waits for a person."""

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
from attractor.plan import again, make
from attractor.plan import planner as asking_of
from attractor.plan.model import Project
from attractor.rehearsal.made_plan import plan_for

GOAL = "A command that greets people by name"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository that is worked in, with beads."""
    from attractor.beads import store

    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=30)
    store.init(str(folder / ".beads"), "at")
    monkeypatch.chdir(folder)
    for name, at in (("HOME", "home"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "conf")):
        monkeypatch.setenv(name, str(tmp_path / at))
    for name in ("ATTRACTOR_GOAL", "ATTRACTOR_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the planner is asked; it answers with a good plan, or what `says` holds."""
    prompts: list[str] = []

    def ask(question: Any, _: str) -> Answer:
        prompts.append(question.prompt)
        assert question.tools == ("Read", "Grep", "Glob")
        return Answer(error_class=ErrorClass.NONE, structured=plan_for(GOAL))

    monkeypatch.setattr(asking_of.asking, "ask", ask)
    monkeypatch.setattr(make, "detect", lambda folder, _: Project(folder))
    return prompts


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


def _folder(project: Path) -> Path:
    return project / ".claude" / "attractor" / "plans" / "command-greets"


def test_a_plan_is_shown_as_a_tree_with_its_picture_and_approved(
    cli: Any, project: Path, planner: list[str]
) -> None:
    said = cli("plan", "--goal", GOAL, "--yes")
    assert said.status == 0, said.err
    assert "`-- impl_command: Write what command needs [AC-1]" in said.out
    assert f"picture: {_folder(project)}/command-greets.svg" in said.out
    assert said.out.splitlines()[-1].endswith(
        f"attractor run {_folder(project)}/command-greets.dot"
    )
    assert (_folder(project) / "approved.json").is_file()
    assert len((project / ".beads" / "issues.jsonl").read_text().splitlines()) == 6
    assert (project / ".claude/completion-state/promises/plan-command-greets.json").is_file()
    assert GOAL in planner[0]


def test_a_script_gets_one_document(cli: Any, project: Path, planner: list[str]) -> None:
    said = cli("plan", "--goal", GOAL, "--yes", "--json")
    assert said.status == 0, said.err
    found = said.json()
    assert found["pipeline"] == str(_folder(project) / "command-greets.dot")
    assert found["nodes"][4]["after"] == ["impl_greets", "impl_people", "impl_name"]
    assert found["nodes"][0]["bead"] == "at-command-greets.1"
    assert found["criteria"].keys() == {"AC-1", "AC-2", "AC-3", "AC-4", "AC-5"}
    assert len(planner) == 1


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_without_a_person_and_without_yes_the_plan_is_kept_and_not_approved(
    cli: Any, project: Path, planner: list[str], more: tuple[str, ...]
) -> None:
    said = cli("plan", "--goal", GOAL, *more)
    assert said.status == 2
    assert f"attractor run {_folder(project)}/command-greets.dot" in said.err
    assert (_folder(project) / "command-greets.dot").is_file()
    assert not (_folder(project) / "approved.json").exists()
    assert (project / ".beads" / "issues.jsonl").read_text() == ""
    assert len(planner) == 1


def test_a_plan_that_was_kept_can_be_approved_later(
    cli: Any, project: Path, planner: list[str]
) -> None:
    cli("plan", "--goal", GOAL)
    said = cli("plan", "--approve", "command-greets", "--yes")
    assert said.status == 0, said.err
    assert (_folder(project) / "approved.json").is_file()
    assert len(planner) == 1


def test_a_person_is_asked_and_their_word_counts(
    cli: Any, project: Path, planner: list[str], person: Any
) -> None:
    assert person("n") == []
    said = cli("plan", "--goal", GOAL)
    assert said.status == 1
    assert "not approved" in said.err
    questions = person("y")
    assert cli("plan", "--approve", "command-greets").status == 0
    assert questions == ["Is this the plan?"]
    assert len(planner) == 1


def test_a_goal_of_one_word_is_asked_about_and_needs_a_terminal(
    cli: Any, project: Path, planner: list[str], person: Any
) -> None:
    said = cli("plan", "--goal", "login", "--yes")
    assert said.status == 2
    assert planner == []
    questions = person("a session lasts a day")
    assert cli("plan", "--goal", "login", "--yes").status == 0
    assert questions == ["What does done look like of 'login'?"]
    assert "login\n\na session lasts a day" in planner[0]


def test_goal_and_context_may_come_from_the_environment(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "notes.md").write_text("## Goal\n\nGreet people, kindly.\n")
    monkeypatch.setenv("ATTRACTOR_CONTEXT", "notes.md")
    assert cli("plan", "--yes").status == 0
    assert "<goal>\nGreet people, kindly.\n</goal>" in planner[0]
    monkeypatch.setenv("ATTRACTOR_GOAL", "Greet people, loudly")
    assert cli("plan", "--yes").status == 0
    assert "<goal>\nGreet people, loudly\n</goal>" in planner[1]


def test_a_context_that_is_missing_is_named_before_anybody_is_asked(
    cli: Any, project: Path, planner: list[str]
) -> None:
    said = cli("plan", "--goal", GOAL, "--context", "no/such.md", "--yes", "--json")
    assert said.status == 1
    assert said.json()["where"] == "no/such.md"
    assert planner == []


def test_planning_over_a_run_is_asked_about(
    cli: Any, project: Path, planner: list[str], person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [again.Earlier("greet-1", "greet", finished=False)]
    monkeypatch.setattr(again, "earlier", lambda _: before)
    said = cli("plan", "--goal", GOAL)
    assert said.status == 2
    assert "attractor resume greet-1" in said.err
    questions = person("n")
    assert cli("plan", "--goal", GOAL).status == 1
    assert questions == ["the run greet-1 of the plan greet has not ended. Plan again?"]
    assert planner == []
    person("y", "y")
    assert cli("plan", "--goal", GOAL).status == 0
    assert cli("plan", "--goal", GOAL, "--replan", "--yes").status == 0
    assert sorted(os.listdir(_folder(project).parent)) == ["command-greets", "command-greets-2"]


def test_a_plan_that_never_gets_good_is_kept_aside(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Answer(error_class=ErrorClass.NONE, structured=plan_for(GOAL, broken=True))
    monkeypatch.setattr(asking_of.asking, "ask", lambda *_: bad)
    said = cli("plan", "--goal", GOAL, "--yes", "--json")
    assert said.status == 1
    found = said.json()
    assert found["where"] == str(project / ".claude" / "attractor" / "plan.rejected")
    assert [each["rule"] for each in found["faults"]] == ["same-file"]
    assert len(os.listdir(found["where"])) == 3
    assert planner == []


def test_a_rate_limit_says_when_it_ends(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = Answer(error_class=ErrorClass.RATE_LIMIT, error="429", retry_at=1_772_000_000.0)
    monkeypatch.setattr(asking_of.asking, "ask", lambda *_: limited)
    said = cli("plan", "--goal", GOAL, "--yes")
    assert said.status == 1
    assert "until 2026-02-25T06:13:20Z" in said.err
    assert planner == []
    assert not _folder(project).exists()


def test_what_says_nothing_beside_approve_is_refused(cli: Any, project: Path) -> None:
    said = cli("plan", "--approve", "x", "--goal", GOAL, "--json")
    assert said.status == 2
    assert "--goal" in said.json()["message"]


def test_the_settings_name_the_planners_model(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[str] = []

    def ask(question: Any, folder: str) -> Answer:
        models.append(question.model)
        assert json.loads(json.dumps(question.schema))["required"][0] == "name"
        assert question.cwd == str(project)
        assert os.path.isdir(folder)
        return Answer(error_class=ErrorClass.NONE, structured=plan_for(GOAL))

    monkeypatch.setattr(asking_of.asking, "ask", ask)
    assert cli("plan", "--goal", GOAL, "--yes", "--set", "plan_model=opus").status == 0
    assert models == ["opus"]
    assert planner == []
