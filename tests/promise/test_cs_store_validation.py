"""cs-store-validation: a verdict is stored whole, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

GOOD: dict[str, Any] = {
    "task_id": "b-1",
    "verdict": "PASS",
    "criteria_results": [{"criterion_id": "x", "status": "PASS"}],
    "timestamp": "2026-02-24T12:00:00Z",
    "confidence": 0.9,
}


def test_a_response_is_stored_with_its_metadata(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    words = ("--promise", name, "--ac-id", "AC-1")
    said = cs("store-validation", *words, "--response", json.dumps(GOOD), session=None)
    assert (said.status, said.out.startswith("STORED: ")) == (0, True)
    path = project.state / "validations" / name / "AC-1-validation.json"
    stored = json.loads(path.read_text())
    about = stored.pop("_metadata")
    assert stored == GOOD
    assert (about["promise_id"], about["ac_id"]) == (name, "AC-1")
    assert about["stored_at"].endswith("Z")
    assert project.moves(name)[-1] == ("validation of AC-1", None, "PASS")
    file = project.path / "response.json"
    failed = {"criterion_id": "x", "status": "FAIL", "reason": "no"}
    file.write_text(json.dumps(GOOD | {"verdict": "FAIL", "criteria_results": [failed]}))
    again = cs("store-validation", *words, "--response-file", file)
    assert "[x]: no" in again.out
    assert json.loads(path.read_text())["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--promise is required"),
        (("--promise", "{}"), "--ac-id is required"),
        (("--promise", "{}", "--ac-id", "AC-1"), "either --response or"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response", "{\n,"), "--response:2:1"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response", "[]"), "not a JSON object"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response", "{}"), "lacks task_id, verdict"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response-file", "none"), "no such file"),
        (("--promise", "{}", "--ac-id", "AC-7", "--response", "GOOD"), "AC-1: one"),
        (("--promise", "{}", "--ac-id", "../x", "--response", "GOOD"), "cannot be the id"),
        (("--promise", "nobody", "--ac-id", "AC-1", "--response", "GOOD"), "no promise"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response", "MAYBE"), "there is no verdict"),
        (("--promise", "{}", "--ac-id", "AC-1", "--response", "[1]"), "not a JSON object"),
    ],
)
def test_a_response_that_is_not_whole_is_refused(
    words: tuple[str, ...],
    said: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
) -> None:
    texts = {
        "{}": make("one"),
        "GOOD": json.dumps(GOOD),
        "MAYBE": json.dumps(GOOD | {"verdict": "MAYBE"}),
    }
    # The promise's id stands where a `{}` follows --promise; elsewhere it is an empty object.
    filled = [
        word if word == "{}" and before == "--response" else texts.get(word, word)
        for before, word in zip(("", *words), words, strict=False)
    ]
    refused = cs("store-validation", *filled)
    assert (refused.status, said in refused.err) == (1, True), refused.err
    assert not (project.state / "validations").exists()


def test_a_verdict_on_a_closed_promise_is_stored_with_a_warning(
    cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    cs("promise", "--cancel", name)
    words = ("--promise", name, "--ac-id", "AC-1", "--response", json.dumps(GOOD), "--json")
    said = cs("store-validation", *words)
    assert (said.status, "already cancelled" in said.err) == (0, True)
    assert said.json()["_metadata"]["ac_id"] == "AC-1"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(
    number: str, project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    response = json.dumps(GOOD).replace("0.9", number)
    words = ("--promise", name, "--ac-id", "AC-1", "--response", response)
    refused = cs("store-validation", *words)
    assert (refused.status, "neither NaN nor Infinity" in refused.err) == (1, True)
    assert not (project.state / "validations").exists()


def test_a_verdict_is_good_only_for_the_evidence_that_it_was_given_on(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    words = ("--promise", name, "--ac-id", "AC-1", "--response", json.dumps(GOOD))
    verify = ("verify", "--promise", name)
    assert cs("store-validation", *words).status == 0  # of nothing
    meet(name, "AC-1", "first")
    stale = cs(*verify)
    assert (stale.status, "the validation is of other evidence" in stale.err) == (1, True)
    assert cs("store-validation", *words).status == 0
    meet(name, "AC-1", "second")
    assert cs(*verify).status == 1
    assert cs("store-validation", *words).status == 0
    assert cs(*verify).status == 0


def test_a_verdict_that_does_not_name_its_evidence_is_taken_as_before(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1")
    folder = project.state / "validations" / name
    folder.mkdir(parents=True)
    (folder / "AC-1-validation.json").write_text(json.dumps(GOOD | {"_metadata": {}}))
    assert cs("verify", "--promise", name).status == 0
