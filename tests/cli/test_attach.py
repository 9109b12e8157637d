"""`attractor attach`: a session is shown in this terminal, and only a session."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Cli = Callable[..., Any]
DEADLINE_SECONDS = 60.0


class Screen:
    """A terminal with `attractor attach` in it."""

    def __init__(self, *words: str) -> None:
        self._fd, inner = pty.openpty()
        self.said = ""
        self.child = subprocess.Popen(
            [sys.executable, "-I", "-m", "attractor", "attach", *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "screen", "LANG": "C.UTF-8"},
        )
        os.close(inner)

    def await_text(self, text: str) -> None:
        """Read until the terminal has shown this."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.said:
            left = deadline - time.monotonic()
            assert left > 0, self.said
            if select.select([self._fd], [], [], left)[0]:
                try:
                    data = os.read(self._fd, 65536)
                except OSError:
                    data = b""
                assert data, self.said
                self.said += data.decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        self.child.kill()
        self.child.wait(DEADLINE_SECONDS)
        os.close(self._fd)


@pytest.fixture
def screen() -> Iterator[Callable[..., Screen]]:
    with contextlib.ExitStack() as opened:

        def start(*words: str) -> Screen:
            made = Screen(*words)
            opened.callback(made.close)
            return made

        yield start


def asks(prompt: str) -> str:
    """A program that shows a prompt and answers what is typed."""
    return f"printf {prompt}; read word; echo got-$word; cat"


def test_a_session_is_shown_in_the_terminal(
    made_run: Any, pane: Callable[[str], str], screen: Callable[..., Screen]
) -> None:
    pane(asks("hello-$((40+2))"))
    shown = screen(made_run.node)
    shown.await_text("build it: read-only; leave with Ctrl-b d")
    shown.await_text("hello-42")


def test_what_is_typed_reaches_it_only_with_write(
    made_run: Any, pane: Callable[[str], str], screen: Callable[..., Screen]
) -> None:
    pane(asks("ready"))
    reading = screen(made_run.node)
    reading.await_text("ready")
    reading.type("one\r")
    writing = screen(made_run.node, "--write")
    writing.await_text("what you type goes to it")
    writing.await_text("ready")
    writing.type("two\r")
    writing.await_text("got-two")


def test_without_a_terminal_it_says_what_to_do_instead(
    cli: Cli, made_run: Any, pane: Callable[[str], str]
) -> None:
    pane("cat")
    said = cli("attach", made_run.node)
    assert said.status == 1
    assert "a session can only be shown in a terminal" in said.err
    assert "`attractor logs 'build it'`" in said.err


@pytest.mark.parametrize(("flags", "last"), [([], "-r"), (["--write"], "=attractor")])
def test_json_gives_the_command_and_runs_nothing(
    flags: list[str], last: str, cli: Cli, made_run: Any, pane: Callable[[str], str]
) -> None:
    socket = pane("cat")
    said = cli("attach", made_run.node, *flags, "--json").json()
    assert said["argv"][1:3] == ["-S", socket]
    assert said["argv"][-1] == last


def test_a_session_that_has_ended_is_not_shown(
    cli: Cli, made_run: Any, pane: Callable[[str], str]
) -> None:
    socket = pane("cat")
    subprocess.run(["tmux", "-S", socket, "kill-server"], timeout=30, check=True)
    said = cli("attach", made_run.node)
    assert said.status == 1
    assert "the session has ended" in said.err


@pytest.mark.parametrize(
    ("session", "problem"),
    [
        (None, "this node has no session yet"),
        ({"kind": "command", "attach": []}, "a session of the kind 'command' has no terminal"),
        (
            {"kind": "claude", "socket": "/nowhere", "attach": ["/bin/sh", "-c", "echo evil"]},
            "it is not written down how this session is reached",
        ),
        (
            {"kind": "claude", "attach": ["tmux", "new-session", "echo evil"]},
            "it is not written down how this session is reached",
        ),
        ({"kind": "claude", "socket": "/no\0where", "attach": "tmux"}, "has no terminal"),
    ],
)
def test_what_is_no_session_with_a_terminal_is_refused(
    session: dict[str, object] | None, problem: str, cli: Cli, made_run: Any
) -> None:
    if session is not None:
        made_run.session(**session)
    said = cli("attach", made_run.node)
    assert said.status == 1
    assert problem in said.err
