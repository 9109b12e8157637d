"""`attractor plan`: what is asked, what is shown, and what waits for a person."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.plan import again
from attractor.plan import planner as asking_of
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
        f"attractor run {_folder(project)}/command-greets.dot --project {project}"
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
    assert questions == ["What does it look like when 'login' is done?"]
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


def _edit(project: Path, ending: str, old: str, new: str) -> Path:
    """Change what stands in a file of the plan."""
    (path,) = _folder(project).glob(f"*.{ending}")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_what_is_shown_and_approved_is_what_the_edited_files_say(
    cli: Any, project: Path, planner: list[str]
) -> None:
    cli("plan", "--goal", GOAL)
    _edit(project, "dot", "test -s command_greets/people.py", "rm -rf build")
    _edit(project, "dot", "Write what people needs", "Something else")
    _edit(project, "md", "command_greets/name.py is there and not empty", "A name is printed")
    said = cli("plan", "--approve", "command-greets", "--yes")
    assert said.status == 0, said.err
    assert "impl_people: Something else [AC-3]" in said.out
    assert "checks: rm -rf build" in said.out
    assert "AC-4: A name is printed." in said.out
    beads = (project / ".beads" / "issues.jsonl").read_text()
    assert "Something else" in beads
    assert "Write what people needs" not in beads
    promise = project / ".claude/completion-state/promises/plan-command-greets.json"
    assert "A name is printed." in promise.read_text()
    assert len(planner) == 1


def test_a_gate_that_was_edited_is_shown_with_what_it_runs(
    cli: Any, project: Path, planner: list[str]
) -> None:
    cli("plan", "--goal", GOAL)
    _edit(project, "dot", 'gate_type="unit",', 'gate_type="unit", check="rm -rf build",')
    _edit(project, "dot", "Everything together", "All of it")
    said = cli("plan", "--approve", "command-greets", "--yes", "--json")
    gate, judge = said.json()["gates"]
    assert (gate["label"], judge["role"]) == ("All of it", "judge")
    assert "rm -rf build" in gate["checks"]
    assert len(planner) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem", "line"),
    [
        ("digraph ", "digraph {", "", True),
        ('bead_id="at-command-greets.2"', 'note="x"', "does not lint clean", True),
        ('bead_id="at-command-greets.2"', 'bead_id="at-command-greets.1"', "same bead", True),
        ('checks="test -s command_greets/name.py"', 'checks="true"', "whatever was done", True),
        ('promise_ac="AC-2"', 'promise_ac="AC-7"', "AC-2", False),
        ('files="command_greets/name.py"', 'files="command_greets/people.py"', "both write", True),
        ('prd_ref="PRD-COMMAND-GREETS"', 'prd_ref="PRD-X"', "PRD-X", False),
    ],
)
def test_an_edited_pipeline_that_is_not_clean_is_not_approved(
    cli: Any, project: Path, planner: list[str], old: str, new: str, problem: str, line: bool
) -> None:
    cli("plan", "--goal", GOAL)
    path = _edit(project, "dot", old, new)
    said = cli("plan", "--approve", "command-greets", "--yes", "--json")
    assert said.status == 1
    found = said.json()
    assert problem in found["message"]
    assert found["where"].startswith(f"{path}:" if line else str(path))
    assert found["fix"]
    assert not (_folder(project) / "approved.json").exists()
    assert (project / ".beads" / "issues.jsonl").read_text() == ""
    assert len(planner) == 1


@pytest.mark.parametrize("ending", ["dot", "md", "skill"])
def test_a_plan_with_a_file_missing_is_not_approved(
    cli: Any, project: Path, planner: list[str], ending: str
) -> None:
    cli("plan", "--goal", GOAL)
    folder = _folder(project)
    skill = folder / "skills" / "impl_name" / "SKILL.md"
    path = skill if ending == "skill" else next(folder.glob(f"*.{ending}"))
    path.unlink()
    said = cli("plan", "--approve", "command-greets", "--yes", "--json")
    assert said.status == 1
    assert said.json()["where"].startswith(str(folder / "command-greets.dot"))
    assert not (folder / "approved.json").exists()
    assert len(planner) == 1


@pytest.mark.parametrize(
    ("words", "beads", "run"),
    [
        ((), 6, ("--project", "PROJECT")),
        (("--rehearse",), 0, ("--rehearse",)),
        (("--rehearse", "--project", "PROJECT"), 6, ("--rehearse", "--project", "PROJECT")),
    ],
)
def test_the_commands_that_go_on_with_a_plan_do_the_same_from_anywhere(
    *,
    cli: Any,
    project: Path,
    tmp_path: Path,
    planner: list[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    beads: int,
    run: tuple[str, ...],
) -> None:
    given = [str(project) if each == "PROJECT" else each for each in words]
    said = cli("plan", "--goal", GOAL, *given, "--json")
    first, _, approve = said.json()["fix"].partition("; to approve it first: ")
    monkeypatch.chdir(tmp_path)
    said = cli(*shlex.split(approve)[1:], "--json")
    assert said.status == 0, said.err
    assert first == f"it is kept; to run it: {said.json()['run']}"
    dot = f"{_folder(project)}/command-greets.dot"
    rest = [str(project) if each == "PROJECT" else each for each in run]
    assert shlex.split(said.json()["run"]) == ["attractor", "run", dot, *rest]
    assert len((project / ".beads" / "issues.jsonl").read_text().splitlines()) == beads
    assert len(planner) == 1


def test_what_is_changed_while_it_is_shown_is_not_approved(
    cli: Any, project: Path, planner: list[str], person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click

    person()
    cli("plan", "--goal", GOAL, "--json")

    def saved(*_: Any, **__: Any) -> bool:
        _edit(project, "dot", "Write what people needs", "Something else")
        return True

    monkeypatch.setattr(click, "confirm", saved)
    said = cli("plan", "--approve", "command-greets")
    assert said.status == 1
    assert "changed while it was shown" in said.err
    assert not (_folder(project) / "approved.json").exists()
    assert len(planner) == 1


def test_what_the_project_was_found_to_be_is_shown(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.plan import make
    from attractor.project.model import Command, Component, Kind, Language, Project

    found = Project(
        str(project),
        Kind.MONO,
        1,
        (Language("Python", 1),),
        components=(Component("api", "api", "python"),),
        commands=(Command("test", "pytest", "api"),),
        notes=("x/package.json is damaged",),
    )
    monkeypatch.setattr(make, "detect", lambda *_: found)
    said = cli("plan", "--goal", GOAL, "--yes")
    for each in found.as_text().splitlines():
        assert each in said.out.splitlines()
    assert "Repository: mono, 1 file, 1 component" in said.out
    detected = cli("plan", "--approve", "command-greets", "--yes", "--json").json()["detected"]
    assert detected == json.loads(json.dumps(found.as_json()))
    assert len(planner) == 1


def test_where_no_run_can_start_it_is_said_before_anybody_is_asked(
    cli: Any, project: Path, planner: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("plan", "--goal", GOAL, "--yes", "--json")
    assert said.status == 0, said.err
    (text,) = [each for each in said.json()["notes"] if "not a git repository" in each]
    assert "--project" in text
    assert text in said.err.partition("the planner is asked")[0]


def test_a_question_stands_on_its_line_as_it_is_said(
    cli: Any, project: Path, planner: list[str], person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click

    said: list[str] = []
    person()

    def prompt(text: str, **more: Any) -> str:
        said.append(text + more["prompt_suffix"])
        return "a session lasts a day"

    monkeypatch.setattr(click, "prompt", prompt)
    assert cli("plan", "--goal", "login", "--yes").status == 0
    assert said == ["What does it look like when 'login' is done? "]
    assert len(planner) == 1


def test_a_rehearsal_can_have_every_answer_refused(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.rehearsal import whole

    said = cli("plan", "--goal", GOAL, "--fault", "rejected", "--json")
    assert (said.status, said.json()["fix"]) == (1, "add --rehearse")
    asked: list[int] = []

    def script(*_: Any) -> Any:
        asked.append(_[1])
        return real(*_)

    real = whole.planning_script
    monkeypatch.setattr(whole, "planning_script", script)
    assert cli("plan", "--goal", GOAL, "--fault", "rejected", "--rehearse", "--yes").status == 0
    assert asked == [3]
    assert len(planner) == 1, "which this test's planner answered, and not the script"


def test_on_a_narrow_terminal_the_plan_stays_a_tree(
    cli: Any, project: Path, planner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.cli import plan as verb

    cli("plan", "--goal", GOAL)
    monkeypatch.setattr(verb, "width", lambda: 60)
    said = cli("plan", "--approve", "command-greets", "--yes")
    shown = said.out[said.out.index("command-greets: ") : said.out.index("requirements: ")]
    assert max(map(len, shown.splitlines())) <= 60
    assert len(planner) == 1
