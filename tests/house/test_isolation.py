"""A folder full of hostile files named like ours is never executed by a process of ours."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from attractor.promise import stop_hook
from attractor.spawn import own_command

NAMES = ("attractor", "guardian", "runner", "signals", "click", "json")
SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
    "scripts"
]
# The words that an installer writes into bin/NAME.
CONSOLE_SCRIPT = "import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
BEGINNINGS = {"attractor": "Usage: attractor ", "attractor-bd": "Usage: attractor bd "}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "worktree"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text("import os\nos._exit(66)\n")
    return folder


def console_script(name: str, bin_folder: Path) -> list[str]:
    bin_folder.mkdir()
    module, _, function = SCRIPTS[name].partition(":")
    script = bin_folder / name
    script.write_text(CONSOLE_SCRIPT.format(module=module, function=function))
    return [sys.executable, str(script), "--help"]


def run(
    argv: list[str], cwd: Path, pythonpath: str | None = None, stdin: str = ""
) -> tuple[int, str]:
    callers = ("PYTHONPATH", "CLAUDE_PROJECT_DIR", "CLAUDE_SESSION_ID")
    env = {key: value for key, value in os.environ.items() if key not in callers}
    if pythonpath is not None:
        env["PYTHONPATH"] = pythonpath
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_hostile_files_would_be_executed_without_isolation(hostile: Path) -> None:
    status, _ = run([sys.executable, "-m", "attractor", "--version"], hostile)
    assert status == 66


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_console_script_is_safe_from_its_working_directory(
    name: str, hostile: Path, tmp_path: Path
) -> None:
    status, out = run(console_script(name, tmp_path / "bin"), hostile)
    assert status == 0
    assert out.startswith(BEGINNINGS.get(name, f"{name} - "))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_console_script_is_safe_from_strange_signals_on_pythonpath(
    name: str, hostile: Path, tmp_path: Path
) -> None:
    (hostile / "attractor.py").unlink()
    status, out = run(console_script(name, tmp_path / "bin"), hostile, pythonpath=".")
    assert status == 0
    assert out.startswith(BEGINNINGS.get(name, f"{name} - "))


@pytest.mark.parametrize("pythonpath", [None, "."])
def test_the_stop_hook_is_safe_from_both(hostile: Path, pythonpath: str | None) -> None:
    promises = hostile / ".claude" / "completion-state" / "promises"
    promises.mkdir(parents=True)
    # Damaged, and of this session: the way that imports most.
    (promises / "promise-1.json").write_text('{"owned_by": "demo"')
    argv = [sys.executable, "-I", "-S", stop_hook.__file__]
    status, out = run(
        argv, hostile, pythonpath, '{"hook_event_name": "Stop", "session_id": "demo"}'
    )
    assert status == 0
    assert "promise-1.json is damaged" in out


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
