"""The scenario that is made from a graph does what a person would expect of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.rehearsal.default import COMPLETE, scenario_for
from attractor.rehearsal.turn import Script, Text, ToolCall, due

SECONDS = 60
LAUNCHED = "Async agent launched successfully."
ENDED = "[SYSTEM NOTIFICATION - NOT USER INPUT]\nthe agent finished"


def scenario(*nodes: str) -> Script:
    return scenario_for(build(parse(f"digraph g {{ {' '.join(nodes)} }}")))


def spawned(script: Script, node: str) -> ToolCall:
    (call,) = script.turns("orchestrator", node)[0].blocks
    assert isinstance(call, ToolCall)
    assert call.name == "Agent"
    return call


def command(script: Script, node: str) -> str:
    """What the worker of a node runs."""
    turns = spawned(script, node).turns
    assert turns
    (call,) = turns[0].blocks
    assert isinstance(call, ToolCall)
    made = call.input["command"]
    assert isinstance(made, str)
    return made


def test_every_node_with_work_to_do_has_an_orchestrator_and_no_other_has() -> None:
    script = scenario(
        "start [shape=Mdiamond]; a [shape=box]; b [handler=codergen];",
        "gate [shape=hexagon]; tool [shape=parallelogram, command=true]; end [shape=Msquare];",
    )
    assert set(script.nodes) == {"a", "b"}


def test_the_worker_is_of_the_node_s_type_and_is_told_what_the_node_wants() -> None:
    script = scenario(
        'a [worker_type="tdd-test-engineer", prompt="Test it.", label="L"];', 'b [label="L"]; c;'
    )
    call = spawned(script, "a").input
    assert (call["subagent_type"], call["run_in_background"]) == ("tdd-test-engineer", False)
    assert '"a": Test it.' in call["prompt"]
    assert '"b": L' in spawned(script, "b").input["prompt"]
    assert '"c": c' in spawned(script, "c").input["prompt"]
    long = spawned(scenario(f'a [prompt="{"x" * 9000}"];'), "a").input["prompt"]
    assert len(long) < 1000
    assert spawned(script, "b").input["subagent_type"] == "general-purpose"
    assert script.worker(call["prompt"], "a")[0] == "agent:tdd-test-engineer"


@pytest.mark.parametrize(
    ("news", "said"),
    [
        (["go", "the worker's report"], COMPLETE),
        (["go", LAUNCHED], "The worker is at work."),
        (["go", LAUNCHED, ENDED], COMPLETE),
        (["go", f"{LAUNCHED}\n{ENDED}"], COMPLETE),
    ],
)
def test_completion_is_claimed_when_the_worker_is_done_and_not_before(
    news: list[str], said: str
) -> None:
    turns = scenario("a;").turns("orchestrator", "a")
    (block,) = turns[due(turns, news)].blocks
    assert isinstance(block, Text)
    assert said in block.text.splitlines()


def test_whoever_is_asked_for_more_says_that_nothing_is_left() -> None:
    (said,) = scenario("a;").after.blocks
    assert isinstance(said, Text)
    assert COMPLETE in said.text.splitlines()


def test_the_judge_finds_everything_right() -> None:
    (turn,) = scenario("a;").turns("judge", "a", 3)
    assert turn.blocks == (ToolCall("StructuredOutput", {"score": 1.0, "evidence": []}),)


@pytest.fixture
def work(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """`work(command)`: run it as the worker would; what was committed by it."""

    def git(*arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", "-C", str(tmp_path), *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout

    git("init", "-q")
    git("config", "user.useConfigOnly", "true")

    def run(line: str) -> dict[str, Any]:
        # Nobody has told git here who commits.
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        shell = ["bash", "-c", line]
        subprocess.run(shell, cwd=tmp_path, env=env, timeout=SECONDS, check=True)
        assert git("status", "--short") == ""
        shown = git("show", "--name-only", "--format=%s").split("\n\n")
        return {"message": shown[0].strip(), "files": sorted("".join(shown[1:]).split())}

    return run


def test_the_worker_writes_the_node_s_files_and_commits_them_whenever_it_is_asked(
    work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    files = "src/a.py, src/test_a.py;web/x.ts\nREADME.md,data.json,it's $(touch x) odd.txt"
    line = command(scenario(f'impl [files="{files}"];'), "impl")
    names = {"src/a.py", "src/test_a.py", "web/x.ts", "README.md", "data.json"}
    first = work(line)
    assert first["message"] == "Rehearse impl"
    assert names < {*first["files"]}
    assert (tmp_path / "it's $(touch x) odd.txt").read_text() == "Written in a rehearsal.\n"
    assert names < {*work(line)["files"]}  # what is there is changed once more
    json.loads((tmp_path / "data.json").read_text())
    assert (tmp_path / "README.md").read_text() == "<!-- rehearsed -->\n" * 2
    assert (tmp_path / "web" / "x.ts").read_text() == "// rehearsed\n" * 2
    argv = [sys.executable, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "src"]
    done = subprocess.run(argv, cwd=tmp_path, timeout=SECONDS, capture_output=True, check=True)
    assert b"1 passed" in done.stdout
    compile((tmp_path / "src" / "a.py").read_text(), "a.py", "exec")


def test_a_file_of_the_user_s_is_kept(
    work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    work(command(scenario('impl [files="a.py"];'), "impl"))
    assert (tmp_path / "a.py").read_text() == "x = 1\n# rehearsed\n"


def test_a_folder_gets_a_file(work: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert work(command(scenario('impl [files="src"];'), "impl"))["files"] == ["src/rehearsed.txt"]


def test_files_that_git_ignores_are_no_obstacle(
    work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")
    work(command(scenario('impl [files="x.log"];'), "impl"))
    assert work(command(scenario('impl [files="x.log"];'), "impl"))["message"] == "Rehearse impl"


@pytest.mark.parametrize(
    ("files", "written"),
    [
        ("", ["impl.txt"]),
        (" , ;", ["impl.txt"]),
        ("../x.py", ["impl.txt"]),
        ("a/../../x.py", ["impl.txt"]),
        ("..", ["impl.txt"]),
        ("/etc/x.py", ["impl.txt"]),
        ("~/x", ["impl.txt"]),
        ("-rf", ["impl.txt"]),
        (".git/hooks/pre-commit", ["impl.txt"]),
        ("a/.GIT/config", ["impl.txt"]),
        ("src/*.py", ["impl.txt"]),
        ("src/", ["src/impl.txt"]),
        ("./a//b.py", ["a/b.py"]),
        ("a.py,a.py", ["a.py"]),
        ("$(touch x).py", ["$(touch x).py"]),
    ],
)
def test_only_plain_paths_inside_the_folder_are_written(files: str, written: list[str]) -> None:
    prompt = spawned(scenario(f'impl [files="{files}"];'), "impl").input["prompt"]
    assert prompt.endswith(f"Files: {', '.join(written)}")


def test_a_node_of_any_name_has_a_file_of_its_own(
    work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    made = work(command(scenario('"../a b\'$(id)";'), "../a b'$(id)"))
    assert [path.name for path in tmp_path.glob("*.txt")] == made["files"]
    assert not list(tmp_path.parent.glob("*.txt"))
