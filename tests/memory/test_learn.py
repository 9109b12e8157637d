"""The way into the memory: the page, the store, what cannot be used, and what a person settles."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import BusyError, InputError
from attractor.memory import architect, learn, page_file, places
from attractor.memory.entry import Entry, Kind
from attractor.memory.planning import planned
from attractor.memory.store import State
from attractor.run import hide
from signals import lease

Make = Callable[..., Entry]


def test_what_is_learned_is_on_the_page_and_in_the_store(project: Any, entry: Make) -> None:
    done = project.learn(
        entry("lesson", "Freeze time", node="n", run="r", attempt=1, at="2026-02-24")
    )
    assert [each.text for each in done.added] == ["Freeze time"]
    assert "- Freeze time [node n, attempt 1, 2026-02-24, run r]\n" in project.page.read_text()
    assert [each.entry.text for each in project.memories()] == ["Freeze time"]


def test_learning_again_changes_nothing_and_says_the_same(project: Any, entry: Make) -> None:
    said = (
        entry("decision", "Use Redis", node="n"),
        entry("decision", "Never use Redis", node="n"),
    )
    first, before, rows = project.learn(*said), project.page.read_bytes(), project.memories()
    again = project.learn(*said)
    assert again == first
    assert (project.page.read_bytes(), project.memories()) == (before, rows)


def test_git_sees_neither_the_page_nor_the_store(project: Any) -> None:
    project.learn("Use Redis")
    assert project.git("status", "--short") == ""
    assert "/ARCHITECT.md" in (project.folder / ".git/info/exclude").read_text().splitlines()


def test_a_tracked_page_is_not_hidden(project: Any) -> None:
    project.page.write_text("gone soon")
    project.git("add", "ARCHITECT.md")
    project.page.unlink()
    project.learn("Use Redis")
    excluded = (project.folder / ".git/info/exclude").read_text().splitlines()
    assert "/ARCHITECT.md" not in excluded
    assert set(hide.OURS) <= set(excluded)


def test_a_folder_without_git_has_a_memory_too(tmp_path: Path, clock: Any, entry: Make) -> None:
    done = learn.learn(str(tmp_path), learn.Lesson(entries=[entry("decision", "Use Redis")]), clock)
    assert done.added
    assert (tmp_path / "ARCHITECT.md").is_file()


def test_the_mode_of_the_page_stays(project: Any) -> None:
    project.page.write_text(architect.empty())
    project.page.chmod(0o640)
    project.learn("Use Redis")
    assert project.page.stat().st_mode & 0o777 == 0o640


def test_an_empty_file_becomes_a_page(project: Any) -> None:
    project.page.write_text(" \n")
    project.learn("Use Redis")
    assert "Use Redis" in architect.read(project.page.read_text()).body("Permanent Decisions")


def folder(project: Any) -> None:
    project.page.mkdir()


def link(project: Any) -> None:
    outside = project.folder.parent / "outside.md"
    outside.write_text(architect.empty())
    project.page.symlink_to(outside)


def pipe(project: Any) -> None:
    os.mkfifo(project.page)


def unreadable_text(project: Any) -> None:
    project.page.write_bytes(b"\xff\xfe\0")


def nonsense(project: Any) -> None:
    project.page.write_text(architect.empty().replace("## Known Constraints", "known"))


@pytest.mark.parametrize("damage", [folder, link, pipe, unreadable_text, nonsense])
def test_what_is_no_page_is_left_alone_and_entries_go_to_the_store(
    project: Any, damage: Callable[[Any], None]
) -> None:
    damage(project)
    before = project.page.lstat()
    data = project.page.read_bytes() if project.page.is_file() else b""
    for _ in range(2):
        done = project.learn("Use Redis", "Never use Redis")
        assert "ARCHITECT.md is left alone, and entries go to the store only" in done.notes[0]
        assert len(done.flagged) == 1
        project.clock.advance(5)
    assert project.page.lstat() == before
    assert [each.state for each in project.memories()] == [State.LIVE, State.FLAGGED]
    kept = [each.read_bytes() for each in project.aside.glob("ARCHITECT.*.md")]
    assert kept == ([data] if damage in {unreadable_text, nonsense} else [])


def test_a_page_that_was_moved_away_is_made_anew_of_what_is_remembered(project: Any) -> None:
    project.learn("Use Redis", "Use tabs")
    before = project.page.read_text()
    project.page.unlink()
    project.learn()
    assert project.page.read_text() == before


def test_a_link_inside_the_project_is_followed(project: Any) -> None:
    (project.folder / "docs").mkdir()
    (project.folder / "docs/ARCHITECT.md").write_text(architect.empty())
    project.page.symlink_to("docs/ARCHITECT.md")
    project.learn("Use Redis")
    assert project.page.is_symlink()
    assert "Use Redis" in project.page.read_text()


def test_another_who_writes_the_page_is_waited_for_and_then_named(
    project: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_file, "LOCK_SECONDS", 0.0)
    os.makedirs(places.folder(str(project.folder)))
    file = os.open(places.lock(str(project.folder)), os.O_RDWR | os.O_CREAT)
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    with pytest.raises(BusyError):
        project.learn("Use Redis")
    os.close(file)
    assert not project.page.exists()
    assert lease.LeaseError is not BusyError


def flagged(project: Any) -> int:
    project.learn("Use Redis", "Never use Redis")
    return int(next(each.id for each in project.memories() if each.state is State.FLAGGED))


def states(project: Any) -> dict[str, str]:
    return {each.entry.text: each.state.value for each in project.memories()}


def test_a_person_takes_the_new_one(project: Any, clock: Any) -> None:
    number = flagged(project)
    done, _ = learn.settle(str(project.folder), number, take=True, clock=clock)
    assert done.state is State.LIVE
    assert states(project) == {"Use Redis": "forgotten", "Never use Redis": "live"}
    assert "- Never use Redis [by hand" in project.page.read_text()
    assert project.learn("Use Redis").duplicates


def test_a_person_keeps_the_old_one(project: Any, clock: Any) -> None:
    number, before = flagged(project), project.page.read_text()
    learn.settle(str(project.folder), number, take=False, clock=clock)
    assert states(project) == {"Use Redis": "live", "Never use Redis": "forgotten"}
    assert project.page.read_text() == before
    assert project.learn("Never use Redis").duplicates


@pytest.mark.parametrize("number", [1, 99, 2**62])
def test_only_what_is_flagged_can_be_settled(project: Any, clock: Any, number: int) -> None:
    flagged(project)
    with pytest.raises(InputError, match=r"is not flagged|there is no memory"):
        learn.settle(str(project.folder), number, take=True, clock=clock)


def test_what_is_forgotten_stays_on_the_page_and_counts_for_nothing(
    project: Any, clock: Any
) -> None:
    project.learn("Use Redis")
    gone, on_page = learn.forget(str(project.folder), 1, clock)
    assert (gone.state, on_page) == (State.FORGOTTEN, True)
    assert "Use Redis" in project.page.read_text()
    assert project.learn("Never use Redis").added


def test_a_file_counts_for_the_attempt_that_handed_it_in_first(project: Any, entry: Make) -> None:
    def by(attempt: int) -> Any:
        said = entry("lesson", f"of attempt {attempt}", node="n", run="r", attempt=attempt)
        return project.learn(files={"hash": [said]}, by=("r", "n", attempt))

    assert [len(by(1).added), len(by(1).added), len(by(2).added)] == [1, 1, 0]


def test_a_sqlite_without_full_text_search_leaves_the_page_alone_to_remember(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.memory import store

    monkeypatch.setattr(store, "_TABLES", store._TABLES.replace("fts5", "fts5_is_not_there"))
    done = project.learn("Use Redis")
    assert "no full-text search" in done.notes[0]
    assert "Use Redis" in project.page.read_text()


def test_a_plan_rewrites_the_structure_and_adds_one_line(project: Any, clock: Any) -> None:
    root = str(project.folder)
    secret = "AKIA" + "IOSFODNN7EXAMPLF"
    assert planned(root, "src/: code", "Log in: 3 nodes", clock) == []
    notes = planned(root, f"lib/: code\nkey {secret}", "Log out: 2 nodes", clock)
    planned(root, "", "Log out: 2 nodes", clock)
    text = project.page.read_text()
    assert "lib/: code\n<!-- end" in text
    assert "src/" not in text
    assert secret not in text
    assert "1 lines of the structure" in notes[0]
    plans = [each.text for each in architect.read(text).entries() if each.kind is Kind.PLANNING]
    assert plans == ["Log in: 3 nodes", "Log out: 2 nodes"]
