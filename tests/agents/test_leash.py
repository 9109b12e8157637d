"""A program on a leash: its end is told in full, and it never outlives who started it."""

from __future__ import annotations

import os
import select
import signal as posix_signals
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import ToolError
from attractor.spawn import Ended, run_leashed

DEADLINE_SECONDS = 60
STARTER = """
import sys
from attractor.spawn import run_leashed
run_leashed(["/bin/sh", "-c", sys.argv[1]], timeout_seconds=600)
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[int]:
    """The reading end of tmp_path/alive, whose writing end the program holds while it lives."""
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def said(reader: int) -> bytes:
    assert select.select([reader], [], [], DEADLINE_SECONDS)[0]
    return os.read(reader, 100)


def test_an_end_is_told_in_full() -> None:
    ended = run_leashed(
        ["/bin/sh", "-c", "cat; echo why >&2; exit 3"], timeout_seconds=60, stdin=b"x"
    )
    assert ended == Ended(3, b"x", "why", overflowed=False)


def test_a_late_one_keeps_what_it_had_said(deadline: Any) -> None:
    deadline.when_said("early\n")
    ended = run_leashed(["/bin/sh", "-c", "echo early; tail -f /dev/null"], timeout_seconds=1)
    assert ended == Ended(None, b"early\n", "", overflowed=False)


def test_one_that_says_too_much_is_stopped() -> None:
    ended = run_leashed(["yes"], timeout_seconds=60, max_output_bytes=10_000)
    assert (ended.status, ended.overflowed) == (None, True)


def test_a_program_that_kills_itself_is_told_by_its_signal() -> None:
    assert run_leashed(["/bin/sh", "-c", "kill -9 $$"], timeout_seconds=60).status == -9


def test_a_missing_program_is_a_tool_error_and_one_that_will_not_start_says_so(
    tmp_path: Path,
) -> None:
    with pytest.raises(ToolError, match="not installed"):
        run_leashed(["no-such-tool-here"], timeout_seconds=5)
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    ended = run_leashed([str(broken)], timeout_seconds=60)
    assert ended.status == 1
    assert "could not be started: No such file" in ended.stderr


def test_nothing_is_left_when_the_program_has_ended(
    tmp_path: Path, fifo: int, deadline: Any
) -> None:
    deadline.when_said("ended\n")
    shell = f"exec 9>{tmp_path}/alive; tail -f /dev/null & echo started >&9; echo ended"
    ended = run_leashed(["/bin/sh", "-c", shell], timeout_seconds=3)
    assert (ended.status, ended.stdout) == (None, b"ended\n")
    assert [said(fifo), said(fifo)] == [b"started\n", b""]


@pytest.mark.parametrize("number", [posix_signals.SIGTERM, posix_signals.SIGKILL])
def test_nothing_outlives_the_one_who_started_it(number: int, tmp_path: Path, fifo: int) -> None:
    shell = f"exec 9>{tmp_path}/alive; trap '' TERM; echo started >&9; tail -f /dev/null"
    argv = [sys.executable, "-I", "-c", STARTER, shell]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as starter:
        try:
            assert said(fifo) == b"started\n"
            starter.send_signal(number)
            assert said(fifo) == b""
        finally:
            starter.kill()


def test_no_descriptor_is_left_open() -> None:
    run_leashed(["true"], timeout_seconds=60)
    before = set(os.listdir("/dev/fd"))
    run_leashed(["true"], timeout_seconds=60)
    assert set(os.listdir("/dev/fd")) <= before
