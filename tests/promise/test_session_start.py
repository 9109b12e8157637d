from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.promise import session_start


def start(tmp_path: Path, project: str, file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", session_start.__file__],
        env={"CLAUDE_PROJECT_DIR": project, "CLAUDE_ENV_FILE": str(file)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def said(file: Path) -> str:
    script = f'. "{file}"; printf %s "$CLAUDE_PROJECT_DIR"'
    return subprocess.run(
        ["sh", "-c", script], env={}, capture_output=True, text=True, timeout=30, check=True
    ).stdout


@pytest.mark.parametrize("name", ["plain", 'it\'s a "test"', "$(touch x) `y`\n\\", "é"])
def test_a_shell_that_reads_the_file_knows_the_project(name: str, tmp_path: Path) -> None:
    project = tmp_path / name
    project.mkdir()
    file = tmp_path / "env"
    file.write_text("export OTHER=1")
    start(tmp_path, str(project), file)
    assert said(file) == str(project)
    assert file.read_text().startswith("export OTHER=1\n")


def test_it_names_the_folder_in_which_the_stop_hook_looks(tmp_path: Path) -> None:
    below = tmp_path / "src"
    below.mkdir()
    (tmp_path / ".claude" / "completion-state").mkdir(parents=True)
    start(tmp_path, str(below), tmp_path / "env")
    assert said(tmp_path / "env") == str(tmp_path)


def test_what_it_cannot_write_or_is_not_told_disturbs_nobody(tmp_path: Path) -> None:
    start(tmp_path, str(tmp_path), tmp_path / "gone" / "env")
    os.mkfifo(tmp_path / "fifo")
    start(tmp_path, str(tmp_path), tmp_path / "fifo")
    start(tmp_path, "", tmp_path / "env")
    assert not (tmp_path / "env").exists()
