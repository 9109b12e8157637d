"""The store: what is kept, found, shown and marked, and what becomes of a damaged file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import BusyError, DamageError, StorageError, ToolError
from attractor.memory import store as stores
from attractor.memory.entry import Entry, Kind
from attractor.memory.opening import opened
from attractor.memory.store import State, Store, StoreDamageError, match_expression

Make = Callable[..., Entry]
AT = "2026-02-24T12:00:00.000000Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(str(tmp_path / "deep" / "memory.db"))
    yield made
    made.close()


def remember(store: Store, *entries: Entry) -> list[int]:
    with store.change():
        return [store.remember(each) for each in entries]


def test_what_is_remembered_is_there_when_it_is_opened_again(tmp_path: Path, entry: Make) -> None:
    path = str(tmp_path / "memory.db")
    kept = entry("lesson", "Freeze time", node="n", run="r", attempt=3, at=AT)
    first = Store.open(path)
    remember(first, kept)
    first.close()
    again = Store.open(path)
    (found,) = again.memories()
    again.close()
    assert (found.entry, found.state, found.shown, found.helped) == (kept, State.LIVE, 0, 0)


def test_only_the_owner_may_read_the_file(tmp_path: Path, entry: Make) -> None:
    store = Store.open(str(tmp_path / "memory.db"))
    remember(store, entry("lesson", "x"))
    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    store.close()
    assert set(modes.values()) == {0o600}
    assert "memory.db-wal" in modes


def test_the_same_words_are_remembered_once(store: Store, entry: Make) -> None:
    one, other = remember(store, entry("lesson", "Use Redis."), entry("decision", "use  redis"))
    assert one == other
    assert len(store.memories()) == 1


def test_a_plan_is_remembered_once_a_day(store: Store, entry: Make) -> None:
    days = ("2026-02-24T01", "2026-02-24T02", "2026-02-25T01")
    numbers = remember(store, *(entry("planning", "a plan", at=each) for each in days))
    assert numbers == [1, 1, 2]


def test_an_exact_time_takes_the_place_of_a_day(store: Store, entry: Make) -> None:
    mine = {"node": "n", "run": "r", "attempt": 1}
    remember(store, entry("lesson", "x", at="2026-02-24", **mine))
    remember(store, entry("lesson", "x", at=AT, **mine))
    remember(store, entry("lesson", "x", at=AT + "later", **(mine | {"attempt": 2})))
    assert store.memories()[0].entry.at == AT


def test_a_showing_counts_once_however_often_it_is_noted(store: Store, entry: Make) -> None:
    (number,) = remember(store, entry("lesson", "x"))
    with store.change():
        for _ in range(2):
            store.show([number], "r", "n", 1, AT)
        store.show([number], "r", "n", 2, AT)
        assert [store.helped("r", "n", 1), store.helped("r", "n", 1)] == [1, 1]
        assert store.helped("r", "other", 1) == 0
        store.show([number], "r", "n", 1, AT)
    (found,) = store.memories()
    assert (found.shown, found.helped) == (2, 1)
    assert [each.helped for each in store.showings(number)] == [True, False]


def test_a_change_that_fails_leaves_nothing(store: Store, entry: Make) -> None:
    def fail() -> None:
        with store.change():
            store.remember(entry("lesson", "x"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.memories() == []


def test_full_text_finds_other_forms_of_a_word(store: Store, entry: Make) -> None:
    one, _ = remember(store, entry("lesson", "Migrations fail"), entry("lesson", "Tests pass"))
    assert list(store.matches("a failing migration")) == [one]
    assert store.matches("the of and") == {}


@given(
    st.text(max_size=80)
    | st.sampled_from(['"', "a AND", "NEAR(", "a*", "^a", "text:a", "-a", "don't"])
)
def test_no_text_is_a_wrong_question(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE memory_words USING fts5 (text)")
    connection.execute("INSERT INTO memory_words VALUES ('some words')")
    expression = match_expression(text)
    if expression:
        connection.execute("SELECT * FROM memory_words WHERE memory_words MATCH ?", (expression,))
    connection.close()


def test_a_question_of_many_words_is_cut(store: Store, entry: Make) -> None:
    (number,) = remember(store, entry("lesson", "word1"))
    text = " ".join(f"word{n}" for n in range(100_000))
    assert list(store.matches(text)) == [number]
    assert match_expression(text).count(" OR ") == 63


def test_names_that_are_no_text_are_kept(store: Store, entry: Make) -> None:
    remember(store, entry("lesson", "x", node="\udcff", run="\ud800"))
    assert store.memories()[0].entry.node == "?"


@pytest.mark.parametrize("data", [b"nonsense" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_store_is_kept_aside_and_made_anew_of_the_page(
    project: Any, entry: Make, data: bytes
) -> None:
    project.learn("Use Redis", entry("lesson", "Freeze time", node="n", run="r", attempt=2, at=AT))
    project.store.write_bytes(data)
    found = [(each.entry.kind, each.entry.text, each.entry.node) for each in project.memories()]
    assert found == [(Kind.DECISION, "Use Redis", ""), (Kind.LESSON, "Freeze time", "n")]
    (kept,) = project.aside.glob("memory.*.db")
    assert kept.read_bytes() == data


def test_another_program_s_database_is_kept_aside_too(project: Any) -> None:
    project.store.parent.mkdir(parents=True)
    with sqlite3.connect(project.store) as connection:
        connection.execute(f"PRAGMA user_version = {stores.VERSION}")
        connection.execute("CREATE TABLE memories (wrong)")
    connection.close()
    assert project.learn("Use Redis").added
    assert list(project.aside.glob("memory.*.db"))


def test_a_newer_version_s_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DamageError, match="newer version") as caught:
        Store.open(str(path))
    assert not isinstance(caught.value, StoreDamageError)
    assert path.read_bytes() == before


def test_a_link_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "memory.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        Store.open(str(tmp_path / "memory.db"))
    assert not (tmp_path / "elsewhere").exists()


def test_another_writer_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Make
) -> None:
    monkeypatch.setattr(stores, "_BUSY_SECONDS", 0.0)
    one, other = (Store.open(str(tmp_path / "memory.db")) for _ in range(2))
    with one.change(), pytest.raises(BusyError):
        remember(other, entry("lesson", "x"))
    one.close()
    other.close()


def test_a_sqlite_without_full_text_search_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_TABLES", stores._TABLES.replace("fts5", "fts5_is_not_there"))
    with pytest.raises(ToolError, match="no full-text search"):
        Store.open(str(tmp_path / "memory.db"))


def test_what_a_person_writes_on_the_page_is_remembered(project: Any, clock: Any) -> None:
    project.learn("Use Redis")
    with project.page.open("a") as file:
        file.write("- mine, a plan without a day\n")
    text = project.page.read_text().replace(
        "## Best Practices\n", "## Best Practices\n\n* be kind\n"
    )
    project.page.write_text(text)
    for _ in range(2):
        found = {each.entry.text: each.entry.at[:4] for each in project.memories()}
        assert found == {"Use Redis": "", "be kind": "2026", "mine, a plan without a day": ""}
        clock.advance(100_000)


def test_opening_needs_no_page(tmp_path: Path, clock: Any) -> None:
    with opened(str(tmp_path), None, clock) as store:
        assert store.memories() == []


@pytest.mark.parametrize(
    "change", ["kind = 'x'", "state = 'x'", "attempt = 'x'", "importance = 'x'"]
)
def test_a_store_with_values_that_are_none_of_ours_is_kept_aside_and_made_anew(
    project: Any, change: str
) -> None:
    project.learn("Use Redis")
    with sqlite3.connect(project.store) as connection:
        connection.execute(f"UPDATE memories SET {change}")
    connection.close()
    assert [each.entry.text for each in project.memories()] == ["Use Redis"]
    assert list(project.aside.glob("memory.*.db"))
