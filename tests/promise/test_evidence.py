"""Evidence that can be checked is checked: when it is attached, and again by cs-verify."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def only(project: Any, name: str, folder: str = "promises") -> Any:
    (criterion,) = project.promise(name, folder)["acceptance_criteria"]
    return criterion


def verify(cs: Callable[..., Any], name: str, *more: str) -> Any:
    return cs("verify", "--promise", name, "--skip-validation-check", *more)


def test_a_file_is_hashed(project: Any, make: Callable[..., str], meet: Callable[..., Any]) -> None:
    (project.path / "out").mkdir()
    (project.path / "out" / "report.txt").write_bytes(b"green\n")
    name = make("one")
    assert meet(name, "AC-1", "out/report.txt", "--type", "file").status == 0
    check = only(project, name)["check"]
    assert check["sha256"] == hashlib.sha256(b"green\n").hexdigest()
    assert (check["kind"], check["size"]) == ("file", 6)
    assert check["path"] == str(project.path / "out" / "report.txt")
    assert project.audit(name)[-1]["check"] == check
    assert meet(name, "AC-1", check["path"], "--type", "file").status == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.txt", "No such file"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("dangling", "No such file"),
        ("../outside.txt", "outside of the project"),
        ("folder/../../outside.txt", "outside of the project"),
        ("/nowhere/at/all", "No such file"),
        (".", "outside of the project"),
    ],
)
def test_a_path_that_is_no_file_is_refused(
    path: str, said: str, project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    (project.path.parent / "outside.txt").write_text("x")
    (project.path / "folder").mkdir()
    os.mkfifo(project.path / "pipe")
    (project.path / "dangling").symlink_to("nowhere")
    name = make("one")
    refused = meet(name, "AC-1", path, "--type", "file")
    assert (refused.status, said in refused.err) == (1, True), refused.err
    assert only(project, name)["status"] == "pending"


def test_a_command_is_run_in_the_projects_folder_and_its_end_is_recorded(
    project: Any,
    make: Callable[..., str],
    meet: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = make("one")
    below = project.path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert meet(name, "AC-1", "pwd; echo oops >&2", "--type", "command").status == 0
    check = only(project, name)["check"]
    assert check["output_tail"] == f"{project.path}\noops\n"
    assert (check["kind"], check["exit_code"], check["timeout_seconds"]) == ("command", 0, 120)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("echo no; exit 3", 3, "status 3; it said last: no"),
        ("kill -9 $$", -9, "status -9"),
        ("if then", 2, "yntax"),
        ("no-such-program-at-all", 127, "not found"),
        ("cat; exec sleep 60", None, "did not end within 0.2 seconds"),
        ("sleep 60 & wait", None, "did not end within 0.2 seconds"),
    ],
)
def test_a_command_that_fails_or_is_late_is_refused(
    command: str,
    status: int | None,
    said: str,
    project: Any,
    make: Callable[..., str],
    meet: Callable[..., Any],
) -> None:
    name = make("one")
    seconds = "0.2" if status is None else "60"
    refused = meet(name, "AC-1", command, "--type", "command", "--timeout", seconds, "--json")
    assert (refused.status, refused.json().get("exit_code")) == (1, status)
    assert said in refused.err
    assert only(project, name)["status"] == "pending"
    assert project.moves(name)[-1] == ("promise", "pending", "in_progress")


def test_a_late_command_dies_with_its_children(
    project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    words = "sleep 300 & echo $! > child; echo $$ > parent; mkfifo p; cat p"
    name = make("one")
    assert meet(name, "AC-1", words, "--type", "command", "--timeout", "1").status == 1
    for file in ("child", "parent"):
        assert ends(int((project.path / file).read_text()))


def ends(pid: int) -> bool:
    """Say whether a process is dead, or dies at once: SIGKILL takes effect a moment later."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this system cannot wait for a process that is not our child")
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    end = select.poll()
    end.register(process, select.POLLIN)
    try:
        return bool(end.poll(10_000))
    finally:
        os.close(process)


