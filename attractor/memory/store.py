"""The store behind ARCHITECT.md: what is remembered, what was shown to whom, and what helped.

One SQLite file of the project, for its owner alone. Each change is one transaction, so that a
process that is killed leaves all of it or nothing. Several processes may use it at the same time;
one that cannot get at it within a while is told so (BusyError). A file that is damaged raises
StoreDamageError; `attractor.memory.opening` keeps it aside and begins anew from ARCHITECT.md.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self, final

from attractor.errors import BusyError, DamageError, StorageError, ToolError
from attractor.memory import words
from attractor.memory.entry import IMPORTANCE, Entry, Kind
from signals.atomic import storage_errors

VERSION: Final = 2
_BUSY_SECONDS: Final = 10.0
_MOST_MATCHES: Final = 200
_MOST_LIVING: Final = 1_000
_MOST_TERMS: Final = 64
_TABLES: Final = """
CREATE TABLE memories (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, text TEXT NOT NULL,
    node TEXT NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, at TEXT NOT NULL,
    importance REAL NOT NULL, state TEXT NOT NULL, against TEXT NOT NULL
);
CREATE TABLE showings (
    memory INTEGER NOT NULL, run TEXT NOT NULL, node TEXT NOT NULL, attempt INTEGER NOT NULL,
    at TEXT NOT NULL, helped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (memory, run, node, attempt)
) WITHOUT ROWID;
CREATE INDEX showings_of_attempt ON showings (run, node, attempt);
CREATE TABLE handed_in (
    hash TEXT PRIMARY KEY, run TEXT NOT NULL, node TEXT NOT NULL, attempt INTEGER NOT NULL
) WITHOUT ROWID;
CREATE VIRTUAL TABLE memory_words USING fts5 (text, tokenize = 'porter unicode61');
"""
_SINCE_2: Final = """
CREATE TABLE on_page (memory INTEGER PRIMARY KEY, there INTEGER NOT NULL);
CREATE TABLE left_out (hash TEXT PRIMARY KEY, told INTEGER NOT NULL) WITHOUT ROWID;
"""
# What was forgotten by a version that did not withdraw may stand on the page, and stays forgotten.
_FROM_1: Final = "INSERT INTO on_page SELECT id, 1 FROM memories WHERE state = 'forgotten'"
_SELECT: Final = """
SELECT m.id, m.kind, m.text, m.node, m.run, m.attempt, m.at, m.importance, m.state, m.against,
    (SELECT count(*) FROM showings s WHERE s.memory = m.id),
    (SELECT count(*) FROM showings s WHERE s.memory = m.id AND s.helped)
FROM memories m
"""
# What this Python's SQLite says of a failure; the names are those of its C interface.
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreDamageError(DamageError):
    """The file is no store of ours any more."""


@final
class State(StrEnum):
    """What a memory counts for."""

    LIVE = "live"
    FLAGGED = "flagged"
    """It contradicts an older one, and waits for a person."""
    FORGOTTEN = "forgotten"


_STRANGE: Final = f"""
SELECT 1 FROM memories WHERE kind NOT IN {(*map(str, Kind),)} OR state NOT IN {(*map(str, State),)}
    OR typeof(attempt) != 'integer' OR typeof(importance) != 'real' LIMIT 1
