"""One process at a time."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from signals.errors import StorageError
from signals.lease import LeaseError, lease
from signals.owner import Owner

_HOLD = """
import sys
from signals.clock import SystemClock
from signals.lease import lease
with lease(sys.argv[1], SystemClock(), 10):
    print("held", flush=True)
    sys.stdin.read()
"""

Holder = Callable[[Path], AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def holder() -> Iterator[Holder]:
    """Start a process that holds a lease until its stdin ends."""

    @contextmanager
    def hold(path: Path) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, "-I", "-c", _HOLD, os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "held\n"
                yield process
            finally:
                process.kill()

    return hold


def record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner.json")


def test_the_holder_says_who_it_is_and_leaves_only_the_lock_file(
    tmp_path: Path, clock: Any
) -> None:
    path = tmp_path / "lock"
    with lease(path, clock, 0) as me:
        record = json.loads(record_of(path).read_text())
        assert Owner.from_json(record) == me == Owner.current()
        assert record["since"] == "2026-02-25T06:13:20.000000Z"
    assert os.listdir(tmp_path) == ["lock"]


def test_the_lock_file_is_the_same_file_for_ever(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "lock"
    with lease(path, clock, 0):
        first = path.stat().st_ino
    for _ in range(3):
        with lease(path, clock, 0):
            assert path.stat().st_ino == first
    assert path.stat().st_ino == first


def test_whoever_is_refused_learns_by_whom_and_since_when(
    tmp_path: Path, clock: Any, holder: Holder
) -> None:
    path = tmp_path / "lock"
    with holder(path) as other:
        with pytest.raises(LeaseError) as caught, lease(path, clock, 0):
            pytest.fail("two processes hold one lease")
        since = json.loads(record_of(path).read_text())["since"]
    error = caught.value
    assert error.problem == f"process {other.pid} holds this since {since}, and is alive"
    assert (error.where, error.code) == (os.fspath(path), "busy")
    assert f"ps -p {other.pid}" in error.fix
    assert error.details == {"pid": other.pid, "since": since, "holder": "alive"}
    assert pickle.loads(pickle.dumps(error)).details == error.details


def test_a_lease_is_free_again_when_its_holder_is_killed(
    tmp_path: Path, clock: Any, holder: Holder
) -> None:
    path = tmp_path / "lock"
    with holder(path) as other:
        other.kill()
        other.wait(30)
        assert json.loads(record_of(path).read_text())["pid"] == other.pid
        with lease(path, clock, 0) as me:
            assert json.loads(record_of(path).read_text())["pid"] == me.pid


def test_a_lease_is_waited_for(tmp_path: Path, clock: Any, holder: Holder) -> None:
    path = tmp_path / "lock"
    with holder(path) as other:
        assert other.stdin is not None
        other.stdin.close()
        with lease(path, clock, 30) as me:
            assert me == Owner.current()


def test_waiting_ends_at_the_deadline_and_does_not_spin(
    tmp_path: Path, clock: Any, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    tries, real = [], fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda fd, how: (tries.append(how), real(fd, how)))
    with holder(tmp_path / "lock"):
        for seconds, most in [(0, 1), (0.2, 6)]:
            tries.clear()
            with pytest.raises(LeaseError), lease(tmp_path / "lock", clock, seconds):
                pytest.fail("two processes hold one lease")
            assert 1 <= len(tries) <= most


@pytest.mark.parametrize("record", [b"", b"{", b"[" * 100_000, b"\xff", b"[]", b'{"pid": "x"}'])
def test_a_record_that_says_nothing_is_no_obstacle(
    tmp_path: Path, clock: Any, holder: Holder, record: bytes
) -> None:
    path = tmp_path / "lock"
    with holder(path):
        record_of(path).write_bytes(record)
        with pytest.raises(LeaseError, match="has not said which") as caught, lease(path, clock, 0):
            pytest.fail("two processes hold one lease")
        assert "fuser" in caught.value.fix
        record_of(path).unlink()
        with pytest.raises(LeaseError, match="has not said which"), lease(path, clock, 0):
            pytest.fail("two processes hold one lease")


def test_a_record_of_the_dead_is_told_as_such(tmp_path: Path, clock: Any, holder: Holder) -> None:
    path = tmp_path / "lock"
    dead = Owner.current()._replace(start="1")
    with holder(path):
        record_of(path).write_text(json.dumps(dead.as_json()))
        with pytest.raises(LeaseError, match="is dead") as caught, lease(path, clock, 0):
            pytest.fail("two processes hold one lease")
    assert caught.value.details["holder"] == "dead"


def test_taking_a_lease_twice_is_our_own_mistake(tmp_path: Path, clock: Any) -> None:
    (tmp_path / "alias").symlink_to(tmp_path / "lock")
    with lease(tmp_path / "lock", clock, 0):
        for name in ("lock", "alias"):
            again = lease(tmp_path / name, clock, 0)
            with pytest.raises(RuntimeError, match="already holds"), again:
                pytest.fail("taken twice")
        with lease(tmp_path / "another", clock, 0):
            pass
    with lease(tmp_path / "alias", clock, 0):
        pass


def test_a_body_that_fails_gives_the_lease_back(tmp_path: Path, clock: Any, holder: Holder) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), lease(path, clock, 0):
        raise ZeroDivisionError
    with holder(path):
        pass


def test_a_record_that_cannot_be_written_gives_the_lease_back(
    tmp_path: Path, clock: Any, holder: Holder
) -> None:
    path = tmp_path / "lock"
    record_of(path).mkdir()
    with pytest.raises(StorageError), lease(path, clock, 0):
        pytest.fail("held without a record")
    record_of(path).rmdir()
    with holder(path):
        pass


def test_a_place_without_a_folder_is_reported(tmp_path: Path, clock: Any) -> None:
    missing = lease(tmp_path / "missing" / "lock", clock, 0)
    with pytest.raises(StorageError, match="cannot take the lease") as caught, missing:
        pytest.fail("held nothing")
    assert os.listdir(tmp_path) == []
    assert caught.value.where == os.fspath(tmp_path / "missing" / "lock")


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, -math.inf])
def test_a_lease_needs_a_deadline(tmp_path: Path, clock: Any, seconds: float) -> None:
    with pytest.raises(ValueError, match="deadline"), lease(tmp_path / "lock", clock, seconds):
        pytest.fail("waited for ever")


# Two detectors: the file `inside` is made exclusively, and the count would lose an update.
_HAMMER = """
import os, sys
from signals.clock import SystemClock
from signals.lease import lease
folder, times = sys.argv[1], int(sys.argv[2])
for _ in range(times):
    with lease(f"{folder}/lock", SystemClock(), 60):
        os.close(os.open(f"{folder}/inside", os.O_CREAT | os.O_EXCL))
        with open(f"{folder}/count") as file:
            count = int(file.read())
        with open(f"{folder}/count", "w") as file:
            file.write(str(count + 1))
        os.unlink(f"{folder}/inside")
"""


@pytest.mark.stress
def test_of_eight_processes_never_two_hold_it(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    argv = [sys.executable, "-I", "-c", _HAMMER, os.fspath(tmp_path), "15"]
    processes = [subprocess.Popen(argv) for _ in range(8)]
    try:
        assert [process.wait(90) for process in processes] == [0] * 8
    finally:
        for process in processes:
            process.kill()
            process.wait(30)
    assert (tmp_path / "count").read_text() == "120"
    assert sorted(os.listdir(tmp_path)) == ["count", "lock"]
