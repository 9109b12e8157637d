"""The real Claude Code is held by our Stop hook until its promise is kept, and no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Start = Callable[[str], Any]
Headless = Callable[..., Any]
COMMANDS = ("cs-init", "cs-promise", "cs-verify", "cs-status", "cs-store-validation")
ID = "$(basename .claude/completion-state/promises/promise-*.json .json)"
CREATE = 'cs-promise --create "Greet" --ac "hello.txt greets" && cs-promise --start ' + ID
MEET = f"cs-promise --meet {ID} --ac-id AC-1 --evidence hello.txt --type file"
VERIFY = f"cs-verify --promise {ID} --skip-validation-check"
DEADLINE_SECONDS = 60.0


@pytest.fixture
def path(tmp_path: Path) -> dict[str, str]:
    """An environment with the cs-* commands of this checkout on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COMMANDS:
        script = folder / name
        words = f'"{sys.executable}" -I -m attractor.promise {name}'
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def installed(project: Path, attractor: Callable[..., Any]) -> Path:
    """The project, after `attractor init`, and committed: new beads would hold a session, too."""
    assert attractor("init", cwd=project).status == 0
    who = ("-c", "user.name=n", "-c", "user.email=n@localhost")
    for words in (("add", "-A"), (*who, "commit", "-q", "-m", "Set up")):
        subprocess.run(["git", "-C", str(project), *words], check=True, timeout=30)
    return project


def state(project: Path) -> Path:
    return project / ".claude" / "completion-state"


def promises(project: Path, folder: str = "promises") -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (state(project) / folder).glob("*.json")]


def counter(project: Path, session: str) -> Path:
    return state(project) / "hooks" / f"{session}.json"


def feedback(server: Any, role: str = "main") -> list[str]:
    """Every time that the Stop hook held the session: what it said."""
    said = [each.stop_hook_feedback for each in server.requests if each.role == role]
    return [each for each in said if each]


