"""What may happen to a promise: every history keeps the rules, and the log tells all of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.promise import model

AT = "2026-02-24T12:00:00Z"
TEXT = st.text(min_size=1, max_size=8)
KINDS = st.sampled_from([*model.CLAIMS, *model.CHECKED])
ACTIONS = st.one_of(
    st.tuples(st.just("start")),
    st.tuples(st.just("meet"), st.integers(1, 4), TEXT, KINDS),
    st.tuples(st.just("add"), TEXT),
    st.tuples(st.just("adopt"), st.sampled_from(["s-1", "s-2"])),
    st.tuples(st.just("release")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("verify")),
)


def act(promise: model.Promise, action: tuple[Any, ...]) -> model.Step:  # noqa: PLR0911  # a table
    match action:
        case ("start",):
            return model.start(promise)
        case ("meet", number, text, kind):
            check = {"kind": kind} if kind in model.CHECKED else None
            evidence = model.Evidence(text, kind, check)
            return model.meet(promise, f"AC-{number}", evidence, "s-1", AT)
        case ("add", text):
            return model.add_criterion(promise, text)
        case ("adopt", session):
            return model.adopt(promise, session, AT)
        case ("release",):
            return model.release(promise)
        case ("cancel",):
            return model.cancel(promise, AT)
        case _:
            return model.verify(promise, {}, {"type": "manual"}, "s-1", AT)


def statuses(promise: model.Promise) -> dict[str, str]:
    found = {each["id"]: each["status"] for each in model.criteria(promise)}
    return {"promise": promise["status"], **found}


@given(st.lists(TEXT, min_size=1, max_size=3), st.lists(ACTIONS, max_size=12))
def test_every_history_keeps_the_rules(wanted: list[str], actions: list[Any]) -> None:
    promise, changes = model.create("promise-1", "Do it", wanted, "s-1", AT)
    promise["theirs"] = {"kept": True}
    told = {each["what"]: each["to"] for each in changes}
    assert told == statuses(promise)
    for action in actions:
        before = copy.deepcopy(promise)
        try:
            step = act(promise, action)
        except InputError:
            assert promise == before
            continue
        assert promise == before, "a step changed what it was given"
        closed = before["status"] in model.CLOSED
        assert not closed
        moved = {each["what"]: (each["from"], each["to"]) for each in step.changes}
        old, new = statuses(before), statuses(step.promise)
        for what in new.keys() | old.keys():
            if old.get(what) != new.get(what):
                assert moved[what] == (old.get(what), new[what])
        promise = step.promise
        assert model.shape_fault(promise, "promise-1") == ""
        assert promise["theirs"] == {"kept": True}
        assert new["promise"] in model.OPEN | model.CLOSED
        if new["promise"] == model.VERIFIED:
            assert model.unmet(promise) == []


@given(st.text(max_size=130))
def test_a_name_never_leaves_its_folder(text: str) -> None:
    if model.is_name(text):
        assert "/" not in text
        assert "\0" not in text
        assert not text.startswith(".")
        assert text.isascii()


def test_a_claim_that_is_met_anew_is_no_longer_verified() -> None:
    promise = model.create("p", "t", ["one"], "s-1", AT).promise
    first = model.meet(promise, "AC-1", model.Evidence("f", "file", {"kind": "file"}), "s-1", AT)
    marked = first.promise
    marked["acceptance_criteria"][0] |= {"verified_at": AT, "verified_by": "s-1"}
    again = model.meet(marked, "AC-1", model.Evidence("done", "manual"), "s-1", AT).promise
    assert set(again["acceptance_criteria"][0]) == {
        *("id", "description", "status", "evidence", "evidence_type", "met_at", "met_by"),
    }


@pytest.mark.parametrize(
    ("status", "criteria", "held"),
    [
        ("pending", [("met", "test")], True),
        ("in_progress", [("pending", None)], True),
        ("in_progress", [("met", "test"), ("pending", None)], True),
        ("in_progress", [("met", "test"), ("met", "manual")], False),
        ("in_progress", [("met", "test"), ("met", "file")], True),
        ("in_progress", [("met", "command")], True),
        ("in_progress", [], True),
        ("verified", [("met", "file")], False),
        ("cancelled", [("pending", None)], False),
        ("other", [("pending", None)], False),
    ],
)
def test_what_holds_a_session_back(
    status: str, criteria: list[tuple[str, str | None]], held: bool
) -> None:
    promise = {
        "id": "p",
        "status": status,
        "acceptance_criteria": [{"status": met, "evidence_type": kind} for met, kind in criteria],
    }
    assert model.stops_check(promise) is held


def test_a_new_criterion_is_numbered_after_the_highest() -> None:
    promise = model.create("p", "t", ["one"], "s-1", AT).promise
    for odd in ("AC-7", "F4.1-1", "AC-x", "AC-99999999999999999999"):
        promise["acceptance_criteria"].append({**promise["acceptance_criteria"][0], "id": odd})
    assert model.add_criterion(promise, "new").changes[0]["what"] == "AC-8"


@pytest.mark.parametrize(
    "fault",
    [
        [],
        {"id": "q", "status": "pending"},
        {"id": "p"},
        {"id": "p", "status": 1},
        {"id": "p", "status": "pending", "ownership": None},
        {"id": "p", "status": "pending", "ownership": {"owned_by": 7}},
        {"id": "p", "status": "pending", "verification": []},
        {"id": "p", "status": "pending", "acceptance_criteria": {}},
        {"id": "p", "status": "pending", "acceptance_criteria": ["AC-1"]},
        {"id": "p", "status": "pending", "acceptance_criteria": [{"id": "AC-1"}]},
    ],
)
def test_what_is_no_promise_is_said_to_be_none(fault: object) -> None:
    assert model.shape_fault(fault, "p")


@pytest.mark.parametrize("text", ["", ".", "..", ".lock", "a/b", "a b", "é", "a\n", "x" * 129])
def test_what_would_be_a_dangerous_file_name_is_no_id(text: str) -> None:
    assert not model.is_name(text)
    assert model.is_name("promise-0a1b2c3d")
    assert model.is_name("F4.1-1")


@pytest.mark.parametrize(
    ("odd", "fault"),
    [
        ({"status": "done"}, '`status` is "done"'),
        ({"ownership": None}, "`ownership` is not"),
        ({"ownership": {}}, "`ownership` is not"),
        ({"ownership": {"owned_by": 1}}, "`owned_by` is neither"),
        ({"acceptance_criteria": "twice"}, "have the same id"),
        ({"acceptance_criteria": "path"}, "cannot be the id of a criterion"),
    ],
)
def test_what_the_commands_could_not_keep_is_damage(
    odd: dict[str, Any], fault: str, original: dict[str, Any]
) -> None:
    assert model.shape_fault(original, original["id"]) == ""
    first = original["acceptance_criteria"][0]
    criteria = {"twice": [first, first], "path": [first | {"id": "../x"}]}
    odd = {key: criteria.get(str(value), value) for key, value in odd.items()}
    assert fault in model.shape_fault(original | odd, original["id"])
    missing = {key: value for key, value in original.items() if key not in odd}
    assert model.shape_fault(missing, original["id"]) != "" or "acceptance_criteria" in odd
