"""The real Claude Code against the scripted model: every way in which we use it."""

from __future__ import annotations

import json
import os
import selectors
import signal as posix_signals
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.rehearsal import environment

Start = Callable[[str], Any]
Headless = Callable[..., Any]
DEADLINE_SECONDS = 60


def test_a_scripted_session_runs_commands_writes_and_edits_files_and_ends(
    scripted: Start, headless: Headless, project: Path, tmp_path: Path
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - run: "echo from-the-shell > shell.txt; echo seen-$((40+2))"
            - write: {path: hello.txt, text: "hello\\n"}
            - edit: {path: hello.txt, old: "hello", new: "goodbye"}
            - say: "I am done."
        """
    )
    session = headless(server, "Do the work.")
    assert (session.status, session.json()["result"]) == (0, "I am done.")
    assert (project / "shell.txt").read_text() == "from-the-shell\n"
    assert (project / "hello.txt").read_text() == "goodbye\n"
    asked = server.requests
    assert [each.turn for each in asked] == [0, 1, 2, 3]
    assert {each.session for each in asked} == {session.json()["session_id"]}
    assert asked[0].said == ("Do the work.",)
    assert asked[1].results == ("seen-42",)
    logged = (tmp_path / "requests.jsonl").read_text().splitlines()
    assert [json.loads(line)["turn"] for line in logged] == [0, 1, 2, 3]


def test_several_tool_calls_of_one_answer_are_one_turn(scripted: Start, headless: Headless) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - do: [{say: "Two at once."}, {run: "echo one"}, {run: "echo two"}]
            - say: "Both are back."
        """
    )
    assert headless(server, "go").json()["result"] == "Both are back."
    assert [each.turn for each in server.requests] == [0, 1]
    assert sorted(server.requests[1].results) == ["one", "two"]


def test_a_rate_limit_is_waited_for_and_the_work_goes_on(
    scripted: Start, headless: Headless
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - fail: {status: 429, retry_after: 1}
            - run: "echo worked"
            - fail: {status: 529}
            - say: "I am done."
        """
    )
    assert headless(server, "go").json()["result"] == "I am done."
    asked = [(each.turn, each.status) for each in server.requests]
    assert asked == [(0, 429), (0, 200), (1, 529), (1, 200)]


def test_a_turn_lost_to_errors_is_played_when_the_session_is_resumed(
    scripted: Start, headless: Headless
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - fail: {status: 429, retry_after: 0, times: 1}
            - say: "one"
            - say: "two"
        """
    )
    extra = {"CLAUDE_CODE_MAX_RETRIES": "0"}
    lost = headless(server, "go", extra=extra)
    assert (lost.status, lost.json()["api_error_status"]) == (1, 429)
    resume = ["--resume", lost.json()["session_id"]]
    assert headless(server, "again", *resume).json()["result"] == "one"
    assert headless(server, "more", *resume).json()["result"] == "two"


def test_a_structured_answer_arrives_as_the_schema_says(
    scripted: Start, headless: Headless
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          judge:
            - structured: {verdict: pass, score: 0.9}
        """
    )
    schema = {
        "type": "object",
        "properties": {"verdict": {"type": "string"}, "score": {"type": "number"}},
        "required": ["verdict", "score"],
    }
    session = headless(server, "Judge.", "--json-schema", json.dumps(schema), role="judge")
    assert session.json()["structured_output"] == {"verdict": "pass", "score": 0.9}
    assert [each.role for each in server.requests] == ["judge"]


def test_workers_have_scripts_of_their_own(
    scripted: Start, headless: Headless, project: Path
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - do:
                - tool:
                    name: Agent
                    input: {description: ducks, prompt: Count the ducks.,
                            subagent_type: general-purpose, run_in_background: false}
                - tool:
                    name: Agent
                    input: {description: geese, prompt: Count the geese.,
                            subagent_type: Explore, run_in_background: false}
            - say: "All are counted."
          agent:general-purpose:
            - run: "echo quack > duck.txt"
            - say: "There are three ducks."
          subagent:
            - say: "There are four geese."
        """
    )
    assert headless(server, "go").json()["result"] == "All are counted."
    assert (project / "duck.txt").read_text() == "quack\n"
    workers = [(each.role, each.turn) for each in server.requests if each.agent]
    assert sorted(workers) == [
        ("agent:general-purpose", 0),
        ("agent:general-purpose", 1),
        ("subagent", 0),
    ]
    back = "".join(server.requests[-1].results)
    assert "There are three ducks." in back
    assert "There are four geese." in back


