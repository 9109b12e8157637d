"""Codex: what its events come to, and how it is called."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from attractor.agents.answer import ErrorClass
from attractor.agents.codex import is_strict, overrides
from attractor.agents.codex_events import answer_of
from attractor.spawn import Ended

NOW = 1_000_000.0
BEGAN = {"type": "thread.started", "thread_id": "th-1"}
USAGE = {
    "input_tokens": 100,
    "cached_input_tokens": 30,
    "cache_write_input_tokens": 5,
    "output_tokens": 7,
    "reasoning_output_tokens": 2,
}
DONE = {"type": "turn.completed", "usage": USAGE}


def message(text: str) -> dict[str, Any]:
    item = {"id": "item_1", "type": "agent_message", "text": text}
    return {"type": "item.completed", "item": item}


def ended(*events: object, status: int | None = 0, stderr: str = "", cut: str = "") -> Ended:
    lines = "".join(json.dumps(each) + "\n" for each in events) + cut
    return Ended(status, lines.encode(), stderr, overflowed=False)


def test_the_last_message_of_a_completed_turn_is_the_text() -> None:
    item = {"id": "item_2", "type": "reasoning", "text": "no message"}
    after = {"type": "item.completed", "item": item}
    answer = answer_of(ended(BEGAN, message("first"), message("the end"), after, DONE), NOW)
    assert (answer.error_class, answer.text, answer.session_id) == (
        ErrorClass.NONE,
        "the end",
        "th-1",
    )


def test_what_came_from_the_cache_is_not_counted_twice() -> None:
    usage = answer_of(ended(BEGAN, message("x"), DONE), NOW).usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_creation_tokens) == (65, 30, 5)
    assert (usage.output_tokens, usage.sessions, usage.cost_usd) == (7, 1, None)


def test_an_item_that_is_an_error_is_survived() -> None:
    item = {"type": "item.completed", "item": {"type": "error", "message": "429 falling back"}}
    assert answer_of(ended(BEGAN, item, message("x"), DONE), NOW).ok


def test_an_error_that_was_tried_again_with_success_is_none() -> None:
    error = {"type": "error", "message": "Reconnecting... 1/5 (status 429)"}
    assert answer_of(ended(BEGAN, error, message("x"), DONE), NOW).ok


def test_unknown_events_and_lines_that_are_none_are_skipped() -> None:
    odd = [{"type": "novel", "item": 3}, {"type": 4}, [], {"type": "item.completed", "item": 7}]
    answer = answer_of(ended(BEGAN, *odd, message("x"), DONE, cut='{"type":"turn.fai'), NOW)
    assert (answer.ok, answer.text) == (True, "x")


def test_a_turn_that_was_cut_off_is_no_answer() -> None:
    answer = answer_of(ended(BEGAN, message("x"), cut='{"type":"turn.comp'), NOW)
    assert (answer.error_class, answer.structured) == (ErrorClass.MALFORMED, None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", ErrorClass.RATE_LIMIT),
        ("Missing environment variable: `K`.", ErrorClass.AUTH),
        ("stream disconnected before completion", ErrorClass.API),
    ],
)
def test_a_turn_that_failed_says_why(said: str, expected: ErrorClass) -> None:
    failed = {"type": "turn.failed", "error": {"message": said}}
    answer = answer_of(ended(BEGAN, {"type": "error", "message": said}, failed, status=1), NOW)
    assert answer.error_class is expected
    assert said in answer.error


def test_a_program_that_fails_without_an_event_has_crashed() -> None:
    answer = answer_of(ended(status=101, stderr="thread 'main' panicked\nat src"), NOW)
    assert answer.error_class is ErrorClass.CRASHED
    assert "at src" in answer.error


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object"}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_only_a_schema_that_the_api_takes_is_handed_over(
    schema: dict[str, Any], expected: bool
) -> None:
    assert is_strict(schema) is expected


def test_settings_become_overrides_that_toml_reads_back() -> None:
    settings = {
        "model_provider": "x",
        "model_providers": {"my provider": {"base_url": 'http://h/"v1"', "n": 2, "on": True}},
        "list": ["a\x7f\n", 1.5, {"k": "v"}],
        "empty": {},
    }
    read: dict[str, Any] = {}
    for line in overrides(settings):
        merge(read, tomllib.loads(line))
    assert read == settings


def merge(into: dict[str, Any], value: dict[str, Any]) -> None:
    for key, each in value.items():
        if isinstance(each, dict) and key in into:
            merge(into[key], each)
        else:
            into[key] = each
