"""A folder full of hostile files named like ours is never executed by a process of ours."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.spawn import own_command

NAMES = ("attractor", "guardian", "runner", "signals", "click", "json")
# The words that an installer writes into bin/attractor.
CONSOLE_SCRIPT = "import sys\nfrom attractor.entry import main\nsys.exit(main())\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "worktree"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text("import os\nos._exit(66)\n")
    return folder


def console_script(bin_folder: Path) -> list[str]:
    bin_folder.mkdir()
    script = bin_folder / "attractor"
    script.write_text(CONSOLE_SCRIPT)
    return [sys.executable, str(script), "--version"]


def run(argv: list[str], cwd: Path, pythonpath: str | None = None) -> tuple[int, str]:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if pythonpath is not None:
        env["PYTHONPATH"] = pythonpath
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def test_the_hostile_files_would_be_executed_without_isolation(hostile: Path) -> None:
    status, _ = run([sys.executable, "-m", "attractor", "--version"], hostile)
    assert status == 66


def test_the_console_script_is_safe_from_its_working_directory(
    hostile: Path, tmp_path: Path
) -> None:
    status, out = run(console_script(tmp_path / "bin"), hostile)
    assert (status, out.split(",")[0]) == (0, "attractor")


def test_the_console_script_is_safe_from_strange_signals_on_pythonpath(
    hostile: Path, tmp_path: Path
) -> None:
    (hostile / "attractor.py").unlink()
    status, out = run(console_script(tmp_path / "bin"), hostile, pythonpath=".")
    assert (status, out.split(",")[0]) == (0, "attractor")


@pytest.mark.parametrize("pythonpath", [None, "."])
def test_our_own_processes_are_safe_from_both(hostile: Path, pythonpath: str | None) -> None:
    status, out = run(own_command("attractor", "--version"), hostile, pythonpath)
    assert (status, out.split(",")[0]) == (0, "attractor")


def test_every_command_line_that_starts_our_python_is_isolated(root: Path) -> None:
    found = []
    for package in ("attractor", "guardian", "runner", "signals"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.List | ast.Tuple) and node.elts:
                    words = [ast.unparse(word) for word in node.elts]
                    if words[0] == "sys.executable":
                        found.append((path.name, words[1]))
    assert len(found) >= 2
    assert {flag for _, flag in found} == {"'-I'"}
