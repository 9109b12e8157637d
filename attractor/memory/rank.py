"""Which memories are worth a place in a prompt: a composite score; pure.

Relevance leads: what has nothing to do with the question scores nothing. Among what is relevant,
age, importance and use decide. Use is learned: of the attempts that were shown a memory, how many
were judged good, with two imagined showings of which one helped. A memory that was shown often and
never helped is set back, and the more the longer that goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

HALF_LIFE_DAYS: Final = 60.0
SHOWN_OFTEN: Final = 5
_RELEVANCE, _RECENCY, _IMPORTANCE, _USE = 0.45, 0.2, 0.1, 0.25
_DAY_SECONDS: Final = 86_400.0


@final
@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one memory when it is ranked."""

    id: int
    at: float
    """Seconds since 1970."""
    importance: float
    shown: int
    helped: int
    match: float
    """How well it fits the question: 0 for not at all, more is better, in any unit."""


@final
@dataclass(frozen=True, slots=True)
class Score:
    """The parts of one memory's score, each from 0 to 1."""

    id: int
    relevance: float
    recency: float
    importance: float
    usefulness: float
    penalty: float
    total: float


def rank(rows: Iterable[Row], now: float) -> list[Score]:
    """Return the scores, the best first; of equals the one with the higher id."""
    given = list(rows)
    best = max((each.match for each in given), default=0.0)
    scores = [_score(each, now, best) for each in given]
    return sorted(scores, key=lambda each: (-each.total, -each.id))


def _score(row: Row, now: float, best: float) -> Score:
    relevance = max(row.match, 0.0) / best if best > 0 else 1.0
    recency = math.pow(0.5, max(now - row.at, 0.0) / _DAY_SECONDS / HALF_LIFE_DAYS)
    importance = min(max(row.importance, 0.0), 1.0)
    useful = (row.helped + 1) / (row.shown + 2)
    penalty = 1.0
    if row.helped == 0 and row.shown >= SHOWN_OFTEN:
        penalty = SHOWN_OFTEN / (2.0 * row.shown)
    rest = _RECENCY * recency + _IMPORTANCE * importance + _USE * useful
    total = relevance * (_RELEVANCE + rest) * penalty
    return Score(row.id, relevance, recency, importance, useful, penalty, total)
