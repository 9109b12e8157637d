"""A session that runs is taken for the one that was to be started only if it is that one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.assignment import Assignment
from runner.effects import Start
from runner.perform import Performer
from runner.session import Launch, Look


class Running:
    """A session that runs, whatever one asks of it."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, launch: Launch) -> None:
        self.started.append(launch.session_id)

    def look(self) -> Look:
        return Look(alive=True)


class Silent:
    def add(self, *_: object) -> None:
        pass


@pytest.fixture
def started(tmp_path: Path, clock: Any) -> Callable[[Any], list[str]]:
    """`started(record)`: which sessions are started while this is what is known of the last."""
    assignment = Assignment(
        run_id="r1",
        node_id="build",
        attempt=1,
        project=str(tmp_path / "project"),
        run_root=str(tmp_path / "run"),
        base_commit="a" * 40,
        branch="attractor/r1/build",
        worktree=str(tmp_path / "worktree"),
    )
    Path(assignment.layout.inbox("build")).mkdir(parents=True)

    def start(record: Any) -> list[str]:
        Path(assignment.layout.session("build")).write_text(json.dumps(record))
        session, none = Running(), Silent()
        hands: Any = Performer
        performer = hands(assignment, session, none, none, none, clock)
        performer.perform(Start(launch=1, session_id="ours", resume=False, prompt="Build it."))
        return session.started

    return start


def test_the_launch_that_happened_already_is_not_repeated(
    started: Callable[[Any], list[str]],
) -> None:
    assert started({"launch": 1, "session_id": "ours"}) == []


@pytest.mark.parametrize(
    "record", [{"launch": 1, "session_id": "another"}, {"launch": 1}, {"session_id": "ours"}, []]
)
def test_another_session_is_not_taken_for_the_one_to_be_started(
    started: Callable[[Any], list[str]], record: Any
) -> None:
    assert started(record) == ["ours"]
