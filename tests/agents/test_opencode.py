"""OpenCode: what its events come to, and what it is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attractor.agents.answer import ErrorClass
from attractor.agents.opencode import config_of, permissions
from attractor.agents.opencode_events import answer_of, says_no_model
from attractor.agents.question import Question
from attractor.spawn import Ended

NOW = 1_000_000.0
START = {"type": "step_start", "sessionID": "ses-1", "part": {}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "sessionID": "ses-1", "part": {"type": "text", "text": said}}


def finish(reason: str = "stop", cost: float | None = 0.25) -> dict[str, Any]:
    cache = {"read": 30, "write": 5}
    tokens = {"total": 0, "input": 60, "output": 7, "reasoning": 2, "cache": cache}
    part = {"reason": reason, "cost": cost, "tokens": tokens}
    return {"type": "step_finish", "sessionID": "ses-1", "part": part}


def failure(name: str, **data: Any) -> dict[str, Any]:
    return {"type": "error", "sessionID": "ses-1", "error": {"name": name, "data": data}}


def ended(*events: object, status: int | None = 0, err: str = "", cut: str = "") -> Ended:
    lines = "".join(json.dumps(each) + "\n" for each in events) + cut
    return Ended(status, lines.encode(), err, overflowed=False)


def test_the_text_is_that_of_the_last_step_and_the_usage_that_of_all() -> None:
    first = (START, text("let me look"), finish("tool-calls"))
    answer = answer_of(ended(*first, START, text("one"), text("two"), finish()), NOW)
    assert (answer.ok, answer.text, answer.session_id) == (True, "one\ntwo", "ses-1")
    usage = answer.usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (2, 120, 18)
    assert (usage.cache_read_tokens, usage.cache_creation_tokens, usage.cost_usd) == (60, 10, 0.5)


def test_a_run_that_stopped_amid_its_steps_is_no_answer() -> None:
    assert not answer_of(ended(START, text("looking"), finish("tool-calls")), NOW).ok
    assert not answer_of(ended(START, text("x"), cut='{"type":"step_fin'), NOW).ok


def test_unknown_events_are_skipped() -> None:
    odd = [{"type": "novel"}, {"type": "text", "part": 3}, [], {"type": "step_finish"}]
    assert answer_of(ended(START, *odd, text("x"), finish()), NOW).text.endswith("x")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (failure("APIError", message="slow", statusCode=429), ErrorClass.RATE_LIMIT),
        (failure("APIError", message="Unauthorized", statusCode=401), ErrorClass.AUTH),
        (failure("ProviderAuthError", providerID="x", message="no key"), ErrorClass.AUTH),
        (failure("APIError", message="boom", statusCode=500), ErrorClass.API),
        (failure("MessageOutputLengthError"), ErrorClass.SCHEMA),
        (failure("Novel"), ErrorClass.API),
        ({"type": "error", "error": "just words"}, ErrorClass.API),
    ],
)
def test_an_error_is_classed(event: dict[str, Any], expected: ErrorClass) -> None:
    answer = answer_of(ended(event, status=1), NOW)
    assert (answer.error_class, answer.structured) == (expected, None)
    assert answer.error


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "40"}, NOW + 40),
        ({"x-ratelimit-reset": str(int(NOW + 90) * 1000)}, NOW + 90),
        ({"x-ratelimit-reset": "1000"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_when_to_come_back(
    headers: dict[str, str], expected: float | None
) -> None:
    event = failure("APIError", message="slow", statusCode=429, responseHeaders=headers)
    assert answer_of(ended(event, status=1), NOW).retry_at == expected


def test_a_model_that_does_not_exist_is_told_from_the_log() -> None:
    log = 'level=ERROR message=failed error="ProviderModelNotFoundError: Model not found: a/b."'
    event = failure("UnknownError", message="Unexpected server error. Check server logs.")
    answer = answer_of(ended(event, status=1, err=log), NOW)
    assert says_no_model(answer)
    assert "a/b" in answer.error
    assert not says_no_model(answer_of(ended(event, status=1), NOW))


def test_a_run_that_was_waiting_for_its_api_says_so() -> None:
    log = 'message="stream error" error.error="AI_APICallError: Rate limit exceeded; retry in 9s"'
    answer = answer_of(ended(status=None, err=log), NOW)
    assert (answer.error_class, answer.retry_at) == (ErrorClass.RATE_LIMIT, NOW + 9)


def test_all_tools_are_denied_but_the_reading_ones_that_were_named() -> None:
    rules = permissions(("Read", "Bash", "Edit"))
    assert next(iter(rules)) == "*"  # a later rule beats an earlier one
    assert rules == {"*": "deny", "read": "allow", "external_directory": "deny"}
    assert permissions(()) == {"*": "deny", "external_directory": "deny"}


def test_settings_cannot_loosen_the_permissions() -> None:
    settings = {"agent": {"attractor": {"permission": {"bash": "allow"}}}, "provider": {"x": {}}}
    question = Question(prompt="p", schema={}, cwd="/", settings=settings)
    made = config_of(question)
    assert made["agent"]["attractor"]["permission"] == permissions(question.tools)
    assert made["provider"] == {"x": {}}
