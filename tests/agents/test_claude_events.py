"""Each way in which a run of Claude Code can end, and what it counts as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.claude_events import answer_of
from attractor.spawn import Ended

NOW = 1_800_000_000.0
INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "tools": []}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "terminal_reason": "completed",
    "result": "Done.",
    "structured_output": {"verdict": "pass"},
    "session_id": "s-1",
    "total_cost_usd": 0.5,
    "modelUsage": {"opus": {"inputTokens": 3, "outputTokens": 4}},
}
REFUSED = RESULT | {
    "is_error": True,
    "structured_output": None,
    "terminal_reason": "api_error",
    "api_error_status": 429,
    "result": "API Error: Request rejected (429)",
}
RETRY = {
    "type": "system",
    "subtype": "api_retry",
    "error_status": 429,
    "error": "rate_limit",
    "retry_delay_ms": 30_000,
}
LIMIT = {"status": "rejected", "resetsAt": 1_800_007_200, "rateLimitType": "five_hour"}


def message(name: str, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 1}
    inner = {"id": name, "model": "opus", "usage": usage, "content": []}
    return {"type": "assistant", "message": inner | more, "session_id": "s-1"}


def refusal(error: str, **more: Any) -> dict[str, Any]:
    return message("m", model="<synthetic>") | {"error": error} | more


def ended(
    *events: Any, status: int | None = 0, stderr: str = "", overflowed: bool = False
) -> Answer:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in events]
    out = "\n".join(lines).encode() + b"\n"
    return answer_of(Ended(status, out, stderr, overflowed), 120, NOW)


def test_a_completed_run_with_an_object_is_a_verdict() -> None:
    answer = ended(INIT, message("a"), message("a"), message("b"), RESULT)
    assert (answer.ok, answer.structured, answer.text) == (True, {"verdict": "pass"}, "Done.")
    assert (answer.session_id, answer.exit_code, answer.cost_usd) == ("s-1", 0, 0.5)
    assert (answer.usage.requests, answer.usage.input_tokens) == (2, 3)


def test_what_is_no_event_is_skipped() -> None:
    noise = ["", "Debugger listening", "{torn", "[1]", '{"type": 7}', "{}", "[" * 5_000, "null"]
    nested = '{"type": "assistant", "message": ' + "[" * 5_000 + "]" * 5_000 + "}"
    assert ended(*noise, nested, {"type": "new_in_2030"}, RESULT, *noise).ok


def test_the_last_result_counts() -> None:
    assert ended(REFUSED, RESULT).ok
    assert not ended(RESULT, REFUSED).ok


def test_a_result_counts_even_when_the_program_then_hangs() -> None:
    assert ended(RESULT, status=None).ok


@pytest.mark.parametrize(
    "change",
    [
        {"structured_output": None},
        {"terminal_reason": "stop_hook_prevented"},
        {"terminal_reason": "max_turns"},
        {"is_error": True, "subtype": "error_max_turns"},
        {"is_error": True, "subtype": "error_max_structured_output_retries"},
        {"is_error": True, "terminal_reason": "structured_output_retry_exhausted"},
        {"is_error": True, "subtype": "error_max_budget_usd"},
    ],
)
def test_a_run_without_an_object_of_its_own_accord_is_no_verdict(change: dict[str, Any]) -> None:
    answer = ended(RESULT | change)
    assert (answer.error_class, answer.structured) == (ErrorClass.SCHEMA, None)
    assert answer.error


@pytest.mark.parametrize("said", [True, None, "false", 0])
def test_only_a_run_that_says_false_is_no_error(said: Any) -> None:
    assert not ended(RESULT | {"is_error": said}).ok


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (429, "rate_limit", ErrorClass.RATE_LIMIT),
        (429, "", ErrorClass.RATE_LIMIT),
        (None, "rate_limit", ErrorClass.RATE_LIMIT),
        (401, "authentication_failed", ErrorClass.AUTH),
        (403, "", ErrorClass.AUTH),
        (None, "oauth_org_not_allowed", ErrorClass.AUTH),
        (402, "billing_error", ErrorClass.AUTH),
        (500, "server_error", ErrorClass.API),
        (529, "overloaded", ErrorClass.API),
        (400, "invalid_request", ErrorClass.API),
        (None, "unknown", ErrorClass.API),
        ("429", "", ErrorClass.API),
    ],
)
def test_a_refusal_is_classed_by_its_status_or_its_name(
    status: Any, error: str, expected: ErrorClass
) -> None:
    answer = ended(refusal(error), REFUSED | {"api_error_status": status}, status=1)
    assert (answer.error_class, answer.structured) == (expected, None)
    assert "API Error" in answer.error


def test_an_error_that_was_overcome_does_not_class_the_next() -> None:
    answer = ended(
        refusal("rate_limit"), message("a"), REFUSED | {"api_error_status": 500}, status=1
    )
    assert answer.error_class is ErrorClass.API


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], None),
        ([RETRY], NOW + 30),
        ([RETRY, message("a")], None),  # that request was answered
        ([{"type": "rate_limit_event", "rate_limit_info": LIMIT}], 1_800_007_200),
        ([{"type": "rate_limit_event", "rate_limit_info": LIMIT}, RETRY], 1_800_007_200),
        ([refusal("rate_limit", api_error_params={"rate_limit_info": LIMIT})], 1_800_007_200),
        (
            [{"type": "rate_limit_event", "rate_limit_info": LIMIT | {"status": "allowed"}}],
            None,
        ),
        ([{"type": "rate_limit_event", "rate_limit_info": LIMIT | {"resetsAt": "soon"}}], None),
        ([{"type": "rate_limit_event", "rate_limit_info": None}], None),
        ([RETRY | {"retry_delay_ms": None}], None),
    ],
)
def test_the_time_to_come_back_is_the_providers_own_word(
    events: list[Any], expected: float | None
) -> None:
    answer = ended(*events, REFUSED, status=1)
    assert (answer.error_class, answer.retry_at) == (ErrorClass.RATE_LIMIT, expected)


def test_a_time_to_come_back_belongs_to_rate_limits_alone() -> None:
    answer = ended(RETRY | {"error_status": 500}, REFUSED | {"api_error_status": 500}, status=1)
    assert (answer.error_class, answer.retry_at) == (ErrorClass.API, None)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([INIT], ErrorClass.TIMEOUT),
        ([INIT, RETRY], ErrorClass.RATE_LIMIT),
        ([INIT, RETRY | {"error_status": 529, "error": "overloaded"}], ErrorClass.API),
        ([INIT, RETRY | {"error_status": 401, "error": "x"}], ErrorClass.AUTH),
        ([INIT, RETRY, message("a")], ErrorClass.TIMEOUT),
        ([], ErrorClass.TIMEOUT),
    ],
)
def test_a_deadline_says_what_was_waited_for(events: list[Any], expected: ErrorClass) -> None:
    answer = ended(*events, status=None)
    assert (answer.error_class, answer.exit_code) == (expected, None)


def test_what_was_used_before_the_deadline_is_counted() -> None:
    answer = ended(INIT, message("a"), message("a"), message("b"), refusal("x"), status=None)
    assert (answer.usage.requests, answer.usage.input_tokens) == (2, 20)
    assert answer.cost_usd is None


def test_an_end_without_a_result_is_malformed_and_a_failure_a_crash() -> None:
    assert ended(INIT).error_class is ErrorClass.MALFORMED
    crashed = ended(INIT, status=1, stderr="warning\nerror: unknown option '--json-schema'")
    assert crashed.error_class is ErrorClass.CRASHED
    assert crashed.error.endswith("failed: error: unknown option '--json-schema'")
    assert "warning" in crashed.tail
    killed = ended(INIT, status=-11)
    assert "killed by signal 11: it said nothing" in killed.error


def test_one_that_never_stops_talking_is_malformed_whatever_it_said() -> None:
    answer = ended(RESULT, status=None, overflowed=True)
    assert (answer.error_class, answer.structured) == (ErrorClass.MALFORMED, None)


def test_an_error_without_text_still_says_something() -> None:
    bare = {"type": "result", "is_error": True, "subtype": "error_during_execution"}
    assert "error_during_execution" in ended(bare).error
    assert "first; second" in ended(bare | {"errors": ["first", "second"]}).error
    assert ended({"type": "result"}).error_class is ErrorClass.API
