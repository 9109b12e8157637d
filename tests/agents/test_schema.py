"""A schema is the whole standard, and says where a value does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.agents.schema import Schema
from attractor.errors import InputError

VERDICT = {
    "type": "object",
    "properties": {
        "scores": {"type": "array", "items": {"$ref": "#/$defs/score"}, "minItems": 1},
    },
    "required": ["scores"],
    "additionalProperties": False,
    "$defs": {"score": {"type": "number", "minimum": 0, "maximum": 1}},
}


def test_a_value_that_fits_has_no_misfit() -> None:
    assert Schema(VERDICT).misfit({"scores": [0, 0.5, 1]}) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "answer: 'scores' is a required property"),
        ({"scores": []}, "answer.scores: [] should be non-empty"),
        ({"scores": [0.5, 2]}, "answer.scores[1]: 2 is greater than the maximum of 1"),
        ({"scores": [True]}, "answer.scores[0]: True is not of type 'number'"),
        ({"scores": [1], "more": 1}, "answer: Additional properties are not allowed"),
        (None, "answer: None is not of type 'object'"),
    ],
)
def test_a_misfit_says_where_and_why(value: Any, said: str) -> None:
    assert Schema(VERDICT).misfit(value).startswith(said)


def test_what_is_no_schema_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match="not a JSON schema") as caught:
        Schema({"type": "object", "properties": {"a": {"type": "text"}}})
    assert caught.value.where == "schema.properties.a.type"


def test_a_reference_out_of_the_schema_is_an_error_and_no_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr("socket.socket.connect", refuse)
    said = Schema({"$ref": "http://127.0.0.1:9/schema.json"}).misfit({})
    assert "cannot be applied" in said
    assert "cannot be applied" in Schema({"$ref": "#/$defs/gone"}).misfit({})


def test_a_schema_without_end_is_a_misfit_and_no_crash() -> None:
    assert "cannot be applied" in Schema({"$ref": "#"}).misfit({})


def test_a_long_reason_is_cut() -> None:
    assert len(Schema({"type": "object"}).misfit("x" * 100_000)) < 600
