"""cs-verify: who may stop, and what stands between met and verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_a_session_without_promises_may_stop(
    cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    make(session="s-2")
    said = cs("verify", "--check")
    assert (said.status, said.out) == (0, "")
    assert "No promises" in cs("verify", "--check", "-v").out
    assert cs("verify", "--check", "--json").json()["may_stop"] is True


def test_a_session_that_may_not_stop_learns_what_is_missing(
    cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    pending, working = make("x", start=False), make("first", "second")
    meet(working, "AC-1")
    held = cs("verify", "--check")
    assert held.status == 2
    assert held.out.splitlines()[0] == "COMPLETION CRITERIA NOT MET"
    assert "    [MET]     AC-1: first\n    [PENDING] AC-2: second\n" in held.out
    next_command = f'cs-promise --meet {working} --ac-id AC-2 --evidence "..." --type test'
    assert held.out.endswith(f"NEXT ACTION:\n  {next_command}\n")
    said = cs("verify", "--check", "--json")
    assert (said.status, said.json()["may_stop"]) == (2, False)
    assert {each["id"] for each in said.json()["holding"]} == {pending, working}
    assert said.json()["next"] == next_command
    meet(working, "AC-2")
    assert cs("verify", "--check").out.endswith(f"  cs-promise --start {pending}\n")
    cs("promise", "--cancel", pending)
    assert cs("verify", "--check").status == 0
    assert f"cs-verify --promise {working}" in cs("verify", "--check", "--verbose").out


def test_the_check_needs_a_session(cs: Callable[..., Any]) -> None:
    assert cs("verify", "--check", session=None).status == 1
    assert cs("verify", "--check", session="../x").status == 1


def test_orphans_are_a_warning(cs: Callable[..., Any], make: Callable[..., str]) -> None:
    name = make(session="s-2")
    cs("promise", "--release", name, session="s-2")
    said = cs("verify", "--check", "--verbose")
    assert (said.status, name in said.err) == (0, True)
    assert cs("verify", "--check", "--json").json()["orphans"] == [name]


def test_unmet_criteria_are_named(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("first", "second")
    meet(name, "AC-1")
    refused = cs("verify", "--promise", name, "--json")
    assert (refused.status, refused.json()["pending"]) == (1, ["AC-2"])
    assert "[PENDING] AC-2: second" in refused.err
    assert project.promise(name)["status"] == "in_progress"


def test_a_promise_is_verified_once_and_by_its_owner(
    cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one", start=False)
    meet(name, "AC-1")
    words = ("--promise", name, "--skip-validation-check")
    assert cs("verify", *words, session="s-2").status == 1
    first = cs("verify", *words)
    assert (first.status, "never started" in first.err) == (0, True)
    again = cs("verify", *words)
    assert (again.status, "already verified" in again.err) == (1, True)
    late = meet(name, "AC-1")
    assert (late.status, "already verified" in late.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--promise", "promise-00000000"),
        ("--promise",),
        ("--check", "--promise", "x"),
        ("--promise", "x", "--type", "hope"),
        ("--promise", "x", "--timeout", "0"),
    ],
)
def test_bad_input_is_status_1_never_2(words: tuple[str, ...], cs: Callable[..., Any]) -> None:
    refused = cs("verify", *words)
    assert (refused.status, refused.err[:7]) == (1, "error: ")


def test_a_bead_that_cannot_be_told_is_a_warning(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1")
    words = ("--promise", name, "--skip-validation-check", "--task-id", "no-such-bead")
    said = cs("verify", *words)
    assert (said.status, "no comment was added to the bead no-such-bead" in said.err) == (0, True)
    assert project.promise(name, "history")["status"] == "verified"
