"""What the store knows about a question, ranked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from attractor.memory.rank import Row, Score, rank
from attractor.memory.store import Memory, State, Store


class Recalled(NamedTuple):
    """One memory, and why it stands where it does."""

    memory: Memory
    score: Score


def search(store: Store, query: str, now: float) -> list[Recalled]:
    """Return the living memories that have something to do with a text, the best first."""
    matches = store.matches(query)
    living = [each for each in store.some(matches) if each.state is State.LIVE]
    return ranked(living, matches, now)


def rest_of(store: Store, now: float, *, binding: bool) -> list[Recalled]:
    """Return the living memories, ranked as if each were relevant: what is new and useful first."""
    living = store.living(binding=binding)
    return ranked(living, {each.id: 1.0 for each in living}, now)


def ranked(memories: Iterable[Memory], matches: Mapping[int, float], now: float) -> list[Recalled]:
    """Return these memories in the order of their scores."""
    known = {each.id: each for each in memories}
    rows = [row(each, matches.get(each.id, 0.0)) for each in known.values()]
    return [Recalled(known[each.id], each) for each in rank(rows, now)]


def row(memory: Memory, match: float) -> Row:
    """Return what ranking wants to know of a memory."""
    at = seconds_of(memory.entry.at)
    return Row(memory.id, at, memory.importance, memory.shown, memory.helped, match)


def seconds_of(at: str) -> float:
    """Return when that was, in seconds since 1970; 0 where it is no time."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
