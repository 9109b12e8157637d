"""One bead: its line in and out, and the rule of its status."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.beads.issue import (
    LineError,
    check_priority,
    check_title,
    check_word,
    decode,
    encode,
    instant,
    normal,
    status_of,
    with_status,
)
from attractor.errors import InputError

# As bd 0.47 and 1.0 wrote them, shortened.
CLASSIC = (
    rb'{"id":"x-08i","title":"A \u003e b \u0026 c","description":"| d","design":"e",'
    rb'"acceptance_criteria":"- [ ] f","notes":"g","status":"closed","priority":0,'
    rb'"issue_type":"feature","assignee":"claude","estimated_minutes":5,'
    rb'"created_at":"2025-11-30T08:43:49.53876-08:00","created_by":"m",'
    rb'"updated_at":"2025-11-30T08:43:49.53876-08:00",'
    rb'"closed_at":"2025-11-30T14:12:07.916657-08:00","close_reason":"h","external_ref":"gh-9",'
    rb'"labels":["tdd","unit"],"dependencies":[{"issue_id":"x-08i","depends_on_id":"x-8pj",'
    rb'"type":"blocks","created_at":"2025-11-30T08:57:35.648965-08:00","created_by":"m"}],'
    rb'"comments":[{"id":1,"issue_id":"x-08i","author":"m","text":"i","created_at":'
    rb'"2025-11-30T08:57:35Z"}],"pinned":true}'
)
NEWEST = (
    rb'{"_type":"issue","id":"b-shx","title":"C","status":"open","priority":0,"issue_type":"task",'
    rb'"owner":"m@x","created_at":"2026-05-25T20:49:47Z","created_by":"M S",'
    rb'"updated_at":"2026-05-25T20:49:47Z","dependency_count":2,"dependent_count":1,'
    rb'"comment_count":0}'
)


@pytest.mark.parametrize("line", [CLASSIC, NEWEST])
def test_a_line_of_bd_comes_out_as_it_went_in(line: bytes) -> None:
    issue = decode(line)
    assert issue is not None
    assert encode(issue) == line
    shuffled = dict(reversed(issue.items()))
    known = [key for key in decode(encode(shuffled)) or {} if not key.endswith("_count")]
    assert known == [key for key in issue if not key.endswith("_count")]


def test_unknown_keys_follow_the_known_ones_with_any_value() -> None:
    issue = decode(b'{"zz":null,"id":"a","yy":0,"title":"t","priority":0,"assignee":""}')
    assert issue is not None
    assert encode(issue) == b'{"id":"a","title":"t","priority":0,"zz":null,"yy":0}'


def test_a_record_of_another_kind_is_no_issue() -> None:
    assert decode(b'{"_type":"memory","key":"k","value":"v"}') is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"<<<<<<< HEAD", "it is not JSON"),
        (b'{"id":"a"', "it is not JSON"),
        (b"\xff", "it is not UTF-8"),
        (b"[1]", "it is not a JSON object"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"title":"t"}', "it has no id"),
        (b'{"id":7}', "it has no id"),
        (b'{"id":"a","title":7}', "its title is not text"),
        (b'{"id":"a","priority":"high"}', "its priority is not a whole number"),
        (b'{"id":"a","priority":true}', "its priority is not a whole number"),
        (b'{"id":"a","labels":"x"}', "its labels are not a list of words"),
        (b'{"id":"a","dependencies":{"a":1}}', "its dependencies are not a list of objects"),
        (b'{"id":"a","dependencies":[{}]}', "one of its dependencies is not complete"),
        (b'{"id":"a","comments":[{"text":1}]}', "one of its comments is not complete"),
        (b'{"id":"a","x":NaN}', "NaN is not JSON"),
        (b'{"id":"a","x":1e999}', "1e999 is too large"),
        (rb'{"id":"a","title":"\ud800"}', "half of a surrogate pair"),
    ],
)
def test_a_line_that_is_no_issue_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(LineError, match=reason.replace("(", r"\(")):
        decode(line)


_TEXT = st.text(st.characters(codec="utf-8"))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(_TEXT.map(lambda key: f"x{key}"), _JSON, max_size=4), _TEXT)
def test_whatever_unknown_keys_hold_survives_a_rewrite(extra: dict[str, Any], title: str) -> None:
    issue = {"id": "a", "title": title, "priority": 1} | extra
    line = encode(issue)
    assert b"\n" not in line
    assert decode(line) == issue
    assert encode(decode(line) or {}) == line
    assert json.loads(line) == issue


def test_closed_at_is_set_exactly_while_closed(bead: Callable[..., Any]) -> None:
    closed = with_status(bead("a"), "closed", "2026-01-01T00:00:00Z")
    assert closed["closed_at"] == "2026-01-01T00:00:00Z"
    again = with_status(closed | {"close_reason": "r"}, "closed", "2027-01-01T00:00:00Z")
    assert (again["closed_at"], again["close_reason"]) == ("2026-01-01T00:00:00Z", "r")
    opened = with_status(again, "open", "2027-01-01T00:00:00Z")
    assert {"closed_at", "close_reason"}.isdisjoint(opened)


def test_impl_complete_is_stored_as_bd_can_read_it(bead: Callable[..., Any]) -> None:
    issue = with_status(bead("a", labels=["z", "b"]), "impl_complete", "")
    assert issue["status"] == "in_progress"
    assert issue["labels"] == ["b", "state:impl_complete", "z"]
    assert status_of(issue) == "impl_complete"
    assert status_of(with_status(issue, "in_progress", "")) == "in_progress"
    # A label that was left behind says nothing of an issue in another status.
    assert status_of(issue | {"status": "open"}) == "open"
    assert normal(bead("a", status="impl_complete"))["status"] == "in_progress"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.123456789Z", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_a_time_is_the_same_moment_in_every_zone(text: str, moment: datetime) -> None:
    assert instant(text) == moment


def test_what_is_no_time_is_before_all_time() -> None:
    assert instant("soon") == instant(None) < instant("0001-01-03T00:00:00+14:00")


def test_a_title_is_as_long_as_bd_takes_it_in_bytes() -> None:
    assert check_title(f" {'x' * 500} ") == "x" * 500
    for wrong in ("", "  ", "x" * 501, "\N{SNOWMAN}" * 167, "\udcff"):
        with pytest.raises(InputError):
            check_title(wrong)


def test_words_of_a_closed_list_are_checked_with_a_hint() -> None:
    assert [check_priority(word) for word in ("0", "P4", "p1")] == [0, 4, 1]
    with pytest.raises(InputError, match="no priority '5'"):
        check_priority("5")
    with pytest.raises(InputError, match="invalid status: opne") as caught:
        check_word("status", "opne", ("open", "closed"))
    assert "did you mean open?" in caught.value.fix
