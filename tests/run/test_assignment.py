"""What a Runner is told, and what it refuses to be told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run.assignment import Assignment, dump, load
from attractor.run.limits import Limits

GIVEN: dict[str, Any] = {
    "run_id": "r1",
    "node_id": "build it",
    "attempt": 2,
    "project": "/p",
    "run_root": "/p/.claude/attractor/runs/r1",
    "base_commit": "a" * 40,
    "branch": "attractor/r1/build",
    "worktree": "/p/.claude/worktrees/build",
}


@pytest.fixture(autouse=True)
def _masked() -> Iterator[None]:
    """Let what a test writes be its own alone, whoever runs it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = Assignment(**GIVEN, checks=("make test",), limits=Limits(stuck_after=7.0), prompt="é\n$")
    (tmp_path / "a.json").write_bytes(dump(made))
    assert load(str(tmp_path / "a.json")) == made


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attempt": 0}, "attempt"),
        ({"attempt": True}, "attempt"),
        ({"run_id": ""}, "run_id"),
        ({"run_id": 7}, "run_id"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"project": "p"}, "project"),
        ({"run_root": "/p/../q"}, "run_root"),
        ({"worktree": "/elsewhere/build"}, "worktree"),
        ({"worktree": "/p/.claude/worktrees/a/b"}, "worktree"),
        ({"target_dir": "../out"}, "target_dir"),
        ({"target_dir": "/abs"}, "target_dir"),
        ({"hidden": ["rubric"]}, "hidden"),
        ({"checks": "make"}, "checks"),
        ({"agent": "gpt"}, "agent"),
        ({"agent": "command"}, "command"),
        ({"sandbox": "maybe"}, "sandbox"),
        ({"limits": []}, "limits"),
        ({"limits": {"stuck_after": -1}}, "stuck_after"),
        ({"surprise": 1}, "surprise"),
        ({"schema_version": 9}, "schema_version"),
        ({"node_id": None}, "node_id"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"schema_version": 1, **GIVEN, **changes}))
    with pytest.raises(InputError, match=named) as caught:
        load(str(path))
    assert caught.value.where == str(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 200_000, "null"])
def test_what_is_no_assignment_at_all_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError):
        load(str(tmp_path / "a.json"))


def test_a_missing_key_or_file_is_refused(tmp_path: Path) -> None:
    short = {key: value for key, value in GIVEN.items() if key != "branch"}
    (tmp_path / "a.json").write_text(json.dumps({"schema_version": 1, **short}))
    with pytest.raises(InputError, match="the key 'branch' is missing"):
        load(str(tmp_path / "a.json"))
    with pytest.raises(InputError, match="cannot be read"):
        load(str(tmp_path / "none.json"))


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_one_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(dump(Assignment(**GIVEN)))
    path.chmod(mode)
    with pytest.raises(InputError, match="can be written by others"):
        load(str(path))


def test_one_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(dump(Assignment(**GIVEN)))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(InputError, match="belongs to somebody else"):
        load(str(path))


def test_the_runner_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    from runner.__main__ import main

    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: python -I -m runner")
    assert main([]) == 2
