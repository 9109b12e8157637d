"""What the Runner's tests share: terminals, the real one and one that pretends, and a house.

The fixtures are SANDBOX's; other groups of tests keep theirs in folders of their own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from attractor.run.assignment import Assignment
from attractor.run.layout import run_layout
from runner import pane_died, sandbox, tmux
from runner.fence import Fence, GitFolders
from runner.sandbox import Level, Wrapped
from runner.tmux import Pane, Tmux

DEADLINE_SECONDS = 60.0


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """`until(condition)`: asks again until it holds; fails at a deadline."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            os.sched_yield()

    return wait


class FakeTerminal:
    """A terminal without tmux: it shows what it is told, and keeps what is typed.

    `plays[argv]` says what a program does at once: the text it prints, and how it ends.
    """

    def __init__(self) -> None:
        self.plays: dict[tuple[str, ...], tuple[str, int | None, int | None]] = {}
        self.started: list[list[str]] = []
        self.typed = ""
        self.shown = ""
        self._pane: Pane | None = None
        self._events = ""

    def start(self, argv: Sequence[str], *, events: str) -> None:
        self.started.append(list(argv))
        self._events = events
        self._pane = Pane(False, None, None, 1_000_000 + len(self.started))
        self.shown, status, signal = self.plays.get(tuple(argv), ("", None, None))
        if status is not None or signal is not None:
            self.die(status, signal)

    def die(self, status: int | None = None, signal: int | None = None) -> None:
        """End the program, as it would by itself."""
        assert self._pane
        self._pane = Pane(True, status, signal, self._pane.pid)
        pane_died.main(self._events)

    def pane(self) -> Pane | None:
        return self._pane

    def capture(self, lines: int = 100) -> str:
        return "\n".join(self.shown.strip().split("\n")[-lines:]) if self._pane else ""

    def paste(self, text: str) -> bool:
        return self._type(tmux.printable(text))

    def keys(self, *names: str) -> bool:
        return self._type("".join({"Enter": "\r", "Escape": "\x1b"}[name] for name in names))

    def _type(self, text: str) -> bool:
        if self._pane is None or self._pane.dead:
            return False
        self.typed += text
        return True

    def kill(self) -> None:
        self._pane = None
        self.shown = ""

    def attach(self, *, write: bool = False) -> list[str]:
        return ["fake", "attach", *([] if write else ["-r"])]


class Stage(Protocol):
    """A terminal, and programs made for it."""

    events: Path

    @property
    def terminal(self) -> tmux.Terminal:
        """The one that is on the stage."""

    def reader(self) -> list[str]:
        """A program that keeps what is typed."""

    def ready(self) -> bool:
        """Whether the reader reads."""

    def typed(self) -> str:
        """What the reader got."""

    def shows(self, text: str) -> list[str]:
        """A program that prints a text and stays."""

    def ends(self, text: str, status: int | None = None, signal: int | None = None) -> list[str]:
        """A program that prints a text and ends."""


class FakeStage:
    def __init__(self, events: Path) -> None:
        self.terminal = FakeTerminal()
        self.events = events

    def reader(self) -> list[str]:
        return ["reader"]

    def ready(self) -> bool:
        return True

    def typed(self) -> str:
        return self.terminal.typed

    def shows(self, text: str) -> list[str]:
        return self.ends(text)

    def ends(self, text: str, status: int | None = None, signal: int | None = None) -> list[str]:
        argv = ["ends", text, str(status), str(signal)]
        self.terminal.plays[tuple(argv)] = (text, status, signal)
        return argv


class RealStage:
    def __init__(self, terminal: Tmux, events: Path, folder: Path) -> None:
        self.terminal = terminal
        self.events = events
        self._folder = folder

    def reader(self) -> list[str]:
        typed, ready = (shlex.quote(str(self._folder / name)) for name in ("typed", "ready"))
        line = f"rm -f {ready}; stty raw -echo; : >{typed}; : >{ready}; exec cat >{typed}"
        return ["/bin/sh", "-c", line]

    def ready(self) -> bool:
        return (self._folder / "ready").exists()

    def typed(self) -> str:
        return (self._folder / "typed").read_bytes().decode("utf-8", "ignore")

    def shows(self, text: str) -> list[str]:
        return self._says(text, "exec cat")

    def ends(self, text: str, status: int | None = None, signal: int | None = None) -> list[str]:
        return self._says(text, f"exit {status}" if signal is None else f"kill -{signal} $$")

    def _says(self, text: str, then: str) -> list[str]:
        path = self._folder / f"text-{len(list(self._folder.iterdir()))}"
        path.write_text(text + "\n")
        return ["/bin/sh", "-c", f"cat {shlex.quote(str(path))}; {then}"]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """An events folder whose name would be a command, if a shell or tmux saw it."""
    folder = tmp_path / "events #(touch pwned) $(touch pwned) '\" ;"
    folder.mkdir()
    return folder


