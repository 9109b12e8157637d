"""Each line of a transcript adds what is new in it, and nothing twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.usage import ApiError, Counted, Usage, api_error, cost_of, count, record

AT = "2026-11-21T11:18:03.817Z"
AT_SECONDS = 1_795_259_883.817


def answer(
    name: str = "m1", output: int = 5, stop: str | None = "tool_use", **more: Any
) -> dict[str, Any]:
    usage = {
        "input_tokens": 10,
        "output_tokens": output,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
    }
    message = {"id": name, "model": "opus", "stop_reason": stop, "usage": usage}
    return {"type": "assistant", "message": message, "isSidechain": False} | more


def test_an_answer_counts_once_however_many_lines_it_has() -> None:
    usage, last = count(answer(), Counted())
    assert usage == Usage(
        requests=1,
        input_tokens=10,
        output_tokens=5,
        cache_read_tokens=3,
        cache_creation_tokens=4,
        models={"opus": 5},
    )
    again, last = count(answer(), last)
    assert again == Usage(models={"opus": 0})
    other, _ = count(answer("m2"), last)
    assert other == usage


def test_a_further_line_that_says_more_adds_the_difference() -> None:
    _, last = count(answer(output=1, stop=None), Counted())
    usage, last = count(answer(output=40), last)
    assert usage == Usage(output_tokens=39, models={"opus": 39})
    usage, _ = count(answer(output=2), last)
    assert usage == Usage(models={"opus": 0})


@pytest.mark.parametrize(
    ("stop", "sidechain", "turns"),
    [
        ("end_turn", False, 1),
        ("max_tokens", False, 1),
        ("tool_use", False, 0),
        (None, False, 0),
        ("end_turn", True, 0),
    ],
)
def test_an_answer_of_the_main_thread_that_calls_no_tool_ends_a_turn(
    stop: str | None, sidechain: bool, turns: int
) -> None:
    usage, last = count(answer(stop=stop, isSidechain=sidechain), Counted())
    assert usage.turns == turns
    assert count(answer(stop=stop, isSidechain=sidechain), last)[0].turns == 0


@pytest.mark.parametrize(
    "line",
    [
        {"type": "user", "message": answer()["message"]},
        {"type": "assistant", "message": answer()["message"] | {"model": "<synthetic>"}},
        {"type": "assistant", "message": None},
        {"type": "assistant"},
        {"type": "cost-state", "totalCostUSD": 1},
        {},
    ],
)
def test_what_is_no_answer_of_a_model_counts_nothing(line: dict[str, Any]) -> None:
    before = Counted("m1", 1, 1, 1, 1)
    assert count(line, before) == (Usage(), before)


@pytest.mark.parametrize("usage", [None, [], {"output_tokens": -5}, {"input_tokens": 10**30}])
def test_an_absurd_answer_is_a_request_without_tokens(usage: Any) -> None:
    line = answer()
    line["message"]["usage"] = usage
    assert count(line, Counted())[0] == Usage(requests=1, models={"opus": 0})


def test_only_lines_that_say_something_here_are_parsed() -> None:
    line = answer()
    assert record(json.dumps(line, separators=(",", ":")).encode()) == line
    for skipped in (
        b"",
        b"{",
        b'{"type":"api-request","message":{"role":"user"}}',
        b'{"type":"assistant"',
        b'["type":"assistant"]',
        b'["x","type","assistant"]',
        b'{"type":"assistant","message":' + b"[" * 100_000,
        b'\xff{"type":"user"}',
    ):
        assert record(skipped) is None


def test_a_cost_is_read_where_the_session_says_it() -> None:
    assert cost_of({"type": "cost-state", "totalCostUSD": 0.5}) == 0.5
    assert cost_of({"type": "cost-state", "totalCostUSD": "much"}) is None
    assert cost_of({"type": "assistant", "totalCostUSD": 0.5}) is None


def test_an_error_that_ended_the_turn_is_told_with_its_time_to_come_back() -> None:
    line = {
        "type": "assistant",
        "isApiErrorMessage": True,
        "apiErrorStatus": 429,
        "error": "rate_limit",
        "timestamp": AT,
        "apiErrorParams": {"rate_limit_info": {"status": "rejected", "resetsAt": 1_800_000_000}},
        "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "API Error"}]},
    }
    assert api_error(line) == ApiError(
        status=429,
        kind="rate_limit",
        text="API Error",
        at=AT_SECONDS,
        retry_at=1_800_000_000,
        final=True,
    )
    del line["apiErrorParams"]
    assert api_error(line).retry_at is None


def test_an_error_that_is_tried_again_is_told_with_the_time_of_the_next_try() -> None:
    line = {
        "type": "system",
        "subtype": "api_error",
        "error": {"status": 429, "formatted": "429 Too much.", "rateLimits": None},
        "retryInMs": 1_500,
        "timestamp": AT,
    }
    assert api_error(line) == ApiError(
        status=429,
        kind="rate_limit",
        text="429 Too much.",
        at=AT_SECONDS,
        retry_at=AT_SECONDS + 1.5,
        final=False,
    )
    line["error"]["rateLimits"] = {"resetsAt": 1_800_000_000}
    assert api_error(line).retry_at == 1_800_000_000


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_failed"),
        (429, "rate_limit"),
        (529, "overloaded"),
        (500, "server_error"),
    ],
)
def test_an_error_that_is_tried_again_has_the_kind_of_its_status(status: int, kind: str) -> None:
    line = {"type": "system", "subtype": "api_error", "error": {"status": status}}
    assert api_error(line).kind == kind


@pytest.mark.parametrize(
    "line",
    [
        {"type": "assistant", "isApiErrorMessage": True},
        {"type": "assistant", "isApiErrorMessage": True, "message": {"content": 7}},
        {"type": "assistant", "isApiErrorMessage": True, "apiErrorStatus": "429", "error": 7},
        {"type": "assistant", "isApiErrorMessage": True, "apiErrorParams": [1], "timestamp": 7},
        {"type": "system", "subtype": "api_error"},
        {"type": "system", "subtype": "api_error", "error": "bad", "retryInMs": "soon"},
        {"type": "system", "subtype": "api_error", "timestamp": "9999-99-99"},
    ],
)
def test_a_damaged_error_is_an_error_all_the_same(line: dict[str, Any]) -> None:
    error = api_error(line)
    assert (error.status, error.at, error.retry_at) == (None, 0.0, None)


@pytest.mark.parametrize(
    "line",
    [{}, {"type": "assistant", "isApiErrorMessage": "yes"}, {"type": "system", "subtype": "x"}],
)
def test_what_is_no_error_is_none(line: dict[str, Any]) -> None:
    assert api_error(line) is None
