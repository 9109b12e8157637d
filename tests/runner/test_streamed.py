"""Codex, Gemini and OpenCode as sessions: what follows from what their programs print.

The programs here are scripts that print what the real ones do; the real ones are in tests/e2e.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.usage import Usage
from attractor.errors import ToolError
from attractor.run.assignment import Assignment
from attractor.run.branch import node_branch
from attractor.run.layout import run_layout
from attractor.run.limits import Limits
from runner import sandbox, worktree
from runner.git import Worktree
from runner.sandbox import Level
from runner.session import Launch, Session
from runner.sessions import turn_usage
from runner.sessions.opening import open_session
from runner.sessions.stage import Stage
from signals.clock import SystemClock

Until = Callable[[Callable[[], bool]], None]
POLICY = Level(sandbox.POLICY, "off")
TASK = "Quotes \"'` and $(false) and \U0001f980\n\nand lines"
WELL = {
    "codex": """
{"type":"thread.started","thread_id":"thread-1"}
{"type":"item.started","item":{"id":"i1","type":"command_execution","command":"make"}}
{"type":"item.completed","item":{"id":"i1","type":"command_execution","command":"make"}}
{"type":"item.completed","item":{"id":"i2","type":"agent_message","text":"Made it."}}
{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":7}}
""",
    "gemini": """
{"type":"init","session_id":"thread-1"}
{"type":"tool_use","tool_name":"shell","tool_id":"i1","parameters":{"command":"make"}}
{"type":"tool_result","tool_id":"i1","status":"success"}
{"type":"message","role":"assistant","content":"Made it.","delta":true}
{"type":"result","status":"success","stats":{"models":{"m":{"input_tokens":100,"output_tokens":7}}}}
""",
    "opencode": """
{"type":"tool_use","sessionID":"thread-1","part":{"tool":"bash","callID":"i1","state":{}}}
{"type":"text","sessionID":"thread-1","part":{"text":"Made it."}}
{"type":"step_finish","sessionID":"thread-1","part":{"reason":"stop","tokens":{"input":100,"output":7}}}
""",
}
AGENTS = sorted(WELL)
PROGRAM = """#!/bin/sh
cat > "$0.in"
echo "$*" >> "$0.argv"
. "$0.does"
"""


@dataclass
class Node:
    """A node whose agent is a script."""

    assignment: Assignment
    worktree: Worktree
    environ: dict[str, str]
    program: Path
    opened: list[Session] = field(default_factory=list)

    def does(self, out: str = "", then: str = "") -> None:
        """Say what the program does from now on: what it prints, and a line of shell."""
        self.program.with_suffix(".out").write_text(out.lstrip())
        Path(f"{self.program}.does").write_text(f'cat "{self.program}.out"\n{then}\n')

    def open(self) -> Session:
        made = open_session(self.assignment, self.worktree, POLICY, SystemClock(), self.environ)
        self.opened.append(made)
        return made

    def stage(self) -> Stage:
        return Stage(self.assignment, self.worktree, POLICY, SystemClock(), self.environ)

    def events(self) -> list[dict[str, Any]]:
        folder = Path(self.assignment.layout.events(self.assignment.node_id))
        return [json.loads(each.read_bytes()) for each in sorted(folder.glob("*.json"))]

    def kinds(self) -> list[str]:
        return [each["hook_event_name"] for each in self.events()]

    def given(self) -> str:
        return Path(f"{self.program}.in").read_text()

    def arguments(self) -> list[str]:
        return Path(f"{self.program}.argv").read_text().splitlines()


def git(folder: Path, *words: str) -> str:
    known = ["-c", "user.name=T", "-c", "user.email=t@t"]
    argv = ["git", "-C", str(folder), *known, *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """`node(agent)`: a node of this agent; its sessions are ended after the test."""
    made: list[Node] = []

    def make(agent: str = "codex", **fields: Any) -> Node:
        project = tmp_path / "project"
        project.mkdir()
        git(project, "init", "-q")
        git(project, "commit", "-q", "--allow-empty", "-m", "base")
        for name in ("home", "bin"):
            (tmp_path / name).mkdir()
        program = tmp_path / "bin" / agent
        program.write_text(PROGRAM)
        program.chmod(0o755)
        assignment = Assignment(
            run_id="r1",
            node_id="build",
            attempt=1,
            project=str(project),
            run_root=run_layout(str(project), "r1").root,
            base_commit=git(project, "rev-parse", "HEAD"),
            branch=node_branch("r1", "build"),
            worktree=str(project / ".claude" / "worktrees" / "build"),
            agent=agent,
            limits=replace(Limits(), kill_grace=1.0),
        )
        assignment = replace(assignment, **fields)
        os.makedirs(assignment.run_root)
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        environ = {"HOME": str(tmp_path / "home"), "PATH": path}
        place = worktree.ensure(assignment, SystemClock())
        made.append(Node(assignment, place, environ, program))
        made[-1].does()
        return made[-1]

    yield make
    for each in made:
        for session in each.opened:
            session.end()


def launch(**said: Any) -> Launch:
    known: dict[str, Any] = {"number": 1, "session_id": "s-1", "resume": False, "prompt": TASK}
    return Launch(**(known | said))


def played(node: Node, until: Until, session: Session, **said: Any) -> None:
    """Start a session, and see its turn through to the end."""
    session.start(launch(**said))
    until(lambda: bool({"Stop", "StopFailure"} & set(_looked(node, session))))


def _looked(node: Node, session: Session) -> list[str]:
    session.look()
    return node.kinds()


@pytest.mark.parametrize("agent", AGENTS)
def test_a_turn_is_told_as_hooks_would_tell_it(
    node: Callable[..., Node], until: Until, agent: str
) -> None:
    made = node(agent)
    made.does(WELL[agent])
    session = made.open()
    played(made, until, session)
    begun, stop = made.events()[0], made.events()[-1]
    assert begun["hook_event_name"] == "UserPromptSubmit"
    assert begun["prompt"] == TASK
    assert stop["hook_event_name"] == "Stop"
    assert stop["last_assistant_message"] == "Made it."
    assert {each["session_id"] for each in made.events()} == {"s-1"}
    assert "PostToolUse" in made.kinds()
    assert made.given() == TASK
    look = session.look()
    assert look.alive
    assert "Made it." in look.last_lines


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_said_next_goes_on_with_the_conversation(
    node: Callable[..., Node], until: Until, agent: str
) -> None:
    made = node(agent)
    made.does(WELL[agent])
    session = made.open()
    played(made, until, session)
    session.deliver("And now?")
    until(lambda: _looked(made, session).count("Stop") == 2)
    assert made.given() == "And now?"
    first, second = made.arguments()
    assert "thread-1" not in first
    assert "thread-1" in second.split()


def test_a_session_is_resumed_by_whoever_opens_it(node: Callable[..., Node], until: Until) -> None:
    made = node()
    made.does(WELL["codex"])
    played(made, until, made.open())
    made.open().start(launch(number=2, resume=True, prompt="Go on."))
    until(lambda: len(made.arguments()) == 2)
    assert "thread-1" in made.arguments()[1].split()


def test_a_new_session_begins_another_conversation(node: Callable[..., Node], until: Until) -> None:
    made = node()
    made.does(WELL["codex"])
    session = made.open()
    played(made, until, session)
    session.start(launch(number=2, session_id="s-2"))
    until(lambda: len(made.arguments()) == 2)
    assert "thread-1" not in made.arguments()[1].split()


def test_a_conversation_that_an_agent_does_not_keep_is_begun_anew_with_its_task(
    node: Callable[..., Node], until: Until
) -> None:
    made = node("gemini")
    made.does(
        '{"type":"init","session_id":"thread-1"}\n'
        '{"type":"result","status":"error","error":{"message":"status: 429"}}\n',
        "exit 1",
    )
    session = made.open()
    played(made, until, session)
    assert made.events()[-1]["error"] == "rate_limit"
    made.does(WELL["gemini"])
    session.deliver("The limit is over.")
    until(lambda: "Stop" in _looked(made, session))
    assert made.given() == f"{TASK}\n\nThe limit is over."
    assert "thread-1" not in made.arguments()[1].split()


def test_a_conversation_that_is_gone_is_begun_anew_with_its_task(
    node: Callable[..., Node], until: Until
) -> None:
    made = node("gemini")
    made.does(WELL["gemini"])
    session = made.open()
    played(made, until, session)
    made.does("", "echo 'Error resuming session: No previous sessions found' >&2; exit 42")
    session.deliver("Go on.")
    until(lambda: "StopFailure" in _looked(made, session))
    assert session.look().alive
    made.does(WELL["gemini"])
    session.deliver("Go on, please.")
    until(lambda: _looked(made, session).count("Stop") == 2)
    assert made.given() == f"{TASK}\n\nGo on, please."
    assert "-r" not in made.arguments()[2].split()


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("Please set an Auth method in your settings", "authentication_failed"),
        ("status: 429", "rate_limit"),
    ],
)
def test_a_refusal_that_only_stderr_tells_of_is_no_crash(
    node: Callable[..., Node], until: Until, err: str, kind: str
) -> None:
    made = node("gemini")
    made.does("", f"echo '{err}' >&2; exit 41")
    session = made.open()
    played(made, until, session)
    assert made.events()[-1]["error"] == kind
    assert session.look().alive


@pytest.mark.parametrize("then", ["exit 3", "exit 0"])
def test_a_turn_that_ends_without_a_word_has_crashed(
    node: Callable[..., Node], until: Until, then: str
) -> None:
    made = node()
    made.does('{"type":"thread.started","thread_id":"thread-1"}\n', f"echo why >&2; {then}")
    session = made.open()
    session.start(launch())
    until(lambda: session.look().alive is False)
    look = session.look()
    assert look.exit_status == int(then.split()[1])
    assert not look.lost
    assert "why" in look.last_lines


def test_an_agent_that_waits_for_a_limit_by_itself_is_not_waited_for(
    node: Callable[..., Node], until: Until
) -> None:
    made = node("opencode")
    line = 'message=\\"stream error\\" small=false error.error=\\"Rate limit reached for m\\"'
    made.does("", f'for i in 1 2 3; do echo "{line}" >&2; done; exec sleep 1000')
    session = made.open()
    played(made, until, session)
    failed = made.events()[-1]
    assert failed["error"] == "rate_limit"
    assert "Rate limit reached" in failed["error_details"]
    assert session.look().alive  # between turns nobody lives
    session.deliver("Go on.")  # which needs the turn to be over


def test_a_refusal_that_was_overcome_is_forgotten(node: Callable[..., Node], until: Until) -> None:
    made = node("gemini")
    lines = "for i in 1 2; do echo 'Attempt 1 failed with status 503.' >&2; done"
    gate = made.program.parent / "gate"
    os.mkfifo(gate)
    again = f"{lines}; cat {gate}; cat {made.program}.out; {lines}; cat {gate}"
    made.does('{"type":"init","session_id":"thread-1"}\n', again)
    session = made.open()
    session.start(launch())
    turns = Path(made.assignment.layout.turns("build"))
    until(lambda: (turns / "1.err").exists() and (turns / "1.err").read_text().count("\n") == 2)
    session.look()
    gate.write_text("")
    until(lambda: (turns / "1.out").read_text().count("init") == 2)
    session.look()
    until(lambda: (turns / "1.err").read_text().count("\n") == 4)
    session.look()
    assert "StopFailure" not in made.kinds()
    session.end()


def test_another_who_looks_does_not_tell_it_again(node: Callable[..., Node], until: Until) -> None:
    made = node()
    made.does(WELL["codex"])
    session = made.open()
    played(made, until, session)
    told = made.kinds()
    made.open().look()
    session.look()
    assert made.kinds() == told


def test_a_turn_that_was_interrupted_is_no_death(node: Callable[..., Node], until: Until) -> None:
    made = node()
    made.does('{"type":"thread.started","thread_id":"thread-1"}\n', "exec sleep 1000")
    session = made.open()
    session.start(launch())
    until(lambda: "thread-1" in _text(made, "1.out"))
    session.interrupt()
    assert session.look().alive
    assert "Stop" not in made.kinds()


def _text(made: Node, name: str) -> str:
    path = Path(made.assignment.layout.turns("build")) / name
    return path.read_text() if path.exists() else ""


def test_nothing_is_said_to_a_turn_that_is_under_way(
    node: Callable[..., Node], until: Until
) -> None:
    made = node()
    made.does("", "exec sleep 1000")
    session = made.open()
    session.start(launch())
    until(lambda: bool(session.look().alive))
    with pytest.raises(ToolError, match="is still at work"):
        session.deliver("More.")


def test_a_program_that_is_missing_is_named(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    made = node("gemini")
    made.program.unlink()
    made.environ["PATH"] = "/nowhere"
    with pytest.raises(ToolError, match="gemini is not installed"):
        made.open().start(launch())


def test_figures_that_are_sums_over_a_conversation_are_counted_once(
    node: Callable[..., Node], until: Until
) -> None:
    made = node(model="m-1")
    made.does(WELL["codex"])
    session = made.open()
    played(made, until, session)
    first, mark = turn_usage.count(made.stage(), {})
    assert first == Usage(input_tokens=100, output_tokens=7, models={"m-1": 7})
    made.does(WELL["codex"].replace(":100", ":250").replace(":7", ":9"))
    session.deliver("More.")
    until(lambda: _looked(made, session).count("Stop") == 2)
    second, mark = turn_usage.count(made.stage(), mark)
    assert second == Usage(input_tokens=150, output_tokens=2, models={"m-1": 2})
    assert turn_usage.count(made.stage(), mark) == (Usage(), mark)


def test_figures_of_a_turn_are_added_up(node: Callable[..., Node], until: Until) -> None:
    made = node("opencode")
    made.does(WELL["opencode"])
    session = made.open()
    played(made, until, session)
    session.deliver("More.")
    until(lambda: _looked(made, session).count("Stop") == 2)
    used, _ = turn_usage.count(made.stage(), {})
    assert (used.requests, used.input_tokens, used.output_tokens) == (2, 200, 14)


def test_what_another_kind_of_session_left_is_not_this_ones(
    node: Callable[..., Node], until: Until
) -> None:
    made = node()
    turns = Path(made.assignment.layout.turns("build"))
    turns.mkdir(parents=True)
    (turns / "1.stopped").write_text("")
    (turns / "1.told").write_text("99")
    made.does(WELL["codex"])
    played(made, until, made.open())
    assert "PostToolUse" in made.kinds()
