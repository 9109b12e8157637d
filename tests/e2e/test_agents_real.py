"""What the real Claude Code leaves on disk is what is read of it, and it finds a person's login."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import answer as answers
from attractor.agents import question as questions
from attractor.agents.question import Question
from attractor.rehearsal import environment
from runner import transcript
from runner.usage import Usage, usage_of_result

Start = Callable[[str], Any]
Headless = Callable[..., Any]
DEADLINE_SECONDS = 60
SESSION = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def read(tmp_path: Path, project: Path) -> Callable[..., transcript.Reading]:
    """`read(mark)`: what is new in the transcripts of SESSION."""
    config = str(tmp_path / "config")

    def call(mark: Any = None, cwd: Path = project) -> transcript.Reading:
        path = transcript.transcript_path(config, str(cwd), SESSION)
        return transcript.read(config, path, mark or {})

    return call


def test_the_transcripts_of_a_session_and_its_workers_say_what_it_used_and_did(
    scripted: Start, headless: Headless, project: Path, tmp_path: Path, read: Any
) -> None:
    (project / "seen.txt").write_text("seen\n")
    server = scripted(
        """
        version: 1
        roles:
          main:
            - do: [{say: "Two at once."}, {run: "echo one"}, {run: "echo FAILED a.py::red; exit 1"}]
            - tool: {name: Read, input: {file_path: seen.txt}}
            - tool:
                name: Agent
                input: {description: ducks, prompt: Count the ducks.,
                        subagent_type: general-purpose, run_in_background: false}
            - fail: {status: 429, retry_after: 1}
            - say: "All is done, Ümit."
          subagent:
            - write: {path: ducks.txt, text: "3"}
            - say: "Three ducks."
        """
    )
    result = headless(server, "go", "--session-id", SESSION).json()
    reading = read()
    answered = [each for each in server.requests if each.status == 200 and each.turn >= 0]
    used = usage_of_result(result)
    assert reading.added == Usage(
        sessions=1,
        turns=1,
        requests=len([each for each in answered if each.path.startswith("/v1/messages")]),
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cost_usd=used.cost_usd,
        models=used.models,
    )
    assert used.cost_usd == result["total_cost_usd"] > 0
    assert [(each.status, each.kind, each.final) for each in reading.errors] == [
        (429, "rate_limit", False)
    ]
    assert 1 < reading.errors[0].retry_at - reading.errors[0].at < 10
    assert read(reading.mark).added == Usage()
    path = transcript.transcript_path(str(tmp_path / "config"), str(project), SESSION)
    found = transcript.digest(str(tmp_path / "config"), path, 20_000)
    assert [os.path.basename(each) for each in found.files_written] == ["ducks.txt"]
    assert [os.path.basename(each) for each in found.files_read] == ["seen.txt"]
    assert found.commands == ("echo one", "echo FAILED a.py::red; exit 1")
    assert found.failures == ("FAILED a.py::red",)
    assert found.last_message == "All is done, Ümit."


def test_a_session_that_is_resumed_goes_on_where_it_was_read_and_its_cost_adds_up(
    scripted: Start, headless: Headless, read: Any
) -> None:
    server = scripted("{version: 1, roles: {main: [{say: one}, {say: two}]}}")
    one = headless(server, "go", "--session-id", SESSION).json()
    first = read()
    two = headless(server, "more", "--resume", SESSION).json()
    second = read(first.mark)
    assert (first.added.sessions, first.added.turns, first.added.requests) == (1, 1, 1)
    assert (second.added.sessions, second.added.turns, second.added.requests) == (0, 1, 1)
    assert first.added.cost_usd == pytest.approx(one["total_cost_usd"])
    total = first.added + second.added
    assert total.cost_usd == pytest.approx(two["total_cost_usd"])
    assert total.input_tokens == usage_of_result(two).input_tokens


def test_an_error_that_ended_a_turn_is_read_and_counts_as_no_request(
    scripted: Start, headless: Headless, read: Any
) -> None:
    server = scripted("{version: 1, roles: {main: [{fail: {status: 429}}, {say: never}]}}")
    extra = {"CLAUDE_CODE_MAX_RETRIES": "0"}
    assert headless(server, "go", "--session-id", SESSION, extra=extra).status == 1
    reading = read()
    error = reading.errors[0]
    assert (error.status, error.kind, error.final, error.retry_at) == (
        429,
        "rate_limit",
        True,
        None,
    )
    assert "429" in error.text
    assert (reading.added.requests, reading.added.turns, reading.added.models) == (0, 0, {})


@pytest.mark.parametrize("name", ["b.c_d e", "é😀e\u0301", f"{'a' * 120}/{'b' * 120}"])
def test_the_transcript_is_where_it_is_said_to_be(
    name: str, scripted: Start, headless: Headless, project: Path, read: Any
) -> None:
    folder = project / name
    folder.mkdir(parents=True)
    server = scripted("{version: 1, roles: {main: [{say: one}]}}")
    assert headless(server, "go", "--session-id", SESSION, cwd=folder).status == 0
    assert read(cwd=folder).added.requests == 1


def test_a_login_in_the_persons_own_settings_is_found_by_an_agent_that_reads_none(
    scripted: Start, claude_binary: str, project: Path, tmp_path: Path
) -> None:
    server = scripted("{version: 1, roles: {main: [{structured: {verdict: pass}}]}}")
    config = tmp_path / "own"
    environment.seed_config(str(config), str(project))
    hook = {"hooks": [{"type": "command", "command": f"touch {tmp_path}/hook-ran"}]}
    login = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_AUTH_TOKEN": "mine"}
    own = {"env": login, "hooks": {"UserPromptSubmit": [hook], "Stop": [hook]}}
    (config / "settings.json").write_text(json.dumps(own))
    question = Question(
        prompt="Judge.",
        schema={"type": "object", "required": ["verdict"]},
        cwd=str(project),
        program=claude_binary,
        timeout_seconds=DEADLINE_SECONDS,
    )
    (tmp_path / "question").write_bytes(questions.dump(question))
    argv = ["attractor.agents", str(tmp_path / "question"), str(tmp_path / "answer")]
    outer = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(config),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDECODE": "1",
        "CLAUDE_CODE_CHILD_SESSION": "1",
        "CLAUDE_CODE_SESSION_ID": SESSION,
    }
    command = [sys.executable, "-I", "-m", *argv]
    subprocess.run(command, env=outer, check=True, timeout=DEADLINE_SECONDS)
    answer = answers.load(tmp_path / "answer")
    assert (answer.error, answer.structured) == ("", {"verdict": "pass"})
    assert answer.session_id != SESSION
    assert not (tmp_path / "hook-ran").exists()
