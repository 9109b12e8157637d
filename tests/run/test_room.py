"""How much room on the disk a run needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attractor.run import room

MIB = 2**20


def committed(project: Path, sizes: dict[str, int]) -> str:
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(project)]
    project.mkdir()
    subprocess.run([*git, "init", "-q"], check=True)
    for name, size in sizes.items():
        (project / name).write_bytes(os.urandom(size))
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    return str(project)


def test_a_run_needs_a_floor_and_its_commit_twice(tmp_path: Path) -> None:
    project = committed(tmp_path / "p", {"a": 1_000, "b\tc\nd": 234})
    (tmp_path / "p" / "new").write_bytes(bytes(9_999))  # which no work starts from
    assert room.needed(project) == room.FLOOR + 2 * 1_234


def test_what_has_no_commit_needs_the_floor(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for project in ("", str(tmp_path / "nowhere"), str(tmp_path), str(tmp_path / "p")):
        assert room.needed(project) == room.FLOOR
    subprocess.run(["git", "init", "-q", str(tmp_path / "p")], check=True)
    assert room.needed(str(tmp_path / "p")) == room.FLOOR


def test_too_little_is_told_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    disk: Any = SimpleNamespace(f_bavail=7, f_frsize=MIB)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert room.shortage("/", 8 * MIB) == ("the disk is nearly full: 7 MiB are left, 8 are needed")
    assert room.shortage("/", 7 * MIB) == ""


def test_a_folder_that_will_be_made_has_the_room_of_where_that_is(tmp_path: Path) -> None:
    assert "nearly full" in room.shortage(str(tmp_path / "not" / "yet"), 10**18)
    assert room.shortage(str(tmp_path / "not" / "yet"), 1) == ""


def test_where_nobody_can_tell_there_is_no_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> Any:
        raise PermissionError

    monkeypatch.setattr(os, "statvfs", refused)
    assert room.shortage("/", 10**18) == ""
