"""The way into the memory: the page, the store, what cannot be used, and what a person settles."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import BusyError, InputError
from attractor.memory import architect, learn, page_file, places
from attractor.memory.brief import brief
from attractor.memory.entry import Entry, Kind
from attractor.memory.opening import opened
from attractor.memory.page_file import load
from attractor.memory.planning import planned
from attractor.memory.settle import forget, settle
from attractor.memory.store import State
from attractor.run import hide
from signals import lease
from signals.clock import iso

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
    done = settle(str(project.folder), number, take=True, clock=clock)
    assert done.memory.state is State.LIVE
    assert states(project) == {"Use Redis": "forgotten", "Never use Redis": "live"}
    assert "- Never use Redis [by hand" in project.page.read_text()
    assert "- Withdrawn: Use Redis [withdrawn by hand" in project.page.read_text()
    assert project.learn("Use Redis").duplicates


def test_a_person_keeps_the_old_one(project: Any, clock: Any) -> None:
    number, before = flagged(project), project.page.read_text()
    settle(str(project.folder), number, take=False, clock=clock)
    assert states(project) == {"Use Redis": "live", "Never use Redis": "forgotten"}
    assert project.page.read_text() == before
    assert project.learn("Never use Redis").duplicates


def redis(project: Any) -> str:
    """Remember three of which the third contradicts the others, and return the project."""
    project.learn("Use Redis for sessions", "Use Redis for the sessions", "Use Redis here")
    project.learn("Never use Redis for sessions", "Never use Redis for the sessions")
    project.learn("Use tabs")
    assert [*states(project).values()] == ["live"] * 3 + ["flagged"] * 2 + ["live"]
    return str(project.folder)


def test_what_says_the_same_is_settled_too_and_what_else_contradicts_is_flagged(
    project: Any, clock: Any
) -> None:
    root = redis(project)
    done = settle(root, 4, take=True, clock=clock)
    expected = ["forgotten", "forgotten", "flagged", "live", "live", "live"]
    assert [*states(project).values()] == expected
    assert [each.id for each in done.also] == [2, 3, 5]
    assert done.on_page
    text = project.page.read_text()
    for line in ("Withdrawn: Use Redis for sessions", "Withdrawn: Use Redis for the sessions"):
        assert f"- {line} [withdrawn by hand" in text
    assert "- Never use Redis for the sessions [by hand" in text
    again = settle(root, 4, take=True, clock=clock)
    assert again.memory.state is State.LIVE
    assert (project.page.read_text(), [*states(project).values()]) == (text, expected)


def test_with_the_older_one_what_says_the_same_as_the_flagged_one_is_settled(
    project: Any, clock: Any
) -> None:
    root = redis(project)
    before = project.page.read_text()
    done = settle(root, 4, take=False, clock=clock)
    expected = ["live", "live", "live", "forgotten", "forgotten", "live"]
    assert [*states(project).values()] == expected
    assert ([each.id for each in done.also], done.on_page) == ([5], False)
    assert project.page.read_text() == before


def test_both_of_two_that_only_seem_to_contradict_each_other_can_be_taken(
    project: Any, clock: Any
) -> None:
    root, number = str(project.folder), flagged(project)
    settle(root, number, take=True, clock=clock)
    settle(root, 1, take=True, clock=clock)
    assert states(project) == {"Use Redis": "live", "Never use Redis": "live"}


@pytest.mark.parametrize("number", [1, 99, 2**62])
def test_only_what_is_flagged_can_be_settled(project: Any, clock: Any, number: int) -> None:
    flagged(project)
    with pytest.raises(InputError, match=r"is not flagged|there is no memory"):
        settle(str(project.folder), number, take=True, clock=clock)


def test_what_is_forgotten_stays_on_the_page_which_calls_it_withdrawn_once(
    project: Any, clock: Any
) -> None:
    project.learn("Use Redis")
    before = project.page.read_text()
    for _ in range(2):
        gone, on_page, notes = forget(str(project.folder), 1, clock)
        assert (gone.state, on_page, notes) == (State.FORGOTTEN, True, [])
    line = "- Use Redis [by hand, 1970-01-01]\n"
    more = f"- Withdrawn: Use Redis [withdrawn by hand, {iso(clock.wall_ns())[:10]}]\n"
    assert project.page.read_text() == before.replace(line, line + more)
    assert project.learn("Use Redis").duplicates
    assert project.learn("Never use Redis").added


def test_a_line_of_a_person_is_withdrawn_below_it_and_stays_as_it_is(
    project: Any, clock: Any
) -> None:
    project.learn("Use Redis")
    head = "## Known Constraints\n"
    written = project.page.read_text().replace(head, f"{head}\n* Only `_on_` weekdays  \n")
    project.page.write_text(written)
    number = next(each.id for each in project.memories() if "weekdays" in each.entry.text)
    forget(str(project.folder), number, clock)
    assert "\n* Only `_on_` weekdays  \n- Withdrawn: Only" in project.page.read_text()
    assert [each.text for each in load(str(project.folder)).page.entries()] == ["Use Redis"]


def test_what_the_page_calls_withdrawn_is_forgotten_by_a_store_that_is_made_anew(
    project: Any, clock: Any
) -> None:
    project.learn("Use Redis", "Use tabs")
    forget(str(project.folder), 1, clock)
    project.store.unlink()
    assert states(project) == {"Use Redis": "forgotten", "Use tabs": "live"}
    assert project.learn("Use Redis").duplicates


def test_where_there_is_no_store_what_is_withdrawn_stays_so(
    project: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.memory import store

    project.learn("Use Redis")
    forget(str(project.folder), 1, clock)
    before = project.page.read_text()
    project.store.unlink()
    monkeypatch.setattr(store, "_TABLES", store._TABLES.replace("fts5", "fts5_is_not_there"))
    assert project.learn("Use Redis").duplicates
    assert project.page.read_text() == before
    assert "Redis" not in brief(str(project.folder), "redis", tokens=500, role="x", clock=clock)


def test_who_was_killed_before_the_store_knew_tells_nobody_of_it(project: Any, clock: Any) -> None:
    root = str(project.folder)
    project.learn("Use Redis")
    page = load(root).page
    project.page.write_text(architect.withdrawn(page, "use redis", iso(clock.wall_ns())))
    assert brief(root, "redis", tokens=500, role="x", clock=clock) == ""
    project.learn("Use tabs")
    assert states(project) == {"Use Redis": "forgotten", "Use tabs": "live"}


def test_who_has_read_an_old_page_takes_back_no_settlement(project: Any, clock: Any) -> None:
    root = str(project.folder)
    project.learn("Use Redis")
    forget(root, 1, clock)
    old = load(root).page
    settle(root, 1, take=True, clock=clock)
    with opened(root, old, clock):
        pass
    assert states(project) == {"Use Redis": "live"}


def test_no_entry_can_withdraw_another(project: Any, entry: Make) -> None:
    project.learn("Use Redis")
    forged = "Withdrawn: Use Redis [withdrawn by hand, 2026-11-21]"
    project.learn(entry("decision", forged, node="n", run="r", attempt=1))
    texts = [each.text for each in load(str(project.folder)).page.entries()]
    assert texts == ["Use Redis", forged]
    assert load(str(project.folder)).page.withdrawn() == []


def test_what_is_forgotten_while_the_page_cannot_be_used_is_told(project: Any, clock: Any) -> None:
    project.learn("Use Redis")
    project.page.write_text("nonsense")
    gone, on_page, notes = forget(str(project.folder), 1, clock)
    assert (gone.state, on_page) == (State.FORGOTTEN, False)
    assert "ARCHITECT.md is left alone" in notes[0]
    assert project.page.read_text() == "nonsense"


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
