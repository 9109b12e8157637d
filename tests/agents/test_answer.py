"""An answer says whether there is a verdict, and survives the way to who asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import answer as answers
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.errors import InputError

ANSWER = Answer(
    error_class=ErrorClass.RATE_LIMIT,
    error="The API refused.",
    structured={"a": [1, None, "ü\ud800"]},
    text="API Error",
    retry_at=1_800_000_000.5,
    session_id="abc",
    usage=Usage(sessions=1, requests=2, output_tokens=3, cost_usd=0.5, models={"opus": 3}),
    exit_code=-9,
    tail="the last words",
)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(answers.dump(ANSWER))
    assert answers.load(path) == ANSWER
    assert answers.load(path).cost_usd == 0.5


def test_only_the_class_none_is_a_verdict() -> None:
    assert [each for each in ErrorClass if Answer(error_class=each).ok] == [ErrorClass.NONE]
    assert json.loads(answers.dump(ANSWER))["ok"] is False


def test_the_classes_are_a_closed_set() -> None:
    assert {each.value for each in ErrorClass} == {
        "none",
        "timeout",
        "not_installed",
        "api",
        "rate_limit",
        "auth",
        "schema",
        "malformed",
        "crashed",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"error_class": "fine"},
        {"usage": {"requests": -1}},
        {"usage": None},
    ],
)
def test_a_document_that_was_not_written_here_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(ANSWER.as_json() | change))
    with pytest.raises(InputError):
        answers.load(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000])
def test_what_is_no_answer_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not one"):
        answers.load(path)


def test_an_answer_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        answers.load(tmp_path / "gone.json")
