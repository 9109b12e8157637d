"""Conditions of every dialect: what they mean, and where one stops making sense."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.pipeline.conditions import (
    Clause,
    Condition,
    ConditionError,
    Operator,
    evaluate,
    is_failure_route,
    outcome_needed,
    parse_condition,
)

EQUALS, DIFFERS, TRUTHY = Operator.EQUALS, Operator.DIFFERS, Operator.TRUTHY


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", ()),
        ("  ", ()),
        ("pass", (Clause("outcome", EQUALS, ("pass",)),)),
        (" pass | partial ", (Clause("outcome", EQUALS, ("pass", "partial")),)),
        ("outcome=success", (Clause("outcome", EQUALS, ("success",)),)),
        ("outcome != fail", (Clause("outcome", DIFFERS, ("fail",)),)),
        ("ready", (Clause("ready", TRUTHY),)),
        ("context.a.b", (Clause("context.a.b", TRUTHY),)),
        ("k='x && y'", (Clause("k", EQUALS, ("x && y",)),)),
        (r'k="say \"x\""', (Clause("k", EQUALS, ('say "x"',)),)),
        ("k=''", (Clause("k", EQUALS, ("",)),)),
        ("k=2.5", (Clause("k", EQUALS, ("2.5",)),)),
        ("$last_status = success", (Clause("$last_status", EQUALS, ("success",)),)),
        (
            "outcome=success && tests!=red&&ready",
            (
                Clause("outcome", EQUALS, ("success",)),
                Clause("tests", DIFFERS, ("red",)),
                Clause("ready", TRUTHY),
            ),
        ),
    ],
)
def test_a_condition_is_read_as_its_clauses(text: str, clauses: tuple[Clause, ...]) -> None:
    assert parse_condition(text) == Condition(text, clauses)


@pytest.mark.parametrize(
    ("text", "position", "word"),
    [
        ("a &&", 4, "expected a name"),
        ("&& a", 0, "expected a name"),
        ("a && && b", 5, "expected a name"),
        ("1a", 0, "expected a name"),
        ("'a'", 0, "expected a name"),
        ("a=", 2, "expected a value"),
        ("a==b", 1, "no meaning"),
        ("a = = b", 4, "expected a value"),
        ("a < 3", 2, "no meaning"),
        ("a || b", 2, "no meaning"),
        ("a=b || c=d", 4, "no meaning"),
        ("(a)", 0, "no meaning"),
        ("!a", 0, "no meaning"),
        ("a='b", 2, "no meaning"),
        ("a b", 2, "needs quotes"),
        ("a=b c", 4, "needs quotes"),
        ("a=b and c=d", 4, "'and' does not join"),
        ("a=b | c", 4, "expected &&"),
        ("pass | other", 7, "only pass, fail and partial"),
        ("other | pass", 0, "only pass, fail and partial"),
        ("pass |", 6, "after |"),
    ],
)
def test_what_is_no_condition_is_refused_at_its_place(text: str, position: int, word: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert caught.value.position == position
    assert word in caught.value.problem
    assert "&&" in caught.value.fix


def test_the_error_survives_a_process_border() -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition("a ||")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.position, str(again)) == (caught.value.position, str(caught.value))


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("", {}, True),
        ("pass", {"outcome": "success"}, True),
        ("pass", {"outcome": "partial_success"}, False),
        ("pass|partial", {"outcome": "partial_success"}, True),
        ("pass", {}, False),
        ("outcome=succeeded", {"outcome": "success"}, True),
        ("outcome=Success", {"outcome": "success"}, False),
        ("outcome=approved", {"outcome": "approved"}, True),
        ("outcome!=success", {"outcome": "fail"}, True),
        ("outcome!=success", {"outcome": "pass"}, False),
        ("color=red", {"color": "Red"}, False),
        ("context.color=red", {"color": "red"}, True),
        ("color=red", {"context.color": "red"}, True),
        ("$color=red", {"color": "red"}, True),
        ("missing=''", {}, True),
        ("missing!=x", {}, True),
        ("ready", {"ready": "yes"}, True),
        ("ready", {"ready": "false"}, False),
        ("ready", {"ready": "0"}, False),
        ("ready", {}, False),
        ("pass && ready", {"outcome": "pass", "ready": "1"}, True),
        ("pass && ready", {"outcome": "pass"}, False),
        ('preferred_label="Fix it"', {"preferred_label": "Fix it"}, True),
    ],
)
def test_a_condition_holds_as_the_facts_say(text: str, facts: dict[str, str], holds: bool) -> None:
    assert evaluate(parse_condition(text), facts) is holds


@pytest.mark.parametrize(
    ("text", "needed", "failure"),
    [
        ("", None, False),
        ("pass", "pass", False),
        ("fail", "fail", True),
        ("partial", "partial", False),
        ("partial|fail", None, True),
        ("pass|fail", None, False),
        ("outcome=success", "pass", False),
        ("outcome=failed", "fail", True),
        ("context.outcome=fail", "fail", True),
        ("outcome!=success", None, True),
        ("outcome!=fail", None, False),
        ("outcome=approved", None, False),
        ("ready && outcome=fail", "fail", True),
        ("ready", None, False),
    ],
)
def test_a_condition_tells_which_outcome_it_needs(
    text: str, needed: str | None, failure: bool
) -> None:
    condition = parse_condition(text)
    assert outcome_needed(condition) == outcome_needed(text) == needed
    assert is_failure_route(condition) is is_failure_route(text) is failure


@given(st.text(alphabet="ab.=!&|'\"\\ $<(", max_size=20))
def test_any_text_is_read_or_refused_inside_itself(text: str) -> None:
    try:
        evaluate(parse_condition(text), {})
    except ConditionError as error:
        position = error.position
    else:
        position = 0
    assert 0 <= position <= len(text)
