"""Checks in a clean tree: one honest answer, whatever becomes of the process that runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import run_layout
from attractor.spawn import own_command
from guardian import checking, trees
from guardian.checking import run_checks
from signals.clock import SystemClock

CLOCK = SystemClock()
Checks = Callable[..., dict[str, Any]]


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    """Run commands in the clean tree of a run."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
    (project / "part").mkdir(parents=True)
    (project / "part" / "file").write_text("here\n")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        (*identity, "commit", "-q", "-m", "first"),
    ):
        subprocess.run(["git", *words], cwd=project, check=True, timeout=30)
    layout = run_layout(str(project), "r")
    request = {"project": str(project), "run_id": "r", "run_root": layout.root, "rubric": ""}
    spec = {"request": request, "node": "n", "attempt": 1}
    folder = Path(layout.trees, "n-1")
    with trees.clean(str(project), str(folder), "main", CLOCK) as tree:

        def run(*commands: str, seconds: float = 30.0, **said: Any) -> dict[str, Any]:
            answer = run_checks({**spec, **said}, tree, commands, seconds, CLOCK)
            assert sorted(each.name for each in folder.iterdir()) == ["git", "lock", "tree"]
            assert answer.pop("seconds") >= 0
            return answer

        yield run
    assert not folder.exists()


def test_checks_run_in_the_tree_or_in_its_target_folder(checks: Checks) -> None:
    assert checks("test -f part/file", "true")["status"] == "green"
    assert checks("cat file; exit 1", target_dir="part")["tail"] == "here\n"


def test_a_red_check_says_which_command_and_how_it_ended(checks: Checks) -> None:
    said = checks("true", "echo broken; exit 4", "echo never")
    assert said.pop("blindness")
    assert said == {
        "status": "red",
        "command": "echo broken; exit 4",
        "exit": 4,
        "tail": "broken\n",
    }


def test_a_check_that_does_not_end_is_stopped_and_red(
    checks: Checks, monkeypatch: pytest.MonkeyPatch, deadline: Any
) -> None:
    def command(*words: str) -> list[str]:
        return deadline.elsewhere(own_command(*words), word="begun\n")

    monkeypatch.setattr(checking, "own_command", command)
    said = checks("echo begun; sleep 300", seconds=0.5)
    assert (said["status"], said["exit"]) == ("red", None)
    assert said["tail"] == "begun\n\nthe checks did not end within 0.5 seconds and were stopped"


def test_no_commands_are_green_and_nothing_is_started(
    checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "own_command", None)
    assert checks()["status"] == "green"


@pytest.mark.parametrize(
    ("program", "slack", "why"),
    [
        ("echo oh >&2; exit 7", 60.0, "ended with status 7 and gave no answer\noh"),
        ("exec sleep 300", 0.3, "did not end and gave no answer"),
    ],
)
def test_a_process_that_gives_no_answer_is_an_error_and_never_green(
    checks: Checks, monkeypatch: pytest.MonkeyPatch, program: str, slack: float, why: str
) -> None:
    monkeypatch.setattr(checking, "own_command", lambda *_: ["/bin/sh", "-c", program])
    monkeypatch.setattr(checking, "_SLACK_SECONDS", slack)
    said = checks("true", seconds=0.1)
    assert said["status"] == "error"
    assert said["tail"] == f"what runs the checks {why}"


def test_an_answer_that_is_none_is_an_error(
    checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'printf \'{"status": "greenish"}\' > "${1%.spec}.json"'
    monkeypatch.setattr(
        checking, "own_command", lambda _, path: ["/bin/sh", "-c", line, "sh", path]
    )
    assert checks("true")["status"] == "error"


def test_every_rubric_is_named_to_what_fences_the_checks(
    checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = """
    hidden=$(sed 's/.*"hidden": \\[\\([^]]*\\).*/\\1/' "$1" | tr -d '"')
    printf '{"status": "red", "seconds": 0, "tail": "%s"}' "$hidden" > "${1%.spec}.json"
    """
    monkeypatch.setattr(
        checking, "own_command", lambda _, path: ["/bin/sh", "-c", line, "sh", path]
    )
    assert checks("true")["tail"] == ""
    said = checks("true", rubric={"folder": "/sealed"}, hidden=["/more"])
    assert said["tail"] == "/more, /sealed"


def test_an_answer_that_a_dead_one_left_does_not_count(
    checks: Checks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = next((tmp_path / "project" / ".claude").rglob("n-1")) / "checks.json"
    out.write_text('{"status": "green"}')
    monkeypatch.setattr(checking, "own_command", lambda *_: ["/bin/sh", "-c", "exit 1"])
    assert checks("true")["status"] == "error"
