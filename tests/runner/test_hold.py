"""One Runner for a node at a time."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.hold import hold
from signals.clock import SystemClock
from signals.errors import BusyError

HOLDER = """
import sys
from runner.hold import hold
from signals.clock import SystemClock
with hold(sys.argv[1], sys.argv[2], SystemClock()):
    print("held", flush=True)
    sys.stdin.read()
"""


def sleeping(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> list[float]:
    """Have this happen whenever `hold` sleeps; returns for how long it wanted to."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        meanwhile()

    monkeypatch.setattr("runner.hold.time", SimpleNamespace(sleep=sleep))
    return slept


def test_the_second_is_refused_and_told_who_holds_it_until_the_first_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = sleeping(monkeypatch, lambda: None)
    lock, record = str(tmp_path / "runner.lock"), str(tmp_path / "owner.json")
    argv = [sys.executable, "-I", "-c", HOLDER, lock, record]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match=str(first.pid)), hold(lock, record, SystemClock()):
            pass
        assert sum(slept) == pytest.approx(3)
        first.send_signal(posix_signals.SIGKILL)
        first.wait(30)
        with hold(lock, record, SystemClock()) as me:
            assert me.pid == os.getpid()
            assert json.loads(Path(record).read_bytes())["pid"] == os.getpid()


def test_a_lease_that_comes_free_in_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, record = str(tmp_path / "runner.lock"), str(tmp_path / "owner.json")
    argv = [sys.executable, "-I", "-c", HOLDER, lock, record]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"

        def end() -> None:
            first.kill()
            first.wait()

        slept = sleeping(monkeypatch, end)
        with hold(lock, record, SystemClock()) as me:
            assert me.pid == os.getpid()
        assert len(slept) == 1
