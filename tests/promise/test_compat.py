"""Files of the original harness are read and kept; ours hold its keys and nothing less."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

THEIRS = "session-20260224-115900-4711"
CRITERION = ["id", "description", "status", "evidence", "evidence_type", "met_at", "met_by"]


def validate(project: Any, name: str, ac_id: str, verdict: str = "PASS") -> None:
    folder = project.state / "validations" / name
    folder.mkdir(parents=True, exist_ok=True)
    found = {"task_id": "b-1", "verdict": verdict, "criteria_results": [], "timestamp": "t"}
    (folder / f"{ac_id}-validation.json").write_text(json.dumps(found))


def test_a_promise_of_the_original_is_met_and_verified(
    project: Any, cs: Callable[..., Any], meet: Callable[..., Any], original: dict[str, Any]
) -> None:
    name = project.put(original | {"theirs": [1]})
    assert cs("verify", "--check", session=THEIRS).status == 2
    assert meet(name, "AC-2", "clicked", "--type", "browser", session=THEIRS).status == 0
    after = project.promise(name)
    assert after["acceptance_criteria"][0] == original["acceptance_criteria"][0]
    assert list(after["acceptance_criteria"][1]) == CRITERION
    assert {key: after[key] for key in original if key != "acceptance_criteria"} == {
        key: value for key, value in original.items() if key != "acceptance_criteria"
    }
    assert cs("verify", "--check", session=THEIRS).status == 0
    for ac_id, verdict in (("AC-1", "PASS"), ("AC-2", "PARTIAL")):
        validate(project, name, ac_id, verdict)
    done = cs("verify", "--promise", name, "--type", "test", "--proof", "all", session=THEIRS)
    assert (done.status, done.out.splitlines()[0]) == (0, f"VERIFIED: {name}")
    closed = project.promise(name, "history")
    assert not (project.state / "promises" / f"{name}.json").exists()
    assert closed["status"] == "verified"
    assert closed["theirs"] == [1]
    verification = closed["verification"]
    assert (verification["verified_by"], verification["type"]) == (THEIRS, "test")
    assert verification["proof"] == "all"
    assert {each["status"] for each in closed["acceptance_criteria"]} == {"met"}


def test_a_new_promise_is_the_file_that_the_original_writes(
    project: Any, make: Callable[..., str], original: dict[str, Any]
) -> None:
    name = make("Login works", "Löschen", start=False)
    text = (project.state / "promises" / f"{name}.json").read_text()
    found = json.loads(text)
    assert list(found) == list(original)
    assert list(found["ownership"]) == list(original["ownership"])
    assert [list(each) for each in found["acceptance_criteria"]] == [CRITERION, CRITERION]
    assert found["verification"] == {"verified_at": None, "verified_by": None}
    assert text == json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    assert "Löschen" in text
    assert len(found["ownership"]["created_at"]) == len("2026-02-24T12:00:00Z")
    assert (name[:8], len(name), int(name[8:], 16) >= 0) == ("promise-", 16, True)


def test_a_legacy_promise_needs_a_proof(
    project: Any, cs: Callable[..., Any], original: dict[str, Any]
) -> None:
    del original["acceptance_criteria"]
    name = project.put(original)
    assert cs("verify", "--check", session=THEIRS).status == 2
    refused = cs("verify", "--promise", name, session=THEIRS)
    assert (refused.status, "--proof" in refused.err) == (1, True)
    assert cs("verify", "--promise", name, "--proof", "seen", session=THEIRS).status == 0
    assert project.promise(name, "history")["verification"]["proof"] == "seen"


def test_what_scripts_of_the_original_call_is_accepted(
    cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    first, last = make("one"), make("one")
    mine = cs("promise", "--mine", "--json").json()
    assert [each["id"] for each in mine] == [first, last]
    meet(last, "AC-1")
    words = ("--promise", last, "--type", "e2e", "--skip-validation-check")
    assert cs("verify", *words).status == 0


@pytest.mark.parametrize("verdict", ["FAIL", "BLOCKED", "fine"])
def test_gate_2_refuses_every_other_verdict(
    verdict: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    meet: Callable[..., Any],
) -> None:
    name = make("one")
    meet(name, "AC-1")
    missing = cs("verify", "--promise", name, "--json")
    assert (missing.status, list(missing.json()["refused"])) == (1, ["AC-1"])
    validate(project, name, "AC-1", verdict)
    refused = cs("verify", "--promise", name)
    assert (refused.status, f"the verdict is {verdict}" in refused.err) == (1, True)
    assert project.promise(name)["status"] == "in_progress"


def test_gate_2_names_the_line_of_a_damaged_validation(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1")
    validate(project, name, "AC-1")
    path = project.state / "validations" / name / "AC-1-validation.json"
    path.write_text('{"verdict": "PASS",\n oops}')
    refused = cs("verify", "--promise", name)
    assert (refused.status, f"{path}:2:" in refused.err) == (1, True)


@pytest.mark.parametrize("claim", ["FAIL", "none"])
def test_without_gate_2_the_record_says_so(
    claim: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    meet: Callable[..., Any],
) -> None:
    name = make("one")
    meet(name, "AC-1")
    if claim == "FAIL":
        validate(project, name, "AC-1", claim)
    assert cs("verify", "--promise", name, "--skip-validation-check").status == 0
    gates = project.promise(name, "history")["verification"]["gates"]
    assert gates == {"validation": "skipped", "evidence_checked": 0, "evidence_claimed": 1}
