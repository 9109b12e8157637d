"""What contradicts what: a table of what is found, and of what is known not to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.memory.contradict import Older, contradict

YES = [
    ("Never use Redis", "Use Redis"),
    ("Do not use Redis for sessions", "Use Redis for sessions"),
    ("Avoid Redis.", "We use Redis"),
    ("Use SQLite, not Postgres", "Use Postgres"),
    ("Use SQLite instead of Postgres", "Use Postgres"),
    ("The database is SQLite", "The database is Postgres 15"),
    ("Database: SQLite", "The database is Postgres"),
    ("The server runs on port 9090", "The server runs on port 8080"),
    ("Use SQLite for storage", "Use Postgres for storage"),
    ("Passwords must be hashed with bcrypt", "Passwords must be hashed with argon2id"),
    ("The API must not return HTML", "The API must return HTML"),
    ("Commits may be squashed", "Commits may never be squashed"),
]
NO = [
    ("Use Redis for sessions", "Use Redis"),
    ("Never commit secrets", "Use environment variables for secrets"),
    ("Do not log passwords", "Hash passwords with argon2id"),
    ("The database is Postgres", "The database is Postgres 15"),
    ("The database is Postgres", "The cache is Redis"),
    ("Use Postgres for storage", "Use Redis for caching"),
    ("Redis must not be reachable from outside", "Use Redis"),
    ("The API is documented in docs/", "The API is REST"),
    ("Never use floats for money", "Use integers for money"),
    ("Use tabs", "Use Python 3.11"),
    ("No network in tests", "Tests run offline"),
]
# What it is known to get wrong; docs/concepts/memory.md says so.
MISSED = [("Keep sessions in memory", "All state lives in Postgres")]
TOO_MANY = [("Use Hypothesis for tests", "Use pytest for tests")]


@pytest.mark.parametrize(("new", "old"), YES + TOO_MANY)
def test_these_contradict_each_other(new: str, old: str) -> None:
    assert contradict(new, old)
    assert contradict(old, new)


@pytest.mark.parametrize(("new", "old"), NO + MISSED)
def test_these_do_not(new: str, old: str) -> None:
    assert not contradict(new, old)
    assert not contradict(old, new)


@given(st.text(), st.text())
def test_it_has_an_answer_for_any_two_texts_and_the_same_both_ways(one: str, other: str) -> None:
    assert contradict(one, other) == contradict(other, one)


@pytest.mark.parametrize("text", [text for pair in YES + NO for text in pair])
def test_nothing_contradicts_itself(text: str) -> None:
    assert not contradict(text, text)


def test_the_first_older_text_is_named() -> None:
    assert Older(["Use Postgres", "Use Redis"]).against("Never use Redis") == "Use Redis"
    assert Older(["Use Redis"]).against("Use tabs") == ""
