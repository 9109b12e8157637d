"""Ranking, measured on a fixed set of questions with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from attractor.memory.rank import SHOWN_OFTEN, Row, rank


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, bench: Callable[[str], Any]
) -> dict[str, tuple[float, float]]:
    """(MRR, recall@3) of each way to rank, as `./dev bench memory` prints it."""
    path = tmp_path_factory.mktemp("ranking") / "memory.db"
    found: dict[str, tuple[float, float]] = bench("memory_ranks").measure(str(path))
    return found


def test_ours_finds_the_answer_sooner_than_recency_and_than_full_text(
    measured: dict[str, tuple[float, float]], record_property: Callable[[str, object], None]
) -> None:
    for name, (mrr, recall) in measured.items():
        record_property("shown", f"memory ranked by {name}: MRR {mrr:.3f}, recall@3 {recall:.3f}")
    ours = measured["ours"]
    assert ours[0] > measured["full text"][0] + 0.05
    assert ours[0] > measured["recency"][0] + 0.05
    assert ours[1] >= max(measured["full text"][1], measured["recency"][1])


def test_the_set_is_large_enough_and_each_answer_is_in_it() -> None:
    said = json.loads(Path(__file__).with_name("queries.json").read_text())
    known = {each["id"] for each in said["memories"]}
    assert len(known) == len(said["memories"]) >= 40
    assert len(said["queries"]) >= 25
    assert all(each["right"] and known.issuperset(each["right"]) for each in said["queries"])


def row(number: int, **more: Any) -> Row:
    given = {"at": 0.0, "importance": 0.5, "shown": 0, "helped": 0, "match": 1.0} | more
    return Row(number, **given)


def order(rows: Sequence[Row], now: float = 0.0) -> list[int]:
    return [each.id for each in rank(rows, now)]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"match": 1.0}, {"match": 5.0}),
        ({"at": 0.0}, {"at": 90 * 86_400.0}),
        ({"importance": 0.2}, {"importance": 1.0}),
        ({"shown": 4, "helped": 0}, {"shown": 4, "helped": 3}),
        ({"shown": SHOWN_OFTEN}, {"shown": SHOWN_OFTEN - 1}),
        ({"shown": 40}, {"shown": 20}),
    ],
)
def test_each_part_of_the_score_decides_between_equals(
    worse: dict[str, Any], better: dict[str, Any]
) -> None:
    now = 100 * 86_400.0
    assert order([row(2, **worse), row(1, **better)], now) == [1, 2]


def test_often_shown_and_never_helpful_is_set_back_and_more_so_the_longer_it_goes_on() -> None:
    counts = [(4, 0), (5, 0), (50, 0), (50, 1)]
    rows = [row(n, shown=shown, helped=helped) for n, (shown, helped) in enumerate(counts)]
    penalties = {each.id: each.penalty for each in rank(rows, 0.0)}
    assert [penalties[n] for n in range(4)] == [1.0, 0.5, 0.05, 1.0]


def test_of_equals_the_newer_one_comes_first() -> None:
    assert order([row(1), row(2)]) == [2, 1]


def test_what_does_not_match_scores_nothing_beside_what_does() -> None:
    scores = {each.id: each.total for each in rank([row(1, match=0.0), row(2)], 0.0)}
    assert scores[1] == 0.0 < scores[2] <= 1.0


def test_a_memory_from_the_future_is_as_new_as_one_of_now() -> None:
    future, present = rank([row(1, at=1e6), row(2, at=0.0)], 0.0)
    assert future.recency == present.recency == 1.0
