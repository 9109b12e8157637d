"""What refusals mean, told from the words that real ones used."""

from __future__ import annotations

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.refusal import class_of, refused, retry_at, unheard

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        ("anything", 429, ErrorClass.RATE_LIMIT),
        ("exceeded retry limit, last status: 429 Too Many Requests", None, ErrorClass.RATE_LIMIT),
        ("You've hit your usage limit. Try again in 3 days.", None, ErrorClass.RATE_LIMIT),
        ("You exceeded your current quota, please check your plan", None, ErrorClass.RATE_LIMIT),
        ("RESOURCE_EXHAUSTED", None, ErrorClass.RATE_LIMIT),
        ("Rate limit exceeded: free-models-per-day", None, ErrorClass.RATE_LIMIT),
        ("unexpected status 401 Unauthorized: Incorrect API key", None, ErrorClass.AUTH),
        ("Missing environment variable: `OPENAI_API_KEY`.", None, ErrorClass.AUTH),
        ("Payment required", 402, ErrorClass.AUTH),
        ("API key not valid. Please pass a valid API key.", 400, ErrorClass.AUTH),
        ("Your access token could not be refreshed. Please log in again.", None, ErrorClass.AUTH),
        ("Internal Server Error", 500, ErrorClass.API),
        ("the authentication service is down", 503, ErrorClass.API),
        ("Reconnecting... waiting for network", None, ErrorClass.API),
        ("the file has 429 lines", None, ErrorClass.API),
        ("nonsense", "429", ErrorClass.API),
    ],
)
def test_a_refusal_is_classed_by_its_status_and_else_by_its_words(
    said: str, status: object, expected: ErrorClass
) -> None:
    assert class_of(said, status) is expected


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Please try again in 20s.", 20),
        ("Please retry in 41.5s.", 41.5),
        ("try again in 1 day 2 hours 3 minutes", 93_780),
        ("Try again in 350ms", 0.35),
        ('{"retryDelay": "13s"}', 13),
        ("retry-after: 40", 40),
        ("try again at 3:45 PM", None),
        ("try again in 99999 days", None),
        ("later", None),
    ],
)
def test_the_wait_that_the_words_name_is_a_moment(said: str, seconds: float | None) -> None:
    expected = None if seconds is None else pytest.approx(NOW + seconds)
    assert retry_at(said, NOW) == expected


def test_only_a_rate_limit_has_a_moment_and_only_a_login_has_that_fix() -> None:
    limited = refused("Rate limit. Try again in 20s.", NOW, fix="log in")
    assert (limited.error_class, limited.retry_at) == (ErrorClass.RATE_LIMIT, NOW + 20)
    assert "log in" not in limited.error
    unknown = refused("Unauthorized; retry in 20s", NOW, fix="log in")
    assert (unknown.error_class, unknown.retry_at) == (ErrorClass.AUTH, None)
    assert unknown.error.endswith("log in")


def test_the_providers_own_moment_comes_before_the_words() -> None:
    assert refused("429: retry in 20s", NOW, status=429, at=NOW + 99).retry_at == NOW + 99


@pytest.mark.parametrize(
    ("kind", "error", "exit_code", "expected"),
    [
        ("API", "API Error: Unable to connect to API (ECONNREFUSED)", 1, True),
        ("API", "getaddrinfo EAI_AGAIN api.example.org", None, True),
        ("API", "Connection error.", None, True),
        ("TIMEOUT", "the model's API kept refusing until the deadline: None unknown", None, True),
        ("TIMEOUT", "the model's API kept refusing until the deadline: 529 busy", None, False),
        ("TIMEOUT", "no answer within 300 seconds", None, False),
        ("API", "Internal Server Error", 1, False),
        ("AUTH", "log in again; connection closed", 1, False),
        ("CRASHED", "the asking process ended with status -9", -9, True),
        ("CRASHED", "the asking process ended with status 1", 1, False),
        ("CRASHED", "it cannot be started", None, False),
    ],
)
def test_where_nobody_heard_the_question_nobody_has_failed(
    kind: str, error: str, exit_code: int | None, expected: bool
) -> None:
    said = Answer(error_class=ErrorClass[kind], error=error, exit_code=exit_code)
    assert unheard(said) is expected
