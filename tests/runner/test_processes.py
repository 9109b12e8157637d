"""Ending what a session started, wherever it went."""

from __future__ import annotations

import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import processes
from signals.clock import SystemClock
from signals.owner import Liveness, Owner, liveness, owner_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="environments are read in /proc")

DEAF = "trap '' TERM HUP INT; "
LINGER = "while :; do sleep 0.1; done"


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"test-{os.getpid()}-{id(tmp_path):x}"


@pytest.fixture
def start(mark: str, tmp_path: Path) -> Iterator[Callable[[str], Callable[[str], Owner]]]:
    """`start("shell")` runs it marked; what it returns finds the process that wrote a file."""
    children: list[subprocess.Popen[bytes]] = []

    def run(line: str) -> Callable[[str], Owner]:
        env = {"PATH": os.environ["PATH"], processes.MARKER: mark}
        argv = ["/bin/sh", "-c", f"{line}; echo; {LINGER}"]
        child = subprocess.Popen(
            argv, env=env, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True
        )
        children.append(child)
        assert child.stdout
        assert child.stdout.readline() == b"\n"

        def find(name: str) -> Owner:
            found = owner_of(int((tmp_path / name).read_text() if name else child.pid))
            assert found
            return found

        return find

    yield run
    for child in children:
        child.kill()
        child.wait(30)
        assert child.stdout
        child.stdout.close()


def _until_written(name: str) -> str:
    return f"until [ -s {name} ]; do :; done"


def test_a_child_that_left_its_session_and_is_deaf_is_ended_as_well(
    start: Callable[..., Callable[[str], Owner]], mark: str
) -> None:
    child = f"(setsid sh -c '{DEAF.replace(chr(39), chr(34))} echo $$ >child; {LINGER}' &)"
    find = start(f"{child}; {_until_written('child')}")
    owners = [find(""), find("child")]
    left = processes.kill_marked(mark, grace_seconds=0.2, clock=SystemClock())
    assert left == []
    assert [liveness(owner) for owner in owners] == [Liveness.DEAD, Liveness.DEAD]


def test_a_child_without_the_mark_is_found_by_descent(
    start: Callable[..., Callable[[str], Owner]], mark: str
) -> None:
    find = start(f"env -i /bin/sh -c 'echo $$ >child; {LINGER}' & {_until_written('child')}")
    owner = find("child")
    assert processes.kill_marked(mark, grace_seconds=5, clock=SystemClock()) == []
    assert liveness(owner) is Liveness.DEAD


def test_who_ends_at_sigterm_is_given_the_time_to(
    start: Callable[..., Callable[[str], Owner]], mark: str, tmp_path: Path
) -> None:
    start("trap 'echo tidy >tidy; exit' TERM")
    assert processes.kill_marked(mark, grace_seconds=20, clock=SystemClock()) == []
    assert (tmp_path / "tidy").read_text() == "tidy\n"


def test_one_that_starts_others_while_it_is_ended_gets_nowhere(
    start: Callable[..., Callable[[str], Owner]], mark: str
) -> None:
    again = f"trap '(setsid sh -c \"{LINGER}\" &)' TERM"
    start(again)
    assert processes.kill_marked(mark, grace_seconds=0.3, clock=SystemClock()) == []
    assert processes._found(mark, ()) == []


def test_another_session_and_we_ourselves_are_spared(
    start: Callable[..., Callable[[str], Owner]],
    mark: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = start(":")
    owner = find("")
    for other in ("", f"{mark}-not", mark[:-1]):
        assert processes.kill_marked(other, grace_seconds=0, clock=SystemClock()) == []
    roots = [os.getpid(), os.getppid(), 1, 2**22]
    named = processes._found("no such mark", roots)
    ours = {os.getpid(), os.getppid(), 1}
    assert not ours & {each.pid for each in named}
    assert liveness(owner) is Liveness.ALIVE


def test_a_root_and_its_children_are_ended_without_any_mark(tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["/bin/sh", "-c", f"sh -c '{LINGER}' & echo $! >child; echo; {LINGER}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout
        child.stdout.readline()
        second = owner_of(int((tmp_path / "child").read_text()))
        left = processes.kill_marked(
            "none", grace_seconds=5, clock=SystemClock(), roots=[child.pid]
        )
        assert left == []
        assert child.wait(30) == -posix_signals.SIGTERM
        assert liveness(second) is Liveness.DEAD


def test_nobody_left_is_no_error(mark: str) -> None:
    clock = SystemClock()
    assert processes.kill_marked(mark, grace_seconds=5, clock=clock, roots=[2**22 - 1]) == []
