"""cs-promise: who may do what, what is refused, and what the record says of it."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.owner import Owner


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
    alive = Owner.current().as_json()
    (hooks / "s-1.json").write_text(json.dumps({"process": alive}))
    assert cs("promise", "--adopt", name, session="s-2").status == 1
    (hooks / "s-1.json").write_text("{")
    assert cs("promise", "--adopt", name, session="s-2").status == 1
    (hooks / "s-1.json").write_text('{"claude_pid": 0}')
    cs("promise", "--add-ac", name, "more", CLAUDE_PID=str(os.getpid()))
    assert project.promise(name)["ownership"]["process"]["pid"] == os.getpid()
    assert cs("promise", "--adopt", name, session="s-2").status == 1


@pytest.mark.parametrize(
    "seen",
    [
        {"claude_pid": os.getpid()},
        {"claude_pid": os.getpid(), "process": {**Owner.current().as_json(), "start": "1"}},
        {"claude_pid": os.getpid(), "process": None},
    ],
)
def test_a_pid_that_is_somebody_elses_by_now_keeps_no_promise(
    seen: Any, project: Any, cs: Callable[..., Any], make: Callable[..., str], claude: Any
) -> None:
    name = make(CLAUDE_PID=str(claude.pid))
    claude.kill()
    claude.wait(30)
    (project.state / "hooks").mkdir()
    (project.state / "hooks" / "s-1.json").write_text(json.dumps(seen))
    assert cs("promise", "--adopt", name, session="s-2").status == 0


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


@pytest.mark.parametrize("dots", ["...", " ... ", "\u2026"])
def test_the_dots_of_a_proposed_command_are_no_evidence(
    dots: str, project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Any
) -> None:
    name = make("one")
    refused = meet(name, "AC-1", dots)
    assert (refused.status, "your own words" in refused.err) == (1, True)
    assert project.promise(name)["acceptance_criteria"][0]["status"] == "pending"
    assert meet(name, "AC-1", "it ended with ...").status == 0
    refused = cs("verify", "--promise", name, "--proof", dots, "--skip-validation-check")
    assert refused.status == 1
    assert project.promise(name)["status"] == "in_progress"


def test_an_option_is_never_taken_for_another_ones_value(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    refused = cs("promise", "--add-ac", name, "--json")
    assert (refused.status, "--add-ac needs 2 words" in refused.err) == (1, True)
    assert len(project.promise(name)["acceptance_criteria"]) == 1
    words = ("promise", "--meet", name, "--ac-id", "AC-1")
    assert cs(*words, "--evidence", "--json").status == 1
    assert cs(*words, "--evidence=--json").status == 0
    assert project.promise(name)["acceptance_criteria"][0]["evidence"] == "--json"


def test_a_project_folder_that_does_not_exist_is_refused_and_not_made(
    project: Any, cs: Callable[..., Any], tmp_path: Path
) -> None:
    gone = tmp_path / "gone" / "away"
    said = cs("promise", "--create", "t", "--ac", "a", CLAUDE_PROJECT_DIR=str(gone))
    assert (said.status, "CLAUDE_PROJECT_DIR is not a folder" in said.err) == (1, True)
    assert not gone.parent.exists()


def test_a_promise_that_could_not_be_read_back_is_not_written(
    project: Any, make: Callable[..., str], meet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make("one")
    monkeypatch.setattr("attractor.promise.store.MAX_BYTES", 4000)
    before = project.audit(name)
    refused = meet(name, "AC-1", "x" * 4000)
    assert (refused.status, "larger than 4000 bytes" in refused.err) == (1, True)
    assert project.audit(name) == before
    assert meet(name, "AC-1", "x").status == 0


def stranded(project: Any, name: str) -> Path:
    """Undo the last step of closing a promise, as a death before it would; return its place."""
    place = project.state / "promises" / f"{name}.json"
    (project.state / "history" / f"{name}.json").rename(place)
    return Path(place)


def test_a_closed_promise_that_had_not_moved_moves_with_the_next_command(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Any
) -> None:
    name = make("one")
    meet(name, "AC-1")
    verify = ("verify", "--promise", name, "--skip-validation-check")
    assert cs(*verify).status == 0
    record = project.promise(name, "history")
    for words, status, said in (
        (verify, 0, "Was verified already"),
        (("promise", "--cancel", name), 1, "already verified"),
        (("promise", "--adopt", name), 1, "already verified"),
        (("promise", "--create", "other", "--ac", "x"), 0, "Created"),
    ):
        place = stranded(project, name)
        answer = cs(*words)
        assert (answer.status, said in answer.out + answer.err) == (status, True), answer
        assert not place.exists()
        assert project.promise(name, "history") == record
    assert cs(*verify).status == 1


def test_a_cancelled_promise_that_had_not_moved_is_cancelled_once(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    assert cs("promise", "--cancel", name).status == 0
    place, before = stranded(project, name), project.audit(name)
    answer = cs("promise", "--cancel", name)
    assert (answer.status, "Was cancelled already" in answer.out) == (0, True)
    assert not place.exists()
    assert project.audit(name) == before


def test_drafts_that_the_dead_left_are_swept_by_the_next_command(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    folder = project.state / "promises"
    (project.state / "hooks").mkdir()
    (folder / f".{name}.json.0123abcd").write_text("{")
    (project.state / "hooks" / ".s-1.released.json.0123abcd").write_text("{")
    (folder / ".notes").write_text("mine")
    assert cs("promise", "--add-ac", name, "two").status == 0
    assert sorted(os.listdir(folder)) == [".notes", f"{name}.json"]
    assert os.listdir(project.state / "hooks") == []


def escalated(project: Any, session: str, *promises: str) -> Path:
    """Write what the stop hook writes when it gives up."""
    folder = project.state / "escalations"
    folder.mkdir(exist_ok=True)
    path = Path(folder / f"{session}.json")
    listed = [{"id": each, "title": "t"} for each in promises]
    path.write_text(json.dumps({"session": session, "blocks": 20, "promises": listed}))
    return path


def test_an_escalation_goes_when_the_last_of_its_promises_is_closed(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    first, second, other = make("one"), make("one"), make("one")
    # Under the id that Claude Code gave, which need not be the one that owns the promises.
    path = escalated(project, "claude-1", first, second)
    stays = escalated(project, "claude-2", other)
    assert cs("promise", "--cancel", first).status == 0
    assert path.exists()
    assert cs("promise", "--cancel", second).status == 0
    assert (path.exists(), stays.exists()) == (False, True)
    assert project.moves(first)[-1] == ("escalation", "claude-1", None)
    assert project.audit(second)[-1]["session"] == "s-1"
    escalated(project, "claude-1", first)  # as a death before the removal leaves it
    assert cs("promise", "--add-ac", other, "two").status == 0
    assert not path.exists()


def test_an_escalation_goes_when_its_session_is_released(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name, path = make("one"), escalated(project, "s-1")
    assert cs("promise", "--add-ac", name, "two").status == 0
    assert path.exists()
    assert cs("promise", "--release-session").status == 0
    assert not path.exists()