def test_a_role_without_a_script_is_named_where_the_user_sees_it(
    scripted: Start, headless: Headless
) -> None:
    server = scripted("{version: 1, roles: {worker: [{say: hello}]}}")
    session = headless(server, "go", extra={"CLAUDE_CODE_MAX_RETRIES": "0"})
    assert session.status == 1
    assert "no role 'main'; it has worker" in session.json()["result"]


@pytest.mark.parametrize("protected", [True, False])
def test_settings_of_the_project_lead_away_only_without_ours(
    protected: bool, scripted: Start, headless: Headless, project: Path
) -> None:
    server = scripted("{version: 1, roles: {main: [{say: hello}]}}")
    elsewhere = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}}  # nobody listens there
    (project / ".claude").mkdir()
    (project / ".claude" / "settings.json").write_text(json.dumps(elsewhere))
    ours = ["--settings", json.dumps(environment.settings(server.base_url))]
    extra = {"CLAUDE_CODE_MAX_RETRIES": "0"}
    session = headless(server, "go", *(ours if protected else []), extra=extra)
    assert len(server.requests) == (1 if protected else 0)
    assert (session.status == 0) is protected


def test_an_interactive_session_takes_its_first_prompt_and_a_later_one(
    scripted: Start,
    claude_binary: str,
    claude_env: Callable[..., dict[str, str]],
    tmux: Callable[..., str],
    project: Path,
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - write: {path: first.txt, text: "1"}
            - say: "The first is done."
            - say: "The second is done."
        """
    )
    settings = json.dumps(environment.settings(server.base_url))
    command = [claude_binary, "--dangerously-skip-permissions", "--settings", settings, "Begin."]
    env = claude_env(server) | {"TERM": "xterm-256color"}
    tmux(
        "new-session",
        "-d",
        "-s",
        "s",
        "-x",
        "120",
        "-y",
        "40",
        "-c",
        str(project),
        *command,
        env=env,
    )
    seen = server.await_request(lambda each: each.turn == 1, DEADLINE_SECONDS)
    assert seen, tmux("capture-pane", "-p", "-t", "s")
    assert (project / "first.txt").read_text() == "1"
    assert server.requests[0].said == ("Begin.",)
    tmux("set-buffer", "Go on,\nplease.")
    tmux("paste-buffer", "-p", "-d", "-t", "s")
    tmux("send-keys", "-t", "s", "Enter")
    seen = server.await_request(lambda each: each.turn == 2, DEADLINE_SECONDS)
    assert seen, tmux("capture-pane", "-p", "-t", "s")
    assert seen.said == ("Go on,\nplease.",)


def test_a_session_killed_in_a_tool_call_goes_on_with_the_next_turn_when_resumed(
    scripted: Start,
    headless: Headless,
    claude_binary: str,
    claude_env: Callable[..., dict[str, str]],
    project: Path,
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - run: "echo $$ > pid; exec sleep 60"
            - say: "one"
            - say: "two"
        """
    )
    os.mkfifo(project / "pid")
    session = "11111111-2222-4333-8444-555555555555"
    argv = [claude_binary, "-p", "go", "--session-id", session, "--dangerously-skip-permissions"]
    pipe = os.open(project / "pid", os.O_RDONLY | os.O_NONBLOCK)
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(
        argv, cwd=project, env=claude_env(server), stdin=quiet, stdout=quiet, stderr=quiet
    )
    with child, selectors.DefaultSelector() as ready:
        try:
            ready.register(pipe, selectors.EVENT_READ)
            assert ready.select(DEADLINE_SECONDS)
            tool = int(os.read(pipe, 100))
        finally:
            child.kill()
            os.close(pipe)
    os.kill(tool, posix_signals.SIGKILL)  # it outlives its session: see docs/how-to/rehearse.md
    assert headless(server, "again", "--resume", session).json()["result"] == "one"
    assert [each.turn for each in server.requests] == [0, 1]
    assert "interrupted" in server.requests[1].results[0]
