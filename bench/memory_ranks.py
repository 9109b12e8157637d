"""Three ways to rank memories, measured on the questions of tests/memory/queries.json.

MRR is the mean of 1/place of the first right answer, 0 where none is found; recall@3 the part of
the right answers that is among the first three. Plain full-text rank asks with the same words and
the same stems as ours, so that what is compared is the ranking alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attractor.memory import recall
from attractor.memory.entry import Entry, Kind
from attractor.memory.store import Store
from signals.clock import iso

HERE: Final = os.path.dirname(os.path.abspath(__file__))
QUERIES: Final = os.path.join(HERE, os.pardir, "tests", "memory", "queries.json")
NOW: Final = 1_772_000_000
_DAY: Final = 86_400
_FIRST: Final = 3

Found = Callable[[str], Sequence[int]]


def measure(path: str) -> dict[str, tuple[float, float]]:
    """Return MRR and recall@3 of each way, with a new store in `path`."""
    with open(QUERIES, encoding="utf-8") as file:
        said = json.load(file)
    store, numbers = filled(path, said["memories"])
    days = {numbers[each["id"]]: each["days"] for each in said["memories"]}
    ways: dict[str, Found] = {
        "ours": lambda ask: [each.memory.id for each in recall.search(store, ask, NOW)],
        "full text": lambda ask: list(store.matches(ask)),
        "recency": lambda ask: sorted(days, key=days.__getitem__) if ask else [],
    }
    try:
        return {name: _scores(way, said["queries"], numbers) for name, way in ways.items()}
    finally:
        store.close()


def filled(path: str, memories: Sequence[Mapping[str, Any]]) -> tuple[Store, dict[int, int]]:
    """Return a store with these memories, and their numbers in it."""
    store, numbers = Store.open(path), {}
    with store.change():
        for each in memories:
            at = iso((NOW - each["days"] * _DAY) * 1_000_000_000)
            entry = Entry(kind=Kind(each["kind"]), text=each["text"], node="n", run="r", at=at)
            number = numbers[each["id"]] = store.remember(entry)
            for attempt in range(each["shown"]):
                store.show([number], "r", f"n{number}", attempt, at)
            for attempt in range(each["helped"]):
                store.helped("r", f"n{number}", attempt)
    return store, numbers


def _scores(
    way: Found, queries: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]
) -> tuple[float, float]:
    places, recalled = 0.0, 0.0
    for each in queries:
        right = {numbers[number] for number in each["right"]}
        found = list(way(each["ask"]))
        first = next((n for n, number in enumerate(found, 1) if number in right), 0)
        places += 1 / first if first else 0.0
        recalled += len(right.intersection(found[:_FIRST])) / len(right)
    return places / len(queries), recalled / len(queries)