def command(project: Path, path: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(
        words,
        cwd=project,
        env={**os.environ, **path, "CLAUDE_PROJECT_DIR": str(project)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def until(condition: Callable[[], bool], said: Callable[[], str]) -> None:
    """Wait for what only another process can bring about."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said()
        threading.Event().wait(0.05)


def test_a_session_is_held_through_twelve_blocks_and_released_by_evidence(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    server = scripted(
        f"""
        version: 1
        roles:
          main:
            - run: '{CREATE}'
            - say: "I am done."
              repeat: 12
            - write: {{path: hello.txt, text: "hello"}}
            - run: '{MEET}'
            - say: "It is shown."
            - run: '{VERIFY}'
            - say: "It is verified."
        """
    )
    session = headless(server, "Greet.", extra=path)
    ended = session.json()
    assert (session.status, ended["subtype"]) == (0, "success"), session
    assert ended["result"] == "It is verified."
    held = feedback(server)
    assert len(held) == 13
    assert all("has 1 of 1 criteria unmet:" in each for each in held[:12])
    assert [f"(block {n} of at most 20 " in each for n, each in enumerate(held, 1)][:12] == [
        True
    ] * 12
    assert "is not verified. Verify it:" in held[12]
    assert promises(installed) == []
    [kept] = promises(installed, "history")
    assert kept["status"] == "verified"
    assert kept["ownership"]["owned_by"] == ended["session_id"]
    assert kept["acceptance_criteria"][0]["evidence"] == "hello.txt"
    audit = (state(installed) / "audit" / f"{kept['id']}.jsonl").read_text().splitlines()
    moves = [(line["what"], line["to"]) for line in map(json.loads, audit)]
    assert moves[-2:] == [("AC-1", "verified"), ("promise", "verified")]
    assert ("AC-1", "met") in moves
    assert json.loads(counter(installed, ended["session_id"]).read_text())["blocks"] <= 13


def test_without_the_cap_that_we_set_claude_code_overrides_the_ninth_block(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    """What the installed settings are for; and that the count above is really ours."""
    file = installed / ".claude" / "settings.json"
    settings = json.loads(file.read_text())
    del settings["env"]
    file.write_text(json.dumps(settings))
    server = scripted(
        f"""
        version: 1
        roles: {{main: [{{run: '{CREATE}'}}, {{say: "I am done.", repeat: 12}}]}}
        """
    )
    headless(server, "Greet.", extra=path)
    assert len(feedback(server)) == 8


def test_another_session_of_the_project_is_never_touched(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    server = scripted(
        f"""
        version: 1
        roles:
          main: [{{run: '{CREATE} && kill -9 $CLAUDE_PID'}}]
          other: [{{say: "Hello."}}]
        """
    )
    assert headless(server, "Greet.", extra=path).status == -9
    before = sorted(state(installed).rglob("*"))
    session = headless(server, "Say hello.", role="other", extra=path)
    assert session.json()["result"] == "Hello."
    assert [each.turn for each in server.requests if each.role == "other"] == [0]
    assert feedback(server, "other") == []
    assert sorted(state(installed).rglob("*")) == before


def test_a_killed_session_leaves_an_orphan_that_holds_the_one_that_adopts_it(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    server = scripted(
        f"""
        version: 1
        roles:
          main: [{{run: '{CREATE} && kill -9 $CLAUDE_PID'}}]
          heir:
            - run: 'cs-promise --adopt {ID}'
            - say: "I am done."
            - write: {{path: hello.txt, text: "hello"}}
            - run: '{MEET}'
            - run: '{VERIFY}'
            - say: "It is kept."
        """
    )
    assert headless(server, "Greet.", extra=path).status == -9
    [orphan] = promises(installed)
    assert orphan["status"] == "in_progress"
    assert orphan["id"] in command(installed, path, "cs-status", "--orphans")
    heir = headless(server, "Look after the orphans.", role="heir", extra=path).json()
    assert heir["result"] == "It is kept."
    assert heir["session_id"] != orphan["ownership"]["owned_by"]
    [held] = feedback(server, "heir")
    assert orphan["id"] in held
    [kept] = promises(installed, "history")
    assert kept["ownership"]["owned_by"] == heir["session_id"]


def test_a_released_session_may_stop_with_its_promise_open(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    server = scripted(
        f"""
        version: 1
        roles:
          main:
            - run: '{CREATE}'
            - say: "I am done."
            - run: 'cs-promise --release-session --reason "the user said so"'
            - say: "I may go."
        """
    )
    session = headless(server, "Greet.", extra=path).json()
    assert session["result"] == "I may go."
    assert len(feedback(server)) == 1
    [left] = promises(installed)
    assert left["status"] == "in_progress"
    audit = (state(installed) / "audit" / f"{left['id']}.jsonl").read_text()
    assert "the user said so" in audit


def test_a_session_that_shows_nothing_new_is_let_go_and_people_are_told(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    server = scripted(
        f"""
        version: 1
        roles: {{main: [{{run: '{CREATE}'}}, {{say: "I am done.", repeat: 9}}]}}
        """
    )
    extra = path | {"ATTRACTOR_STOP_BLOCKS_MAX": "3"}
    session = headless(server, "Greet.", extra=extra).json()
    assert session["subtype"] == "success"
    assert len(feedback(server)) == 3
    file = state(installed) / "escalations" / f"{session['session_id']}.json"
    told = json.loads(file.read_text())
    [left] = promises(installed)
    assert (told["blocks"], told["promises"][0]["id"]) == (3, left["id"])
    shown = command(installed, path, "cs-status")
    assert session["session_id"] in shown.partition("ESCALATIONS")[2]


def test_an_interactive_session_is_held_works_and_comes_to_rest(
    scripted: Start,
    claude_binary: str,
    claude_env: Callable[..., dict[str, str]],
    tmux: Callable[..., str],
    attractor: Callable[..., Any],
    project: Path,
    path: dict[str, str],
) -> None:
    server = scripted(
        f"""
        version: 1
        roles:
          main:
            - run: '{CREATE}'
            - say: "I am done."
              repeat: 10
            - write: {{path: hello.txt, text: "hello"}}
            - run: '{MEET}'
            - run: '{VERIFY}'
            - say: "All is well."
        """
    )
    ours = attractor("hooks", "settings", cwd=project).json()
    ours |= {"skipDangerousModePermissionPrompt": True}
    argv = [claude_binary, "--dangerously-skip-permissions", "--settings", json.dumps(ours)]
    env = claude_env(server, **path) | {"TERM": "xterm-256color"}
    size = ("-x", "120", "-y", "40")
    tmux("new-session", "-d", "-s", "s", *size, "-c", str(project), *argv, "Greet.", env=env)

    def pane() -> str:
        return tmux("capture-pane", "-p", "-t", "s")

    last = server.await_request(lambda each: each.turn == 14, DEADLINE_SECONDS)
    assert last, pane()
    until(lambda: "All is well." in pane() and "esc to interrupt" not in pane(), pane)
    assert server.await_request(lambda each: each.turn > 14, 1.0) is None
    assert len(feedback(server)) == 10
    [kept] = promises(project, "history")
    assert kept["status"] == "verified"
    assert kept["ownership"]["owned_by"] == last.session
    assert not (project / ".claude" / "settings.json").exists()


def test_a_session_started_below_the_project_is_held_to_the_promise_it_makes(
    scripted: Start,
    headless: Headless,
    attractor: Callable[..., Any],
    project: Path,
    path: dict[str, str],
) -> None:
    (project / ".claude").mkdir()
    below = project / "sub"
    below.mkdir()
    ours = json.dumps(attractor("hooks", "settings", cwd=project).json())
    server = scripted(
        """
        version: 1
        roles:
          main:
            - run: 'cs-promise --create "Greet" --ac "hello.txt greets"'
            - say: "I am done."
              repeat: 9
        """
    )
    extra = path | {"ATTRACTOR_STOP_BLOCKS_MAX": "2"}
    headless(server, "Greet.", "--settings", ours, cwd=below, extra=extra)
    assert len(feedback(server)) == 2
    assert len(promises(project)) == 1
    assert not (below / ".claude").exists()


def test_an_agent_that_goes_into_a_nested_repository_promises_in_its_own_project(
    scripted: Start, headless: Headless, installed: Path, path: dict[str, str]
) -> None:
    vendor = installed / "vendor"
    subprocess.run(["git", "init", "-q", str(vendor)], check=True, timeout=30)
    (vendor / ".claude").mkdir()
    server = scripted(
        """
        version: 1
        roles:
          main:
            - run: 'cd vendor && cs-promise --create "Greet" --ac "hello.txt greets"'
            - say: "I am done."
              repeat: 9
        """
    )
    headless(server, "Greet.", extra=path | {"ATTRACTOR_STOP_BLOCKS_MAX": "2"})
    assert len(feedback(server)) == 2
    assert len(promises(installed)) == 1
    assert os.listdir(vendor / ".claude") == []
