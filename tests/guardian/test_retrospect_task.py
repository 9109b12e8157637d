"""Looking back at all that is merged: the suite first, then an agent that may only add."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.rehearsal import script
from attractor.rehearsal.server import ScriptedServer
from attractor.run.journal import Journal
from attractor.run.layout import run_layout
from attractor.run.request import Request
from guardian.tasks import retrospect
from guardian.tasks.retrospect import Parts
from signals.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
USAGE = Usage(sessions=1, requests=2, input_tokens=10, output_tokens=5, cost_usd=0.5)
STEP = "stderr is one line that says how the command is used"
GREEN = {"status": "green", "command": "", "exit": 0, "tail": "2 passed\n"}
RED = {"status": "red", "command": "make test", "exit": 2, "tail": "E  assert 1 == 2\n"}
DOT = 'digraph d { a [label="Make hello", shape=box]; b [shape=Msquare]; a -> b; }\n'


def addition(label: str = "Write the help page", **more: Any) -> dict[str, Any]:
    return {
        "label": label,
        "prompt": "Describe each option",
        "acceptance": "Every option has a line",
        "files": ["docs/help.md"],
        "why": "the requirements ask for it",
        **more,
    }


def adds(*additions: Mapping[str, Any]) -> Answer:
    said = {"additions": list(additions)}
    return Answer(error_class=ErrorClass.NONE, structured=said, usage=USAGE)


@dataclass
class Made:
    """A run with one merged commit."""

    request: Request
    head: str
    looking: Callable[..., Any]
    """Makes the agent that stands in."""
    checked: list[list[str]] = field(default_factory=list)
    result: Mapping[str, Any] = field(default_factory=lambda: GREEN)

    def spec(self, **said: Any) -> dict[str, Any]:
        return {
            "kind": "retrospect",
            "task": "retrospect-1",
            "request": self.request.as_json(),
            "node": "",
            "attempt": 0,
            "sandbox": "",
            "rubric": None,
            "round": 1,
            "head": self.head,
            "checks": ["make test"],
            "target_dir": "",
            "model": "",
            "timeout": 60,
            "ask_timeout": 30,
            "prd": self.request.prd,
            **said,
        }

    def run(self, looking: Callable[..., Answer], **said: Any) -> dict[str, Any]:
        parts = Parts(ask=looking, checks=self._check)
        answer = retrospect.run(self.spec(**said), SystemClock(), parts)
        trees = self.request.layout.trees
        assert not os.path.exists(trees) or not os.listdir(trees)
        json.dumps(answer, allow_nan=False)
        return answer

    def _check(self, _: Any, tree: str, commands: list[str], *__: Any) -> Mapping[str, Any]:
        # A check that dresses up its tree dresses up nothing that is looked at.
        Path(tree, "dressed-up.py").write_text("")
        self.checked.append(commands)
        return self.result


@pytest.fixture
def made(tmp_path: Path, answering: Callable[..., Any]) -> Made:
    project = tmp_path / "project"
    project.mkdir()

    def git(*words: str) -> str:
        identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
        argv = ["git", *identity, *words]
        done = subprocess.run(argv, cwd=project, check=True, timeout=30, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    base = git("rev-parse", "HEAD")
    (project / "hello.py").write_text("print('hello')\n")
    git("add", "-A")
    git("commit", "-q", "-m", "work")
    layout = run_layout(str(project), "r1")
    os.makedirs(layout.tasks)
    Path(layout.dot).write_text(DOT)
    prd = tmp_path / "prd.md"
    prd.write_text("It greets, and explains itself.\n")
    request = Request(
        run_id="r1",
        project=str(project),
        run_root=layout.root,
        pipeline=str(tmp_path / "p.dot"),
        base_commit=base,
        prd=str(prd),
    )
    with Journal.open(layout.journal, SystemClock()) as journal:
        started = {"request": request.as_json(), "integration": "attractor/r1/integration"}
        journal.append("RunStarted", started)
        journal.append("Noted", {"what": "somebody was here", "node": ""})
    return Made(request, git("rev-parse", "HEAD"), answering)


def test_silence_is_success(made: Made) -> None:
    looking = made.looking(adds())
    answer = made.run(looking)
    assert (answer["outcome"], answer["additions"]) == ("silent", [])
    assert answer["suite"] == {"status": "green", "command": "make test", "tail": "2 passed\n"}
    assert answer["usage"]["requests"] == 2
    assert made.checked == [["make test"]]


def test_who_looks_back_gets_the_requirements_the_story_the_results_and_the_code(
    made: Made,
) -> None:
    looking = made.looking(adds())
    made.run(looking)
    asked = looking.asked[0]
    assert (asked["role"], asked["timeout_seconds"]) == ("retrospective", 30.0)
    assert "tools" not in asked  # what can only read is the default
    assert looking.seen == [{".git", "hello.py"}]
    for part in (
        "\nRetrospective 1\n",
        "explains itself",
        "somebody was here",
        "2 passed",
        "A hello.py",
    ):
        assert part in asked["prompt"]
    assert asked["settings"]["permissions"]["deny"]


def test_additions_are_returned_as_they_are(made: Made) -> None:
    answer = made.run(made.looking(adds(addition(), addition("Make HELLO"))))
    assert (answer["outcome"], answer["additions"]) == ("added", [addition()])
    assert "such a node already" in answer["notes"][0]


@pytest.mark.parametrize("said", [adds(), adds(addition(files=["../x"]))])
def test_a_red_suite_without_a_good_addition_is_no_answer(made: Made, said: Answer) -> None:
    made.result = RED
    looking = made.looking(said)
    answer = made.run(looking)
    assert len(looking.asked) == 2
    assert "<refused>" in looking.asked[1]["prompt"]
    assert "The suite is red." in looking.asked[0]["prompt"]
    assert answer["error"].startswith("nobody has looked back: ")
    assert "outcome" not in answer
    assert answer["suite"]["status"] == "red"
    assert answer["usage"]["requests"] == 4
    assert made.run(made.looking(said, adds(addition())))["outcome"] == "added"


def test_checks_that_could_not_be_run_are_no_answer_and_nobody_is_asked(made: Made) -> None:
    made.result = {"status": "error", "command": "make test", "tail": "no fence"}
    looking = made.looking(adds())
    assert "no fence" in made.run(looking)["error"]
    assert looking.asked == []


def test_a_project_without_checks_is_looked_at_all_the_same(made: Made) -> None:
    looking = made.looking(adds())
    answer = made.run(looking, checks=[])
    assert (answer["outcome"], answer["suite"]["status"], made.checked) == ("silent", "none", [])
    assert "No checks are known" in looking.asked[0]["prompt"]


@pytest.mark.parametrize(
    ("error_class", "times"),
    [(ErrorClass.RATE_LIMIT, 1), (ErrorClass.AUTH, 1), (ErrorClass.SCHEMA, 2)],
)
def test_no_answer_is_never_silence(made: Made, error_class: ErrorClass, times: int) -> None:
    failed = Answer(error_class=error_class, error="it failed", retry_at=99.5, usage=USAGE)
    looking = made.looking(failed)
    answer = made.run(looking)
    assert len(looking.asked) == times
    assert (answer["error_class"], answer["retry_at"]) == (error_class.value, 99.5)
    assert "it failed" in answer["error"]
    assert "outcome" not in answer


def test_the_rubric_s_words_do_not_come_out(made: Made, tmp_path: Path) -> None:
    from attractor.rubric import seal

    rubric = tmp_path / "PRD-HELLO-001"
    shutil.copytree(ROOT / "acceptance-tests" / "PRD-HELLO-001", rubric)
    sealed = {"folder": str(rubric), "files": seal.hashes(seal.read(str(rubric)))}
    whole, part = addition(prompt=STEP), addition("Other", prompt=f"Do it well. {STEP}.")
    answer = made.run(made.looking(adds(whole, part)), rubric=sealed)
    assert [each["prompt"] for each in answer["additions"]] == ["Do it well."]
    assert STEP not in json.dumps(answer)
    assert "repeats the rubric" in answer["notes"][0]
    assert "error" in made.run(made.looking(adds(whole)), rubric=sealed)


def test_the_real_claude_looks_back_after_real_checks(
    made: Made, by_claude: Callable[..., Any]
) -> None:
    look = {"tool": {"name": "Read", "input": {"file_path": "hello.py"}}}
    answers = {"structured": {"additions": [addition()]}, "repeat": 9}
    text = json.dumps({"version": 1, "roles": {"retrospective": [look, answers]}})
    with ScriptedServer(script.parse(text)) as server:
        answer = by_claude(server, made, checks=["cat hello.py; exit 3"])
        asked = server.requests
    assert (answer["outcome"], answer["additions"]) == ("added", [addition()])
    assert answer["suite"]["status"] == "red"
    assert "print('hello')" in answer["suite"]["tail"]
    assert (asked[0].role, asked[0].node) == ("retrospective", "")
    assert any("print('hello')" in each for said in asked for each in said.results)
    assert not os.listdir(made.request.layout.trees)
