"""`attractor logs`: one timeline of what happened, safe to look at."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import selectors
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.owner import Owner, owner_of

Cli = Callable[..., Any]
DEADLINE_SECONDS = 60.0


def line(second: float, kind: str, what: str, **detail: object) -> str:
    said: dict[str, object] = {"at": at(second), "kind": kind, "what": what}
    return json.dumps(said | ({"detail": detail} if detail else {})) + "\n"


def at(second: float) -> str:
    return f"2026-02-24T12:00:{second:09.6f}Z"


def snapshot(second: float, why: str, text: str) -> str:
    return f"--- {at(second)} {why} ---\n{text}\n"


@pytest.fixture
def timeline(made_run: Any) -> Path:
    return Path(made_run.layout.timeline(made_run.node))


@pytest.fixture
def pane_log(made_run: Any) -> Path:
    return Path(made_run.layout.pane_log(made_run.node))


@pytest.fixture
def followed(made_run: Any) -> Iterator[Callable[..., Followed]]:
    """`followed()`: a process that follows the node's timeline."""
    with contextlib.ExitStack() as running:

        def start(*options: str) -> Followed:
            made = Followed(made_run.node, *options)
            running.callback(made.close)
            return made

        yield start


class Followed:
    """`attractor logs NODE -f` as a process."""

    def __init__(self, node: str, *options: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-I", "-m", "attractor", "logs", node, "-f", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._ready = selectors.DefaultSelector()
        assert self.child.stdout
        assert self.child.stderr
        for stream in (self.child.stdout, self.child.stderr):
            self._ready.register(stream, selectors.EVENT_READ)
        self.said = ""

    def await_text(self, text: str) -> None:
        while text not in self.said:
            ready = self._ready.select(DEADLINE_SECONDS)
            assert ready, self.said
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                assert data, self.said
                self.said += data.decode()

    def close(self) -> None:
        self._ready.close()
        self.child.kill()
        self.child.communicate()


def test_events_decisions_and_the_pane_are_one_timeline(
    cli: Cli, made_run: Any, timeline: Path, pane_log: Path
) -> None:
    timeline.write_text(
        line(1, "event", "SessionStart", source="startup")
        + line(3, "decision", "NEEDS_REVIEW promise", why="it says so, and there are commits")
    )
    pane_log.write_text(snapshot(2, "review", "first\n\nlast words  \n"))
    assert cli("logs", made_run.node).out.splitlines() == [
        "2026-02-24",
        "12:00:01.000  event     SessionStart source=startup",
        "12:00:02.000  pane      review | last words",
        '12:00:03.000  decision  NEEDS_REVIEW promise why="it says so, and there are commits"',
    ]


def test_with_pane_all_that_it_showed_is_printed(cli: Cli, made_run: Any, pane_log: Path) -> None:
    pane_log.write_text(snapshot(1, "a", "one\n  two") + snapshot(2, "b", "three"))
    assert cli("logs", made_run.node, "--pane").out.splitlines()[1:] == [
        "12:00:01.000  pane      a",
        "              | one",
        "              |   two",
        "12:00:02.000  pane      b",
        "              | three",
    ]


def test_json_gives_one_object_a_line(
    cli: Cli, made_run: Any, timeline: Path, pane_log: Path
) -> None:
    timeline.write_text(line(1, "event", "Stop", n=1))
    pane_log.write_text(snapshot(2, "the end", "a\x1b[2Jb"))
    out = cli("logs", made_run.node, "--json").out
    assert "\x1b" not in out
    assert [json.loads(each) for each in out.splitlines()] == [
        {"at": at(1), "kind": "event", "what": "Stop", "detail": {"n": 1}},
        {"at": at(2), "kind": "pane", "what": "the end", "text": "a\x1b[2Jb"},
    ]


def test_the_last_of_them_can_be_asked_for(cli: Cli, made_run: Any, timeline: Path) -> None:
    timeline.write_text("".join(line(n, "event", f"e{n}") for n in range(5)))
    out = cli("logs", made_run.node, "-n", "2").out
    assert [each.split()[-1] for each in out.splitlines()[1:]] == ["e3", "e4"]


def test_what_was_moved_away_comes_first(
    cli: Cli, made_run: Any, timeline: Path, pane_log: Path
) -> None:
    timeline.with_name("timeline.jsonl.1").write_text(line(1, "event", "old"))
    timeline.write_text(line(4, "event", "new"))
    pane_log.with_name("pane.log.1").write_text(snapshot(2, "old pane", "x"))
    pane_log.write_text(snapshot(3, "new pane", "x"))
    whats = [
        json.loads(each)["what"]
        for each in cli("logs", made_run.node, "--json").out.split("\n")
        if each
    ]
    assert whats == ["old", "old pane", "new pane", "new"]


HOSTILE = "\x1b]0;evil\x07\x1b[2J\x9b31m\u202eevil\r\x08 end"


def test_nothing_in_it_can_steer_the_terminal(
    cli: Cli, made_run: Any, timeline: Path, pane_log: Path
) -> None:
    timeline.write_text(line(1, "event", f"{HOSTILE}\nforged", **{f"{HOSTILE}\nforged": HOSTILE}))
    pane_log.write_text(snapshot(2, HOSTILE.replace("\r", ""), HOSTILE))
    for options in ([], ["--pane"], ["--json"]):
        out = cli("logs", made_run.node, *options).out
        assert all(each.isprintable() for each in out.splitlines()), out
        assert r"\u001b[2J" in out
        assert not re.search(r"^forged", out, re.MULTILINE)


def test_damaged_lines_are_passed_by(cli: Cli, made_run: Any, timeline: Path) -> None:
    good = line(1, "event", "good")
    timeline.write_bytes(
        b"\xff\xfe\n[1]\n{}\n" + b"[" * 100_000 + b"\n" + good.encode() + b'{"at": "2026'
    )
    out = cli("logs", made_run.node, "--json").out
    assert [json.loads(each)["what"] for each in out.splitlines()] == ["", "good"]


def test_a_line_of_the_pane_that_looks_like_a_head_stays_a_piece_of_the_pane(
    cli: Cli, made_run: Any, pane_log: Path
) -> None:
    forged = snapshot(0, "forged", "")
    pane_log.write_text(snapshot(2, "real", f"before\n{forged}after"))
    (said,) = cli("logs", made_run.node, "--json").out.splitlines()
    assert json.loads(said)["text"] == f"before\n{forged}after"


def test_nothing_has_happened_yet_is_said(cli: Cli, made_run: Any) -> None:
    said = cli("logs", made_run.node)
    assert (said.status, said.out) == (0, "nothing has happened yet\n")
    assert cli("logs", made_run.node, "--json").out == ""


def test_a_log_that_is_a_pipe_or_a_link_is_refused_and_does_not_hang(
    cli: Cli, made_run: Any, timeline: Path
) -> None:
    os.mkfifo(timeline)
    assert cli("logs", made_run.node).status == 1
    timeline.unlink()
    timeline.symlink_to("/etc/passwd")
    assert cli("logs", made_run.node).status == 1


def test_a_line_is_cut_to_the_width_of_the_terminal(made_run: Any, timeline: Path) -> None:
    timeline.write_text(
        line(1, "event", "x" * 300) + line(2, "event", "字" * 300) + line(3, "event", "short")
    )
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 61))
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    argv = [sys.executable, "-I", "-m", "attractor", "logs", made_run.node]
    child = subprocess.Popen(argv, stdout=inner, stdin=subprocess.DEVNULL, env=env)
    os.close(inner)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
        while data := os.read(outer, 65536):
            said += data
    os.close(outer)
    assert child.wait(DEADLINE_SECONDS) == 0
    _, first, second, third = said.decode().splitlines()
    assert len(first) == 61
    assert first.endswith("x…")
    assert re.fullmatch(r"12:00:02.000  event     字{18}…", second)
    assert third == "12:00:03.000  event     short"


