"""A run with one node, made by hand: what the commands about a node's session find on disk."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.plan import make
from attractor.plan import planner as asking_of
from attractor.plan.model import Project
from attractor.rehearsal.made_plan import plan_for
from attractor.run import ending, keeping, watched
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout, current_run, run_layout
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.owner import Liveness, Owner, owner_of

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


NIGHT = Path(__file__).resolve().parents[1] / "run" / "night.jsonl"
NIGHT_DOT = """
digraph auth {
    graph [label="Log in"];
    start [shape=Mdiamond];
    jwt [shape=box, label="Tokens"];
    login [shape=box, label="Passwords"];
    ask [shape=hexagon, label="Release?", handler="wait.human"];
    finish [shape=Msquare];
    start -> jwt -> ask;
    start -> login -> ask;
    ask -> finish;
}
"""


@dataclass(frozen=True)
class NightRun:
    """A whole run on disk, as far as it has come."""

    layout: RunLayout
    project: Path

    def kept_by(self, owner: Owner | None) -> None:
        """Write who the keeper is."""
        assert owner is not None
        Path(self.layout.keeper).write_text(json.dumps(owner.as_json()))

    def append(self, *said: tuple[str, dict[str, Any]]) -> None:
        """Let the journal go on."""
        with Journal.open(self.layout.journal, SystemClock()) as journal:
            journal.append_all(said)

    def mailbox(self) -> Mailbox:
        key = sign.read_key(self.layout.key)
        return Mailbox(self.layout.guardian_mailbox, key=key, clock=SystemClock())


@pytest.fixture
def night_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> Callable[..., NightRun]:
    """`night_run(until)`: the run `auth-1` in a project, which is the working directory.

    Its journal goes up to the first entry with these words; without any, to the end.
    """
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def make(until: str = "", project: Path = tmp_path / "project") -> NightRun:
        layout = run_layout(str(project), "auth-1")
        os.makedirs(os.path.dirname(layout.node("any")))
        sign.write_key(layout.key, sign.new_key())
        Mailbox(layout.guardian_mailbox, clock=SystemClock()).create()
        Path(layout.dot).write_text(NIGHT_DOT)
        lines = NIGHT.read_text().replace("/project", str(project)).splitlines()
        request = json.loads(lines[1])["data"]["request"]
        Path(layout.request).write_text(json.dumps(request))
        cut = next((n for n, line in enumerate(lines) if until and until in line), len(lines))
        with Journal.open(layout.journal, clock) as journal:
            for each in map(json.loads, lines[:cut]):
                clock.advance(each["after"])
                journal.append(each["event"], each["data"])
        os.symlink("runs/auth-1", current_run(str(project)))
        monkeypatch.chdir(project)
        return NightRun(layout, project)

    return make


@pytest.fixture
def far_off() -> tuple[str, float]:
    """A time that has not come, as records carry it and in seconds."""
    text = "2999-01-01T00:00:00.000000Z"
    return text, datetime.fromisoformat(text).timestamp()


TOOLS = """digraph tools {{
    start [shape=Mdiamond];
    t [shape=parallelogram, command="{command}"{more}];
    done [shape=Msquare];
    start -> t -> done;
}}
"""
GATE = """digraph gate {
    start [shape=Mdiamond];
    ask [shape=hexagon, gate="business", label="Ship it?"];
    done [shape=Msquare];
    start -> ask -> done;
}
"""


class Ground:
    """A project in which whole runs are made without any agent, and a home of its own."""

    def __init__(self, folder: Path, attractor: Callable[..., Any]) -> None:
        self.project, self.home = folder / "ground", folder / "home"
        self.data, self._attractor = folder / "data", attractor
        for each in (self.project, self.home):
            each.mkdir()
        names = {"HOME": self.home, "XDG_DATA_HOME": self.data, "XDG_STATE_HOME": folder / "state"}
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        self.env = kept | {key: str(each) for key, each in names.items()}
        (self.project / "a.txt").write_text("one\n")
        (self.project / ".gitignore").write_text("*.dot\n")
        for words in (
            ("init", "-q", "-b", "main"),
            ("config", "user.name", "A"),
            ("config", "user.email", "a@example.org"),
            ("add", "-A"),
            ("commit", "-q", "-m", "the first"),
        ):
            self.git(*words)

    def git(self, *words: str) -> str:
        argv = ["git", "-C", str(self.project), *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=30, check=True)
        return done.stdout.decode()

    def write(self, text: str, name: str = "p.dot") -> Path:
        (self.project / name).write_text(text)
        return self.project / name

    def tools(self, command: str, more: str = "") -> Path:
        """A pipeline with one command."""
        return self.write(TOOLS.format(command=command, more=f", {more}" if more else ""))

    def gate(self) -> Path:
        """A pipeline with one question to a person."""
        return self.write(GATE)

    def attractor(self, *words: object) -> Any:
        return self._attractor(*words, cwd=self.project, env=self.env)

    def run(self, pipeline: Path, *words: object) -> Any:
        return self.attractor("run", pipeline, *words)

    def layouts(self) -> list[RunLayout]:
        """The runs, the oldest first."""
        found = [*self.project.glob(".claude/attractor/runs/[!.]*")]
        found += self.data.glob("attractor/rehearsals/*/project/.claude/attractor/runs/[!.]*")
        return [RunLayout(str(each)) for each in sorted(found, key=lambda each: each.name)]

    def names(self) -> list[str]:
        """The names of the project's own runs."""
        inside = str(self.project)
        return [os.path.basename(each.root) for each in self.layouts() if inside in each.root]

    def keepers(self) -> list[Owner]:
        """Those that are alive."""
        found = [keeping.keeper(each) for each in self.layouts()]
        return [owner for owner, alive in found if owner and alive is Liveness.ALIVE]