@pytest.fixture
def fake_terminal() -> FakeTerminal:
    """A terminal without tmux, for tests of what stands on one."""
    return FakeTerminal()


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[str]:
    """Where a tmux server of this test's own may listen; afterwards there is none."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    # A socket's path is at most about 100 bytes long; tmp_path can be longer.
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"attractor-{os.getpid()}-{id(tmp_path):x}"
    folder.mkdir(mode=0o700)
    yield str(folder / "s")
    Tmux(str(folder / "s"), timeout_seconds=5).kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["fake", "tmux"])
def stage(request: pytest.FixtureRequest, events: Path, tmp_path: Path) -> Stage:
    """One of the terminals; what holds for both is the contract."""
    if request.param == "fake":
        return FakeStage(events)
    folder = tmp_path / "stage"
    folder.mkdir()
    return RealStage(Tmux(request.getfixturevalue("socket")), events, folder)


class House:
    """A person's home with a project in it, two nodes' worktrees, and everything worth hiding.

    `inside(line)` runs a line of shell as node `one`'s session would, behind the real fence.
    """

    def __init__(self, folder: Path, launcher: list[str]) -> None:
        self.home = folder / "home"
        self.project = self.home / "project"
        self.launcher = launcher
        self.environ = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        self.project.mkdir(parents=True)
        self._make_project()
        self.assignment = self._assignment()
        self.layout = self.assignment.layout
        self._make_secrets()
        own = self.project / ".git" / "worktrees" / "one"
        self.git_folders = GitFolders(str(self.project / ".git"), str(own))
        self.worktree = Path(self.assignment.worktree)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        base = ["git", "-c", "user.name=n", "-c", "user.email=n@x", "-c", "init.defaultBranch=main"]
        env = {**self.environ, "GIT_CONFIG_NOSYSTEM": "1"}
        where = cwd or self.project
        done = subprocess.run(
            [*base, *words], cwd=where, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def _make_project(self) -> None:
        self.git("init", "-q")
        (self.home / ".gitconfig").write_text("[user]\n name = n\n email = n@x\n")
        (self.project / "file").write_text("tracked\n")
        (self.project / ".gitignore").write_text(".claude\n")
        self.git("add", ".")
        self.git("commit", "-qm", "first")
        self.git("gc", "-q")
        for node in ("one", "two"):
            path = f".claude/worktrees/{node}"
            self.git("worktree", "add", "-q", path, "-b", f"attractor/run/{node}")
        (self.project / ".git" / "refs" / "heads" / "attractor" / "run" / ".keep").touch()
        (self.project / ".claude" / "worktrees" / "two" / "draft").write_text("another node's")

    def _assignment(self) -> Assignment:
        return Assignment(
            run_id="run",
            node_id="one",
            attempt=1,
            project=str(self.project),
            run_root=run_layout(str(self.project), "run").root,
            base_commit=self.git("rev-parse", "HEAD"),
            branch="attractor/run/one",
            worktree=str(self.project / ".claude" / "worktrees" / "one"),
            hidden=(str(self.home / "rubrics"),),
        )

    def _make_secrets(self) -> None:
        node = Path(self.layout.node("one"))
        for name, text in {
            self.layout.key: "the key",
            self.layout.journal: "the journal",
            node / "assignment.json": "{}",
            node / "launch.json": "{}",
            Path(self.layout.node("two")) / "events" / "e.json": "{}",
            self.home / "rubrics" / "manifest.yaml": "the rubric",
            self.home / ".local/state/attractor/run/manifest.yaml": "the rubric",
            self.home / ".ssh" / "id_ed25519": "the ssh key",
            self.home / ".netrc": "the password",
            self.home / ".claude" / "settings.json": "{}",
            self.home / ".claude" / "agents" / "mine.md": "an agent",
            self.home / ".claude" / ".credentials.json": "the login",
            self.home / ".claude" / "history.jsonl": "what I asked",
            self.home / ".claude" / "projects" / "judge" / "t.jsonl": "the judge's transcript",
            self.home / ".claude.json": "{}",
            self.home / ".npm" / "_cacache" / "x": "the person's cache",
            Path(self.layout.refs("one")) / "one": self.assignment.base_commit + "\n",
            Path(self.layout.reflogs("one")) / "x": "",
        }.items():
            os.makedirs(os.path.dirname(name), exist_ok=True)
            Path(name).write_text(text)

    def change(self, **what: Any) -> None:
        """Change the assignment."""
        self.assignment = replace(self.assignment, **what)

    def fence(self) -> Fence:
        """Return the fence, everything prepared."""
        sandbox.prepare(self.assignment, self.environ)
        level = Level(sandbox.BWRAP)
        return sandbox.fence_of(self.assignment, self.git_folders, self.environ, level)

    def wrapped(self, *argv: str, report: bool = False) -> Wrapped:
        """Return the fenced command; skips where there is no bwrap."""
        level = sandbox.probe(os.environ)
        if level.name != sandbox.BWRAP:
            pytest.skip(level.reason)
        return sandbox.wrap(level, self.fence(), argv, str(self.worktree), report=report)

    def launch(self, *argv: str, **said: Any) -> list[str]:
        """Return the launcher's command for a fenced program."""
        wrapped = self.wrapped(*argv, report="report" in said)
        launch = {
            "mode": "exec",
            "argv": wrapped.argv,
            "options": wrapped.options,
            "env": {**self.environ, **sandbox.git_environment()},
            "cwd": "/",
        }
        path = Path(self.layout.launch("one"))
        path.write_text(json.dumps({**launch, **said}))
        return [*self.launcher, str(path)]

    def inside(self, line: str, **said: Any) -> subprocess.CompletedProcess[str]:
        """Run a line of shell behind the fence."""
        return subprocess.run(
            self.launch("/bin/sh", "-c", line, **said),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def house(tmp_path: Path, launcher: list[str]) -> House:
    """A person's home, and everything in it that a session could want."""
    return House(tmp_path, launcher)


@pytest.fixture(scope="session")
def lasting_house(tmp_path_factory: pytest.TempPathFactory, launcher: list[str]) -> House:
    """The same, one for all tests: what a fence does not hold would show in the others."""
    return House(tmp_path_factory.mktemp("house"), launcher)


@pytest.fixture(scope="session")
def launcher() -> list[str]:
    """The launcher's argv, but for its file."""
    from runner import launcher as module

    assert module.__file__
    return [sys.executable, "-I", "-S", module.__file__]
