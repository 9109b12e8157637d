"""From scores to a verdict: pure, and never a pass by accident.

A node passes only when every scenario in scope has a score and their weighted sum reaches the
threshold. One scenario without a score, a figure that is none, or weights that cannot be weighed
make no verdict at all. Whether the scores are right is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, final

LAST_ROUND: Final = 2
"""Whoever is still between the thresholds in this round has failed."""
_DIGITS: Final = 9  # 0.1 + 0.2 is not 0.3, and nobody shall fail because of that


@final
class Outcome(StrEnum):
    """What became of the work that was judged."""

    PASSED = "passed"
    FAILED = "failed"
    INVESTIGATE = "investigate"  # judge again, deeper
    NONE = "none"  # there is no verdict: never a pass, and nobody's failure
    UNSEALED = "unsealed"  # the rubric is not the one that was sealed


@final
@dataclass(frozen=True, slots=True)
class Thresholds:
    """From `accept` on the work passes, down from `investigate` it fails."""

    accept: float = 0.60
    investigate: float = 0.40

    @property
    def sound(self) -> bool:
        """Whether they divide the scores into three; false for what is no number."""
        return 0 <= self.investigate < self.accept <= 1


@final
@dataclass(frozen=True, slots=True)
class Scored:
    """What one scenario got."""

    feature: str
    scenario: str
    score: float | None
    """None where there is no verdict."""


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and how it came about."""

    outcome: Outcome
    score: float | None = None
    why: str = ""
    """For people, where there is no verdict."""
    features: Mapping[str, float] = field(default_factory=dict)


def valid_score(value: object) -> float | None:
    """Return a score that somebody else wrote; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def weigh(
    scored: Sequence[Scored],
    weights: Mapping[str, float],
    thresholds: Thresholds = Thresholds(),
    round_: int = 0,
) -> Verdict:
    """Return the verdict on the features that `weights` names."""
    if why := _unweighable(scored, weights, thresholds):
        return Verdict(Outcome.NONE, why=why)
    means = {name: _mean(scored, name) for name in weights}
    whole = math.fsum(weights.values())
    total = math.fsum(weights[name] / whole * mean for name, mean in means.items())
    score = min(1.0, round(total, _DIGITS))
    return Verdict(_outcome(score, thresholds, round_), score, features=means)


def _outcome(score: float, thresholds: Thresholds, round_: int) -> Outcome:
    if score >= thresholds.accept:
        return Outcome.PASSED
    if score <= thresholds.investigate or round_ >= LAST_ROUND:
        return Outcome.FAILED
    return Outcome.INVESTIGATE


def _unweighable(
    scored: Sequence[Scored], weights: Mapping[str, float], thresholds: Thresholds
) -> str:
    if not thresholds.sound:
        return f"the thresholds {thresholds.accept} and {thresholds.investigate} cannot be used"
    if not all(math.isfinite(each) and each >= 0 for each in weights.values()):
        return "a weight is not a number from 0 on"
    if not 0 < sum(weights.values()) < math.inf:
        return "nothing that weighs anything is in scope"
    return _unjudged(scored, weights)


def _unjudged(scored: Sequence[Scored], weights: Mapping[str, float]) -> str:
    for each in scored:
        if each.feature not in weights:
            return f"{each.feature} is not in scope"
        if valid_score(each.score) is None:
            return f"a scenario of {each.feature} has no score"
    missing = sorted(weights.keys() - {each.feature for each in scored})
    return f"{missing[0]} was not judged" if missing else ""


def _mean(scored: Sequence[Scored], feature: str) -> float:
    scores = [each.score or 0.0 for each in scored if each.feature == feature]
    return round(math.fsum(scores) / len(scores), _DIGITS)