@pytest.fixture
def ground(tmp_path: Path, attractor: Callable[..., Any]) -> Iterator[Ground]:
    made = Ground(tmp_path, attractor)
    yield made
    for layout in made.layouts():
        assert ending.kill(layout, SystemClock()) == []
        # What has no record, such as a leash or a git, dies of that a moment later.
        left = _told_of(layout.root).items()
        assert [words for owner, words in left if not _ends(owner)] == []


def _told_of(root: str) -> dict[Owner, str]:
    """Return who has a run on the command line, and that; its name may begin another run's."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode(errors="replace")
            owner = owner_of(int(path.parent.name))
            if owner and re.search(rf"{re.escape(root)}(?![\w-])", words):
                found[owner] = words
    return found


def _ends(owner: Owner) -> bool:
    return watched.ended(owner, DEADLINE_SECONDS, SystemClock())


_GREETS = "A command that greets people by name"


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the planner is asked; it answers with a good plan of a command that greets."""
    prompts: list[str] = []

    def ask(question: Any, _: str) -> Answer:
        prompts.append(question.prompt)
        assert question.tools == ("Read", "Grep", "Glob")
        return Answer(error_class=ErrorClass.NONE, structured=plan_for(_GREETS))

    monkeypatch.setattr(asking_of.asking, "ask", ask)
    monkeypatch.setattr(make, "detect", lambda folder, _: Project(folder))
    return prompts


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`person("y", ...)`: a terminal, and what a person types into it; returns the questions."""

    def sits_there(*words: str) -> list[str]:
        typed, questions = iter(words), list[str]()

        def asked(question: str) -> str:
            questions.append(question)
            return next(typed)

        monkeypatch.setattr(sys, "stdin", _Screen())
        monkeypatch.setattr(click, "prompt", lambda text, **_: asked(text))
        monkeypatch.setattr(click, "confirm", lambda text, **_: asked(text) == "y")
        return questions

    return sits_there


class _Screen:
    def isatty(self) -> bool:
        return True
