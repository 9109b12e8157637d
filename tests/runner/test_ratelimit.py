"""Which failure is a limit that passes, and when it does, in the words that CLIs use today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.ratelimit import PERSON_PATTERNS, WAIT_PATTERNS, Limit, recognise
from runner.reset_time import reset_at

# Saturday, noon in UTC, 07:00 in New York, 13:00 in Berlin, 20:00 in Shanghai
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = NOON.timestamp()

API = "API Error: "
WAIT = [
    ("rate_limit", ""),
    ("rate_limit", "API Error: Request rejected (429) \u00b7 this may be temporary"),
    ("overloaded", ""),
    ("server_error", 'API Error: 529 {"type":"error","error":{"type":"overloaded_error"}}'),
    ("server_error", "API Error (529 overloaded)"),
    ("unknown", "API Error: 429 Too Many Requests"),
    ("unknown", "API Error: 529"),
    ("", "You've hit your limit \u00b7 resets 10pm (America/New_York)"),
    ("", "You\u2019ve hit your session limit \u00b7 resets 3pm (America/Bogota)"),
    ("", "You've hit your weekly limit \u00b7 resets Mon 12:00am"),
    ("", "5-hour limit reached \u2219 resets 2am"),
    ("", "Claude AI usage limit reached|1795280400"),
    ("", "This request would exceed your account's rate limit. Please try again later."),
    ("", "API is temporarily limiting requests"),
    ("", '{"type":"rate_limit_error","message":"..."}'),
    ("", "You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours 14 minutes."),
    ("", 'Codex error: {"error":{"type":"usage_limit_reached"},"status_code":429}'),
    ("", "You have hit your usage limit"),
    ("", "stream error: rate limit reached for gpt-5 on tokens per min (TPM)"),
    ("", "exceeded retry limit, last status: 429 Too Many Requests, request id: 1"),
    ("", '[API Error: {"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]'),
    ("", '"message": "Resource has been exhausted (e.g. check quota)."'),
    ("", "You have exhausted your capacity on this model. Your quota will reset after 5s."),
    ("", "Quota exceeded for quota metric 'Gemini 2.5 Pro Requests'"),
    ("", "You have reached your daily gemini-2.5-pro quota limit."),
    ("", "No capacity available for model gemini-3 on the server"),
    ("", "The model is overloaded. Please try again later."),
    ("", "Too many requests, the rate limit is 8000000 tokens per minute."),
    ("", "You have exceeded the request rate limit. Please wait a short period."),
    ("", '{"name":"APIError","data":{"statusCode":429,"isRetryable":true}}'),
    ("", "the account is rate-limited"),
]
PERSON = [
    ("billing_error", ""),
    ("", '{"type":"error","error":{"type":"billing_error"}}'),
    ("rate_limit", "You've hit your monthly spend limit."),
    ("rate_limit", "You've hit your channel's monthly spend limit."),
    ("rate_limit", "spend limit reached \u00b7 resets Aug 8 \u00b7 request an increase"),
    ("", "Your organization is out of usage credits."),
    ("", "You're out of credits"),
    ("", "Credit balance is too low"),
    ("", '{"error":{"code":"insufficient_quota"},"status":429}'),
    ("", "You exceeded your current quota, please check your plan and billing details."),
    ("", "API Error: 402"),
    ("", "Payment required: add a payment method"),
]
NEITHER = [
    ("", ""),
    ("server_error", "API Error: 500 Internal server error"),
    ("invalid_request", "API Error: 400 prompt is too long: 429000 tokens"),
    ("authentication_failed", "API Error: 401 Invalid API key"),
    ("max_output_tokens", "API Error: the response exceeded 32000 tokens"),
    ("unknown", "connect ECONNREFUSED 127.0.0.1:4290"),
    ("", "Traceback: the limit of the loop is 429"),
    ("", "the test for rate limiting passes"),
]


@pytest.mark.parametrize(("failure", "text"), WAIT)
def test_this_passes_by_itself(failure: str, text: str) -> None:
    assert recognise(failure, text) is Limit.WAIT


@pytest.mark.parametrize(("failure", "text"), PERSON)
def test_this_only_a_person_lifts(failure: str, text: str) -> None:
    assert recognise(failure, text) is Limit.PERSON


@pytest.mark.parametrize(("failure", "text"), NEITHER)
def test_this_is_no_limit(failure: str, text: str) -> None:
    assert recognise(failure, text) is Limit.NONE


def test_a_quota_of_gemini_that_can_be_retried_is_waited_for() -> None:
    text = "check your plan and billing details. RESOURCE_EXHAUSTED Please retry in 34.07s"
    assert recognise("", text) is Limit.WAIT


@pytest.mark.parametrize(("table", "rows"), [(WAIT_PATTERNS, WAIT), (PERSON_PATTERNS, PERSON)])
def test_every_pattern_is_met_by_an_example(
    table: tuple[tuple[str, str], ...], rows: list[tuple[str, str]]
) -> None:
    import re

    said = [text.replace("\u2019", "'") for _, text in rows]
    unmet = [
        pattern
        for _, pattern in table
        if not any(re.search(pattern, text, re.IGNORECASE) for text in said)
    ]
    assert unmet == []


def on(month: int, day: int, hour: int = 0, minute: int = 0, year: int = 2026) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


LENGTHS = [
    ("try again in 20m", 20 * 60),
    ("Please try again in 20s.", 20),
    ("Please try again in 6m0s. Visit", 360),
    ("try again in 459ms", 0.459),
    ("try again in 2 days 17 hours 14 minutes.", 234_840),
    ("try again in 1 day, 2 hours and 3 minutes", 93_780),
    ("Your quota will reset after 8h44m7s.", 31_447),
    ("quota will reset after 5s.. Retrying after 6173ms...", 5),
    ("Please retry in 34.07s.", 34.07),
    ("retrying in 15s (attempt #2)", 15),
    ("resets in 2h", 7_200),
    ("wait 30 seconds", 30),
    ("retry-after: 20", 20),
    ("Retry-After: 20\r\nx: y", 20),
    ('{"retry_after": 20}', 20),
    ('"retryDelay": "34.5s"', 34.5),
    ("retry-after-ms: 1500", 1.5),
    ('"retryDelay": "1500ms"', 1.5),
    ("try again in 1500 milliseconds", 1.5),
    ("retry after: 5 minutes", 300),
    ('"resets_in_seconds":13872', 13_872),
    ("X-Codex-Primary-Reset-After-Seconds: 60", 60),
]
TIMES = [
    ("Claude AI usage limit reached|1795280400", 1_795_280_400),
    ('"resets_at":1795280400,"resets_in_seconds":1', 1_795_280_400),
    ('"resetsAt": 1795280400000', 1_795_280_400),
    ("Retry-After: Sat, 21 Nov 2026 12:30:00 GMT", NOW + 1_800),
    ("resets at 2026-11-21T14:00:00Z", NOW + 7_200),
    ("resets at 2026-11-21T14:00:00.123Z", NOW + 7_200),
    ("resets at 2026-11-21T14:00:30Z", NOW + 7_230),
    ("available at 2026-11-21 16:00:00 +02:00", NOW + 7_200),
    ("available at 2026-11-21T19:30:00+05:30", NOW + 7_200),
    ("until 2026-11-21T14:00-0100", NOW + 10_800),
    ("resets 3pm (UTC)", NOW + 10_800),
    ("resets at 3:30 PM", NOW + 12_600),
    ("Limits will reset at 3:30 p.m. View your usage.", NOW + 12_600),
    ("resets 15:30 UTC", NOW + 12_600),
    ("resets 10pm (America/New_York)", on(11, 22, 3)),
    ("resets 1:30am (Asia/Shanghai)", on(11, 21, 17, 30)),
    ("resets 2:10\u202fpm (Europe/Berlin)", on(11, 21, 13, 10)),
    ("5-hour limit reached \u2219 resets 2am", on(11, 22, 2)),
    ("resets 12am", on(11, 22)),
    ("resets at midnight UTC", on(11, 22)),
    ("resets Mon 12:00am", on(11, 23)),
    ("resets Sat 1pm", on(11, 21, 13)),
    ("resets Saturday 11:00am", on(11, 28, 11)),
    ("Resets Nov 25, 10:59am (America/New_York)", on(11, 25, 15, 59)),
    ("resets Jan 2, 3pm (UTC)", on(1, 2, 15, year=2027)),
    ("try again at Jul 5th, 2027 8:19 PM.", on(7, 5, 20, 19, year=2027)),
    ("try again at Nov 22, 2026, 7:38 AM", on(11, 22, 7, 38)),
    ("resets Nov 29 at 5am", on(11, 29, 5)),
    ("resets Dec 1", on(12, 1)),
    ("reset the cache, then: resets 3pm", NOW + 10_800),
    ("resets 3pm (Nowhere/Atlantis)", NOW + 10_800),
]
UNKNOWN = [
    "",
    "try again later",
    "Request rejected (429)",
    "retry 3 times",
    "resets 11am",
    "resets 9:30am",
    "resets at 2026-11-21T11:00:00Z",
    "Claude AI usage limit reached|1595280400",
    "resets Oct 9 at 5am",
    "try again at Jul 5th, 2025 8:19 PM",
    "resets 12:00 UTC",
    "resets in 0s",
    "resets 25pm",
    "resets 13pm",
    "resets at 25:00",
    "resets Feb 31, 3pm",
    "resets 15",
    "retry-after: soon",
    "resets at 9999-99-99T00:00:00Z",
    "retry-after: -5",
    "reset the build in folder 3",
]


@pytest.mark.parametrize(("text", "seconds"), LENGTHS)
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert reset_at(text, NOW, UTC) == pytest.approx(NOW + seconds, abs=0.001)


@pytest.mark.parametrize(("text", "at"), TIMES)
def test_a_point_in_time_is_read(text: str, at: float) -> None:
    assert reset_at(text, NOW, UTC) == at


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_past_or_no_time_is_not_known(text: str) -> None:
    assert reset_at(text, NOW, UTC) is None


def test_a_time_of_day_long_past_is_tomorrows() -> None:
    assert reset_at("resets 8am", NOW, UTC) == on(11, 22, 8)
    assert reset_at("resets 9am", NOW, UTC) == on(11, 22, 9)
    assert reset_at("resets 9:01am", NOW, UTC) is None


def test_a_time_without_a_zone_is_in_the_machines() -> None:
    ahead = timezone(timedelta(hours=9))
    assert reset_at("resets 10pm", NOW, ahead) == NOW + 3_600
    here = NOON.astimezone() + timedelta(hours=2)
    assert reset_at(f"resets {here:%H:%M}", NOW) == NOW + 7_200


@given(st.text(), st.floats(0, 4e9))
def test_no_text_is_too_strange(text: str, now: float) -> None:
    for said in (text, f"resets {text}", f"try again in {text}"):
        found = reset_at(said, now, UTC)
        assert found is None or found > now


@given(st.text(alphabet="0123456789:-/apmT Zsh.,(UTC)", max_size=40))
def test_no_time_is_too_strange(text: str) -> None:
    found = reset_at(f"retry-after: {text} resets {text}", NOW, UTC)
    assert found is None or found > NOW


@pytest.mark.timeout(60)  # what grows with the square takes minutes
@pytest.mark.parametrize("part", ["retry ", "1d", "reset 1s ", "a", "1 ", "again in ", "in ", "9"])
def test_a_long_text_takes_no_long_time(part: str) -> None:
    text = "reset " + part * 100_000
    reset_at(text, NOW, UTC)
    assert recognise("", text) is Limit.NONE