def test_a_command_that_succeeds_leaves_nothing_running(
    project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    words = "sleep 300 >/dev/null 2>&1 & echo $! > child"
    assert meet(make("one"), "AC-1", words, "--type", "command").status == 0
    assert ends(int((project.path / "child").read_text()))


def test_a_command_dies_with_the_one_that_asked_for_it(
    project: Any, make: Callable[..., str], cs_argv: Callable[..., list[str]]
) -> None:
    os.mkfifo(project.path / "begun")
    words = "echo $$ > begun; exec sleep 300"
    meet = ("--meet", make("one"), "--ac-id", "AC-1", "--evidence", words, "--type", "command")
    env = {**os.environ, "CLAUDE_SESSION_ID": "s-1"}
    with subprocess.Popen(cs_argv("promise", *meet), cwd=project.path, env=env) as asking:
        child = int((project.path / "begun").read_text())
        asking.terminate()
        assert asking.wait(30) == 143
    assert ends(child)


def test_hashing_has_a_deadline(
    project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    with (project.path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    name = make("one")
    refused = meet(name, "AC-1", "huge", "--type", "file", "--timeout", "0.01")
    assert (refused.status, "within 0.01 seconds" in refused.err) == (1, True)
    assert only(project, name)["status"] == "pending"


def test_of_much_output_the_tail_is_kept(
    project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    command = "head -c 3000000 /dev/zero | tr '\\0' x; echo é-end"
    assert meet(name, "AC-1", command, "--type", "command").status == 0
    tail = only(project, name)["check"]["output_tail"]
    assert (len(tail), tail[-6:]) == (2000, "é-end\n")


def test_verification_checks_evidence_again_and_records_it(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1", "echo x >> ran; cat ran", "--type", "command", "--timeout", "50")
    assert verify(cs, name).status == 0
    assert (project.path / "ran").read_text() == "x\nx\n"
    criterion = only(project, name, "history")
    assert criterion["check"]["output_tail"] == "x\nx\n"
    assert criterion["check"]["timeout_seconds"] == 50
    assert (criterion["status"], criterion["verified_by"]) == ("met", "s-1")
    assert project.moves(name)[-2] == ("AC-1", "met", "verified")
    assert project.audit(name)[-2]["how"] == "command"


@pytest.mark.parametrize(
    ("kind", "evidence", "spoil", "said"),
    [
        ("file", "proof", "changed", "content has changed"),
        ("file", "proof", None, "No such file"),
        ("command", "grep -q good proof", "changed", "ended with status 1"),
    ],
)
def test_evidence_that_no_longer_holds_is_not_verified(  # noqa: PLR0917  # the columns of a table
    kind: str,
    evidence: str,
    spoil: str | None,
    said: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    meet: Callable[..., Any],
) -> None:
    proof = project.path / "proof"
    proof.write_text("good")
    name = make("claimed", "checked")
    meet(name, "AC-1")
    meet(name, "AC-2", evidence, "--type", kind)
    proof.unlink()
    if spoil is not None:
        proof.write_text(spoil)
    before = project.promise(name)
    refused = verify(cs, name, "--json")
    assert (refused.status, list(refused.json()["refused"])) == (1, ["AC-2"])
    assert said in refused.err
    assert project.promise(name) == before
    assert cs("verify", "--check").status == 2
    proof.write_text("good")
    assert verify(cs, name).status == 0


def test_a_promise_that_changes_while_it_is_verified_stays_open(
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    meet: Callable[..., Any],
    cs_argv: Callable[..., list[str]],
) -> None:
    name = make("one")
    inner = " ".join(cs_argv("promise", "--add-ac", name, "two"))
    meet(name, "AC-1", f"test ! -e begun || {inner}", "--type", "command")
    (project.path / "begun").touch()
    refused = verify(cs, name)
    assert (refused.status, "was changed while" in refused.err) == (1, True), refused
    assert project.promise(name)["status"] == "in_progress"


def test_a_hand_written_check_is_believed_in_nothing(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1")
    promise = project.promise(name)
    criterion = promise["acceptance_criteria"][0]
    for odd in (
        {"evidence_type": "command", "evidence": "exit 1", "check": {"exit_code": 0}},
        {"evidence_type": "command", "evidence": None},
        {"evidence_type": "command", "evidence": "true\0", "check": "x"},
        {"evidence_type": "command", "evidence": "\ud800"},
        {"evidence_type": "file", "evidence": "x\0y"},
        {"evidence_type": "file", "evidence": "x", "check": {"timeout_seconds": -1}},
    ):
        project.put({**promise, "acceptance_criteria": [criterion | odd]})
        assert verify(cs, name).status == 1, odd
    (project.path / "x").touch()
    assert verify(cs, name).status == 0