"""  # noqa: S608  # names that stand in this code


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """One row: an entry, and what became of it."""

    id: int
    entry: Entry
    importance: float
    state: State
    against: str
    """The older text that it contradicts, where it was flagged."""
    shown: int
    helped: int

    @property
    def name(self) -> str:
        """Return the id as people are told it."""
        return f"m{self.id}"


class Standing(NamedTuple):
    """What is known of a memory and the page."""

    id: int
    key: str
    state: State
    there: bool | None
    """Whether its line was there when the page was last read; None where it never was."""


class Showing(NamedTuple):
    """One attempt that was told of a memory."""

    run: str
    node: str
    attempt: int
    at: str
    helped: bool


def key_of(entry: Entry) -> str:
    """Return what two entries with the same words have in common; a plan counts once a day."""
    day = f"{entry.at[:10]} " if entry.kind is Kind.PLANNING else ""
    return f"{'plan' if day else 'entry'} {day}{words.plain(entry.text)}"


@final
class Store:
    """An open store."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the file, or make it; ToolError where this SQLite has no full-text search."""
        with storage_errors("open the store of memories", path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # SQLite gives its other files the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with _errors(path):
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            store = cls(connection, path)
            try:
                store._prepare()
            except BaseException:  # no connection stays open, and the error goes on
                connection.close()
                raise
            return store

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def _prepare(self) -> None:
        run = self._connection.execute
        version = run("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            fix = "use that version, or move the file away: a new one is made of ARCHITECT.md"
            problem = f"a newer version has written this (schema {version}, this one has {VERSION})"
            raise DamageError(problem, where=self._path, fix=fix)
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if version < VERSION:
            self._make()
        if run("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StoreDamageError("the store of memories is damaged", where=self._path)
        tables = ("handed_in", "memory_words", "on_page", "left_out")
        for part in (_SELECT, *(f"SELECT 1 FROM {each}" for each in tables)):  # noqa: S608  # ours
            run(f"{part} LIMIT 0")
        if run(_STRANGE).fetchone():
            raise StoreDamageError("the store of memories is not as we wrote it", where=self._path)

    def _make(self) -> None:
        run = self._connection.execute
        with self.change():
            version = run("PRAGMA user_version").fetchone()[0]
            if version < VERSION:  # no other has done it meanwhile
                tables = _SINCE_2 if version else _TABLES + _SINCE_2
                for statement in filter(str.strip, tables.split(";")):
                    run(statement)
                run(_FROM_1)
                run(f"PRAGMA user_version = {VERSION}")

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Make what is done inside one change: all of it, or nothing."""
        with _errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:  # nothing stays half done, and the error goes on
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # Inside `change`.

    def remember(self, entry: Entry, state: State = State.LIVE, against: str = "") -> int:
        """Keep an entry and return its id; one with the same words stays as it is.

        Read back from a page it has only a day: the exact time, where it comes later, counts.
        """
        key = _sound(key_of(entry))
        row = (entry.kind, entry.text, entry.node, entry.run)
        kind, text, node, run = map(_sound, row)
        rest = (entry.attempt, entry.at, IMPORTANCE[entry.kind], state.value, _sound(against))
        done = self._connection.execute(
            "INSERT INTO memories (key, kind, text, node, run, attempt, at, importance, state,"
            " against) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
            " at = excluded.at WHERE (node, run, attempt) = (excluded.node, excluded.run,"
            " excluded.attempt) AND length(at) < length(excluded.at)",
            (key, kind, text, node, run, *rest),
        )
        found = self._connection.execute("SELECT id FROM memories WHERE key = ?", (key,))
        number = int(found.fetchone()[0])
        if done.rowcount and not self._has_words(number):
            new = "INSERT INTO memory_words (rowid, text) VALUES (?, ?)"
            self._connection.execute(new, (number, text))
        return number

    def _has_words(self, number: int) -> bool:
        asked = "SELECT 1 FROM memory_words WHERE rowid = ?"
        return self._connection.execute(asked, (number,)).fetchone() is not None

    def put(self, number: int, state: State, against: str | None = None) -> None:
        """Let a memory count for something else; `against`: what it contradicts now."""
        change = "UPDATE memories SET state = ?, against = coalesce(?, against) WHERE id = ?"
        said = None if against is None else _sound(against)
        self._connection.execute(change, (state.value, said, number))

    def stands(self, number: int, there: bool | None) -> None:
        """Note whether a memory's line is on the page; False: a person has deleted it."""
        if there is None:
            self._connection.execute("DELETE FROM on_page WHERE memory = ?", (number,))
        else:
            new = "INSERT OR REPLACE INTO on_page (memory, there) VALUES (?, ?)"
            self._connection.execute(new, (number, int(there)))

    def lose_page(self) -> None:
        """Note that the page cannot be read: what is not on the next one, nobody has deleted."""
        living = "SELECT id FROM memories WHERE state = 'live'"
        self._connection.execute(f"DELETE FROM on_page WHERE memory IN ({living})")  # noqa: S608  # ours

    def leave_out(self, digest: str, *, told: bool) -> None:
        """Note that a line of the page is not taken in, and whether a person has been told."""
        new = "INSERT OR REPLACE INTO left_out (hash, told) VALUES (?, ?)"
        self._connection.execute(new, (digest, int(told)))

    def show(self, numbers: Iterable[int], run: str, node: str, attempt: int, at: str) -> None:
        """Note that an attempt was told of these; twice counts once."""
        rows = [(each, _sound(run), _sound(node), attempt, at) for each in numbers]
        self._connection.executemany(
            "INSERT OR IGNORE INTO showings (memory, run, node, attempt, at) VALUES (?,?,?,?,?)",
            rows,
        )

    def helped(self, run: str, node: str, attempt: int) -> int:
        """Note that the work of an attempt was judged good; return what it had been shown."""
        change = "UPDATE showings SET helped = 1 WHERE (run, node, attempt) = (?, ?, ?)"
        done = self._connection.execute(change, (_sound(run), _sound(node), attempt))
        return done.rowcount

    def take(self, digest: str, run: str, node: str, attempt: int) -> None:
        """Note that a file has been handed in."""
        new = "INSERT OR IGNORE INTO handed_in (hash, run, node, attempt) VALUES (?, ?, ?, ?)"
        self._connection.execute(new, (digest, _sound(run), _sound(node), attempt))

    # Anywhere.

    def taken_by(self, digest: str) -> tuple[str, str, int] | None:
        """Return who handed a file in first: run, node and attempt."""
        asked = "SELECT run, node, attempt FROM handed_in WHERE hash = ?"
        with _errors(self._path):
            row = self._connection.execute(asked, (digest,)).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def memories(self) -> list[Memory]:
        """Return all, the oldest first."""
        with _errors(self._path):
            rows = self._connection.execute(f"{_SELECT} ORDER BY m.id").fetchall()
        return [_memory(row) for row in rows]

    def some(self, numbers: Iterable[int]) -> list[Memory]:
        """Return these, in no order; at most as many as `matches` returns."""
        wanted = list(numbers)[:_MOST_MATCHES]
        marks = ", ".join("?" * len(wanted))
        with _errors(self._path):
            asked = f"{_SELECT} WHERE m.id IN ({marks})"
            rows = self._connection.execute(asked, wanted).fetchall()
        return [_memory(row) for row in rows]

    def living(self, *, binding: bool) -> list[Memory]:
        """Return the newest that count, up to a thousand; `binding`: what holds for good only."""
        kinds = " AND m.kind IN ('decision', 'constraint')" if binding else ""
        with _errors(self._path):
            asked = f"{_SELECT} WHERE m.state = 'live'{kinds} ORDER BY m.id DESC LIMIT ?"
            rows = self._connection.execute(asked, (_MOST_LIVING,)).fetchall()
        return [_memory(row) for row in rows]

    def standings(self) -> dict[str, Standing]:
        """Return by its key what is known of each memory and the page, the oldest first."""
        asked = (
            "SELECT m.id, m.key, m.state, o.there FROM memories m"
            " LEFT JOIN on_page o ON o.memory = m.id ORDER BY m.id"
        )
        with _errors(self._path):
            rows = self._connection.execute(asked).fetchall()
        found = ((n, key, State(state), there) for n, key, state, there in rows)
        return {
            each[1]: Standing(*each[:3], None if each[3] is None else bool(each[3]))
            for each in found
        }

    def is_deleted(self, number: int) -> bool:
        """Say whether a person has deleted a memory's line from the page."""
        asked = "SELECT 1 FROM on_page WHERE memory = ? AND there = 0"
        with _errors(self._path):
            return self._connection.execute(asked, (number,)).fetchone() is not None

    def left_out(self) -> dict[str, bool]:
        """Return which lines of the page are not taken in, and whether a person was told."""
        with _errors(self._path):
            rows = self._connection.execute("SELECT hash, told FROM left_out").fetchall()
        return {digest: bool(told) for digest, told in rows}

    def memory(self, number: int) -> Memory | None:
        """Return one."""
        with _errors(self._path):
            asked = f"{_SELECT} WHERE m.id = ?"
            row = self._connection.execute(asked, (number,)).fetchone()
        return None if row is None else _memory(row)

    def showings(self, number: int) -> list[Showing]:
        """Return who was told of a memory, the first first."""
        asked = (
            "SELECT run, node, attempt, at, helped FROM showings WHERE memory = ?"
            " ORDER BY at, run, node, attempt"
        )
        with _errors(self._path):
            rows = self._connection.execute(asked, (number,)).fetchall()
        return [Showing(run, node, attempt, at, bool(did)) for run, node, attempt, at, did in rows]

    def matches(self, text: str) -> dict[int, float]:
        """Return how well memories fit a free text; more is better, and what is not there does not.

        By full-text rank (BM25), the best 200.
        """
        expression = match_expression(text)
        if not expression:
            return {}
        asked = (
            "SELECT rowid, -bm25(memory_words) FROM memory_words WHERE memory_words MATCH ?"
            " ORDER BY bm25(memory_words), rowid DESC LIMIT ?"
        )
        with _errors(self._path):
            rows = self._connection.execute(asked, (expression, _MOST_MATCHES)).fetchall()
        return {int(number): max(float(match), 1e-9) for number, match in rows}


def match_expression(text: str) -> str:
    """Return what asks full-text search for any of a text's words; no text is a wrong question."""
    every = dict.fromkeys(words.split(text))
    telling = [each for each in every if words.content(each)] or [*every]
    return " OR ".join(f'"{each}"' for each in telling[:_MOST_TERMS])


def _memory(row: tuple[object, ...]) -> Memory:
    number, kind, text, node, run, attempt, at, importance, state, against, shown, helped = row
    entry = Entry(
        kind=Kind(str(kind)),
        text=str(text),
        node=str(node),
        run=str(run),
        attempt=int(str(attempt)),
        at=str(at),
    )
    counts = int(str(shown)), int(str(helped))
    weight = float(str(importance))
    return Memory(int(str(number)), entry, weight, State(str(state)), str(against), *counts)


def _sound(text: str) -> str:
    """Return a text that can be stored: a name may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    """Turn what SQLite raises into errors of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            fix = "try again in a moment"
            raise BusyError("another process holds the memories", where=path, fix=fix) from error
        if code in _DAMAGED:
            raise StoreDamageError(
                f"the store of memories is damaged: {error}", where=path
            ) from error
        if "no such module: fts5" in str(error):
            fix = "use a Python whose SQLite has FTS5; until then ARCHITECT.md alone is used"
            raise ToolError(
                "this SQLite has no full-text search (FTS5)", where=path, fix=fix
            ) from error
        if code == sqlite3.SQLITE_ERROR:
            raise StoreDamageError(
                f"the store is not as we wrote it: {error}", where=path
            ) from error
        fix = "check the disk, and the owner and mode of the file and its folder"
        raise StorageError(f"cannot use the memories: {error}", where=path, fix=fix) from error
