"""The real Codex, Gemini and OpenCode, asked through their adapters, answer from a script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import codex, gemini, opencode
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.question import Question
from attractor.rehearsal.environment import agent_environment
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.server import ScriptedServer
from signals.clock import SystemClock

Start = Callable[[str], ScriptedServer]
Ask = Callable[..., Answer]
ADAPTERS: dict[str, Callable[..., Answer]] = {
    "codex": codex.ask,
    "gemini": gemini.ask,
    "opencode": opencode.ask,
}
AGENTS = sorted(ADAPTERS)
ASKER = Asker("judge", "run/1", "nöde 1", 2)
DEADLINE_SECONDS = 100.0
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


def script(*turns: str) -> str:
    return f"{{version: 1, roles: {{judge: [{', '.join(turns)}]}}}}"


def program_of(agent: str) -> str:
    """Where `./dev` has put it, or the one on PATH."""
    ours = os.path.join(sys.prefix, "agents", "node_modules", ".bin")
    found = shutil.which(agent, path=os.pathsep.join([ours, os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{agent} is not installed: ./dev test installs it where npm is")
    return found


@pytest.fixture
def ask(tmp_path: Path, project: Path) -> Ask:
    """`ask(agent, server)`: one question, from a home of its own."""

    def call(agent: str, server: ScriptedServer, seconds: float = DEADLINE_SECONDS) -> Answer:
        program = program_of(agent)
        home = tmp_path / "home"
        home.mkdir()
        question = Question(
            prompt="Count the ducks, @all of them.",
            schema=SCHEMA,
            cwd=str(project),
            agent=agent,
            env=agent_environment(agent, server.base_url, str(home), asker=ASKER),
            program=program,
            timeout_seconds=seconds,
        )
        return ADAPTERS[agent](question, SystemClock())

    return call


def tree(folder: Path) -> dict[str, bytes | None]:
    found = sorted(folder.rglob("*"))
    return {str(each): each.read_bytes() if each.is_file() else None for each in found}


def asked(server: ScriptedServer) -> list[Any]:
    """The requests of the conversation, without errands."""
    return [each for each in server.requests if each.tools]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_question_is_answered_from_the_script_and_nothing_is_changed(
    agent: str, scripted: Start, ask: Ask, project: Path
) -> None:
    (project / "ducks.txt").write_text("three\n")
    before = tree(project)
    figures = "{input_tokens: 100, output_tokens: 20, cache_read_input_tokens: 7}"
    server = scripted(script(f"{{structured: {{verdict: pass}}, usage: {figures}}}", "say: never"))
    answer = ask(agent, server)
    assert (answer.error, answer.structured) == ("", {"verdict": "pass"})
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (100, 20, 7)
    assert usage.requests == 1
    (request,) = asked(server)
    assert Asker(request.role, request.run, request.node, request.attempt) == ASKER
    assert any("Count the ducks" in said for said in request.said)
    assert tree(project) == before


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_reads_before_it_answers(
    agent: str, scripted: Start, ask: Ask, project: Path
) -> None:
    (project / "ducks.txt").write_text("three ducks\n")
    read = f"{{tool: {{name: Read, input: {{file_path: '{project}/ducks.txt'}}}}}}"
    answers = ("{structured: {verdict: seen}, when: three ducks}", "structured: {verdict: blind}")
    server = scripted(script(read, *answers))
    answer = ask(agent, server)
    assert (answer.error, answer.structured) == ("", {"verdict": "seen"}), asked(server)
    assert [each.turn for each in asked(server)] == [0, 1]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_answer_that_does_not_fit_is_asked_for_once_more(
    agent: str, scripted: Start, ask: Ask
) -> None:
    server = scripted(script("{say: I cannot., sessions: 1}", "structured: {verdict: pass}"))
    answer = ask(agent, server)
    assert (answer.error, answer.structured) == ("", {"verdict": "pass"})
    assert [each.turn for each in asked(server)] == [0, 0]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_rate_limit_is_one(agent: str, scripted: Start, ask: Ask) -> None:
    server = scripted(script("fail: {status: 429, retry: false, retry_after: 3600, times: 99}"))
    # OpenCode itself waits, without end, and only its log says for what.
    answer = ask(agent, server, 60.0 if agent == "opencode" else DEADLINE_SECONDS)
    assert answer.error_class is ErrorClass.RATE_LIMIT, answer
    assert [each.status for each in asked(server)] == [429]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_refused_login_is_one(agent: str, scripted: Start, ask: Ask) -> None:
    server = scripted(script("fail: {status: 401, times: 99}"))
    answer = ask(agent, server)
    assert answer.error_class is ErrorClass.AUTH, answer
    assert {each.status for each in asked(server)} == {401}


def test_a_codex_session_works_in_several_turns_and_goes_on(
    scripted: Start, project: Path, tmp_path: Path
) -> None:
    turns = (
        "{do: [{say: counting}, {run: 'echo ducks-$((1+2))'}, {run: pwd}]}",
        "{write: {path: 'three ducks.txt', text: \"it's\\n\"}, when: ducks-3}",
        "say: written",
        "say: anew",
    )
    server = scripted(script(*turns))
    program = program_of("codex")
    env = agent_environment("codex", server.base_url, str(tmp_path / "home"), asker=ASKER)

    def run(*words: str) -> str:
        argv = [program, "exec", "--json", "-c", "sandbox_mode='danger-full-access'", *words]
        done = subprocess.run(
            argv,
            cwd=project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        return done.stdout

    assert '"text":"written"' in run("count")
    assert (project / "three ducks.txt").read_text() == "it's\n"
    assert '"text":"anew"' in run("resume", "--last", "again")
    assert [each.turn for each in server.requests] == [0, 1, 2, 3]
    assert len(server.requests[1].results) == 2
    assert len({each.session for each in server.requests}) == 1
