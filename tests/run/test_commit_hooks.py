"""Which hooks of a project could refuse the commits of a session."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from attractor.run.commit_hooks import refusing


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without hooks, of a person who has set none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project"
    words = ("git", "init", "-q", "--template=", str(folder))
    subprocess.run(words, check=True, timeout=30)
    return folder


def hook(folder: Path, name: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(mode)
    return path


def test_where_git_runs_no_hook_at_a_commit_there_is_nothing_to_say(project: Path) -> None:
    hooks = project / ".git" / "hooks"
    hook(hooks, "pre-commit.sample")
    hook(hooks, "pre-push")
    hook(hooks, "commit-msg", 0o644)
    (hooks / "pre-commit").mkdir()
    assert [*refusing(str(project))] == []
    assert [*refusing(str(project / "no-such-folder"))] == []


def test_a_hook_that_could_refuse_a_commit_is_named_and_forbids_nothing(project: Path) -> None:
    paths = [hook(project / ".git" / "hooks", name) for name in ("commit-msg", "pre-commit")]
    (found,) = refusing(str(project))
    assert not found.fatal
    assert found.where == str(paths[0].parent)
    assert "pre-commit and commit-msg" in found.problem
    assert found.fix


@pytest.mark.parametrize("inside", [True, False])
def test_the_folder_of_hooks_that_the_project_names_is_the_one(
    project: Path, tmp_path: Path, inside: bool
) -> None:
    folder = project / ".husky" if inside else tmp_path / "hooks"
    hook(project / ".git" / "hooks", "pre-commit")
    said = ".husky" if inside else str(folder)
    words = ("git", "-C", str(project), "config", "core.hooksPath", said)
    subprocess.run(words, check=True, timeout=30)
    assert [*refusing(str(project))] == []
    hook(folder, "commit-msg")
    (found,) = refusing(str(project))
    assert found.where == str(folder)