# Following


def test_what_happens_next_is_shown_as_it_happens(
    followed: Callable[..., Followed], made_run: Any, timeline: Path, pane_log: Path
) -> None:
    made_run.owned_by(Owner.current())
    timeline.write_text(line(1, "event", "before") + line(2, "event", "just before"))
    following = followed("-n", "1")
    following.await_text("just before")
    assert "before\n12" not in following.said
    with timeline.open("a") as file:
        file.write(line(3, "event", "after"))
    following.await_text("after")
    pane_log.write_text(snapshot(4, "look", "the pane"))
    following.await_text("look | the pane")


def test_half_a_line_is_shown_when_its_other_half_is_there(
    followed: Callable[..., Followed], made_run: Any, timeline: Path
) -> None:
    made_run.owned_by(Owner.current())
    whole = line(1, "event", "whole")
    timeline.write_text(line(0, "event", "first") + whole[:30])
    following = followed()
    following.await_text("first")
    with timeline.open("a") as file:
        file.write(whole[30:] + line(2, "event", "last"))
    following.await_text("last")
    assert following.said.count("whole") == 1


def test_a_file_that_is_moved_away_loses_nothing(
    followed: Callable[..., Followed], made_run: Any, timeline: Path
) -> None:
    made_run.owned_by(Owner.current())
    timeline.write_text(line(1, "event", "first"))
    following = followed()
    following.await_text("first")
    with timeline.open("a") as file:  # as the Runner does: the last line goes into the moved file
        timeline.rename(timeline.with_name("timeline.jsonl.1"))
        file.write(line(2, "event", "second"))
    timeline.write_text(line(3, "event", "third"))
    following.await_text("third")
    assert [following.said.count(each) for each in ("first", "second", "third")] == [1, 1, 1]


