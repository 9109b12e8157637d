"""The hooks as Claude Code starts them: a process of their own, an event on stdin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner import events
from runner.hooks import settings

FOLDER = Path(settings.__file__).parent


@dataclass(frozen=True)
class Answer:
    """How a hook ended."""

    status: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """Why a call was denied, or a turn went on."""
        said = json.loads(self.out)
        inner = said.get("hookSpecificOutput", {})
        return str(inner.get("permissionDecisionReason") or said.get("reason"))


@dataclass(frozen=True)
class Node:
    """A node's folders, and its session's hooks."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def worktree(self) -> Path:
        return self.root / "project" / ".claude" / "worktrees" / "n"

    @property
    def run(self) -> Path:
        return self.root / "project" / ".claude" / "attractor"

    @property
    def events(self) -> Path:
        return self.run / "nodes" / "n" / "events"

    @property
    def inbox(self) -> Path:
        return self.run / "nodes" / "n" / "inbox"

    @property
    def places(self) -> Path:
        return self.run / "nodes" / "n" / "brief" / "guard.json"

    def start(self, file: str, *arguments: object, stdin: bytes = b"", **how: Any) -> Answer:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(FOLDER / file), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            **{"cwd": self.worktree, "env": {"PATH": os.environ["PATH"], **self.env}, **how},
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def store(self, event: Any, **how: Any) -> Answer:
        return self.start("store.py", self.events, stdin=dumped(event), **how)

    def guard(self, event: Any, **how: Any) -> Answer:
        return self.start("guard.py", self.events, self.places, stdin=dumped(event), **how)

    def stop(self, event: Any = None, **how: Any) -> Answer:
        said = {"session_id": "s", "hook_event_name": "Stop"} if event is None else event
        return self.start("turn_end.py", self.events, self.inbox, stdin=dumped(said), **how)

    def call(self, tool: str, *, agent: str = "", **given: Any) -> dict[str, Any]:
        """An event of a tool call."""
        return {
            "session_id": "s",
            "cwd": str(self.worktree),
            **({"agent_id": agent} if agent else {}),
            "hook_event_name": "PreToolUse",
            "tool_name": tool,
            "tool_input": given,
            "tool_use_id": "toolu_1",
        }

    def stored(self) -> list[events.Event]:
        """What the Runner would read, oldest first."""
        found = [events.read(str(self.events), name) for name in self.names()]
        assert all(isinstance(each, events.Event) for each in found), found
        return [each for each in found if isinstance(each, events.Event)]

    def names(self) -> list[str]:
        return events.waiting(str(self.events)).names

    def advise(self, identity: str, text: str) -> Path:
        """Put guidance into the inbox."""
        path = self.inbox / f"{identity}.json"
        path.write_text(json.dumps({"id": identity, "text": text}))
        return path


def dumped(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event).encode()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with an empty worktree, and a run around it that is hidden."""
    made = Node(tmp_path, {"HOME": str(tmp_path)})
    for folder in (made.worktree, made.events, made.inbox, made.places.parent):
        folder.mkdir(parents=True)
    (tmp_path / "rubric").mkdir()
    (made.run / "journal.jsonl").write_text("{}\n")
    places = {
        "worktree": str(made.worktree),
        "hidden": [str(made.run), str(made.worktree.parent), str(tmp_path / "rubric")],
        "visible": [str(made.events), str(made.inbox), str(made.places.parent)],
    }
    made.places.write_text(json.dumps(places))
    return made
