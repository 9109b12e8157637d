"""The Gemini CLI: what it prints comes to, and what it is given."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from attractor.agents.answer import ErrorClass
from attractor.agents.gemini import policy_of
from attractor.agents.gemini_events import answer_of, login_of
from attractor.spawn import Ended

NOW = 1_000_000.0
TOKENS = {"input": 70, "prompt": 100, "candidates": 7, "cached": 30, "thoughts": 2, "tool": 0}
RESULT = {
    "session_id": "s-1",
    "response": "the end",
    "stats": {"models": {"gemini-x": {"api": {"totalRequests": 2}, "tokens": TOKENS}}},
}


def ended(status: int | None = 0, out: str = "", err: str = "") -> Ended:
    return Ended(status, out.encode(), err, overflowed=False)


def error(message: str, code: int) -> str:
    body = {"session_id": "s-2", "error": {"type": "Error", "message": message, "code": code}}
    return f"Warning: no colours\n{json.dumps(body, indent=2)}\n"


def test_a_result_is_the_text_and_the_usage() -> None:
    answer = answer_of(ended(out=json.dumps(RESULT, indent=2), err="Warning: {colours}"), NOW)
    assert (answer.error_class, answer.text, answer.session_id) == (
        ErrorClass.NONE,
        "the end",
        "s-1",
    )
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (70, 30, 9)
    assert (usage.requests, usage.models) == (2, {"gemini-x": 9})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (41, ErrorClass.AUTH),
        (42, ErrorClass.MALFORMED),
        (44, ErrorClass.CRASHED),
        (52, ErrorClass.CRASHED),
        (53, ErrorClass.SCHEMA),
        (54, ErrorClass.CRASHED),
        (55, ErrorClass.CRASHED),
        (130, ErrorClass.CRASHED),
    ],
)
def test_an_exit_status_of_its_own_says_what_to_do(status: int, expected: ErrorClass) -> None:
    answer = answer_of(ended(status, err=error("It said this.", status)), NOW)
    assert answer.error_class is expected
    assert "It said this." in answer.error
    assert ";" in answer.error


@pytest.mark.parametrize(
    ("code", "expected"),
    [(429, ErrorClass.RATE_LIMIT), (401, ErrorClass.AUTH), (500, ErrorClass.API)],
)
def test_an_error_of_the_api_is_classed_by_its_code(code: int, expected: ErrorClass) -> None:
    said = error("Please retry in 41.5s.", code)
    answer = answer_of(ended(code % 256, err=said), NOW)
    assert (answer.error_class, answer.session_id) == (expected, "s-2")
    assert answer.retry_at == (NOW + 41.5 if code == 429 else None)


def test_an_error_too_long_to_be_kept_whole_is_told_by_its_words() -> None:
    answer = answer_of(ended(173, err='lost its beginning", "RESOURCE_EXHAUSTED" } }'), NOW)
    assert answer.error_class is ErrorClass.RATE_LIMIT


def test_the_last_object_on_stderr_is_the_error() -> None:
    said = error("first", 401) + "    at file (x.js:1)\n" + error("second", 500)
    assert "second" in answer_of(ended(1, err=said), NOW).error


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (ended(0), ErrorClass.MALFORMED),
        (ended(0, out='{"session_id": "s", "respo'), ErrorClass.MALFORMED),
        (ended(0, out='{"response": 3}'), ErrorClass.MALFORMED),
        (ended(1, err="Error: cannot find module\n  at x"), ErrorClass.CRASHED),
        (ended(-11), ErrorClass.CRASHED),
    ],
)
def test_anything_else_is_no_answer(made: Ended, expected: ErrorClass) -> None:
    answer = answer_of(made, NOW)
    assert (answer.error_class, answer.structured) == (expected, None)


def test_only_the_login_and_the_model_of_the_settings_are_taken() -> None:
    said: dict[str, Any] = {
        "security": {"auth": {"selectedType": "oauth-personal"}, "folderTrust": {}},
        "model": {"name": "gemini-x", "maxSessionTurns": 1},
        "mcpServers": {"m": {"command": "x"}},
        "hooks": {},
    }
    assert login_of(json.dumps(said).encode()) == {
        "security": {"auth": {"selectedType": "oauth-personal"}},
        "model": {"name": "gemini-x"},
    }


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"security": 3, "model": {"name": 4}}'])
def test_settings_that_cannot_be_read_hold_no_login(said: bytes) -> None:
    assert not login_of(said).get("security")


def test_the_policy_denies_all_but_the_reading_tools_that_were_named() -> None:
    deny, allow = tomllib.loads(policy_of(("Read", "Bash", "Write")))["rule"]
    assert (deny["toolName"], deny["decision"]) == ("*", "deny")
    assert (allow["toolName"], allow["decision"]) == (["read_file", "read_many_files"], "allow")
    assert deny["priority"] < allow["priority"]
    assert len(tomllib.loads(policy_of(()))["rule"]) == 1
