"""What the tests with the real Claude Code share: its program, a scripted model, its environment.

Everything is private to one test: configuration, home, project, tmux socket. No network: the only
address that the program is given is the scripted model's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal as posix_signals
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.rehearsal import environment, script
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.server import ScriptedServer

HEADLESS_SECONDS = 60


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
