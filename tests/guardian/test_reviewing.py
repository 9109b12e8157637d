"""Who looks next at work that was judged good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.reviews import closing, reviewers
from guardian.reviewing import feedback, next_reviewer


def said(*words: str) -> list[dict[str, Any]]:
    return [dict(zip(("reviewer", "outcome"), each.split(), strict=True)) for each in words]


@pytest.mark.parametrize(
    ("named", "reviews", "wanted"),
    [
        (("self",), [], "scan"),
        (("self",), ["scan passed"], "self"),
        (("self",), ["scan passed", "self passed"], ""),
        (("self", "a", "b"), ["scan passed", "self passed"], "a"),
        (("self", "a", "b"), ["scan passed", "self passed", "a passed"], ""),
        (("self", "a", "b"), ["scan passed", "self passed", "a unavailable"], "b"),
        (("self", "a"), ["scan passed", "self passed", "a unavailable"], ""),
        (("a",), ["scan passed"], "a"),
        (("a",), ["scan passed", "a unavailable"], "self"),
        (("a",), ["scan passed", "a unavailable", "self passed"], ""),
    ],
)
def test_the_next_reviewer(named: tuple[str, ...], reviews: list[str], wanted: str) -> None:
    assert next_reviewer(named, said(*reviews)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("self", ("self",)),
        (" self , gemini,,codex", ("self", "gemini", "codex")),
        ("self,self", ("self",)),
        ("", ("self",)),
    ],
)
def test_a_setting_names_reviewers(text: str, wanted: tuple[str, ...]) -> None:
    assert reviewers(text) == wanted


@given(
    st.lists(st.sampled_from(["self", "a", "b"]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["passed", "unavailable"]), min_size=9, max_size=9),
)
def test_nothing_is_merged_on_the_judges_word_alone(named: list[str], outcomes: list[str]) -> None:
    reviews: list[dict[str, Any]] = []
    for outcome in outcomes:
        who = next_reviewer(named, reviews)
        if not who:
            break
        # A scan and the own agent always answer in the end.
        reviews.append(
            {"reviewer": who, "outcome": "passed" if who in ("scan", "self") else outcome}
        )
    assert next_reviewer(named, reviews) == ""
    assert closing(reviews)


def test_feedback_names_each_finding_and_is_bounded() -> None:
    findings = [{"file": "a.py", "line": 3, "problem": "wrong", "fix": "mend it"}] * 30
    text = feedback("self", findings)
    assert "- a.py:3: wrong Do this: mend it" in text
    assert "and 10 more" in text
    assert "commit it" in text
