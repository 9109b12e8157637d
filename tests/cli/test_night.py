"""`attractor night`: what it refuses before anything is spent, and what it leaves to go on with."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from attractor import tools
from attractor.cli import watch_run
from attractor.errors import ToolError
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
def keepers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which runs got a keeper; none is started."""
    roots: list[str] = []
    monkeypatch.setattr(keeping, "ensure_keeper", lambda layout, _: roots.append(layout.root))
    return roots


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
    assert questions == ["What does it look like when 'greet' is done?", "Is this the plan?"]
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
    assert os.path.isfile(found["pipeline"])
    assert (keepers, _runs(project), len(planner)) == ([], [], 1)
    fix = found["fix"]
    again = f"attractor run {found['pipeline']} --rehearse --project {project} --persistent"
    assert fix.startswith(f"it is kept; to run it: {again}; ")
    assert fix.endswith(f"attractor plan --approve command-greets --project {project} --yes")


def _commands(fix: str) -> tuple[list[str], list[str]]:
    """Return the words of the two commands that go on with a plan: run it, approve it."""
    run, _, approve = fix.partition("to run it: ")[2].partition("; to approve it first: ")
    return shlex.split(run)[1:], shlex.split(approve)[1:]


def test_the_commands_that_go_on_with_a_plan_do_the_same_from_anywhere(
    cli: Any,
    home: Path,
    tmp_path: Path,
    planner: list[str],
    keepers: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = (
        *("--fault", "futile@impl_name", "--fault", "crash@impl_people", "--max-parallel", "2"),
        *("--review", "self,codex", "--set", "max_attempts=2", "--budget-usd", "1.5"),
        *("--auto-approve", "--on-end", "echo 'it is over'", "--detach"),
    )
    said = cli("night", "--goal", GOAL, "--rehearse", "--json", *options)
    assert said.status == 2
    run, approve = _commands(said.json()["fix"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    said = cli(*approve)
    assert said.status == 0, said.err
    again = shlex.split(said.out.splitlines()[-1].partition("to run it: ")[2])
    assert again == ["attractor", *run[:5]]
    assert run[2:4] == ["--rehearse", "--project"]
    begun = cli(*run)
    assert begun.status == 0, begun.err
    (root,) = keepers
    asked = request.load(RunLayout(root).request)
    assert asked.rehearsed
    assert asked.persistent
    assert root.startswith(f"{asked.project}/.claude/")
    assert asked.faults == ("futile@impl_name", "crash@impl_people")
    assert asked.settings == ("review=self,codex", "max_attempts=2")
    assert (asked.max_parallel, asked.budget_usd, asked.auto_approve) == (2, 1.5, True)
    assert asked.on_end == "echo 'it is over'"
    assert (len(planner), [*elsewhere.iterdir()]) == (1, [])


def test_what_a_run_cannot_begin_with_by_then_is_said_and_the_plan_is_kept(
    cli: Any, project: Path, planner: list[str], keepers: list[str], person: Any
) -> None:
    person("y")
    changed = project / "README.md"
    asks = click.confirm

    def meanwhile(*words: Any, **more: Any) -> bool:
        changed.write_text("changed and not committed\n")
        return asks(*words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click, "confirm", meanwhile)
        said = cli("night", "--goal", GOAL, "--rehearse", "--project", project)
    assert said.status == 1
    dot = project / ".claude" / "attractor" / "plans" / "command-greets" / "command-greets.dot"
    again = f"attractor run {dot} --rehearse --project {project} --persistent"
    assert f"; the plan is kept: {again}\n" in said.err
    assert dot.is_file()
    assert (keepers, _runs(project), len(planner)) == ([], [], 1)


_FORBIDDEN = (
    (("--review", "self,foo"), "there is no agent 'foo'"),
    (("--set", "judge_agent=clod"), "there is no agent 'clod'"),
    (("--set", "max_attempts=some"), "max_attempts"),
    (("--fault", "snow@impl_name"), "there is no fault 'snow@impl_name'"),
    (("--fault", "futile"), "there is no fault 'futile'"),
    (("--fault", "lie@impl_nobody"), "there is no node 'impl_nobody'"),
    (("--set", "claude=/no/claude"), "/no/claude"),
    (("--require-sandbox",), "a sandbox is required"),
)


@pytest.mark.parametrize(
    ("made", "words", "says"),
    [
        (False, (), "README.md has changes that are not committed"),
        *((False, ("--allow-dirty", *words), says) for words, says in _FORBIDDEN),
        *((True, words, says) for words, says in _FORBIDDEN),
    ],
)
def test_what_forbids_the_work_is_said_before_anything_is_made_or_paid(
    *,
    cli: Any,
    project: Path,
    tmp_path: Path,
    planner: list[str],
    keepers: list[str],
    monkeypatch: pytest.MonkeyPatch,
    made: bool,
    words: tuple[str, ...],
    says: str,
) -> None:
    def no_sandbox() -> str:
        raise ToolError("bwrap is not installed", fix="install it")

    monkeypatch.setattr(tools, "try_sandbox", no_sandbox)
    (project / "README.md").write_text("changed and not committed\n")
    place = () if made else ("--project", project)
    said = cli("night", "--goal", GOAL, "--rehearse", *place, "--yes", *words, "--json")
    assert said.status == 1
    assert says in json.dumps(said.json())
    assert said.json()["fix"]
    assert (planner, keepers, _plans(project), _runs(project)) == ([], [], [], [])
    assert [*(tmp_path / "home").rglob("project")] == []


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


def test_where_no_run_can_start_nobody_is_asked_for_a_plan(
    cli: Any, home: Path, tmp_path: Path, planner: list[str], keepers: list[str]
) -> None:
    said = cli("night", "--goal", GOAL, "--rehearse", "--project", home, "--yes", "--json")
    assert said.status == 1
    assert (said.json()["where"], planner, keepers) == (str(home), [], [])
    assert "not a git repository" in said.json()["message"]
