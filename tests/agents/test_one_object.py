"""An object that is asked for by words, and found among them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.agents.one_object import again, last_object, request

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"v": 1}', {"v": 1}),
        ('For example {"v": 1}, but:\n```json\n{"v": 2}\n```\nDone.', {"v": 2}),
        ('{"a": {"b": 1}, "c": [{"d": 2}, {"e": 3}]}', {"a": {"b": 1}, "c": [{"d": 2}, {"e": 3}]}),
        ('if (x) { return } {"v": "a } and a { in it"} }', {"v": "a } and a { in it"}),
        ('{"v": 1', None),
        ("no object", None),
        ("", None),
        ("[1, 2]", None),
    ],
)
def test_the_last_whole_object_is_taken(text: str, expected: object) -> None:
    assert last_object(text) == expected


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.text(alphabet="ab \n}`[]:,"))
def test_whatever_stands_around_it_the_last_object_comes_back(
    objects: list[dict[str, object]], around: str
) -> None:
    text = around.join(map(json.dumps, objects))
    assert last_object(around + text + around) == objects[-1]


@pytest.mark.parametrize("text", ["{" * 100_000, '{"a":' * 20_000, "{}" * 50_000 + "{"])
def test_a_text_of_nothing_but_braces_ends(text: str) -> None:
    assert last_object(text) in (None, {})


def test_a_request_holds_all_that_is_asked_and_ends_with_the_schema() -> None:
    asked = request("The prompt {with} braces.", {"type": "object"}, "The system.")
    assert asked.index("The system.") < asked.index("The prompt {with} braces.")
    assert asked.rstrip().endswith('{"type": "object"}')


def test_the_second_try_says_what_was_wrong_and_how_the_first_ended() -> None:
    asked = again("REQUEST", "x" * 9_000 + "the end", "answer.v: 1 is no text")
    assert asked.startswith("REQUEST")
    assert "answer.v: 1 is no text" in asked
    assert "the end" in asked
    assert len(asked) < 5_000
