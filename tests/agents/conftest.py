"""What the tests of asking share: a scripted model, the asking process, a program that pretends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal as posix_signals
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.agents import answer as answers
from attractor.agents import question as questions
from attractor.agents.answer import Answer
from attractor.agents.question import Question
from attractor.rehearsal import environment, script
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.server import ScriptedServer
from attractor.spawn import own_command

DEADLINE_SECONDS = 60
ROLE = Asker("judge")
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}, "score": {"type": "number"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


@dataclass
class Asking:
    """One asking process, and where it reads and writes."""

    process: subprocess.Popen[str]
    answer: Path
    home: str

    def end(self) -> Answer:
        """Wait for its end, and return the answer, which must be there."""
        _, said = self.process.communicate(timeout=DEADLINE_SECONDS)
        assert (self.process.returncode, said) == (0, "")
        return answers.load(self.answer)

    def agents(self) -> dict[int, str]:
        """The processes of the agent: whatever has its home, the asking process itself excepted."""
        mark = f"HOME={self.home}".encode()
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found[int(entry)] = Path(f"/proc/{entry}/cmdline").read_text()
        found.pop(self.process.pid, None)
        return found

    def await_end_of(self, pids: dict[int, str]) -> None:
        """Wait until all of these are dead."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        for pid, command in pids.items():
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                try:
                    left = deadline - time.monotonic()
                    assert select.select([fd], [], [], left)[0], command
                finally:
                    os.close(fd)


@pytest.fixture(scope="session")
def claude_binary() -> str:
    """The path of the real `claude`; skips the test where there is none."""
    found = tools.find_claude()
    if found is None:
        pytest.skip("there is no claude here: install the sdk extra")
    return found


@pytest.fixture
def scripted() -> Iterator[Callable[[str], ScriptedServer]]:
    """`scripted("- say: hello")`: a running scripted model with these turns for the judge."""
    with contextlib.ExitStack() as running:

        def start(turns: str) -> ScriptedServer:
            lines = "".join(f"    {line}\n" for line in turns.strip().splitlines())
            text = f"version: 1\nroles:\n  judge:\n{lines}"
            return running.enter_context(ScriptedServer(script.parse(text)))

        yield start


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which is asked."""
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def asked(project: Path) -> Question:
    """A question that can be changed with `dataclasses.replace`."""
    return Question(prompt="Judge.", schema=SCHEMA, cwd=str(project), env={"PATH": os.defpath})


@pytest.fixture
def asking(tmp_path: Path, deadline: Any) -> Iterator[Callable[..., Asking]]:
    """`asking(question, environ=...)`: the asking process, started. It is dead after the test.

    With `until`, the question's time is up when the agent has said this word, or this file is
    there: a real one needs seconds to begin, and many on a busy machine.
    """
    with contextlib.ExitStack() as running:

        def start(
            question: Question,
            environ: dict[str, str] | None = None,
            *,
            until: str | Path = "",
        ) -> Asking:
            asked, answer = tmp_path / "question.json", tmp_path / "answer.json"
            asked.write_bytes(questions.dump(question))
            argv = own_command("attractor.agents", str(asked), str(answer))
            if until:
                event = "path" if isinstance(until, Path) else "word"
                argv = deadline.elsewhere(argv, **{event: until})
            process = subprocess.Popen(
                argv,
                env=environ,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            running.enter_context(process)
            running.callback(_end, process)
            return Asking(process, answer, (question.env or environ or {}).get("HOME", "-"))

        yield start


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, posix_signals.SIGKILL)


@pytest.fixture
def rehearsed(
    asked: Question, claude_binary: str, tmp_path: Path, project: Path
) -> Callable[..., Question]:
    """`rehearsed(base_url, agent, **env)`: the question, to the real claude at this address."""

    def make(base_url: str, agent: str, **extra: str) -> Question:
        home, config = tmp_path / "home", tmp_path / "config"
        home.mkdir()
        environment.seed_config(str(config), str(project))
        env = environment.rehearsal_environment(
            base_url, str(home), str(config), asker=ROLE, extra=extra
        )
        settings = environment.settings(base_url, ROLE)
        return replace(asked, agent=agent, env=env, settings=settings, program=claude_binary)

    return make


@pytest.fixture
def pretended(asked: Question, tmp_path: Path) -> Callable[[str], Question]:
    """`pretended(shell)`: the question, to a program that runs these lines of shell."""

    def make(shell: str) -> Question:
        program = tmp_path / "claude"
        program.write_text(f"#!/bin/sh\n{shell}\n")
        program.chmod(0o755)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
        return replace(asked, env=env, program=str(program))

    return make


@pytest.fixture
def printed(pretended: Callable[[str], Question]) -> Callable[..., Question]:
    """`printed(event, ...)`: the question, to a program that prints these events."""

    def make(*events: Any) -> Question:
        text = "\n".join(json.dumps(each) for each in events)
        return pretended(f"cat >/dev/null; cat <<'END'\n{text}\nEND")

    return make


@pytest.fixture
def limited() -> Iterator[Callable[[int], str]]:
    """`limited(resets_at)`: the address of an API that refuses as it refuses a subscription."""
    with contextlib.ExitStack() as running:

        def start(resets_at: int) -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _refusal(resets_at))
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            running.callback(thread.join, DEADLINE_SECONDS)
            running.callback(server.server_close)
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def _refusal(resets_at: int) -> type[BaseHTTPRequestHandler]:
    error = {"type": "rate_limit_error", "message": "This request would exceed your limit."}
    body = json.dumps({"type": "error", "error": error}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(429)
            self.send_header("content-length", str(len(body)))
            self.send_header("anthropic-ratelimit-unified-status", "rejected")
            self.send_header("anthropic-ratelimit-unified-reset", str(resets_at))
            self.send_header("anthropic-ratelimit-unified-representative-claim", "five_hour")
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
