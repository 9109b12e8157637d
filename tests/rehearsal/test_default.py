"""The scenario that is made from a graph does what a person would expect of it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.schema import Schema
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.plan import question as planning
from attractor.plan import vacuous
from attractor.rehearsal.default import COMPLETE, scenario_for
from attractor.rehearsal.made_rubric import rubric_for
from attractor.rehearsal.turn import Script, Text, ToolCall, due
from attractor.rubric import manifest, question, render
from attractor.rubric.lint import lint
from guardian import look_back, reviewer
from guardian.evidence import look_up
from guardian.tasks import answer, replan

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
    assert {node for node, each in script.nodes.items() if "orchestrator" in each.roles} == {
        "a",
        "b",
    }


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


def quoted(script: Script, node: str) -> list[tuple[str, str]]:
    """File and words of what the judge of a node quotes."""
    (turn,) = script.turns("judge", node, 3)
    (call,) = turn.blocks
    assert isinstance(call, ToolCall)
    assert call.input["score"] == 1.0
    return [(each["file"], each["quote"]) for each in call.input["evidence"]]


def test_the_judge_finds_everything_right_and_quotes_what_the_worker_writes() -> None:
    script = scenario('a [files="x.json, lib/x.go, y.py"];', "b;", 'c [files="x.json"];')
    assert quoted(script, "a") == [("lib/x.go", "// rehearsed")]
    assert quoted(script, "b") == [("b.txt", "Written in a rehearsal.")]
    assert quoted(script, "c") == [("c.txt", "Written in a rehearsal.")]
    assert quoted(script, "elsewhere") == []


def test_what_is_quoted_is_found_from_the_top_of_the_tree() -> None:
    graph = build(parse('digraph g { target_dir=app; a; b [target_dir="./web/", files="x.ts"]; }'))
    script = scenario_for(graph)
    assert quoted(script, "a") == [("app/a.txt", "Written in a rehearsal.")]
    assert quoted(script, "b") == [("web/x.ts", "// rehearsed")]
    assert quoted(scenario_for(graph, target_dir="d"), "b") == [("d/x.ts", "// rehearsed")]


def test_at_a_gate_the_work_before_it_is_quoted_and_what_stands_where_there_is_none() -> None:
    graph = build(
        parse(
            """digraph g {
                s [shape=Mdiamond]; a; b; ga [shape=hexagon]; gb [shape=hexagon];
                both [shape=hexagon]; d [shape=diamond]; maybe [shape=hexagon];
                s -> a -> ga -> both; s -> b -> gb -> both -> d;
                d -> maybe [condition=pass]; d -> s; both -> a;
            }"""
        )
    )
    line = {"file": "README.md", "line": 1, "quote": "A project."}
    script = scenario_for(graph, standing=[line])
    assert [name for name, _ in quoted(script, "ga")] == ["a.txt"]
    assert [name for name, _ in quoted(script, "gb")] == ["b.txt"]
    assert [name for name, _ in quoted(script, "both")] == ["a.txt", "b.txt"]
    assert quoted(script, "maybe") == quoted(script, "s") == [("README.md", "A project.")]


def test_the_other_roles_of_a_run_answer_in_their_forms() -> None:
    script = scenario("a;")
    said = {}
    for role in ("supervisor", "guardian", "rubric"):
        (turn,) = script.turns(role)
        (call,) = turn.blocks
        assert isinstance(call, ToolCall)
        assert call.name == "StructuredOutput"
        said[role] = set(call.input)
    assert said["supervisor"] == {"state", "text"}
    schema = answer.SCHEMA
    assert set(schema["required"]) <= said["guardian"] <= set(schema["properties"])
    assert said["rubric"] == set(question.SCHEMA["required"])


def structured(script: Script, role: str, node: str = "") -> Any:
    (turn,) = script.turns(role, node, 1)
    (call,) = turn.blocks
    assert isinstance(call, ToolCall)
    assert call.name == "StructuredOutput"
    return call.input


@pytest.mark.parametrize("node", ["a", ""])
def test_whoever_looks_once_more_is_content_and_adds_nothing(node: str) -> None:
    script = scenario("a;")
    for role in ("reviewer", "cross-reviewer"):
        said = structured(script, role, node)
        assert Schema(reviewer.SCHEMA).misfit(said) == ""
        assert reviewer.reading(said, lambda path: [path], ()) == reviewer.Said()
    said = structured(script, "retrospective", node)
    assert Schema(look_back.SCHEMA).misfit(said) == ""
    assert look_back.reading(said, (), look_back.Suite("green")) == look_back.Said()


@pytest.mark.parametrize(
    ("node", "files"),
    [("a", ["src/it's.py", "b.md"]), ("b", ["b.txt"]), ("", ["rewritten.txt"])],
)
def test_a_node_that_is_told_anew_keeps_its_files_and_has_checks(
    node: str, files: list[str]
) -> None:
    said = structured(scenario('a [files="src/it\'s.py,b.md", label=" "]; b;'), "replanner", node)
    assert Schema(replan.SCHEMA).misfit(said) == ""
    (part,) = said["parts"]
    assert part["files"] == files
    assert [shlex.split(each) for each in part["checks"]] == [
        ["test", "-s", each] for each in files
    ]
    assert not any(vacuous.is_vacuous(each) for each in part["checks"])


def test_a_planner_plans_what_the_pipeline_is_about() -> None:
    said = structured(scenario('label="Sing songs"; a;'), "planner")
    assert Schema(planning.SCHEMA).misfit(said) == ""
    assert [each["id"] for each in said["nodes"]][:2] == ["impl_sing", "impl_songs"]


@pytest.mark.parametrize("pieces", [0, 1, 3, 7, 90])
def test_the_rubric_is_one_that_work_can_be_judged_by(pieces: int) -> None:
    nodes = " ".join(f'n{at} [promise_ac="AC-{at}"];' for at in range(pieces))
    graph = build(parse(f"digraph g {{ s [shape=Mdiamond]; {nodes} }}"))
    criteria = [f"AC-{at}" for at in range(pieces + 2)]
    said = rubric_for(graph, criteria)
    files = render.files(said, prd_id="P", created="", session="")
    rubric = manifest.parse(files, "folder")
    found = lint(rubric, criteria=criteria, nodes={*map(str, graph.nodes)}, prd_id="P")
    assert found == []
    judged = [each for feature in rubric.features for each in feature.nodes]
    assert judged == [f"n{at}" for at in range(pieces)]
    assert len(rubric.features) <= 50
    allowed = question.SCHEMA["properties"]["features"]["items"]["properties"]
    assert {key for each in said["features"] for key in each} <= set(allowed)


def test_the_worker_s_command_substitutes_nothing_as_agents_refuse_that() -> None:
    line = command(scenario('impl [files="src/a.py, b.md, docs/"];'), "impl")
    assert not any(sign in line for sign in ("$(", "`", "<(", ">("))


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
    # The same without pytest.
    argv = [sys.executable, "-I", "-m", "unittest", "discover", "-s", "src", "-p", "test_*.py"]
    plain = subprocess.run(argv, cwd=tmp_path, timeout=SECONDS, capture_output=True, check=True)
    assert b"Ran 1 test" in plain.stderr


@pytest.mark.parametrize("before", [None, "x = 1\n", "no newline at the end"])
@pytest.mark.parametrize("name", ["a.py", "test_a.py", "a.txt", "a.md", "a.css", "Makefile"])
def test_what_the_judge_quotes_stands_there_whatever_was_there_before(
    name: str, before: str | None, work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    if before is not None:
        (tmp_path / name).write_text(before)
    script = scenario(f'impl [files="{name}"];')
    for _ in range(2):
        work(command(script, "impl"))
        ((file, words),) = quoted(script, "impl")
        (found,) = look_up(str(tmp_path), "", "", [{"file": file, "quote": words}])
        assert found.found


def test_a_file_of_the_user_s_is_kept(
    work: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    work(command(scenario('impl [files="a.py"];'), "impl"))
    assert (tmp_path / "a.py").read_text() == "x = 1\n# rehearsed\n"


def test_a_folder_gets_a_file(work: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    made = work(command(scenario('impl [files="src"];'), "impl"))
    assert made["files"] == ["impl.txt", "src/rehearsed.txt"]


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
