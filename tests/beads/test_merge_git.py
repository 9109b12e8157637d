"""With a real git: two worktrees that both change beads merge without conflicts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")

    def call(folder: Path, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return call


def test_two_worktrees_that_both_change_beads_merge_without_conflicts(
    tmp_path: Path, git: Callable[..., str], attractor: Callable[..., Any]
) -> None:
    main, side = tmp_path / "main", tmp_path / "side"
    main.mkdir()
    git(main, "init", "-q", "-b", "main")

    def bd(folder: Path, *words: str) -> Any:
        said = attractor(
            "bd", *words, "--json", cwd=folder, env={**os.environ, "BD_ACTOR": folder.name}
        )
        assert said.status == 0, said.err
        return said.json()

    bd(main, "init", "--prefix", "at")
    shared = [bd(main, "create", f"shared {number}")["id"] for number in range(3)]
    assert bd(main, "merge-driver", "--install")["added"]
    assert not bd(main, "merge-driver", "--install")["added"]
    attributes = (main / ".gitattributes").read_text()
    assert attributes == ".beads/issues.jsonl merge=beads\n"
    git(main, "add", ".")
    git(main, "commit", "-qm", "beads")
    git(main, "worktree", "add", "-q", "-b", "side", str(side))

    for folder in (main, side):
        bd(folder, "create", f"of {folder.name}", "--parent", shared[0])
        bd(folder, "update", shared[1], "--add-label", folder.name, "--notes", folder.name)
    bd(main, "close", shared[2], "--reason", "done")
    bd(side, "update", shared[2], "--claim")
    for folder in (main, side):
        git(folder, "commit", "-qam", folder.name)
    git(main, "merge", "--no-edit", "side")

    text = (main / ".beads/issues.jsonl").read_text()
    assert "<<<<" not in text
    found = {issue["id"]: issue for issue in bd(main, "list", "--all")}
    titles = {name: issue["title"] for name, issue in found.items()}
    assert titles[f"{shared[0]}.1"] == "of main"
    assert titles[f"{shared[0]}.2"] == "of side"
    assert found[shared[1]]["labels"] == ["main", "side"]
    assert found[shared[1]]["notes"] == "side"
    assert (found[shared[2]]["status"], found[shared[2]]["assignee"]) == ("closed", "side")
    assert bd(main, "doctor")["overall_ok"]
    assert git(main, "status", "--porcelain") == ""


def test_installing_needs_a_repository_and_keeps_other_attributes(
    tmp_path: Path, git: Callable[..., str], attractor: Callable[..., Any]
) -> None:
    assert attractor("bd", "init").status == 0
    refused = attractor("bd", "merge-driver", "--install")
    assert refused.status == 1
    assert "not a git repository" in refused.err
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_bytes(b"*.png binary # \xff")
    assert attractor("bd", "merge-driver", "--install").status == 0
    assert (tmp_path / ".gitattributes").read_bytes() == (
        b"*.png binary # \xff\n.beads/issues.jsonl merge=beads\n"
    )
