"""The page is a person's to edit: what is deleted, put back, corrected or written there by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from attractor.memory import architect
from attractor.memory.brief import brief
from attractor.memory.opening import opened
from attractor.memory.page_file import load
from attractor.memory.planning import planned
from attractor.memory.settle import forget, settle
from attractor.memory.store import State

TOKEN = "gh" + "p_" + "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6"


def states(project: Any) -> dict[str, str]:
    return {each.entry.text: each.state.value for each in project.memories()}


def edit(project: Any, old: str, new: str) -> None:
    text = project.page.read_text()
    assert old in text
    project.page.write_text(text.replace(old, new))


def write(project: Any, section: str, *lines: str) -> None:
    if not project.page.exists():
        project.page.write_text(architect.empty())
    head = f"## {section}\n"
    edit(project, head, head + "".join(f"{each}\n" for each in ("", *lines)))


def told(project: Any, query: str = "", role: str = "planner") -> str:
    return brief(str(project.folder), query, tokens=2000, role=role, clock=project.clock)


def read(project: Any) -> list[str]:
    """Open the memory as `list` does, and return what a person is told of the page."""
    said: list[str] = []
    root = str(project.folder)
    with opened(root, load(root).there, project.clock, tell_page=said.append):
        pass
    return said


def test_a_line_that_is_corrected_is_another_and_the_old_one_counts_no_more(project: Any) -> None:
    project.learn("The database is Postgres 14 on port 5432")
    edit(project, "14 on port 5432", "16 on port 6432")
    text = told(project)
    assert "Postgres 16" in text
    assert "Postgres 14" not in text
    assert sorted(states(project).values()) == ["forgotten", "live"]


def test_a_line_that_is_deleted_counts_no_more_and_again_when_it_is_put_back(
    project: Any,
) -> None:
    project.learn("Use Redis", "Use tabs")
    before = project.page.read_text()
    for _ in range(2):
        edit(project, "- Use Redis [by hand, 1970-01-01]\n", "")
        assert states(project) == {"Use Redis": "forgotten", "Use tabs": "live"}
        assert project.learn("Use Redis").duplicates
        root = str(project.folder)
        with opened(root, load(root).page, project.clock) as store:
            assert [store.is_deleted(1), store.is_deleted(2)] == [True, False]
        project.page.write_text(before)
        assert states(project) == {"Use Redis": "live", "Use tabs": "live"}


def missing(project: Any) -> None:
    project.page.unlink()


def nonsense(project: Any) -> None:
    project.page.write_text("nonsense")


def blank(project: Any) -> None:
    project.page.write_text(" \n")


@pytest.mark.parametrize("damage", [missing, nonsense, blank])
def test_nothing_is_deleted_where_there_is_no_page(
    project: Any, damage: Callable[[Any], None]
) -> None:
    project.learn("Use Redis")
    damage(project)
    assert states(project) == {"Use Redis": "live"}
    project.learn("Use tabs")
    assert states(project) == {"Use Redis": "live", "Use tabs": "live"}
    project.page.write_text(architect.empty() + "\nput right\n")
    project.learn("Use nose")
    still = damage is nonsense  # the others have been made anew, with all of it
    assert states(project)["Use Redis"] == ("live" if still else "forgotten")


def test_a_line_that_was_never_on_the_page_is_not_deleted_from_it(project: Any) -> None:
    nonsense(project)
    project.learn("Use Redis")
    project.page.write_text(architect.empty())
    project.learn("Use tabs")
    assert states(project) == {"Use Redis": "live", "Use tabs": "live"}


def test_who_has_read_an_old_page_deletes_nothing(project: Any, clock: Any) -> None:
    root = str(project.folder)
    project.learn("Use Redis")
    old = load(root).page
    project.learn("Use tabs")
    with opened(root, old, clock) as store:
        assert {each.state for each in store.memories()} == {State.LIVE}
    assert states(project) == {"Use Redis": "live", "Use tabs": "live"}


def test_what_was_forgotten_counts_again_once_a_person_takes_the_withdrawal_away(
    project: Any, clock: Any
) -> None:
    project.learn("Use Redis")
    forget(str(project.folder), 1, clock)
    lines = project.page.read_text().splitlines(keepends=True)
    project.page.write_text("".join(each for each in lines if "Withdrawn:" not in each))
    assert states(project) == {"Use Redis": "live"}


@pytest.mark.parametrize("damage", [missing, nonsense])
def test_what_was_forgotten_without_the_page_stays_so_when_the_page_comes_back(
    project: Any, clock: Any, damage: Callable[[Any], None]
) -> None:
    project.learn("Use Redis")
    before = project.page.read_text()
    damage(project)
    forget(str(project.folder), 1, clock)
    project.page.write_text(before)
    assert states(project) == {"Use Redis": "forgotten"}


def test_a_store_of_the_version_before_goes_on(project: Any, clock: Any) -> None:
    project.learn("Use Redis", "Use tabs")
    with sqlite3.connect(project.store) as connection:
        connection.execute("UPDATE memories SET state = 'forgotten' WHERE id = 1")
        connection.execute("DROP TABLE on_page")
        connection.execute("DROP TABLE left_out")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    # That version left the line of what was forgotten on the page.
    assert states(project) == {"Use Redis": "forgotten", "Use tabs": "live"}
    edit(project, "- Use tabs [by hand, 1970-01-01]\n", "")
    assert states(project) == {"Use Redis": "forgotten", "Use tabs": "forgotten"}
    assert not list(project.aside.glob("*"))


def test_a_secret_written_by_hand_is_named_once_and_no_role_is_told_of_it(project: Any) -> None:
    write(project, "Known Constraints", f"- token {TOKEN} for CI", "- Only on weekdays")
    before = project.page.read_bytes()
    assert "weekdays" in told(project)  # nobody can be told of it there
    (said,) = read(project)
    line = project.page.read_text().splitlines().index(f"- token {TOKEN} for CI") + 1
    assert said.startswith(
        f"ARCHITECT.md, line {line} (constraint): this looks like a GitHub token"
    )
    assert TOKEN not in said
    assert read(project) == []
    assert states(project) == {"Only on weekdays": "live"}
    for role in ("planner", "reviewer"):
        assert TOKEN not in told(project, "token for CI", role)
    assert project.page.read_bytes() == before


def test_a_secret_in_the_structure_or_on_a_page_alone_is_not_told(project: Any) -> None:
    planned(str(project.folder), "src/: code", "Log in", project.clock)
    edit(project, "src/: code", f"src/: code\nkey {TOKEN}")
    write(project, "Known Constraints", f"- token {TOKEN} for CI", "- Only on weekdays")
    assert "src/: code" in told(project, "code key")
    assert TOKEN not in told(project, "code key")
    project.store.unlink()
    project.store.mkdir()
    assert "weekdays" in told(project, "token")
    assert TOKEN not in told(project, "token")


def test_a_secret_on_the_page_is_quoted_against_nothing(project: Any) -> None:
    write(project, "Permanent Decisions", f"- The build token is {TOKEN}")
    done = project.learn("The build token is unused")
    assert done.added
    assert all(TOKEN not in each.against for each in project.memories())


def test_a_contradiction_written_by_hand_is_flagged(project: Any) -> None:
    project.learn("Never store sessions in Redis")
    write(project, "Known Constraints", "- Always store sessions in Redis")
    before = project.page.read_bytes()
    (said,) = read(project)
    assert "m2 does not count yet" in said
    flagged = [each for each in project.memories() if each.state is State.FLAGGED]
    assert [each.against for each in flagged] == ["Never store sessions in Redis"]
    assert "Always" not in told(project)
    assert project.page.read_bytes() == before
    assert project.learn("Always sign commits").added


def test_a_contradiction_is_settled_by_deleting_either_line(project: Any) -> None:
    project.learn("Never store sessions in Redis")
    write(project, "Known Constraints", "- Always store sessions in Redis")
    both = project.page.read_text()
    assert "flagged" in states(project).values()
    edit(project, "- Never store sessions in Redis [by hand, 1970-01-01]\n", "")
    assert states(project) == {
        "Never store sessions in Redis": "forgotten",
        "Always store sessions in Redis": "live",
    }
    project.page.write_text(both)
    assert states(project)["Never store sessions in Redis"] == "flagged"
    edit(project, "- Never store sessions in Redis [by hand, 1970-01-01]\n", "")
    assert states(project)["Never store sessions in Redis"] == "forgotten"


def test_what_a_person_settles_stays_so_on_the_page(project: Any, clock: Any) -> None:
    project.learn("Never store sessions in Redis")
    write(project, "Known Constraints", "- Always store sessions in Redis")
    assert len(states(project)) == 2
    done = settle(str(project.folder), 2, take=False, clock=clock)
    assert done.on_page
    assert "- Withdrawn: Always store sessions in Redis" in project.page.read_text()
    assert states(project)["Always store sessions in Redis"] == "forgotten"


def test_numbered_and_nested_items_and_plans_without_a_day_are_remembered(project: Any) -> None:
    write(
        project,
        "Best Practices",
        *("1. first", "   - second", "        * third", "2) fourth", "", "text", "    - code"),
    )
    write(project, "Planning History", "- a plan")
    texts = [each.entry.text for each in project.memories()]
    assert texts == ["first", "second", "third", "fourth", "a plan"]


def test_a_page_that_nobody_may_write_is_left_alone(project: Any, clock: Any) -> None:
    project.learn("Use Redis")
    project.page.chmod(0o444)
    before = project.page.stat()
    done = project.learn("Use tabs", "Never use Redis")
    assert "its mode lets nobody write it" in done.notes[0]
    assert (len(done.added), len(done.flagged)) == (1, 1)
    assert project.learn("Never use tabs").flagged
    gone, on_page, _ = forget(str(project.folder), 1, clock)
    assert (gone.state, on_page) == (State.FORGOTTEN, False)
    assert project.page.stat() == before
    assert states(project)["Use Redis"] == "forgotten"


def test_many_lines_are_compared_as_fast_as_few(project: Any, monkeypatch: Any) -> None:
    from attractor.memory import contradict

    asked: list[int] = []
    plain = contradict._same
    monkeypatch.setattr(contradict, "_same", lambda *words: asked.append(1) or plain(*words))
    older = contradict.Older(f"Use tool{n} for task{n}" for n in range(300))
    assert older.against("Never use tool7 for task7") == "Use tool7 for task7"
    assert older.against("Use tool7 for task7") == ""
    assert len(asked) < 400
