"""A run with one node, made by hand: what the commands about a node's session find on disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import RunLayout, current_run, run_layout
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.owner import Owner, owner_of

DEADLINE_SECONDS = 60
# Obeys as a Runner does: takes one order, says that it has ended, and is gone.
OBEYS = """
import json, os, sys
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.watch import Watch
folder, key, state = sys.argv[1:]
mailbox = Mailbox(folder, key=sign.read_key(key), clock=SystemClock())
with Watch([folder], slow_seconds=0.2) as watch:
    print("ready", flush=True)
    while not mailbox.waiting():
        watch.wait()
for name, signal in mailbox.drain():
    mailbox.acknowledge(name)
    print(json.dumps(signal.as_body()), flush=True)
with open(state, "w") as file:
    json.dump({"phase": "ended", "dirty": True, "commits": 2}, file)
"""


@dataclass(frozen=True)
class MadeRun:
    """One run with one node, on disk."""

    layout: RunLayout
    node: str
    project: Path

    def write(self, path: str, value: object) -> None:
        Path(path).write_text(json.dumps(value))

    def session(self, **said: object) -> None:
        self.write(self.layout.session(self.node), said)

    def owned_by(self, owner: Owner | None) -> None:
        """Write who the Runner is."""
        assert owner is not None
        self.write(self.layout.runner_owner(self.node), owner.as_json())

    def state(self, **said: object) -> None:
        self.write(self.layout.runner_state(self.node), said)

    def mailbox(self) -> Mailbox:
        folder = self.layout.runner_mailbox(self.node)
        return Mailbox(folder, key=sign.read_key(self.layout.key), clock=SystemClock())


@pytest.fixture
def made_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeRun:
    """A run in a project, which is the working directory; its node is `build it`."""
    project = tmp_path / "project"
    layout = run_layout(str(project), "r1")
    node = "build it"
    os.makedirs(layout.node(node))
    sign.write_key(layout.key, sign.new_key())
    for folder in (layout.guardian_mailbox, layout.runner_mailbox(node)):
        Mailbox(folder, clock=SystemClock()).create()
    os.symlink("runs/r1", current_run(str(project)))
    made = MadeRun(layout, node, project)
    said = {
        "schema_version": 1,
        "run_id": "r1",
        "node_id": node,
        "attempt": 1,
        "project": str(project),
        "run_root": layout.root,
        "base_commit": "0" * 40,
        "branch": "attractor/r1/build-it",
        "worktree": str(project / ".claude/worktrees/build-it"),
    }
    made.write(layout.assignment(node), said)
    monkeypatch.chdir(project)
    return made


@pytest.fixture
def dead_owner() -> Owner:
    """The identity of a process that is gone."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=-1) as child:
        owner = owner_of(child.pid)
        child.kill()
    assert owner is not None
    return owner


@pytest.fixture
def obeying(made_run: MadeRun) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """`obeying()`: a process that stands for the node's Runner, and obeys one order."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        layout, node = made_run.layout, made_run.node
        words = [layout.runner_mailbox(node), layout.key, layout.runner_state(node)]
        argv = [sys.executable, "-I", "-c", OBEYS, *words]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(child)
        made_run.owned_by(owner_of(child.pid))
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in started:
        with child:
            child.kill()


@pytest.fixture
def pane(made_run: MadeRun) -> Iterator[Callable[[str], str]]:
    """`pane(command)`: a session in a tmux server of its own; returns the server's socket."""
    tmux = shutil.which("tmux")
    if tmux is None:
        pytest.skip("tmux is not installed")
    folder = tempfile.mkdtemp(prefix="attractor-test-")
    socket = os.path.join(folder, "s")
    base = [tmux, "-S", socket, "-f", "/dev/null"]
    env = {"PATH": os.environ["PATH"], "TERM": "screen", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}

    def call(*words: str) -> Any:
        return subprocess.run(
            [*base, *words], env=env, timeout=30, check=False, capture_output=True
        )

    def start(command: str) -> str:
        done = call("new-session", "-d", "-s", "attractor", "-x", "80", "-y", "24", command)
        assert done.returncode == 0, done.stderr
        attach = [*base, "attach-session", "-t", "=attractor"]
        made_run.session(
            kind="claude", socket=socket, attach=[*attach, "-r"], attach_write=attach, launch=1
        )
        return socket

    yield start
    call("kill-server")
    shutil.rmtree(folder, ignore_errors=True)
