"""cs-promise: who may do what, what is refused, and what the record says of it."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def test_a_promise_goes_its_whole_way_on_the_record(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    assert cs("promise", "--add-ac", name, "two").status == 0
    meet(name, "AC-1", "seen")
    meet(name, "AC-2", "seen", "--type", "log")
    cs("verify", "--promise", name, "--skip-validation-check")
    assert project.moves(name) == [
        ("promise", None, "pending"),
        ("AC-1", None, "pending"),
        ("promise", "pending", "in_progress"),
        ("AC-2", None, "pending"),
        ("AC-1", "pending", "met"),
        ("AC-2", "pending", "met"),
        ("AC-1", "met", "verified"),
        ("AC-2", "met", "verified"),
        ("promise", "in_progress", "verified"),
    ]
    assert {each["session"] for each in project.audit(name)} == {"s-1"}
    assert project.audit(name)[4]["evidence"] == "seen"


def test_a_cancelled_promise_is_in_the_history(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make()
    assert cs("promise", "--cancel", name).status == 0
    assert project.promise(name, "history")["status"] == "cancelled"
    assert project.moves(name)[-1] == ("promise", "in_progress", "cancelled")
    for words in (("--start", name), ("--cancel", name), ("--release", name), ("--adopt", name)):
        again = cs("promise", *words)
        assert (again.status, "already cancelled" in again.err) == (1, True)
    assert cs("promise", "--show", name).status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--meet", "{}", "--ac-id", "AC-1", "--evidence", "x"),
        ("--add-ac", "{}", "x"),
        ("--start", "{}"),
        ("--release", "{}"),
        ("--cancel", "{}"),
    ],
)
def test_only_the_owner_changes_a_promise(
    words: tuple[str, ...], project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make(start=False)
    before = project.promise(name)
    filled = [word.replace("{}", name) for word in words]
    refused = cs("promise", *filled, session="s-2")
    assert (refused.status, "s-1 does" in refused.err) == (1, True)
    nobody = cs("promise", *filled, session=None)
    assert (nobody.status, 'eval "$(cs-init)"' in nobody.err) == (1, True)
    assert project.promise(name) == before


def test_a_session_owns_by_both_of_its_ids(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make(session="of-claude")
    both = {"session": "of-cs-init", "CLAUDE_CODE_SESSION_ID": "of-claude"}
    assert cs("verify", "--check", **both).status == 2
    assert cs("promise", "--add-ac", name, "more", **both).status == 0
    alone = cs("promise", "--mine", "--json", session=None, CLAUDE_CODE_SESSION_ID="of-claude")
    assert [each["id"] for each in alone.json()] == [name]


def test_only_a_pending_promise_can_be_started(
    cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    again = cs("promise", "--start", make())
    assert (again.status, "is in_progress" in again.err) == (1, True)


def test_a_released_promise_is_adopted_once(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make()
    refused = cs("promise", "--adopt", name, session="s-2")
    assert (refused.status, "s-1 owns it" in refused.err) == (1, True)
    cs("promise", "--release", name)
    assert project.promise(name)["ownership"]["owned_by"] is None
    assert cs("promise", "--adopt", name, session="s-2").status == 0
    assert cs("promise", "--adopt", name, session="s-3").status == 1
    assert project.promise(name)["ownership"]["owned_by"] == "s-2"
    assert project.moves(name)[-2:] == [("owner", "s-1", None), ("owner", None, "s-2")]


@pytest.fixture
def claude() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a session's Claude Code."""
    wait = [sys.executable, "-I", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(wait, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_killed_session_leaves_an_orphan_that_another_adopts(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], claude: Any
) -> None:
    name = make(CLAUDE_PID=str(claude.pid))
    assert project.promise(name)["ownership"]["process"]["pid"] == claude.pid
    assert cs("status", "--orphans", "--json").json()["promises"] == []
    assert cs("promise", "--adopt", name, session="s-2").status == 1
    claude.send_signal(posix_signals.SIGKILL)
    claude.wait(30)
    assert cs("status", "--json").json()["orphans"] == [name]
    assert "gone" in cs("promise", "--list").out
    assert cs("promise", "--adopt", name, session="s-2").status == 0
    assert "process" not in project.promise(name)["ownership"]
    assert cs("status", "--orphans", "--json").json()["orphans"] == []


def test_a_resumed_session_keeps_its_promise(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], claude: Any
) -> None:
    name = make(CLAUDE_PID=str(claude.pid))
    claude.kill()
    claude.wait(30)
    hooks = project.state / "hooks"
    hooks.mkdir()
    (hooks / "s-1.json").write_text(json.dumps({"claude_pid": os.getpid()}))
    assert cs("promise", "--adopt", name, session="s-2").status == 1
    (hooks / "s-1.json").write_text("{")
    assert cs("promise", "--adopt", name, session="s-2").status == 1
    (hooks / "s-1.json").write_text('{"claude_pid": 0}')
    cs("promise", "--add-ac", name, "more", CLAUDE_PID=str(os.getpid()))
    assert project.promise(name)["ownership"]["process"]["pid"] == os.getpid()
    assert cs("promise", "--adopt", name, session="s-2").status == 1


