"""The Runner's own children, and those that a Runner which was killed has left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.run.assignment import Assignment
from attractor.run.limits import Limits
from runner.children import Children
from signals.clock import SystemClock
from signals.owner import owner_of

HEAD = "a" * 40
WAITING = ["sh", "-c", "echo up; cat"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo up; cat"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = Path(node(tmp_path).layout.results("build"))
    folder.mkdir(parents=True)
    return folder


def node(folder: Path) -> Assignment:
    return Assignment(
        run_id="r1",
        node_id="build",
        attempt=1,
        project=str(folder / "project"),
        run_root=str(folder / "run"),
        base_commit=HEAD,
        branch="attractor/r1/build",
        worktree=str(folder / "worktree"),
        limits=Limits(kill_grace=0.2),
    )


def made(folder: Path) -> Children:
    def nothing(*_: object) -> dict[str, Any]:
        return {}

    return Children(node(folder), nothing, nothing, dict(os.environ), SystemClock())


@pytest.fixture
def left(results: Path) -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """`left(argv)`: a process of a Runner that is no more, with its record."""
    started: list[subprocess.Popen[bytes]] = []

    def start(argv: list[str], **changes: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True)
        started.append(child)
        assert child.stdout
        assert child.stdout.readline() == b"up\n"
        owner = owner_of(child.pid)
        assert owner is not None
        record = owner.as_json() | changes
        (results / f"check-{HEAD}.owner").write_text(json.dumps(record))
        return child

    yield start
    for child in started:
        with child:
            child.kill()


@pytest.mark.parametrize("argv", [WAITING, STUBBORN])
def test_a_child_of_a_runner_that_was_killed_is_ended_by_the_next(
    tmp_path: Path, results: Path, left: Callable[..., Any], argv: list[str]
) -> None:
    child = left(argv)
    made(tmp_path)
    assert child.poll() is not None
    assert list(results.iterdir()) == []


def test_whoever_else_has_the_pid_by_now_is_left_alone(
    tmp_path: Path, results: Path, left: Callable[..., Any]
) -> None:
    child = left(WAITING, start="1")
    made(tmp_path)
    assert child.poll() is None
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"pid": -1, "start": "1", "boot": "b"}'])
def test_a_record_that_says_nothing_kills_nobody(
    tmp_path: Path, results: Path, damaged: str
) -> None:
    (results / "opinion-1.owner").write_text(damaged)
    made(tmp_path)
    assert list(results.iterdir()) == []


def test_a_child_is_recorded_while_it_runs(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_own(*_: object, **__: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["tail", "-f", "/dev/null"], start_new_session=True)

    monkeypatch.setattr("runner.children.spawn.start_own", start_own)
    ours = made(tmp_path)
    ours.check(HEAD)
    record = results / f"check-{HEAD}.owner"
    pid = json.loads(record.read_text())["pid"]
    assert owner_of(pid) is not None
    ours.end()
    assert owner_of(pid) is None
    assert not record.exists()
