"""A record comes back from disk as it was, or not at all."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.durable import as_json, from_json


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Thing:
    name: str = ""
    count: int = 0
    size: float = 0.0
    sure: bool = False
    colour: Colour = Colour.RED
    other: Colour | None = None
    parts: tuple[int, ...] = ()


THINGS = st.builds(
    Thing,
    name=st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    count=st.integers(),
    size=st.floats(allow_nan=False, allow_infinity=False),
    sure=st.booleans(),
    colour=st.sampled_from(Colour),
    other=st.none() | st.sampled_from(Colour),
    parts=st.lists(st.integers()).map(tuple),
)


@given(THINGS)
def test_it_comes_back_as_it_was(thing: Thing) -> None:
    assert from_json(Thing, json.loads(json.dumps(as_json(thing)))) == thing


def test_what_is_missing_is_default_and_what_is_unknown_is_left_out() -> None:
    assert from_json(Thing, {"count": 3, "weight": 9}) == Thing(count=3)


def test_a_whole_number_may_stand_for_a_length() -> None:
    found = from_json(Thing, {"size": 3})
    assert type(found.size) is float


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "thing",
        {"name": 3},
        {"count": "3"},
        {"count": 3.0},
        {"count": True},
        {"size": "3"},
        {"size": True},
        {"size": float("inf")},
        {"size": float("nan")},
        {"size": 10**400},
        {"sure": 1},
        {"sure": None},
        {"colour": "green"},
        {"colour": None},
        {"colour": []},
        {"other": "green"},
        {"parts": "12"},
        {"parts": {"0": 1}},
        {"parts": [1, None]},
    ],
)
def test_junk_is_refused_with_its_key(value: object) -> None:
    with pytest.raises(ValueError, match="thing") as caught:
        from_json(Thing, value)
    if isinstance(value, dict):
        assert repr(next(iter(value))) in str(caught.value)
