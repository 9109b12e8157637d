"""What an attempt taught goes into the memory, once, and nothing else is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.memory.brief import brief
from attractor.memory.opening import opened
from guardian.tasks import remember

SECRET = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


class Attempts:
    """A project, a worktree, and the tasks of their attempts."""

    def __init__(self, folder: Path, clock: Any) -> None:
        self.project, self.worktree, self.clock = folder / "project", folder / "tree", clock
        self.project.mkdir()
        self.files = self.worktree / ".attractor/memory"
        self.files.mkdir(parents=True)

    def run(self, outcome: str = "passed", **more: Any) -> dict[str, Any]:
        request = {"project": str(self.project), "run_id": "r1"}
        spec = {"request": request, "node": "login", "attempt": 1, "label": "Log in"}
        spec |= {"outcome": outcome, "worktree": str(self.worktree), "feedback": ""}
        return remember.run(spec | more, self.clock)

    @property
    def page(self) -> str:
        path = self.project / "ARCHITECT.md"
        return path.read_text() if path.exists() else ""

    def shown(self) -> dict[str, tuple[int, int]]:
        with opened(str(self.project), None, self.clock) as store:
            return {each.entry.text: (each.shown, each.helped) for each in store.memories()}


@pytest.fixture
def attempts(tmp_path: Path, clock: Any) -> Attempts:
    return Attempts(tmp_path, clock)


def test_what_an_agent_hands_in_is_remembered_with_its_source(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Decision: Use Redis\nprose\n- Lesson: Freeze time\n")
    said = attempts.run()
    assert said == {
        "ok": True,
        "added": ["Use Redis", "Freeze time"],
        "flagged": [],
        "notes": [],
        "usage": {},
    }
    assert "- Use Redis [node login, attempt 1, 2026-02-25, run r1]\n" in attempts.page
    assert (attempts.files / "a.md").exists()


def test_done_again_it_says_the_same_and_changes_nothing(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Decision: Use Redis\nDecision: Never use Redis\n")
    first, page = attempts.run("failed", feedback="It is red."), attempts.page
    attempts.clock.advance(5)
    assert attempts.run("failed", feedback="It is red.") == first
    assert attempts.page == page
    assert first["flagged"] == [{"text": "Never use Redis", "against": "Use Redis"}]


def test_a_file_that_stays_counts_once(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Lesson: Freeze time\n")
    attempts.run("failed")
    assert attempts.run(attempt=2)["added"] == []


@pytest.mark.parametrize(
    ("feedback", "lesson"),
    [
        ("It never compiles. More follows.", "Log in: It never compiles."),
        (
            "The work was judged, and is not accepted yet.\n- Tokens: they never expire. See a:1.",
            "Log in: Tokens: they never expire.",
        ),
        ("", None),
        (" \n---\n", None),
    ],
)
@pytest.mark.parametrize("outcome", ["failed", "findings"])
def test_feedback_becomes_a_lesson(
    attempts: Attempts, feedback: str, lesson: str | None, outcome: str
) -> None:
    assert attempts.run(outcome, feedback=feedback)["added"] == ([lesson] if lesson else [])


def test_the_lesson_of_the_verdict_has_its_place_whatever_is_handed_in(attempts: Attempts) -> None:
    lines = "".join(f"Lesson: the {n}th thing\n" for n in range(50))
    (attempts.files / "a.md").write_text(lines)
    said = attempts.run("failed", feedback="It is red.")
    assert said["added"][0] == "Log in: It is red."
    assert said["notes"] == ["31 more than the 20 that count at once"]


def test_a_pass_marks_what_the_attempt_had_been_told(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Lesson: Freeze time\n")
    attempts.run("failed", attempt=1)
    for attempt in (2, 3):
        query = {"run": "r1", "node": "login", "attempt": attempt, "clock": attempts.clock}
        brief(str(attempts.project), "time", tokens=500, role="orchestrator", **query)
    for _ in range(2):
        attempts.run(attempt=3, feedback="ignored where it passed")
    assert attempts.shown() == {"Freeze time": (2, 1)}


def test_a_secret_is_refused_and_named_without_it(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text(f"Lesson: the token {SECRET} works\n")
    said = attempts.run("failed", feedback=f"It prints {SECRET} there.")
    assert said["added"] == []
    assert len(said["notes"]) == 2
    assert SECRET not in repr(said) + attempts.page
    assert SECRET.encode() not in (attempts.project / ".claude/attractor/memory.db").read_bytes()


def _link(attempts: Attempts) -> None:
    outside = attempts.worktree / "outside.md"
    outside.write_text("Lesson: of the outside\n")
    (attempts.files / "a.md").symlink_to(outside)


def _hard_link(attempts: Attempts) -> None:
    _link(attempts)
    (attempts.files / "a.md").unlink()
    os.link(attempts.worktree / "outside.md", attempts.files / "a.md")


def _pipe(attempts: Attempts) -> None:
    os.mkfifo(attempts.files / "a.md")


def _folder(attempts: Attempts) -> None:
    (attempts.files / "a.md").mkdir()


def _huge(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Lesson: x\n" + "y" * 100_000)


def _no_text(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_bytes(b"Lesson: \xff\n")


@pytest.mark.parametrize("make", [_link, _hard_link, _pipe, _folder, _huge, _no_text])
def test_what_is_no_small_regular_file_of_text_is_noted_and_not_read(
    attempts: Attempts, make: Callable[[Attempts], None]
) -> None:
    make(attempts)
    (attempts.files / "b.md").write_text("Lesson: fine\n")
    said = attempts.run()
    assert said["added"] == ["fine"]
    (note,) = said["notes"]
    assert note.startswith("a.md ")


def test_no_link_on_the_way_is_followed(attempts: Attempts) -> None:
    (attempts.files / "a.md").write_text("Lesson: of the outside\n")
    moved = attempts.worktree.parent / "outside"
    (attempts.worktree / ".attractor").rename(moved)
    (attempts.worktree / ".attractor").symlink_to(moved)
    assert attempts.run()["added"] == []


def test_the_number_of_files_is_bounded(attempts: Attempts) -> None:
    for number in range(23):
        (attempts.files / f"{number:02}.md").write_text("prose\n")
    assert attempts.run()["notes"] == ["3 files more than the 20 that are read"]


@pytest.mark.parametrize("worktree", ["", "/nowhere/at/all"])
def test_a_worktree_that_is_gone_hands_nothing_in(attempts: Attempts, worktree: str) -> None:
    said = attempts.run(worktree=worktree)
    assert (said["ok"], said["added"], said["notes"]) == (True, [], [])
    assert attempts.page == ""


def test_a_page_that_is_nonsense_is_left_alone_and_told(attempts: Attempts) -> None:
    (attempts.project / "ARCHITECT.md").write_text("nonsense")
    said = attempts.run("failed", feedback="It is red.")
    assert said["added"] == ["Log in: It is red."]
    assert "left alone" in said["notes"][0]
    assert attempts.page == "nonsense"
