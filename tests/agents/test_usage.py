"""Usage adds up, and no figure of a stranger's can be absurd."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.agents.usage import Usage, money, number, usage_of_message, usage_of_result
from attractor.errors import InputError
from signals import kinds

ONE = Usage(
    sessions=1,
    turns=2,
    requests=3,
    input_tokens=4,
    output_tokens=5,
    cache_read_tokens=6,
    cache_creation_tokens=7,
    cost_usd=0.5,
    models={"opus": 5},
)


def test_a_sum_has_every_figure_of_both() -> None:
    other = Usage(requests=1, input_tokens=10, output_tokens=3, models={"haiku": 2, "opus": 1})
    assert ONE + other == Usage(
        sessions=1,
        turns=2,
        requests=4,
        input_tokens=14,
        output_tokens=8,
        cache_read_tokens=6,
        cache_creation_tokens=7,
        cost_usd=0.5,
        models={"opus": 6, "haiku": 2},
    )


def test_costs_add_up_where_they_are_said_and_are_unknown_where_nobody_says() -> None:
    assert (ONE + ONE).cost_usd == 1.0
    assert (Usage() + Usage()).cost_usd is None
    assert (Usage(cost_usd=0.0) + Usage()).cost_usd == 0.0


def test_a_sum_changes_neither_of_its_parts() -> None:
    before = ONE.as_json()
    assert sum([ONE, ONE], Usage()).requests == 6
    assert ONE.as_json() == before


def test_more_models_than_there_are_become_one() -> None:
    many = sum((Usage(models={f"m{each}": 1}) for each in range(100)), Usage())
    assert len(many.models) == 33
    assert sum(many.models.values()) == 100


@pytest.mark.parametrize("usage", [Usage(), ONE, Usage(models={"a": 0})])
def test_a_record_is_read_back_and_may_stand_in_a_signal(usage: Usage) -> None:
    assert Usage.from_json(usage.as_json()) == usage
    assert kinds.Usage.model_validate(usage.as_json()).requests == usage.requests


def test_what_nobody_said_is_not_in_the_record() -> None:
    assert {"cost_usd", "models"} & set(Usage().as_json()) == set()
    assert "cost_usd" in Usage(cost_usd=0.0).as_json()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {"requests": -1},
        {"requests": True},
        {"requests": 1.5},
        {"pages": 1},
        {"models": {"a": -1}},
        {"models": []},
        {"models": None},
    ],
)
def test_a_record_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="a record of usage"):
        Usage.from_json(value)


@pytest.mark.parametrize("value", [-1, True, 1.5, "7", None, 10**30, float("nan")])
def test_an_absurd_count_is_none(value: Any) -> None:
    assert number(value) == 0


@pytest.mark.parametrize(
    "value", [-0.1, True, "7", None, 10**400, float("nan"), float("inf"), -float("inf")]
)
def test_an_absurd_cost_is_unknown(value: Any) -> None:
    assert money(value) is None


def test_a_message_is_one_request_of_its_model() -> None:
    said = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        "service_tier": "standard",
    }
    assert usage_of_message({"model": "opus", "usage": said}) == Usage(
        requests=1,
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_creation_tokens=4,
        models={"opus": 2},
    )


@pytest.mark.parametrize("message", [{}, {"usage": None}, {"usage": []}, {"usage": "many"}])
def test_a_message_without_figures_is_a_request_all_the_same(message: Any) -> None:
    assert usage_of_message(message).requests == 1
    assert usage_of_message(message).input_tokens == 0


def test_a_result_counts_all_models_and_not_the_main_loop_alone() -> None:
    of_one = {
        "inputTokens": 10,
        "outputTokens": 20,
        "cacheReadInputTokens": 30,
        "cacheCreationInputTokens": 40,
    }
    result = {
        "usage": {"input_tokens": 1},
        "total_cost_usd": 0.25,
        "modelUsage": {"opus": of_one, "haiku": {"outputTokens": 5}, "odd": None},
    }
    assert usage_of_result(result) == Usage(
        sessions=1,
        turns=1,
        input_tokens=10,
        output_tokens=25,
        cache_read_tokens=30,
        cache_creation_tokens=40,
        cost_usd=0.25,
        models={"opus": 20, "haiku": 5},
    )


@pytest.mark.parametrize("result", [{}, {"modelUsage": []}, {"total_cost_usd": "free"}])
def test_a_result_without_figures_is_a_session_all_the_same(result: Any) -> None:
    assert usage_of_result(result) == Usage(sessions=1, turns=1)
