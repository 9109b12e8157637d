"""Promises on disk: damage is named and left alone, and nobody's change is lost."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import BusyError
from attractor.promise import audit, session
from attractor.promise.files import MAX_BYTES
from attractor.promise.store import Store

DAMAGE = {
    "cut off": (b'{\n  "id": "promise-bad",\n  "sta', ":3:"),
    "empty": (b"", ":1:1"),
    "not UTF-8": (b'{\n"id": "\xff"}', ":2"),
    "a list": (b"[]", ":1"),
    "another's id": (b'{"id": "promise-other", "status": "pending"}', ":1"),
    "deep": (b"[" * 100_000, ":1"),
    "a long number": (b'{"id": ' + b"9" * 5_000 + b"}", ":1"),
    "too large": (b" " * (MAX_BYTES + 1), ""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_its_line_and_left_alone(
    damage: str,
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    meet: Callable[..., Any],
) -> None:
    good = make("one")
    data, line = DAMAGE[damage]
    path = project.state / "promises" / "promise-bad.json"
    path.write_bytes(data)
    place = f"{path}{line}"
    for words in (("promise", "--list"), ("promise", "--mine"), ("status",), ("verify", "--check")):
        said = cs(*words)
        assert (said.status, place in said.err) == (2 if "--check" in words else 0, True), said
        assert good in said.out
    assert place in cs("status", "--json").json()["damaged"][0]["path"]
    for words in (
        ("promise", "--show", "promise-bad"),
        ("promise", "--start", "promise-bad"),
        ("promise", "--cancel", "promise-bad"),
        ("verify", "--promise", "promise-bad"),
    ):
        refused = cs(*words, "--json")
        assert (refused.status, place in refused.err) == (1, True)
        assert refused.json()["code"] == "damage"
    meet(good, "AC-1")
    assert cs("verify", "--promise", good, "--skip-validation-check").status == 0
    assert path.read_bytes() == data


@pytest.mark.parametrize("what", ["folder", "pipe", "dangling link"])
def test_what_is_no_file_holds_nobody_up(
    what: str, project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    good = make("one")
    path = project.state / "promises" / "promise-bad.json"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    said = cs("status")
    assert (said.status, good in said.out) == (0, True)
    assert str(path) in said.err


def test_a_damaged_file_that_mentions_the_session_holds_it(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name = make("one")
    path = project.state / "promises" / f"{name}.json"
    path.write_text(path.read_text()[:-20])
    held = cs("verify", "--check")
    assert (held.status, f"{path}:" in held.out, "repair" in held.out) == (2, True, True)
    assert cs("verify", "--check", session="s-2").status == 0


def test_half_a_surrogate_pair_survives_a_change(
    project: Any, cs: Callable[..., Any], original: dict[str, Any]
) -> None:
    original["title"] = "\ud800"
    owner = original["ownership"]["owned_by"]
    name = project.put(original)
    assert cs("promise", "--add-ac", name, "é", session=owner).status == 0
    assert project.promise(name)["title"] == "\ud800"
    assert cs("promise", "--show", name).status == 0


def test_the_lock_is_waited_for_until_its_deadline_and_no_longer(
    project: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(project.path), clock)
    monkeypatch.setattr("attractor.promise.store.time.sleep", clock.advance)
    fd = os.open(Path(store.folder()) / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    before = clock.monotonic()
    with pytest.raises(BusyError, match="held the lock for 10 seconds"), store.locked():
        pass
    assert 10 <= clock.monotonic() - before < 10.1
    os.close(fd)
    with store.locked():
        pass


def test_a_line_that_was_cut_off_stays_and_spoils_no_other(project: Any, clock: Any) -> None:
    folder = Store(str(project.path), clock).folder("audit")
    path = Path(folder) / "p.jsonl"
    path.write_text('{"what": "AC-1"}\n{"wha')
    audit.append(folder, "p", "s-1", [{"what": "promise", "from": None, "to": "pending"}], clock)
    lines = path.read_text().splitlines()
    assert lines[:2] == ['{"what": "AC-1"}', '{"wha']
    assert json.loads(lines[2])["to"] == "pending"


@pytest.mark.stress
def test_eight_processes_that_meet_criteria_of_one_promise_all_win(
    project: Any, make: Callable[..., str], cs_argv: Callable[..., list[str]]
) -> None:
    name = make(*(f"criterion {number}" for number in range(24)))
    env = {**os.environ, "CLAUDE_SESSION_ID": "s-1"}
    for round_ in range(3):
        children = []
        for number in range(8 * round_ + 1, 8 * round_ + 9):
            words = ("--meet", name, "--ac-id", f"AC-{number}", "--evidence", f"by {number}")
            children.append(subprocess.Popen(cs_argv("promise", *words), env=env, stdout=-3))
        assert [child.wait(60) for child in children] == [0] * 8
    found = project.promise(name)["acceptance_criteria"]
    assert [each["evidence"] for each in found] == [f"by {number}" for number in range(1, 25)]
    moves = project.moves(name)
    assert len(moves) == len(set(moves)) == 1 + 24 + 1 + 24


@pytest.mark.stress
def test_of_eight_sessions_that_adopt_one_orphan_one_wins(
    project: Any,
    cs: Callable[..., Any],
    make: Callable[..., str],
    cs_argv: Callable[..., list[str]],
) -> None:
    name = make("one")
    cs("promise", "--release", name)
    argv = cs_argv("promise", "--adopt", name)
    children = [
        subprocess.Popen(
            argv, env={**os.environ, "CLAUDE_SESSION_ID": f"a-{n}"}, stdout=-3, stderr=-3
        )
        for n in range(8)
    ]
    statuses = [child.wait(60) for child in children]
    assert sorted(statuses) == [0] + [1] * 7
    assert project.promise(name)["ownership"]["owned_by"] == f"a-{statuses.index(0)}"


def test_the_project_is_the_nearest_folder_with_a_claude_folder(
    project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = project.path
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert session.project() == str(here)
    (below / ".git").touch()  # a work tree of its own, as under .claude/worktrees
    assert session.project() == str(below)
    (below / ".claude").mkdir()
    assert session.project() == str(below)
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(tmp_path))
    assert session.project() == str(tmp_path)


def test_the_users_own_claude_folder_is_no_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / ".claude").mkdir()
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(below)
    assert session.project() == str(below)


def test_a_command_works_as_a_process_and_its_reader_may_leave(
    project: Any, cs_process: Callable[..., Any], cs_argv: Callable[..., list[str]]
) -> None:
    assert cs_process("promise", "--create", "T", "--ac", "x").status == 0
    assert cs_process("verify", "--check").status == 2
    argv = " ".join(cs_argv("promise", "--list"))
    script = f"{{ {argv}; echo $? > status; }} | true"
    subprocess.run(["/bin/sh", "-c", script], cwd=project.path, check=True, timeout=60)
    assert (project.path / "status").read_text() == "0\n"


def test_a_script_with_pythonpath_starts_again_isolated(project: Any, tmp_path: Path) -> None:
    import sys

    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("signals", "json"):
        (hostile / f"{name}.py").write_text("import os\nos._exit(66)\n")
    script = tmp_path / "cs-promise"
    script.write_text("import sys\nfrom attractor.promise.entry import cs_promise\ncs_promise()\n")
    done = subprocess.run(
        [sys.executable, str(script), "--list"],
        env={**os.environ, "PYTHONPATH": str(hostile)},
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "No promises found.\n")


def test_a_folder_that_is_gone_or_not_ours_is_refused_in_words(
    project: Any, cs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / ".claude" / "completion-state").touch()
    for words in (("status",), ("promise", "--create", "T", "--ac", "x"), ("init",)):
        refused = cs(*words)
        assert (refused.status, refused.err[:7]) == (1, "error: ")
    gone = project.path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    refused = cs("status", "--json")
    assert (refused.status, "was removed" in refused.json()["message"]) == (1, True)


@pytest.mark.parametrize("odd", [{"status": "done"}, {"ownership": {}}])
def test_a_promise_of_no_known_shape_holds_the_session_that_it_mentions(
    odd: dict[str, Any], project: Any, cs: Callable[..., Any], original: dict[str, Any]
) -> None:
    project.put(original | odd | {"note": "of s-1"})
    assert cs("verify", "--check").status == 2
    assert cs("verify", "--check", session="s-2").status == 0


def test_a_link_in_the_place_of_a_promise_is_not_followed(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], tmp_path: Path
) -> None:
    name = make("one")
    path = project.state / "promises" / f"{name}.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert cs("verify", "--check").status == 0
    said = cs("promise", "--list")
    assert ("No promises found" in said.out, str(path) in said.err) == (True, True)
    assert cs("promise", "--cancel", name).status == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ('"$@" >&-', 0),
        ('"$@" <&- >&- 2>&-', 0),
        ('"$@" >/dev/full', 1),
        ('"$@" --json >/dev/full', 1),
        ('"$@" --json >/dev/full 2>/dev/full', 1),
    ],
)
def test_output_that_nobody_takes_makes_no_traceback(
    line: str, status: int, project: Any, make: Callable[..., str], cs_argv: Callable[..., Any]
) -> None:
    make("one")
    for words in (("promise", "--list"), ("status",)):
        shell = ["/bin/sh", "-c", line, "sh", *cs_argv(*words)]
        done = subprocess.run(
            shell, cwd=project.path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
        assert "Exception ignored" not in done.stderr
