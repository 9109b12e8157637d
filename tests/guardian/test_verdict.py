"""Weighing: a pass needs a score for every scenario, and thresholds mean what they say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.verdict import LAST_ROUND, Outcome, Scored, Thresholds, valid_score, weigh

SCORES = st.floats(0, 1)
NO_SCORES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.just(math.nan),
    st.floats(max_value=0, exclude_max=True),
    st.floats(min_value=1, exclude_min=True),
)
FEATURES = st.dictionaries(
    st.sampled_from("ABCDE"),
    st.tuples(st.floats(0.01, 10), st.lists(SCORES, min_size=1, max_size=4)),
    min_size=1,
)
ROUNDS = st.integers(0, LAST_ROUND + 1)


def scored(features: dict[str, tuple[float, list[float]]]) -> list[Scored]:
    return [
        Scored(name, str(at), score)
        for name, (_, scores) in features.items()
        for at, score in enumerate(scores)
    ]


def weights(features: dict[str, tuple[float, list[float]]]) -> dict[str, float]:
    return {name: weight for name, (weight, _) in features.items()}


@given(FEATURES, ROUNDS)
def test_the_score_is_the_weighted_mean_of_the_features_means(
    features: dict[str, tuple[float, list[float]]], round_: int
) -> None:
    verdict = weigh(scored(features), weights(features), round_=round_)
    whole = sum(weights(features).values())
    means = {name: sum(scores) / len(scores) for name, (_, scores) in features.items()}
    expected = sum(weight * means[name] / whole for name, (weight, _) in features.items())
    assert verdict.score == pytest.approx(expected, abs=1e-6)
    assert verdict.features == pytest.approx(means, abs=1e-6)


@given(FEATURES, ROUNDS)
def test_the_outcome_follows_from_the_score_and_the_round(
    features: dict[str, tuple[float, list[float]]], round_: int
) -> None:
    verdict = weigh(scored(features), weights(features), round_=round_)
    assert verdict.score is not None
    if verdict.score >= 0.6:
        assert verdict.outcome is Outcome.PASSED
    elif verdict.score <= 0.4 or round_ >= LAST_ROUND:
        assert verdict.outcome is Outcome.FAILED
    else:
        assert verdict.outcome is Outcome.INVESTIGATE


@given(FEATURES, st.data(), NO_SCORES, ROUNDS)
def test_one_scenario_without_a_score_makes_no_verdict(
    features: dict[str, tuple[float, list[float]]],
    data: st.DataObject,
    nothing: object,
    round_: int,
) -> None:
    all_scored = scored(features)
    at = data.draw(st.integers(0, len(all_scored) - 1))
    all_scored[at] = Scored(all_scored[at].feature, "x", nothing)  # type: ignore[arg-type]
    verdict = weigh(all_scored, weights(features), round_=round_)
    assert (verdict.outcome, verdict.score) == (Outcome.NONE, None)
    assert verdict.why


@given(FEATURES)
def test_a_feature_in_scope_that_was_not_judged_makes_no_verdict(
    features: dict[str, tuple[float, list[float]]],
) -> None:
    more = {**weights(features), "Z": 0.0}
    assert weigh(scored(features), more).outcome is Outcome.NONE


@given(FEATURES, st.sampled_from([math.nan, math.inf, -math.inf, -0.5]))
def test_weights_that_cannot_be_weighed_make_no_verdict(
    features: dict[str, tuple[float, list[float]]], weight: float
) -> None:
    spoilt = {**weights(features), min(features): weight}
    assert weigh(scored(features), spoilt).outcome is Outcome.NONE


def test_weights_that_overflow_together_make_no_verdict() -> None:
    both = [Scored("A", "", 1.0), Scored("B", "", 1.0)]
    assert weigh(both, {"A": 1.7e308, "B": 1.7e308}).outcome is Outcome.NONE


@pytest.mark.parametrize("weight", [{}, {"A": 0.0}])
def test_nothing_in_scope_is_no_pass(weight: dict[str, float]) -> None:
    judged = [Scored(name, "", 1.0) for name in weight]
    assert weigh(judged, weight).outcome is Outcome.NONE


def test_a_score_for_what_is_not_in_scope_makes_no_verdict() -> None:
    judged = [Scored("A", "", 1.0), Scored("B", "", 1.0)]
    assert weigh(judged, {"A": 1.0}).outcome is Outcome.NONE


@given(FEATURES, st.floats(0.1, 100))
def test_weights_count_only_among_each_other(
    features: dict[str, tuple[float, list[float]]], factor: float
) -> None:
    more = {name: weight * factor for name, weight in weights(features).items()}
    one, other = weigh(scored(features), weights(features)), weigh(scored(features), more)
    assert one.score == pytest.approx(other.score, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ((0.6, 0.6, 0.6), Outcome.PASSED),
        ((0.4, 0.4, 0.4), Outcome.FAILED),
        ((0.5, 0.6, 0.4), Outcome.INVESTIGATE),
        ((1.0, 1.0, 1.0), Outcome.PASSED),
        ((0.0, 0.0, 0.0), Outcome.FAILED),
    ],
)
def test_a_threshold_belongs_to_its_outcome(
    scores: tuple[float, float, float], outcome: Outcome
) -> None:
    judged = [Scored("ABC"[at], "", score) for at, score in enumerate(scores)]
    assert weigh(judged, {"A": 0.1, "B": 0.2, "C": 0.7}).outcome is outcome


def test_nobody_fails_because_of_how_computers_add() -> None:
    assert 0.25 * 0.3 + 0.75 * 0.7 < 0.6
    judged = [Scored("A", "", 0.3), Scored("B", "", 0.7)]
    verdict = weigh(judged, {"A": 0.25, "B": 0.75})
    assert (verdict.outcome, verdict.score) == (Outcome.PASSED, 0.6)


@pytest.mark.parametrize(
    "thresholds",
    [(0.4, 0.6), (0.5, 0.5), (math.nan, 0.4), (0.6, math.nan), (1.5, 0.4), (0.6, -0.1)],
)
def test_thresholds_that_do_not_divide_make_no_verdict(thresholds: tuple[float, float]) -> None:
    verdict = weigh([Scored("A", "", 1.0)], {"A": 1.0}, Thresholds(*thresholds))
    assert verdict.outcome is Outcome.NONE


@given(NO_SCORES)
def test_what_is_no_number_from_0_to_1_is_no_score(value: object) -> None:
    assert valid_score(value) is None


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, 0.25])
def test_a_number_from_0_to_1_is_a_score(value: float) -> None:
    assert valid_score(value) == value
