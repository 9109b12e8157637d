from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.errors import StorageError
from attractor.run.assignment import Assignment
from runner.hooks import settings


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    project = tmp_path / "project"
    made = Assignment(
        run_id="r",
        node_id="n",
        attempt=1,
        project=str(project),
        run_root=str(project / ".claude" / "attractor" / "runs" / "r"),
        base_commit="0" * 40,
        branch="attractor/r/n",
        worktree=str(project / ".claude" / "worktrees" / "n"),
        hidden=(str(tmp_path / "rubric"),),
    )
    os.makedirs(made.layout.brief("n"))
    return made


def test_every_hook_is_started_isolated_without_a_shell_and_has_a_deadline(
    assignment: Assignment,
) -> None:
    made = settings.hook_settings(assignment)
    handlers = [each for groups in made.values() for group in groups for each in group["hooks"]]
    assert len(handlers) == len(made)
    for handler in handlers:
        assert handler["command"] == sys.executable
        assert handler["args"][:2] == ["-I", "-S"]
        assert os.path.isfile(handler["args"][2])
        assert handler["args"][3] == assignment.layout.events("n")
        assert 0 < handler["timeout"] <= 30


def test_only_the_guard_blocks_when_it_fails(assignment: Assignment) -> None:
    made = settings.hook_settings(assignment)
    blocking = {event for event, [group] in made.items() if "onFailure" in group["hooks"][0]}
    assert blocking == {"PreToolUse", "ConfigChange"}


def test_every_event_that_the_runner_understands_has_a_hook(assignment: Assignment) -> None:
    from runner.view import _MEANINGS

    raised = {each for each in _MEANINGS if not each.startswith("attractor:")}
    assert raised <= set(settings.hook_settings(assignment))


def test_no_command_line_names_what_is_hidden(assignment: Assignment) -> None:
    text = json.dumps(settings.hook_settings(assignment))
    assert assignment.hidden[0] not in text


def test_the_guard_is_told_what_is_whose(assignment: Assignment) -> None:
    made = settings.hook_settings(assignment)
    path = made["PreToolUse"][0]["hooks"][0]["args"][-1]
    said = json.loads(Path(path).read_text())
    assert said == settings.places_of(assignment)
    assert os.path.dirname(path) == assignment.layout.brief("n")
    assert said["worktree"] == assignment.worktree
    assert {assignment.run_root, assignment.hidden[0]} <= set(said["hidden"])
    assert assignment.layout.events("n") in said["visible"]


def test_without_a_place_for_it_there_are_no_hooks(assignment: Assignment) -> None:
    os.rmdir(assignment.layout.brief("n"))
    with pytest.raises(StorageError, match="cannot write"):
        settings.hook_settings(assignment)


def test_the_hooks_neighbours_are_compiled_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n")
    (folder / "broken.py").write_text("x =\n")
    monkeypatch.setattr(settings, "_FOLDER", str(folder))
    settings.compile_hooks()
    (made,) = (folder / "__pycache__").iterdir()
    before = made.stat().st_mtime_ns
    settings.compile_hooks()
    assert made.stat().st_mtime_ns == before
    os.utime(folder / "a.py", ns=(before + 10**9, before + 10**9))
    settings.compile_hooks()
    assert made.stat().st_mtime_ns > before


@pytest.mark.parametrize("file", ["store.py", "guard.py", "turn_end.py"])
def test_an_ordinary_event_imports_nothing_that_costs_much(
    file: str, assignment: Assignment, tmp_path: Path
) -> None:
    made = settings.hook_settings(assignment)
    for folder in (assignment.layout.events("n"), assignment.layout.inbox("n")):
        os.makedirs(folder)
    words = next(
        group["hooks"][0]["args"]
        for [group] in made.values()
        if group["hooks"][0]["args"][2].endswith(file)
    )
    program = (
        "import sys, runpy, posix\n"
        "said = lambda _: posix.write(2, ' '.join(sys.modules).encode())\n"
        "posix._exit = said\n"
        f"sys.argv = {words[2:]!r}\n"
        f"runpy.run_path({words[2]!r}, run_name='__main__')\n"
    )
    call = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": assignment.worktree}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        input=json.dumps(call | {"tool_input": {"command": "ls -la | tail"}}).encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    loaded = set(done.stderr.decode().split())
    assert "posix" in loaded
    # `re` comes with runpy, so only what would come with it in addition can be seen here.
    assert not loaded & {"json", "json.decoder", "dataclasses", "subprocess", "pathlib", "random"}