@pytest.mark.parametrize("pid", ["", "x", "-1", "99999999999999", "١٢"])
def test_a_session_without_a_known_process_is_never_an_orphan(
    pid: str, project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make(CLAUDE_PID=pid)
    assert "process" not in project.promise(name)["ownership"]
    assert cs("promise", "--adopt", name, session="s-2").status == 1


@pytest.mark.parametrize("record", [{}, {"pid": "1"}, [], "x", {"pid": 1, "start": "", "boot": ""}])
def test_a_process_record_that_proves_nothing_makes_no_orphan(
    record: Any, project: Any, cs: Callable[..., Any], original: dict[str, Any]
) -> None:
    original["ownership"]["process"] = record
    name = project.put(original)
    assert cs("promise", "--adopt", name).status == 1


def test_releasing_a_session_is_on_the_record_and_can_be_undone(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    mine, other = make(), make(session="s-2")
    said = cs("promise", "--release-session", "--reason", "wrong session", "--json").json()
    assert said["promises"] == [mine]
    record = json.loads((project.state / "hooks" / "s-1.released.json").read_text())
    assert (record["reason"], record["by"]) == ("wrong session", "s-1")
    assert set(record) == {"at", "reason", "by"}
    assert project.moves(mine)[-1] == ("session", "held", "released")
    assert project.audit(mine)[-1]["reason"] == "wrong session"
    assert ("session", "held", "released") not in project.moves(other)
    assert cs("status", "--json").json()["released"] == ["s-1"]
    assert "RELEASED: s-1" in cs("status", session="s-2").out
    assert cs("promise", "--hold-session").status == 0
    assert not (project.state / "hooks" / "s-1.released.json").exists()
    assert project.moves(mine)[-1] == ("session", "released", "held")
    assert cs("promise", "--hold-session").status == 1


def test_a_person_may_release_a_session_by_its_id(project: Any, cs: Callable[..., Any]) -> None:
    words = ("--release-session", "--session", "s-9")
    assert cs("promise", *words, session=None, USER="ada").status == 0
    record = json.loads((project.state / "hooks" / "s-9.released.json").read_text())
    assert record["by"] == "user ada"
    assert cs("promise", "--release-session", session=None).status == 1
    assert cs("promise", "--release-session", "--session", "../x").status == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing was asked for"),
        (("--list", "--mine"), "at once"),
        (("--mete", "x"), "did you mean --meet?"),
        (("stray",), "unexpected word"),
        (("--create",), "--create needs a word after it"),
        (("--create", "T"), "at least one --ac"),
        (("--create", "  ", "--ac", "x"), "needs a title"),
        (("--create", "T", "--ac", " "), "criterion is empty"),
        (("--add-ac", "{}"), "2 words"),
        (("--add-ac", "{}", ""), "criterion's text"),
        (("--meet", "{}", "--evidence", "x"), "needs --ac-id"),
        (("--meet", "{}", "--ac-id", "AC-1"), "needs --evidence"),
        (("--meet", "{}", "--ac-id", "AC-1", "--evidence", " \n"), "needs --evidence"),
        (("--meet", "{}", "--ac-id", "AC-9", "--evidence", "x"), "AC-1: first; AC-2: second"),
        (("--meet", "{}", "--ac-id", "AC-1", "--evidence", "x", "--type", "hope"), "file, command"),
        (
            ("--meet", "{}", "--ac-id", "AC-1", "--evidence", "x", "--timeout", "nan"),
            "number of seconds",
        ),
        (("--show", "promise-00000000"), "no promise"),
        (("--show", "../../x"), "cannot be the id"),
        (("--show", ""), "cannot be the id"),
        (("--start", "{}x"), "did you mean {}?"),
        (("--create", "T\udcff", "--ac", "x"), "not UTF-8"),
    ],
)
def test_bad_input_is_refused_in_words_and_changes_nothing(
    words: tuple[str, ...],
    said: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
) -> None:
    name = make(start=False)
    before = {path: path.read_bytes() for path in project.state.rglob("*") if path.is_file()}
    filled = [word.replace("{}", name) for word in words]
    refused = cs("promise", *filled)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("error: ")
    assert said.replace("{}", name) in refused.err
    assert cs("promise", "--json", *filled).json()["status"] == "error"
    after = {path: path.read_bytes() for path in project.state.rglob("*") if path.is_file()}
    assert after == before


def test_evidence_may_begin_with_a_dash_and_options_with_equals(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    words = (f"--meet={name}", "--ac-id=AC-1", "--evidence", "--json a=b")
    assert cs("promise", *words).status == 0
    assert project.promise(name)["acceptance_criteria"][0]["evidence"] == "--json a=b"


def test_evidence_for_a_met_criterion_takes_the_place_of_the_earlier(
    project: Any, make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one")
    meet(name, "AC-1", "first")
    again = meet(name, "AC-1", "second", "--type", "api")
    assert (again.status, "already met" in again.err) == (0, True)
    criterion = project.promise(name)["acceptance_criteria"][0]
    assert (criterion["evidence"], criterion["evidence_type"]) == ("second", "api")


def test_json_of_every_change_is_the_promise_itself(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    name = make("one", start=False)
    for words in (("--start", name), ("--add-ac", name, "x"), ("--show", name)):
        assert cs("promise", *words, "--json").json() == project.promise(name)
    assert meet(name, "AC-1", "x", "--json").json() == project.promise(name)


@pytest.mark.parametrize("name", ["init", "promise", "verify", "status", "store-validation"])
def test_every_command_explains_itself(name: str, cs: Callable[..., Any]) -> None:
    for flag in ("--help", "-h"):
        said = cs(name, flag, session=None)
        assert (said.status, said.err) == (0, "")
        assert said.out.startswith(f"cs-{name} - ")
    assert cs(name, "--help", "--json").json()["help"]
    assert cs(name, "--surely-not").status == 1


def test_reading_makes_no_folder(project: Any, cs: Callable[..., Any]) -> None:
    for words in (("promise", "--list"), ("status",), ("verify", "--check")):
        assert cs(*words).status == 0
    assert list((project.path / ".claude").iterdir()) == []


def test_nothing_is_promised_without_a_session(project: Any, cs: Callable[..., Any]) -> None:
    assert cs("promise", "--create", "T", "--ac", "x", session=None).status == 1
    assert not project.state.exists()
