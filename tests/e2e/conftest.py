"""What the tests with the real Claude Code share: its program, a scripted model, its environment.

Everything is private to one test: configuration, home, project, tmux socket. No network: the only
address that the program is given is the scripted model's.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal as posix_signals
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.rehearsal import environment, script
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.server import ScriptedServer
from attractor.run import journal, watched
from attractor.run.fold import RunEvent
from attractor.run.following import Following
from attractor.run.journal import Entry
from attractor.run.layout import RunLayout
from attractor.run.locate import nodes_of, read_object
from attractor.run.story import Story
from attractor.run.story import read as story_of
from attractor.run.tail import Tail
from signals.clock import SystemClock
from signals.kinds import Signal, parse
from signals.owner import Liveness, Owner, liveness, owner_of
from signals.sign import read_key, verify

HEADLESS_SECONDS = 60
_ONE_NODE = """digraph p {
    graph [label="One", promise_id=""];
    start [shape=Mdiamond, label="Start", handler="start", status="pending"];
    one [shape=box, label="One", handler="codergen", worker_type="backend-solutions-engineer",
         bead_id="B-1", promise_ac="AC-1", prompt="Write one.txt.", files="one.txt",
         acceptance="There is one.txt.", status="pending"];
    finish [shape=Msquare, label="Done", handler="exit", status="pending"];
    start -> one -> finish;
}
"""


@dataclass(frozen=True)
class Session:
    """How one `claude -p` ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The object that `--output-format json` prints."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def claude_binary() -> str:
    """The path of the real `claude`; skips the test where there is none."""
    found = tools.find_claude()
    if found is None:
        pytest.skip("there is no claude here: install the sdk extra")
    return found


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[str], ScriptedServer]]:
    """`scripted(yaml_text)`: a running scripted model; `.requests` has what it was asked.

    Its log is tmp_path/requests.jsonl. It is stopped after the test.
    """
    with contextlib.ExitStack() as running:

        def start(text: str) -> ScriptedServer:
            log = str(tmp_path / "requests.jsonl")
            return running.enter_context(ScriptedServer(script.parse(text), log=log))

        yield start


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder that is a git repository, trusted by `claude_env`'s configuration."""
    made = tmp_path / "project"
    made.mkdir()
    subprocess.run(["git", "init", "-q", str(made)], check=True, timeout=30)
    return made


@pytest.fixture
def claude_env(tmp_path: Path, project: Path) -> Callable[..., dict[str, str]]:
    """`claude_env(server, role="main", **extra)`: the whole environment of a `claude`.

    One configuration and home for all calls of a test, so a session can be resumed.
    """

    def make(server: ScriptedServer, role: str = "main", **extra: str) -> dict[str, str]:
        home, config = tmp_path / "home", tmp_path / "config"
        home.mkdir(exist_ok=True)
        if not config.exists():
            environment.seed_config(str(config), str(project))
        return environment.rehearsal_environment(
            server.base_url, str(home), str(config), asker=Asker(role), extra=extra
        )

    return make


