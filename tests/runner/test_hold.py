"""One Runner for a node at a time."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from pathlib import Path

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


def test_the_second_is_refused_and_told_who_holds_it_until_the_first_is_killed(
    tmp_path: Path,
) -> None:
    lock, record = str(tmp_path / "runner.lock"), str(tmp_path / "owner.json")
    argv = [sys.executable, "-I", "-c", HOLDER, lock, record]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match=str(first.pid)), hold(lock, record, SystemClock()):
            pass
        first.send_signal(posix_signals.SIGKILL)
        first.wait(30)
        with hold(lock, record, SystemClock()) as me:
            assert me.pid == os.getpid()
            assert json.loads(Path(record).read_bytes())["pid"] == os.getpid()
