"""What carries out a node is killed in the middle of a turn of Codex, Gemini or OpenCode.

By the real command, with the real programs and the scripted model: a whole run, looked at from
outside. The turn is in a tool call when the kill comes, so there is a command to be left over.
"""

from __future__ import annotations

import contextlib
import os
import signal as posix_signals
from pathlib import Path
from typing import Any

import pytest
import yaml

from attractor import tools
from attractor.run.locate import read_object

pytestmark = pytest.mark.timeout(600)
SECONDS = 300
"""For a machine that may be busy; no wait is meant to be waited out."""

BEGUN, GO = "begun.tmp", "go.tmp"
WAITS = f"echo half > one.txt; touch {BEGUN}; until test -e {GO}; do sleep 0.1; done"
MADE = "rm *.tmp; echo {0} > one.txt && git add one.txt && git commit -qm {0}"
DONE = "Done.\n\n<promise>NODE_COMPLETE</promise>"


def begun_run(rehearsed: Any, agent: str) -> Any:
    """A run whose first attempt is in a tool call, which waits for a file."""
    if tools.find_agent(agent) is None:
        pytest.skip(f"{agent} is not installed: ./dev test installs it where npm is")
    quoted = {"file": "one.txt", "line": 1, "quote": "made"}
    said = {"score": 1.0, "evidence": [quoted], "problem": ""}
    once = [{"run": WAITS}, {"run": MADE.format("made-first")}, {"say": DONE}]
    again = [{"run": MADE.format("made-again")}, {"say": DONE}]
    script = {
        "version": 1,
        "roles": {"judge": [{"structured": said}]},
        "nodes": {"one": {"orchestrator": once, "attempts": {2: {"orchestrator": again}}}},
    }
    run = rehearsed()
    agents = ("--set", f"agent={agent}", "--set", f"judge_agent={agent}")
    run.begin(run.one_node(), *agents, scenario=yaml.safe_dump(script))
    worktree = run.await_entry(lambda each, _: each.data.get("type") == "AGENT_REGISTERED").data[
        "worktree"
    ]
    run.await_file(Path(worktree) / BEGUN)
    return run


def programs(run: Any, agent: str) -> list[int]:
    """The processes of the agent's program, without those of the fence around it."""
    found = []
    for each in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
            named = any(os.path.basename(word) == agent.encode() for word in words[:2])
            if named and str(run.folder).encode() in Path(f"/proc/{each}/environ").read_bytes():
                found.append(int(each))
    return found


def the_run_is_whole(run: Any, *, attempts: int, text: str) -> None:
    assert run.status(SECONDS) == 0, run.said()
    assert run.final()["result"] == "validated"
    one = next(each for each in run.final()["nodes"] if each["id"] == "one")
    assert [each["crashes"] for each in one["attempts"]] == [1] * (attempts - 1) + [0]
    verified = run.call("journal", "verify", run.layout.root)
    assert (verified.returncode, "all valid" in verified.stdout) == (0, True), verified.stderr
    assert run.git("show", f"{run.story().integration}:one.txt") == text
    assert run.git("status", "--porcelain") == ""
    assert run.alive() == []


@pytest.mark.parametrize("agent", ["codex", "gemini", "opencode"])
def test_a_program_that_is_killed_in_a_tool_call_costs_an_attempt_and_leaves_nothing(
    rehearsed: Any, agent: str
) -> None:
    run = begun_run(rehearsed, agent)
    killed = programs(run, agent)
    assert killed
    for each in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, posix_signals.SIGKILL)
    # Had its command lived on, it would wait for a file without end.
    the_run_is_whole(run, attempts=2, text="made-again")


def test_a_turn_of_codex_outlives_its_runner_and_the_guardian_and_is_told_of_once(
    rehearsed: Any,
) -> None:
    run = begun_run(rehearsed, "codex")
    turn = read_object(run.layout.session("one"))["owner"]
    assert run.kill("guardian")
    assert run.kill("runner one")
    run.await_entry(lambda each, _: "began again" in str(each.data.get("what")))
    worktree = read_object(run.layout.session("one"))["worktree"]
    (Path(worktree) / GO).touch()
    the_run_is_whole(run, attempts=1, text="made-first")
    session = read_object(run.layout.session("one"))
    assert session["turn"] == 1, "the turn was begun anew"
    assert session["owner"] in (turn, None)