@pytest.fixture
def headless(
    claude_binary: str, project: Path, claude_env: Callable[..., dict[str, str]]
) -> Callable[..., Session]:
    """`headless(server, "prompt", "--flag", role=..., cwd=..., extra={...})`: one `claude -p`.

    Runs it to its end, kills its whole process group at the deadline.
    """

    def run(
        server: ScriptedServer,
        prompt: str,
        *flags: str,
        role: str = "main",
        cwd: Path = project,
        extra: Mapping[str, str] | None = None,
        timeout_seconds: float = HEADLESS_SECONDS,
    ) -> Session:
        argv = [claude_binary, "-p", prompt, "--output-format", "json"]
        child = subprocess.Popen(
            [*argv, "--dangerously-skip-permissions", *flags],
            cwd=cwd,
            env=claude_env(server, role, **(extra or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with child:
            try:
                out, err = child.communicate(timeout=timeout_seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, posix_signals.SIGKILL)
        return Session(child.returncode, out, err)

    return run


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`tmux("new-session", ...)`: tmux on a socket of this test's own; returns what it printed.

    The server is killed after the test, with all that runs in it.
    """
    program = shutil.which("tmux")
    if program is None:
        pytest.skip("tmux is not installed")
    # A socket's path is at most about 100 bytes long; tmp_path can be longer.
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"attractor-{os.getpid()}-{id(tmp_path):x}"
    folder.mkdir(mode=0o700)
    socket = str(folder / "s")

    def call(*arguments: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [program, "-S", socket, "-f", "/dev/null", *arguments],
            env=dict(env) if env is not None else None,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield call
    kill = [program, "-S", socket, "kill-server"]
    subprocess.run(kill, capture_output=True, timeout=30, check=False)
    shutil.rmtree(folder, ignore_errors=True)


# Whole runs


RUN_SECONDS = 150
"""For whole runs on a machine that may be busy; no wait is meant to be waited out."""


class Rehearsed:
    """One whole run, as a person has it: by the command, and by what lies in its files.

    Whatever it starts is private to one test, as is everything that it writes.
    """

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder = folder
        self._sockets = sockets
        self._screens: list[subprocess.Popen[bytes]] = []
        self._layout: RunLayout | None = None
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        self.env = {
            **kept,
            "HOME": str(folder / "home"),
            "TMPDIR": str(sockets),
            "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
            "XDG_DATA_HOME": str(folder / "home" / ".data"),
            "XDG_STATE_HOME": str(folder / "home" / ".state"),
            "XDG_CACHE_HOME": str(folder / "home" / ".cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        (folder / "home").mkdir()

    # The command

    @property
    def layout(self) -> RunLayout:
        """The run's files."""
        assert self._layout is not None, self.said()
        return self._layout

    @property
    def run_id(self) -> str:
        return os.path.basename(self.layout.root)

    def begin(self, pipeline: Path, *words: str, scenario: str = "") -> None:
        """Start `attractor run PIPELINE --rehearse`, and return when its folder is there."""
        script = []
        if scenario:
            (self.folder / "scenario.yaml").write_text(scenario, encoding="utf-8")
            script = [str(self.folder / "scenario.yaml")]
        self._watch("run", str(pipeline), "--rehearse", *script, *words, "--json")
        self._await_begun()

    def night(self, *words: str) -> None:
        """Start `attractor night --rehearse --yes`, and return when its run's folder is there."""
        self._watch("night", "--rehearse", "--yes", *words, "--json")
        self._await_begun()

    def _await_begun(self) -> None:
        screen, names = self._screens[-1], {self._out().name}

        def begun() -> str | None:
            first, end, _ = self._out().read_bytes().partition(b"\n")
            assert end or screen.poll() is None, self.said()
            return str(json.loads(first)["root"]) if end else None

        self._layout = RunLayout(self._until(str(self.folder), names, begun, "the run begins"))

    def one_node(self) -> Path:
        """Write a pipeline with one node of work, which is called `one`."""
        path = self.folder / "one.dot"
        path.write_text(_ONE_NODE)
        return path

    def resume(self, *words: str) -> None:
        """Start `attractor resume`, which shows the run as `attractor run` does."""
        self._watch("resume", self.layout.root, *words, "--json")

    def _watch(self, *words: str) -> None:
        self._screens.append(self._start(words, self._out(len(self._screens))))

    def _start(self, words: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-m", "attractor", *words]
        with out.open("wb") as stdout, out.with_suffix(".err").open("wb") as stderr:
            return subprocess.Popen(
                argv,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def _out(self, number: int | None = None) -> Path:
        at = len(self._screens) - 1 if number is None else number
        return self.folder / f"screen-{at}.jsonl"

    def status(self, seconds: float = RUN_SECONDS) -> int:
        """Wait until the screen that was started last has ended, and return its exit status."""
        return self._screens[-1].wait(seconds)

    def status_at_last(self, seconds: float = RUN_SECONDS, *, killed: str) -> int:
        """Do the same; if its keeper was killed and the run has stopped, a person resumes it."""
        status = self.status(seconds)
        if killed == "keeper" and status != 0:
            assert "attractor resume" in self.said()
            self.resume()
            status = self.status(seconds)
        return status

    def said(self) -> str:
        """Return what the screens said, and the log of the run."""
        texts = [each.read_text() for each in sorted(self.folder.glob("screen-*"))]
        log = Path(self._layout.log) if self._layout else None
        return "\n".join([*texts, log.read_text() if log and log.exists() else ""])

    def call(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one more `attractor` command to its end."""
        return subprocess.run(
            [sys.executable, "-I", "-m", "attractor", *words],
            cwd=cwd or self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    # Waiting

    def await_entry(
        self, wanted: Callable[[Entry, Story], bool], seconds: float = RUN_SECONDS
    ) -> Entry:
        """Wait for the first entry of the journal for which this holds, given the story with it."""
        with Tail(self.layout.journal) as tail:
            story = Story()

            def found() -> Entry | None:
                nonlocal story
                added = tail.new()
                story = Story() if added.anew else story
                for entry in added.entries:
                    story.apply(entry)
                    if wanted(entry, story):
                        return entry
                return None

            names = {os.path.basename(self.layout.journal)}
            return self._until(self.layout.root, names, found, "an entry of the journal", seconds)

    def await_file(self, path: Path) -> None:
        """Wait for a file, in a folder that is there."""
        self._until(str(path.parent), {path.name}, lambda: path.exists() or None, str(path))

    def _until(
        self,
        folder: str,
        names: set[str],
        found: Callable[[], Any],
        what: str,
        seconds: float = RUN_SECONDS,
    ) -> Any:
        clock = SystemClock()
        deadline = clock.monotonic() + seconds
        with Following(folder, names) as following:
            while (value := found()) is None:
                assert clock.monotonic() < deadline, f"{what}: waited in vain\n{self.said()}"
                following.wait()
        return value

    # What is there

    def entries(self) -> list[Entry]:
        """Return the journal, which must be whole."""
        return journal.read(self.layout.journal).entries

    def story(self) -> Story:
        return story_of(self.entries())

    def final(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(Path(self.layout.final).read_bytes())
        return said

    def asked(self) -> list[dict[str, Any]]:
        """Return what the scripted model was asked; one that was killed may leave half a line."""
        lines = Path(self.layout.requests).read_bytes().splitlines()
        return [json.loads(line) for line in lines if line.endswith(b"}")]

    def dispatched(self) -> Counter[tuple[str, int]]:
        """Return how often each attempt of each node was begun."""
        moved = [each.data for each in self.entries() if each.event == RunEvent.NODE_MOVED.value]
        return Counter((m["node"], m["attempt"]) for m in moved if m["event"] == "dispatched")

    def merged(self) -> list[str]:
        """Return the nodes whose work was merged, as often as it was."""
        log = self.git("log", "--merges", "--format=%s", self.story().integration)
        return re.findall(r"(?m)^Merge (\w+), attempt \d+, of run ", log)

    def told(self, mailbox: str) -> list[Signal]:
        """Return all signals that were ever sent to a mailbox, each once."""
        key = read_key(self.layout.key)
        found = {}
        for path in (*Path(mailbox).glob("*.json"), *Path(mailbox).glob("processed/*.json")):
            data = path.read_bytes()
            assert verify(key, json.loads(data)), path
            found[path.name] = parse(data)
        return list(found.values())

    def git(self, *words: str) -> str:
        project = self.story().request["project"]
        done = subprocess.run(
            ["git", "-C", project, *words], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    # Its processes

    def processes(self) -> dict[str, Owner | None]:
        """Return every process that the run's files name."""
        layout = self.layout
        kept = read_object(layout.keeper)
        found = {
            "keeper": Owner.from_json(kept),
            "model": Owner.from_json(kept.get("attractor.rehearsal")),
            "guardian": Owner.from_json(read_object(layout.owner)),
        }
        for path in Path(layout.tasks).glob("*.owner"):
            found[f"task {path.stem}"] = Owner.from_json(read_object(str(path)))
        for node in nodes_of(layout):
            found[f"runner {node}"] = Owner.from_json(read_object(layout.runner_owner(node)))
            session = read_object(layout.session(node))
            found[f"session {node}"] = Owner.from_json(session.get("owner"))
        return found

    def kill(self, name: str) -> bool:
        """SIGKILL one of `processes`, and see it gone; say whether it was there."""
        owner = self.processes().get(name)
        if owner is None or liveness(owner) is not Liveness.ALIVE:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.pid, posix_signals.SIGKILL)
        assert watched.ended(owner, RUN_SECONDS, SystemClock()), name
        return True

    def cut_power(self) -> None:
        """SIGKILL all that was started here, screens too; nothing sees another one die."""
        while left := [each for each in _mentioning(str(self.folder)) if not _dead(each)]:
            for what, owner in itertools.product(
                (posix_signals.SIGSTOP, posix_signals.SIGKILL), left
            ):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(owner.pid, what)
            for screen in self._screens:
                screen.wait(RUN_SECONDS)
            assert all(_over(each) for each in left)

    def alive(self) -> list[str]:
        """Return what was started here and lives."""
        return [_words(each.pid) for each in _mentioning(str(self.folder)) if not _over(each)]

    def strike(self) -> None:
        """End everything, and prove that nothing is left; for the end of a test."""
        killed = self._layout and self.call("stop", self.layout.root, "--kill")
        for screen in self._screens:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(screen.pid, posix_signals.SIGKILL)
            screen.wait(RUN_SECONDS)
        if self._layout:
            assert killed, self.said()
            assert killed.returncode in (0, 4), killed.stderr
            for name, owner in self.processes().items():
                assert owner is None or _over(owner), f"{name} is left, as process {owner.pid}"
        left = self.alive()
        assert not left
        answering = [each for each in self._sockets.rglob("*") if each.is_socket() and _hears(each)]
        assert not answering


def _dead(owner: Owner) -> bool:
    return liveness(owner) is Liveness.DEAD


def _over(owner: Owner) -> bool:
    return _dead(owner) or watched.ended(owner, 30, SystemClock())


def _mentioning(text: str) -> list[Owner]:
    """Return the processes that were started with this text, where the system says that."""
    found = []
    for each in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        try:
            data = b"".join(Path(f"/proc/{each}/{name}").read_bytes() for name in _STARTED)
        except OSError:
            continue
        if text.encode() in data and (owner := owner_of(int(each))):
            found.append(owner)
    return found


_STARTED = ("cmdline", "environ")


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return str(pid)


def _hears(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


@pytest.fixture
def rehearsed(claude_binary: str, tmp_path: Path) -> Iterator[Callable[[], Rehearsed]]:
    """`rehearsed()`: a place for one whole run; when the test ends, so does all that it started."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    # A socket's path is at most about 100 bytes long; tmp_path can be longer.
    sockets = Path(os.environ.get("TMPDIR", "/tmp")) / f"att-{os.getpid()}-{id(tmp_path):x}"
    sockets.mkdir(mode=0o700)
    with contextlib.ExitStack() as running:
        running.callback(shutil.rmtree, sockets, ignore_errors=True)
        count = itertools.count(1)

        def make() -> Rehearsed:
            folder = tmp_path / f"r{next(count)}"
            folder.mkdir()
            made = Rehearsed(folder, sockets)
            running.callback(made.strike)
            return made

        yield make


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> Callable[[Sequence[Any], int, int], tuple[Any, int]]:
    """`drawn(points, few, number)`: one of a few, or of all where ATTRACTOR_FULL=1; and the seed.

    The seed is ATTRACTOR_SEED, else that of pytest-randomly.
    """

    def draw(points: Sequence[Any], few: int, number: int) -> tuple[Any, int]:
        given = os.environ.get("ATTRACTOR_SEED") or request.config.getoption("randomly_seed", 0)
        seed = int(given) if str(given).isdigit() else 0
        full = os.environ.get("ATTRACTOR_FULL") == "1"
        return (points if full else random.Random(seed).sample(points, few))[number], seed

    return draw
