"""The layers are a contract that is checked, and the quick verbs import nothing that costs much."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

PACKAGES = ("attractor", "guardian", "runner", "signals")
COSTLY = {"asyncio", "claude_agent_sdk", "filelock", "pydantic", "pydot", "watchdog", "yaml"}


def lint_imports(tree: Path) -> tuple[int, str]:
    program = (
        f"import sys; sys.path.insert(0, {str(tree)!r})\n"
        "from importlinter.cli import lint_imports\n"
        "sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / package, tmp_path / package, ignore=ignored)
    shutil.copy(root / ".importlinter", tmp_path)
    return tmp_path


def test_every_import_contract_is_kept(root: Path) -> None:
    status, said = lint_imports(root)
    assert status == 0, said


@pytest.mark.parametrize(
    ("file", "planted", "contract"),
    [
        ("signals/planted.py", "import attractor.errors", "everything stands on the signals"),
        ("attractor/planted.py", "import guardian", "everything stands on the signals"),
        ("runner/planted.py", "import guardian", "everything stands on the signals"),
        ("runner/planted.py", "import attractor.run.states", "A Runner does not know"),
        ("runner/planted.py", "import attractor.promise.model", "A Runner does not know"),
        ("attractor/promise/model.py", "import time", "The deciding core does no I/O"),
        ("attractor/run/states.py", "import time", "The deciding core does no I/O"),
        ("attractor/pipeline/graph.py", "import signals.clock", "The deciding core does no I/O"),
        ("attractor/errors.py", "import attractor.cli.main", "in a circle"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    file: str, planted: str, contract: str, tree: Path
) -> None:
    with (tree / file).open("a") as text:
        text.write(f"\n{planted}\n")
    status, said = lint_imports(tree)
    assert status == 1
    broken = [line for line in said.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), said


def test_who_judges_cannot_reach_the_memory_which_agents_write() -> None:
    graph = grimp.build_graph("guardian", "attractor", "signals", cache_dir=None)
    memory = graph.find_descendants("attractor.memory")

    def reaches(task: str) -> bool:
        return any(graph.chain_exists(f"guardian.tasks.{task}", each) for each in memory)

    assert [reaches(task) for task in ("validate", "review")] == [False, True]


def modules_after(arguments: list[str], cwd: Path) -> set[str]:
    """What is loaded when `attractor ARGUMENTS`, or a cs-* command, has ended."""
    start = "from attractor.cli.main import cli\ncli()"
    if arguments[0].startswith("cs-"):
        start = f"from attractor.promise.entry import run\nrun(sys.argv[1], {arguments[1:]!r})"
    program = (
        "import sys, atexit, json\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['attractor', *{arguments!r}]\n" + start
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=cwd,
        env=os.environ | {"CLAUDE_PROJECT_DIR": str(cwd), "CLAUDE_SESSION_ID": "demo"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["status", "p.dot"], ["status", "p.dot", "--json"]]
)
def test_a_quick_verb_imports_nothing_that_costs_much(arguments: list[str], tmp_path: Path) -> None:
    dot = "digraph p { start [shape=Mdiamond]; done [shape=Msquare]; start -> done }\n"
    (tmp_path / "p.dot").write_text(dot)
    loaded = modules_after(arguments, tmp_path)
    assert "attractor" in loaded
    assert loaded & COSTLY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["cs-promise", "--create", "Ship it", "--ac", "it is there"],
        ["cs-promise", "--list"],
        ["cs-verify", "--check"],
        ["cs-status", "--json"],
    ],
)
def test_a_command_of_promises_imports_no_library_at_all(
    arguments: list[str], tmp_path: Path
) -> None:
    loaded = modules_after(arguments, tmp_path)
    assert "attractor" in loaded
    assert loaded & (COSTLY | {"argparse", "click", "subprocess"}) == set()


def test_the_search_for_costly_imports_finds_one(tmp_path: Path) -> None:
    (tmp_path / "p.dot").write_text("digraph p { a -> b }\n")
    loaded = modules_after(["render", "p.dot", "--format", "dot", "-o", "q.dot"], tmp_path)
    assert loaded & COSTLY == {"pydot"}
