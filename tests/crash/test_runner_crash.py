"""Killed at every file operation, a Runner that is started again tells the same story, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.sign import read_key

pytestmark = pytest.mark.crash

# The session is a double that lives in one file; everything else is real. What is done in a forked
# child is done here, so that its file operations are counted, too.
PROGRAM = """
import json, os, sys
from runner import post
post.apart = lambda work, clock, seconds: work()
from attractor.run.assignment import Assignment
from runner.facts import Promise
from runner.loop import Loop
from runner.perform import Performer
from runner.session import Look
from runner.state import Phase
from runner.timeline import Timeline
from signals import kinds
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.sign import new_key, read_key, write_key

CLOCK = SystemClock()

class Tree:
    head, commits, dirty, branch_ok, fingerprint = "b" * 40, 1, False, True, "f"

class Double:
    def __init__(self, folder):
        self.record = os.path.join(folder, "nodes/build/session.json")
    def start(self, launch):
        tell(f"start {launch.number}")
        with open(self.record, "w") as file:
            json.dump({"launch": launch.number}, file)
    def look(self):
        return Look(alive=True)
    def screen(self):
        return ""
    def deliver(self, text):
        tell("deliver")
    def end(self):
        tell("end")
    submit = interrupt = end
    def fds(self):
        return ()

class Nobody:
    def results(self):
        return []
    def runs(self, name):
        return False
    def end(self):
        pass

def main(state):
    folder = str(state)
    assignment = Assignment(run_id="r1", node_id="build", attempt=1, project=f"{folder}/p",
        run_root=folder, base_commit="a" * 40, branch="attractor/r1/build",
        worktree=f"{folder}/p/.claude/worktrees/build")
    layout = assignment.layout
    key = read_key(layout.key)
    session, letters = Double(folder), post.Post(assignment, CLOCK)
    timeline = Timeline(layout.timeline("build"), layout.pane_log("build"), CLOCK)
    children = Nobody()
    loop = Loop(assignment, session=session, look_at_tree=Tree, promise=lambda _: Promise.NONE,
        usage=lambda known: known, first_prompt=lambda: "Build.", post=letters, children=children,
        performer=Performer(assignment, session, letters, children, timeline, CLOCK),
        timeline=timeline, blindness="bwrap", clock=CLOCK)
    children.folder = layout.results("build")
    loop.begin()
    loop.step()
    if loop.state.phase is not Phase.ENDED:
        passed = kinds.compose("guardian", "runner", kinds.ValidationPassed(node_id="build"),
            run_id="r1", attempt=1).model_copy(update={"id": "0" * 32})
        Mailbox(letters.folder, key=key, clock=CLOCK).send(passed)
        loop.step()
    assert loop.state.phase is Phase.ENDED, loop.state
    tell("ended")
"""
DONE = "Built.\n\n<promise>NODE_COMPLETE</promise>"


def fresh(state: Path) -> None:
    from signals.sign import new_key, write_key

    for name in ("events", "inbox", "results"):
        (state / "nodes" / "build" / name).mkdir(parents=True)
    write_key(str(state / "key"), new_key())
    for name in ("guardian", "runner/build"):
        Mailbox(state / "signals" / name, clock=SystemClock()).create()
    said = [
        {"hook_event_name": "UserPromptSubmit", "prompt": "Build."},
        {"hook_event_name": "Stop", "last_assistant_message": DONE},
    ]
    for number, event in enumerate(said):
        # Later than the launch, which forgets what was before it only where it had happened.
        name = f"{10**18 + number:020d}-1.json"
        (state / "nodes" / "build" / "events" / name).write_text(json.dumps(event))


def check(state: Path, death: Any) -> None:
    key = read_key(str(state / "key"))
    guardian = Mailbox(state / "signals" / "guardian", key=key, clock=SystemClock())
    heard = {each.signal.id: each.signal.signal_type for each in guardian.drain()}
    assert sorted(heard.values()) == [
        "AGENT_REGISTERED",
        "AGENT_TERMINATED",
        "NEEDS_REVIEW",
        "RUNNER_EXITED",
    ]
    assert guardian.quarantined() == {}
    known = json.loads((state / "nodes" / "build" / "runner.json").read_bytes())
    assert (known["phase"], known["launch"], known["todo"]) == ("ended", 1, [])
    starts = [each for each in (*death.told, *death.recovered) if each.startswith("start")]
    assert set(starts) == {"start 1"}
    assert not list((state / "nodes" / "build" / "events").iterdir())
    if not death.finished and "ended" not in death.told:
        assert death.recovered[-1] == "ended"


def test_a_killed_runner_goes_on_where_it_was(sweep: Callable[..., Any]) -> None:
    swept = sweep("runner, one node", PROGRAM, fresh=fresh, check=check, recover="main")
    assert swept.points > 50
