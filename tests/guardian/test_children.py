"""The Guardian's tasks: their answers are found by name, whatever else the folder keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.process import Process
from attractor.run.layout import RunLayout
from guardian import children as module
from guardian.children import Children, Result
from signals.clock import SystemClock
from signals.owner import Owner

SECONDS = 60.0


class Started:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.pid = 2**22 + 1  # above what Linux gives
        self.over = False

    def poll(self) -> int | None:
        return 0 if self.over else None

    def wait(self, timeout_seconds: float) -> int:
        del timeout_seconds
        self.over = True
        return 0


class Place:
    """The folder of a run, and who looks into it."""

    def __init__(self, root: Path) -> None:
        self.layout = RunLayout(str(root))
        self.tasks = root / "tasks"
        self.started: list[Started] = []
        self.listed: list[str] = []

    def children(self) -> Children:
        """Return those of another Guardian."""
        return Children(self.layout, {}, SystemClock())

    def start_own(self, *_: object, **__: object) -> Started:
        self.started.append(Started())
        return self.started[-1]

    def answer(self, name: str, **said: Any) -> None:
        (self.tasks / f"{name}.json").write_text(json.dumps(said))

    def history(self, count: int) -> None:
        """Leave behind what so many tasks leave behind that have ended."""
        self.tasks.mkdir(exist_ok=True)
        for each in range(count):
            for ending in (".spec", ".done", ".log"):
                (self.tasks / f"validate-{each}{ending}").write_text("{}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setattr(module.spawn, "start_own", made.start_own)
    for name in ("listdir", "scandir"):
        real = getattr(os, name)

        def counted(path: str, real: Any = real) -> Any:
            made.listed.append(path)
            return real(path)

        monkeypatch.setattr(os, name, counted)
    yield made
    # Nothing of these was ever a process.
    assert all(each.pid > 2**22 for each in made.started)


def test_a_wake_up_does_not_list_what_ever_was(place: Place) -> None:
    place.history(300)
    children = place.children()
    at_start = len(place.listed)
    for number in range(300, 350):
        name = f"validate-{number}"
        children.start(name, {"kind": "validate"}, SECONDS)
        assert children.results([name]) == []
        place.answer(name, outcome="passed")
        assert children.results([name]) == [Result(name, {"outcome": "passed"})]
        children.consume(name)
        assert children.results([]) == []
    assert len(place.listed) == at_start
    assert len(list(place.tasks.glob("*.done"))) == 350


def test_a_wake_up_asks_for_as_many_files_as_tasks_are_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = place.children()
    asked: list[str] = []
    real = os.path.exists

    def counted(path: str) -> bool:
        asked.append(path)
        return real(path)

    for number in range(100):
        name = f"tool-{number}"
        children.start(name, {}, SECONDS)
        place.answer(name)
        monkeypatch.setattr(module.os.path, "exists", counted)
        asked.clear()
        assert len(children.results([name])) == 1
        assert len(asked) == 1
        monkeypatch.setattr(module.os.path, "exists", real)
        children.consume(name)
    # What a Guardian before us had not consumed is asked for until it is.
    place.answer("books-7")
    following = place.children()
    following.consume("books-7")
    monkeypatch.setattr(module.os.path, "exists", counted)
    asked.clear()
    assert following.results([]) == []
    assert asked == []


def test_what_was_answered_to_a_guardian_before_counts_until_it_is_consumed(place: Place) -> None:
    place.history(3)
    place.answer("merge-4", status="merged")
    place.answer("books-5", ok=True)
    children = place.children()
    merged, told = Result("merge-4", {"status": "merged"}), Result("books-5", {"ok": True})
    # Whether the story still waits for it, or does not: each is given out, and put away.
    assert children.results(["merge-4"]) == [told, merged]
    assert children.results(["merge-4"]) == [told, merged]
    for name in ("merge-4", "books-5"):
        children.consume(name)
    assert children.results(["merge-4"]) == []
    assert (place.tasks / "merge-4.done").exists()
    assert (place.tasks / "books-5.done").exists()


def test_a_task_that_ended_without_a_word_has_said_nothing_and_one_that_is_late_has_failed(
    place: Place,
) -> None:
    children = place.children()
    children.start("tool-1", {}, SECONDS)
    children.start("tool-2", {}, -1.0)
    children.start("tool-3", {}, SECONDS)
    place.started[0].over = True
    late = {"error": "it gave no answer in time"}
    assert children.results([]) == [Result("tool-1", None), Result("tool-2", late)]
    # One that is late and has answered meanwhile is heard.
    place.answer("tool-2", exit=0)
    assert children.results([])[1] == Result("tool-2", {"exit": 0})


def test_the_answer_of_a_task_that_is_ended_is_put_away(place: Place) -> None:
    children = place.children()
    children.start("review-1", {}, SECONDS)
    place.answer("review-1", outcome="passed")
    children.consume("review-1")
    assert children.running() == []
    assert not (place.tasks / "review-1.json").exists()
    assert (place.tasks / "review-1.done").exists()


def test_what_nobody_of_us_has_named_so_is_left_alone(place: Place) -> None:
    place.history(1)
    (place.tasks / "Notes.json").write_text("[]")
    children = place.children()
    assert children.results([]) == []
    assert (place.tasks / "Notes.json").exists()


def test_the_task_of_a_guardian_before_is_ended_and_its_record_is_gone(place: Place) -> None:
    place.history(1)
    record = place.tasks / "tool-9.owner"
    record.write_text(json.dumps(Owner(2**22 + 1, "1", "another boot").as_json()))
    assert Process(Owner.from_json(json.loads(record.read_text()))).alive is False
    assert place.children().running() == []
    assert not record.exists()
