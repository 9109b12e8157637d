"""The real Claude Code against the scripted model: every way in which we use it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal as posix_signals
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.rehearsal import default, environment, faults
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.server import ScriptedServer

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


def test_what_is_thought_and_used_is_taken_as_the_script_says(
    scripted: Start, headless: Headless
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - {think: "I could run it.", run: "echo ran", usage: {input_tokens: 1000}}
            - {think: "It ran.", say: "Slowly done.", slow: {seconds: 0.02, characters: 2},
               usage: {input_tokens: 7, output_tokens: 9, cache_read_input_tokens: 11}}
        """
    )
    session = headless(server, "go").json()
    assert session["result"] == "Slowly done."
    used = session["usage"]
    assert (used["input_tokens"], used["cache_read_input_tokens"]) == (1007, 11)
    assert server.requests[1].results == ("ran",)


def test_an_answer_that_breaks_off_is_asked_for_again_and_its_tools_run_once(
    scripted: Start, headless: Headless, project: Path
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - cut: {after: 75}
            - do: [{run: "echo one >> ran.txt"}, {run: "echo two >> ran.txt"}]
            - fail: {status: 529, after: 4}
            - say: "I am done."
        """
    )
    assert headless(server, "go").json()["result"] == "I am done."
    asked = [(each.turn, each.stream) for each in server.requests]
    assert asked == [(0, True), (0, True), (1, True), (1, False)]
    assert sorted((project / "ran.txt").read_text().split()) == ["one", "two"]


def test_a_limit_that_is_not_to_be_tried_again_ends_the_turn_at_once(
    scripted: Start, headless: Headless
) -> None:
    server = scripted(
        """
        version: 1
        roles:
          main:
            - fail: {status: 429, retry_after: 2, retry: false, times: 2}
            - say: "I am done."
        """
    )
    for _ in range(2):
        session = headless(server, "go", "--session-id", str(uuid.uuid4()))
        assert (session.status, session.json()["api_error_status"]) == (1, 429)
    assert [each.status for each in server.requests] == [429, 429]


def test_evidence_for_a_promise_is_attached(
    scripted: Start, headless: Headless, project: Path
) -> None:
    (project / ".claude").mkdir()
    cs_promise = f"{sys.executable} -I -m attractor.promise cs-promise"
    server = scripted(
        f"""
        version: 1
        roles:
          main:
            - run: "{cs_promise} --create Older --ac x"
            - run: "{cs_promise} --create Newer --ac works --ac fast"
            - promise: {{meet: AC-2, evidence: "it's done", type: test}}
            - say: "I am done."
        """
    )
    assert headless(server, "go").json()["result"] == "I am done."
    folder = project / ".claude" / "completion-state" / "promises"
    promises = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    met = [
        (each["title"], criterion["id"], criterion["evidence"])
        for each in promises
        for criterion in each["acceptance_criteria"]
        if criterion["status"] == "met"
    ]
    assert met == [("Newer", "AC-2", "it's done")]


GRAPH = 'digraph g { impl [files="src/a.py, tests/test_a.py"]; }'
ASKER = Asker("orchestrator", "r1", "impl", 1)


@pytest.fixture
def rehearsed() -> Iterator[Callable[..., Any]]:
    """`rehearsed("crash@impl", ...)`: a server with the scenario of GRAPH and these faults."""
    with contextlib.ExitStack() as running:

        def start(*texts: str) -> Any:
            plain = default.scenario_for(build(parse(GRAPH)))
            made = faults.apply(plain, faults.parse(texts, plain.nodes))
            return running.enter_context(ScriptedServer(made))

        yield start


def commits(project: Path) -> list[str]:
    git = ["git", "-C", str(project), "log", "--format=%s", "--name-only"]
    shown = subprocess.run(git, capture_output=True, text=True, timeout=60, check=True)
    return shown.stdout.split()


def test_a_crash_is_a_death_and_the_resumed_session_does_the_node_s_work(
    rehearsed: Callable[..., Any], headless: Headless, project: Path
) -> None:
    server = rehearsed("crash@impl")
    ours = ["--settings", json.dumps(environment.settings(server.base_url, ASKER))]
    session = "11111111-2222-4333-8444-555555555555"
    dead = headless(server, "Begin.", "--session-id", session, *ours)
    assert dead.status == -posix_signals.SIGKILL
    alive = headless(server, "Go on.", "--resume", session, *ours)
    assert alive.status == 0, alive.err
    assert default.COMPLETE in alive.json()["result"]
    assert commits(project) == ["Rehearse", "impl", "src/a.py", "tests/test_a.py"]
    who = {(each.role, each.run, each.node, each.attempt) for each in server.requests}
    assert who == {("orchestrator", "r1", "impl", 1), ("agent:general-purpose", "r1", "impl", 1)}


def test_a_session_that_crashed_and_begins_anew_does_not_crash_again(
    rehearsed: Callable[..., Any], headless: Headless
) -> None:
    server = rehearsed("crash@impl")
    ours = ["--settings", json.dumps(environment.settings(server.base_url, ASKER))]
    assert headless(server, "Begin.", *ours).status == -posix_signals.SIGKILL
    assert default.COMPLETE in headless(server, "Begin.", *ours).json()["result"]


def test_a_session_that_crashed_does_not_crash_again_when_the_model_was_started_anew(
    headless: Headless, tmp_path: Path
) -> None:
    plain = default.scenario_for(build(parse(GRAPH)))
    made = faults.apply(plain, faults.parse(["crash@impl"], plain.nodes))
    log, port, results = str(tmp_path / "requests.jsonl"), 0, []
    for _ in range(2):
        with ScriptedServer(made, port=port, log=log, again=True) as server:
            ours = ["--settings", json.dumps(environment.settings(server.base_url, ASKER))]
            results.append(headless(server, "Begin.", *ours))
            port = int(server.base_url.rpartition(":")[2])
    assert results[0].status == -posix_signals.SIGKILL
    assert default.COMPLETE in results[1].json()["result"]


def test_a_stuck_session_works_once_it_is_interrupted_and_guided(
    rehearsed: Callable[..., Any],
    claude_binary: str,
    claude_env: Callable[..., dict[str, str]],
    tmux: Callable[..., str],
    project: Path,
) -> None:
    server = rehearsed("stuck@impl")
    settings = json.dumps(environment.settings(server.base_url, ASKER))
    command = [claude_binary, "--dangerously-skip-permissions", "--settings", settings, "Begin."]
    env = claude_env(server) | {"TERM": "xterm-256color"}
    size = ["-x", "120", "-y", "40", "-c", str(project)]
    tmux("new-session", "-d", "-s", "s", *size, *command, env=env)
    assert server.await_request(lambda each: each.status == 0, DEADLINE_SECONDS)
    tmux("send-keys", "-t", "s", "Escape")
    tmux("set-buffer", "Go on, please.")
    tmux("paste-buffer", "-p", "-d", "-t", "s")
    tmux("send-keys", "-t", "s", "Enter")
    # A worker runs in the background here: the claim is the answer after the news of its end.
    seen = server.await_request(lambda each: not each.agent and each.turn == 2, DEADLINE_SECONDS)
    assert seen, tmux("capture-pane", "-p", "-t", "s")
    assert "SYSTEM NOTIFICATION" in "".join(seen.reminders)
    assert commits(project) == ["Rehearse", "impl", "src/a.py", "tests/test_a.py"]
    guided = server.await_request(lambda each: "Go on, please." in "".join(each.said), 0)
    assert guided
    assert guided.turn == 0


def test_a_role_without_a_script_is_named_where_the_user_sees_it(
    scripted: Start, headless: Headless
) -> None:
    server = scripted("{version: 1, roles: {worker: [{say: hello}]}}")
    session = headless(server, "go", extra={"CLAUDE_CODE_MAX_RETRIES": "0"})
    assert session.status == 1
    assert "no role 'main'; it has worker" in session.json()["result"]


@pytest.mark.parametrize("protected", [True, False])
def test_settings_of_the_project_lead_away_only_without_ours(
    protected: bool, scripted: Start, headless: Headless, project: Path, tmp_path: Path
) -> None:
    server = scripted("{version: 1, roles: {main: [{say: hello}]}}")
    nobody = "http://127.0.0.1:9"
    elsewhere = {
        "ANTHROPIC_BASE_URL": nobody,
        "ANTHROPIC_CUSTOM_HEADERS": "x-attractor-role: nobody",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "HTTP_PROXY": nobody,
    }
    helper = f"touch {tmp_path}/asked; echo sk-ant-secret"
    said = {"env": elsewhere, "apiKeyHelper": helper}
    (project / ".claude").mkdir()
    (project / ".claude" / "settings.json").write_text(json.dumps(said))
    ours = ["--settings", json.dumps(environment.settings(server.base_url))]
    extra = {"CLAUDE_CODE_MAX_RETRIES": "0"}
    session = headless(server, "go", *(ours if protected else []), extra=extra)
    assert len(server.requests) == (1 if protected else 0)
    assert (session.status == 0) is protected
    assert not (protected and (tmp_path / "asked").exists())


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