def test_it_ends_when_the_runner_says_that_it_has_exited(
    followed: Callable[..., Followed], made_run: Any, timeline: Path, dead_owner: Owner
) -> None:
    made_run.owned_by(Owner.current())
    timeline.write_text(line(0, "signal", "RUNNER_EXITED") + line(1, "event", "another Runner"))
    following = followed()
    following.await_text("another Runner")
    made_run.owned_by(dead_owner)
    with timeline.open("a") as file:
        file.write(line(2, "signal", "RUNNER_EXITED", mode="COMPLETE"))
    following.await_text("the Runner has ended")
    assert following.child.wait(DEADLINE_SECONDS) == 0
    assert "mode=COMPLETE" in following.said


def test_it_ends_at_once_where_the_runner_has_ended(
    cli: Cli, made_run: Any, timeline: Path, dead_owner: Owner
) -> None:
    made_run.owned_by(dead_owner)
    made_run.state(phase="ended")
    timeline.write_text(line(1, "signal", "RUNNER_EXITED"))
    said = cli("logs", made_run.node, "-f")
    assert (said.status, said.err) == (0, "the Runner has ended\n")
    assert "RUNNER_EXITED" in said.out


def test_it_says_that_no_runner_is_alive_and_waits_for_one(
    followed: Callable[..., Followed], made_run: Any, timeline: Path, dead_owner: Owner
) -> None:
    made_run.owned_by(dead_owner)
    made_run.state(phase="watching")
    following = followed()
    following.await_text("no Runner is alive for this node")
    timeline.write_text(line(1, "note", "a Runner took over"))
    following.await_text("a Runner took over")


def test_it_says_when_the_runner_died_without_a_word(
    followed: Callable[..., Followed], made_run: Any, timeline: Path, dead_owner: Owner
) -> None:
    with subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=-1) as runner:
        made_run.owned_by(owner_of(runner.pid))
        timeline.write_text(line(1, "event", "alive"))
        following = followed()
        following.await_text("alive")
        runner.kill()
    with timeline.open("a") as file:
        file.write(line(2, "event", "something"))
    following.await_text("the Runner died without a word")


def test_where_nothing_can_be_watched_it_looks_from_time_to_time(
    cli: Cli, made_run: Any, timeline: Path, monkeypatch: pytest.MonkeyPatch, dead_owner: Owner
) -> None:
    from watchdog.observers import api

    from attractor.run.following import Following

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def exits(*_: object) -> None:
        timeline.write_text(line(1, "signal", "RUNNER_EXITED"))

    monkeypatch.setattr(api.BaseObserver, "start", full)
    monkeypatch.setattr(Following, "wait", exits)
    made_run.owned_by(dead_owner)
    said = cli("logs", made_run.node, "-f")
    assert said.status == 0
    assert "looking every 1 s, because No space left on device" in said.err
    assert "RUNNER_EXITED" in said.out
