from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from attractor.promise import stop_decision, stop_hook
from attractor.promise.stop_decision import Facts, decide
from signals.owner import Owner

SESSION = "001b9028-8fd6-4169-844b-faf3ce17d4d6"
OTHER = "deadbeef-0000-4000-8000-000000000000"
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
}


def promise(name: str = "promise-1", owner: str | None = SESSION, **changed: Any) -> dict[str, Any]:
    made = {
        "id": name,
        "title": "Log in",
        "summary": "Log in",
        "acceptance_criteria": [criterion(1), criterion(2)],
        "ownership": {"created_by": owner, "owned_by": owner},
        "status": "in_progress",
        "verification": {"verified_at": None, "verified_by": None},
    }
    return made | changed


def criterion(number: int, status: str = "pending", evidence: str | None = None) -> dict[str, Any]:
    name, text = f"AC-{number}", f"criterion {number}"
    return {"id": name, "description": text, "status": status, "evidence": evidence}


# The hook, for which no time goes by: a busy machine must not take it for one that hangs.
UNHURRIED = """
import runpy, sys, time
time.monotonic = lambda: 0.0
runpy.run_path(sys.argv[1], run_name="__main__")
"""
MET = [criterion(1, "met", "shown"), criterion(2, "met", "shown")]


class Project:
    """A project whose Stop hook can be asked, as Claude Code asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / ".claude" / "completion-state"
        self.env = {"PATH": os.environ["PATH"], "CLAUDE_PROJECT_DIR": str(folder), **GIT}

    def keep(self, value: Any, folder: str = "promises", name: str = "") -> Path:
        path = self.state / folder / f"{name or value['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2))
        return path

    def run(self, stdin: bytes, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", UNHURRIED, stop_hook.__file__],
            input=stdin,
            cwd=self.folder,
            env=self.env | env,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    def stop(self, event: dict[str, Any] | None = None, **env: str) -> str:
        """Return the reason why the session is held, or nothing."""
        said = {"session_id": SESSION, "hook_event_name": "Stop", "background_tasks": []}
        out = self.run(json.dumps(said | (event or {})).encode(), **env)
        if not out:
            return ""
        answer = json.loads(out)
        assert set(answer) == {"decision", "reason"}
        assert answer["decision"] == "block"
        return str(answer["reason"])

    def counted(self, session: str = SESSION) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "hooks" / f"{session}.json").read_text())
        return found

    def git(self, *words: str) -> None:
        subprocess.run(
            ["git", "-C", str(self.folder), *words],
            env=self.env,
            check=True,
            capture_output=True,
            timeout=30,
        )

    def with_beads(self, *beads: dict[str, Any]) -> Path:
        self.git("init", "-q")
        path = self.folder / ".beads" / "issues.jsonl"
        path.parent.mkdir()
        path.write_text("".join(json.dumps(each) + "\n" for each in beads))
        self.git("add", ".beads")
        self.git("commit", "-qm", "beads")
        return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def bead(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "title": f"do {name}", "status": "in_progress", "assignee": SESSION} | more


# ---- (a) not ours


def test_a_project_without_promises_is_left_alone(project: Project) -> None:
    assert project.stop() == ""
    assert os.listdir(project.folder) == []


def test_a_session_that_owns_no_promise_is_never_touched(project: Project) -> None:
    project.keep(promise(owner=OTHER))
    project.keep(promise("promise-2", owner=None, title=f"mentions {SESSION}"))
    assert project.stop() == ""
    assert os.listdir(project.state) == ["promises"]


def test_a_subagent_is_let_go(project: Project) -> None:
    project.keep(promise())
    assert project.stop({"agent_id": "a1"}) == ""
    assert project.stop() != ""


def test_another_event_is_let_go(project: Project) -> None:
    project.keep(promise())
    assert project.stop({"hook_event_name": "SubagentStop"}) == ""


def test_the_session_of_the_environment_is_ours_too(project: Project) -> None:
    project.keep(promise(owner="session-1"))
    assert project.stop() == ""
    assert "promise-1" in project.stop(CLAUDE_SESSION_ID="session-1")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 129, "a b"])
def test_a_session_id_that_cannot_be_a_file_name_owns_nothing(name: str, project: Project) -> None:
    project.keep(promise(owner=name))
    assert project.stop({"session_id": name}) == ""
    assert os.listdir(project.state) == ["promises"]


def test_the_project_is_found_upwards_when_claude_code_does_not_name_it(
    project: Project,
) -> None:
    project.keep(promise())
    project.env.pop("CLAUDE_PROJECT_DIR")
    below = project.folder / "src" / "deep"
    below.mkdir(parents=True)
    project.folder = below
    assert "promise-1" in project.stop()


def test_promises_are_found_where_the_commands_put_them_from_below(project: Project) -> None:
    project.keep(promise())
    below = project.folder / "src" / "deep"
    below.mkdir(parents=True)
    assert "promise-1" in project.stop(CLAUDE_PROJECT_DIR=str(below))
    # What a permission dialog writes is not yet a completion state.
    (below / ".claude").mkdir()
    assert "promise-1" in project.stop(CLAUDE_PROJECT_DIR=str(below))


def test_promises_are_not_looked_for_above_the_repository_or_at_home(project: Project) -> None:
    project.keep(promise())
    below = project.folder / "vendor" / "src"
    below.mkdir(parents=True)
    named = {"CLAUDE_PROJECT_DIR": str(below)}
    assert project.stop(**named, HOME=str(project.folder)) == ""
    (below.parent / ".git").mkdir()
    assert project.stop(**named) == ""
    (below.parent / ".git").rmdir()
    assert project.stop(**named) != ""


# ---- (b) released, (c) background tasks


def test_a_released_session_may_stop(project: Project) -> None:
    project.keep(promise())
    assert project.stop() != ""
    project.keep({"at": "now", "reason": "", "by": "x"}, "hooks", f"{SESSION}.released")
    assert project.stop() == ""
    assert project.counted()["allowed"] == "released"


def test_a_running_background_task_lets_it_stop_and_is_noted(project: Project) -> None:
    project.keep(promise())
    tasks = [{"id": "1", "status": "completed"}, {"id": "2", "status": "running"}]
    assert project.stop({"background_tasks": tasks}) == ""
    assert project.counted()["allowed"] == "background tasks that were running: 1"
    assert project.stop({"background_tasks": tasks[:1]}) != ""


# ---- (d) unmet, (e) unverified


def test_an_unmet_criterion_holds_and_the_next_command_is_said(project: Project) -> None:
    project.keep(promise(acceptance_criteria=[MET[0], criterion(2), criterion(3)]))
    reason = project.stop()
    assert 'Promise promise-1, "Log in", has 2 of 3 criteria unmet:' in reason
    assert "  AC-2: criterion 2\n  AC-3: criterion 3\n" in reason
    assert '  cs-promise --meet promise-1 --ac-id AC-2 --evidence "..." --type test' in reason
    assert "--start" not in reason


def test_a_pending_promise_is_to_be_started(project: Project) -> None:
    project.keep(promise(status="pending"))
    assert "  cs-promise --start promise-1\n  cs-promise --meet promise-1" in project.stop()


def test_a_promise_whose_criteria_are_met_is_to_be_verified(project: Project) -> None:
    project.keep(promise(acceptance_criteria=MET))
    reason = project.stop()
    assert "\n  cs-verify --promise promise-1\n" in reason
    assert "cs-store-validation" in reason
    assert "--skip-validation-check" in reason


def test_a_promise_without_criteria_wants_a_proof(project: Project) -> None:
    project.keep(promise(acceptance_criteria=[]))
    assert '  cs-verify --promise promise-1 --proof "..."' in project.stop()


def test_unmet_criteria_come_before_unverified_promises() -> None:
    _, reason = decide(Facts([promise("p-1", acceptance_criteria=MET), promise("p-2")]))
    assert reason.index("p-2") < reason.index("p-1")


@pytest.mark.parametrize("status", ["verified", "cancelled"])
def test_a_closed_promise_holds_nobody(status: str, project: Project) -> None:
    project.keep(promise(status=status))
    assert project.stop() == ""


def test_the_reason_fits_into_what_claude_code_takes() -> None:
    long = [criterion(n) | {"description": "x" * 5000} for n in range(500)]
    held, reason = decide(Facts([promise(f"p-{n}", acceptance_criteria=long) for n in range(50)]))
    assert held
    assert len(reason) < 9_000
    assert "  and 480 more\n" in reason


# ---- damaged files


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f'{{\n  "owner": "{SESSION}",\n  oops', "line 3: "),
        (f'"{SESSION}"', "line 1: TypeError"),
        ("[" * 100_000 + SESSION, "line 1: RecursionError"),
        (json.dumps(promise(status=5)), "its status is 5"),
        (json.dumps(promise(status="done")), 'its status is "done"'),
        (json.dumps(promise("a; rm -rf b")), "not its file's name"),
        (json.dumps(promise("promise-2")), "not its file's name"),
        (json.dumps(promise(verification=[])), "`verification` is not an object"),
        (json.dumps(promise(ownership={"owned_by": [SESSION]})), "`owned_by` is neither"),
        (json.dumps(promise(ownership={"created_by": SESSION})), "KeyError: 'owned_by'"),
        (json.dumps(promise(acceptance_criteria=[{"id": "AC-1"}])), "a criterion has no id, desc"),
        (json.dumps(promise(acceptance_criteria=[criterion(1, "done")])), "status is none"),
        (json.dumps(promise(acceptance_criteria=[criterion(1)] * 2)), "have the same id"),
        (json.dumps(promise(acceptance_criteria=["AC-1"])), "a criterion is not an object"),
        (json.dumps(promise(acceptance_criteria={})), "is not a list"),
    ],
)
def test_a_damaged_promise_of_this_session_is_named_and_left_as_it_is(
    text: str, fault: str, project: Project
) -> None:
    path = project.keep(text, name="promise-1")
    reason = project.stop()
    assert ".claude/completion-state/promises/promise-1.json is damaged" in reason
    assert fault in reason
    assert path.read_text() == text


def test_a_damaged_promise_of_another_is_not_this_sessions_business(project: Project) -> None:
    project.keep("{" + OTHER, name="promise-1")
    assert project.stop() == ""
    project.keep(promise("promise-2"))
    assert "damaged" not in project.stop()


def test_links_fifos_and_folders_are_not_read(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(promise()))
    folder = project.keep(promise("promise-9", owner=OTHER)).parent
    (folder / "link.json").symlink_to(outside)
    os.mkfifo(folder / "fifo.json")
    (folder / "folder.json").mkdir()
    assert project.stop() == ""


# ---- (f) beads


def test_a_session_without_a_promise_may_leave_its_beads_dirty(project: Project) -> None:
    project.with_beads().write_text("{}\n")
    assert project.stop() == ""
    project.keep(promise(owner=OTHER))
    assert project.stop() == ""


def test_dirty_beads_hold_a_session_that_has_kept_its_promise(project: Project) -> None:
    file = project.with_beads()
    project.keep(promise(status="verified"), "history")
    assert project.stop() == ""
    file.write_text("{}\n")
    assert "git add .beads && git commit" in project.stop()
    project.git("commit", "-qam", "beads")
    assert project.stop() == ""


def test_beads_are_asked_only_when_the_promises_are_kept(project: Project, tmp_path: Path) -> None:
    project.with_beads().write_text("{}\n")
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    tool.chmod(0o755)
    project.env["PATH"] = f"{tool.parent}:{os.environ['PATH']}"
    project.keep(promise())
    assert ".beads" not in project.stop()
    assert not (tmp_path / "asked").exists()
    project.keep(promise(status="verified"))
    assert project.stop() == ""
    assert (tmp_path / "asked").exists()


def test_beads_that_this_session_claimed_hold_it(project: Project) -> None:
    project.with_beads(
        bead("b-1"),
        bead("b-2", assignee="worker", status="open"),
        bead("b-3", assignee="somebody"),
        bead("b-4", status="closed"),
        bead("b-5", labels=["state:impl_complete"]),
        bead("b-6", dependencies=[{"depends_on_id": "b-3", "type": "blocks"}]),
        bead("b-7", dependencies=[{"depends_on_id": "b-4", "type": "blocks"}]),
        bead("b-8", dependencies=[{"depends_on_id": "b-3", "type": "related"}]),
        bead("b-9", assignee="ann", claimed_by_session=SESSION),
    )
    project.keep(promise(status="cancelled"), "history")
    reason = project.stop(BD_ACTOR="worker")
    held = [name for name in range(1, 10) if f"  b-{name}: do b-{name}\n" in reason]
    assert held == [1, 2, 7, 8, 9]
    assert "attractor bd close" in reason


def test_a_damaged_line_hides_no_bead(project: Project) -> None:
    file = project.with_beads(bead("b-1"))
    file.write_text("oops\n[]\n" + file.read_text())
    project.git("commit", "-qam", "beads")
    project.keep(promise(status="verified"), "history")
    assert "b-1" in project.stop()


def test_without_git_nothing_is_dirty(project: Project) -> None:
    (project.folder / ".beads").mkdir()
    project.keep(promise(status="verified"), "history")
    assert project.stop() == ""
    assert project.stop(PATH="/nonexistent") == ""


def test_a_git_that_hangs_is_not_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "git"
    late = "import time; time.sleep(5); print(' M .beads/issues.jsonl')"
    tool.write_text(f"#!{sys.executable} -I\n{late}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / ".beads").mkdir()
    monkeypatch.setattr(stop_decision, "GIT_SECONDS", 0.05)
    assert stop_decision.git_says_dirty(str(tmp_path), time.monotonic() + 9) is False


@pytest.mark.parametrize(
    ("kind", "target", "held"),
    [
        ("blocks", "gone", True),
        ("blocks", "tombstone", True),
        ("blocks", "pinned", True),
        ("blocks", "open", False),
        ("blocks", "external:x", False),
        ("waits-for", "gone", True),
    ],
)
def test_only_a_target_that_is_there_and_open_blocks_a_bead(
    kind: str, target: str, held: bool, project: Project
) -> None:
    others = [bead(each, status=each, assignee="") for each in ("tombstone", "pinned", "open")]
    link = {"depends_on_id": target, "type": kind}
    project.with_beads(bead("b-1", dependencies=[link]), *others)
    project.keep(promise(status="verified"), "history")
    assert ("b-1: do" in project.stop()) is held


def beads_elsewhere(project: Project, folder: Path) -> Path:
    project.keep(promise(status="verified"), "history")
    folder.mkdir(parents=True)
    (folder / "issues.jsonl").write_text(json.dumps(bead("b-1")))
    return folder


def test_beads_are_found_where_the_variable_says(project: Project) -> None:
    there = beads_elsewhere(project, project.folder / "other" / "beads")
    assert project.stop() == ""
    assert "b-1" in project.stop(BEADS_DIR=str(there))


def test_beads_are_found_behind_a_redirect(project: Project) -> None:
    beads_elsewhere(project, project.folder / "other" / ".beads")
    (project.folder / ".beads").mkdir()
    (project.folder / ".beads" / "redirect").write_text("other/.beads\n")
    assert "b-1" in project.stop()


def test_beads_are_found_in_a_file_of_another_name(project: Project) -> None:
    there = beads_elsewhere(project, project.folder / ".beads")
    (there / "issues.jsonl").rename(there / "beads.jsonl")
    assert project.stop() == ""
    (there / "metadata.json").write_text('{"jsonl_export": "beads.jsonl"}')
    assert "b-1" in project.stop()
    (there / "metadata.json").write_text('{"jsonl_export": "../beads.jsonl"}')
    assert project.stop() == ""


def test_a_linked_worktree_has_the_beads_of_its_main_checkout(
    project: Project, tmp_path: Path
) -> None:
    main = project.folder = tmp_path / "main"
    main.mkdir()
    project.git("init", "-q")
    project.git("commit", "-q", "--allow-empty", "-m", "first")
    tree = tmp_path / "tree"
    project.git("worktree", "add", "-q", str(tree))
    worktree = Project(tree)
    beads_elsewhere(worktree, main / ".beads")
    assert "b-1" in worktree.stop()


# ---- the count


def test_after_the_last_block_it_lets_go_and_tells_people(project: Project) -> None:
    project.keep(promise())
    reasons = [project.stop(ATTRACTOR_STOP_BLOCKS_MAX="3") for _ in range(5)]
    assert [bool(reason) for reason in reasons] == [True, True, True, False, False]
    assert "(block 3 of at most 3 without new evidence)" in reasons[2]
    told = json.loads((project.state / "escalations" / f"{SESSION}.json").read_text())
    assert told["session"] == SESSION
    assert told["blocks"] == 3
    assert told["promises"] == [{"id": "promise-1", "title": "Log in"}]
    assert told["reason"] == 'Promise promise-1, "Log in", has 2 of 2 criteria unmet'
    assert "cs-promise --meet" in told["owed"]


def test_a_second_escalation_keeps_when_the_first_was(project: Project) -> None:
    project.keep(promise())
    file = project.state / "escalations" / f"{SESSION}.json"
    assert project.stop(ATTRACTOR_STOP_BLOCKS_MAX="0") == ""
    first = json.loads(file.read_text())
    file.write_text(json.dumps(first | {"at": "2026-01-01T00:00:00Z"}))
    for times in (2, 3):
        assert project.stop(ATTRACTOR_STOP_BLOCKS_MAX="0") == ""
        told = json.loads(file.read_text())
        assert (told["times"], told["first_at"]) == (times, "2026-01-01T00:00:00Z")


def test_new_evidence_starts_the_count_anew(project: Project) -> None:
    project.keep(promise())
    assert all(project.stop(ATTRACTOR_STOP_BLOCKS_MAX="2") for _ in range(2))
    project.keep(promise(acceptance_criteria=[MET[0], criterion(2)]))
    assert all(project.stop(ATTRACTOR_STOP_BLOCKS_MAX="2") for _ in range(2))
    assert project.counted()["blocks"] == 2
    assert project.stop(ATTRACTOR_STOP_BLOCKS_MAX="2") == ""


def test_the_same_evidence_again_is_not_new(project: Project) -> None:
    project.keep(promise(acceptance_criteria=[MET[0], criterion(2)]))
    project.stop()
    again = MET[0] | {"met_at": "later"}
    project.keep(promise(acceptance_criteria=[again, criterion(2)]))
    project.stop()
    assert project.counted()["blocks"] == 2


def test_other_changes_are_no_new_evidence(project: Project) -> None:
    checked = MET[0] | {"check": {"kind": "file", "sha256": "a" * 64}}
    project.keep(promise(status="pending", acceptance_criteria=[checked]))
    project.stop()
    project.keep(promise(acceptance_criteria=[checked, criterion(2), criterion(3)]))
    project.stop()
    project.keep(promise("promise-2"))
    project.keep("{" + SESSION, name="promise-3")
    project.stop()
    assert project.counted()["blocks"] == 3
    checked["check"]["sha256"] = "b" * 64
    project.keep(promise(acceptance_criteria=[checked, criterion(2), criterion(3)]))
    project.stop()
    assert project.counted()["blocks"] == 1


def test_beads_that_change_are_no_new_evidence(project: Project) -> None:
    file = project.with_beads(bead("b-1"))
    project.keep(promise(status="verified"), "history")
    project.stop()
    file.write_text(file.read_text() + json.dumps(bead("b-2")) + "\n")
    project.stop()
    assert project.counted()["blocks"] == 2


def test_sessions_are_counted_apart(project: Project) -> None:
    project.keep(promise())
    project.keep(promise("promise-2", owner=OTHER))
    project.stop()
    project.stop()
    project.stop({"session_id": OTHER})
    assert (project.counted()["blocks"], project.counted(OTHER)["blocks"]) == (2, 1)


def test_a_kept_promise_ends_the_count(project: Project) -> None:
    project.keep(promise())
    project.stop()
    project.keep(promise(status="verified"))
    assert project.stop() == ""
    assert project.counted()["blocks"] == 0


@pytest.mark.parametrize(
    ("said", "most"), [("", 20), ("7", 7), ("0", 0), ("-1", 20), ("many", 20), ("9" * 30, 20)]
)
def test_how_many_blocks_can_be_set(said: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stop_hook.posix.environ, b"ATTRACTOR_STOP_BLOCKS_MAX", said.encode())
    assert stop_decision.blocks_max() == most


@pytest.mark.parametrize("text", ["{", "[]", '{"blocks": "x"}'])
def test_a_counter_that_cannot_be_read_starts_anew(text: str, project: Project) -> None:
    project.keep(promise())
    project.keep(text, "hooks", SESSION)
    assert project.stop() != ""
    assert project.counted()["blocks"] == 1


def test_the_counter_says_in_which_process_the_session_lives(project: Project) -> None:
    project.keep(promise())
    project.stop(CLAUDE_PID="4711")
    assert project.counted()["claude_pid"] == 4711


@pytest.mark.skipif(sys.platform != "linux", reason="only there it costs nothing to find out")
def test_the_counter_says_who_that_process_is_as_its_readers_understand_it(
    project: Project,
) -> None:
    project.keep(promise())
    project.stop(CLAUDE_PID=str(os.getpid()))
    assert project.counted()["process"] == Owner.current().as_json()
    gone = subprocess.Popen(["true"])
    gone.wait(timeout=30)
    project.stop(CLAUDE_PID=str(gone.pid))
    assert "process" not in project.counted()


# ---- never wedged


def test_what_cannot_be_counted_is_not_blocked(project: Project) -> None:
    project.keep(promise())
    (project.state / "hooks").write_text("a file where the folder should be")
    assert project.stop() == ""


def test_an_error_of_the_hook_blocks_once_and_then_allows(project: Project) -> None:
    project.keep(promise())
    # A folder in the counter's place: it cannot be replaced, but the error can be put on record.
    (project.state / "hooks" / f"{SESSION}.json").mkdir(parents=True)
    reason = project.stop()
    assert reason.startswith("The stop hook itself failed; the next stop is allowed.\n")
    assert "IsADirectoryError: " in reason.splitlines()[-1]
    assert "stop_decision.py, line " in reason
    assert project.stop() == ""
    assert project.stop() == ""


def test_a_missing_decision_blocks_once_and_then_allows(project: Project, tmp_path: Path) -> None:
    project.keep(promise())
    alone = tmp_path / "stop_hook.py"
    alone.write_bytes(Path(stop_hook.__file__).read_bytes())

    def stop() -> bytes:
        said = json.dumps({"session_id": SESSION, "hook_event_name": "Stop"}).encode()
        command = [sys.executable, "-I", "-S", str(alone)]
        return subprocess.run(
            command, input=said, env=project.env, capture_output=True, timeout=30, check=True
        ).stdout

    assert b"FileNotFoundError" in stop()
    assert stop() == b""


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"session_id": 5}',
        b'{"session_id": "' + b"x" * 300,
        b"[" * 200_000,
    ],
)
def test_bad_input_is_let_go(stdin: bytes, project: Project) -> None:
    project.keep(promise())
    assert project.run(stdin) == ""


def test_an_event_of_more_than_a_mebibyte_holds_as_any_other(project: Project) -> None:
    project.keep(promise())
    long = {"last_assistant_message": "y" * (2 << 20)}
    assert ["promise-1" in project.stop(long) for _ in range(3)] == [True] * 3
    assert project.counted()["blocks"] == 3
    assert not (project.state / "hooks" / f"{SESSION}.failed").exists()


@pytest.mark.parametrize(
    "before",
    [
        {"session_id": SESSION},
        {"session_id": SESSION, "hook_event_name": "SubagentStop"},
        {"session_id": SESSION, "hook_event_name": "Stop", "agent_id": "a1"},
        {"session_id": SESSION, "x": '"hook_event_name":"Stop"'},
        {"hook_event_name": "Stop"},
    ],
)
def test_a_cut_event_that_is_not_certain_to_be_this_sessions_stop_is_let_go(
    before: dict[str, str], project: Project
) -> None:
    project.keep(promise())
    event = {**before, "last_assistant_message": "y" * (2 << 20)}
    assert project.run(json.dumps(event).encode()) == ""
    assert os.listdir(project.state) == ["promises"]


def test_a_session_id_that_is_only_quoted_in_a_message_is_nobodys(project: Project) -> None:
    project.keep(promise(owner=OTHER))
    text = json.dumps({"session_id": OTHER})
    assert project.stop({"last_assistant_message": text}) == ""
    assert os.listdir(project.state) == ["promises"]


def test_input_that_never_ends_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    kept = os.dup(0)
    try:
        os.dup2(read, 0)
        os.write(write, b"half")
        assert stop_hook.read_stdin(stop_hook.time.monotonic() + 0.05) == b"half"
        assert os.get_blocking(0)
    finally:
        os.dup2(kept, 0)
        for fd in (read, write, kept):
            os.close(fd)


def test_when_time_runs_out_what_was_read_decides(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        project.keep(promise(f"promise-{number}"))
    monkeypatch.setitem(stop_hook.posix.environ, b"CLAUDE_PROJECT_DIR", bytes(project.folder))
    stop = stop_hook.Stop()
    times = iter([0.0, 0.0, 99.0])
    stop.deadline = 1.0
    monkeypatch.setattr(stop_hook.time, "monotonic", lambda: next(times))
    names = stop_hook.listed(f"{stop.state}/promises")
    assert list(stop.mentioning([SESSION.encode()], "promises", names)) == names[:2]


def test_no_more_promises_are_read_than_can_be_parsed_in_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(json.dumps(promise("promise-0"), indent=2))
    for number in range(5):
        project.keep(promise(f"promise-{number}"))
    project.keep(promise("promise-00", owner=OTHER))
    monkeypatch.setitem(stop_hook.posix.environ, b"CLAUDE_PROJECT_DIR", bytes(project.folder))
    monkeypatch.setattr(stop_hook, "PARSED_BYTES", 2 * size)
    stop = stop_hook.Stop()
    names = stop_hook.listed(f"{stop.state}/promises")
    found = stop.mentioning([SESSION.encode()], "promises", names)
    assert list(found) == ["promise-0.json", "promise-1.json"]


def test_time_that_ran_out_ends_the_parsing_after_the_first() -> None:
    files = {f"p-{n}.json": json.dumps(promise(f"p-{n}")).encode() for n in range(9)}
    found, _ = stop_decision.owned(files, [SESSION], time.monotonic() - 1)
    assert [each["id"] for each in found] == ["p-0"]


def test_ten_thousand_promises_of_others_do_not_hide_one(project: Project) -> None:
    text = json.dumps(promise("promise-x", owner=OTHER))
    folder = project.keep(promise("promise-zz")).parent
    for number in range(10_000):
        (folder / f"promise-{number:05}.json").write_text(text)
    assert "promise-zz" in project.stop()


# ---- what it costs


def loaded(project: Project, stdin: bytes) -> set[str]:
    """Return the modules that the hook imports."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", stop_hook.__file__],
        input=stdin,
        env=project.env,
        capture_output=True,
        timeout=30,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}


def test_without_a_promise_of_ours_nothing_costly_is_imported(project: Project) -> None:
    event = json.dumps({"session_id": SESSION, "hook_event_name": "Stop"}).encode()
    costly = {"json", "os", "re", "subprocess", "importlib.machinery", "typing", "contextlib"}
    assert not costly & loaded(project, event)
    project.keep(promise(owner=OTHER))
    assert not costly & loaded(project, event)


def test_deciding_without_beads_imports_no_subprocess(project: Project) -> None:
    event = json.dumps({"session_id": SESSION, "hook_event_name": "Stop"}).encode()
    project.keep(promise())
    found = loaded(project, event)
    assert "json" in found
    assert not {"subprocess", "typing", "dataclasses", "hashlib"} & found


def test_the_hook_needs_nothing_of_ours_but_itself() -> None:
    for module in (stop_hook, stop_decision):
        lines = Path(module.__file__).read_text().splitlines()
        ours = [line for line in lines if line.startswith(("from attractor", "from signals"))]
        assert all(line.startswith("from attractor.promise.stop_hook ") for line in ours)
