"""What every agent that is asked through its program promises, with programs that pretend.

The real ones are asked in tests/e2e; here every ending can be had at will.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass, NotInstalledError
from attractor.agents.question import Question
from attractor.errors import InputError
from signals.clock import SystemClock

AGENTS = ["codex", "gemini", "opencode"]
every_agent = pytest.mark.parametrize("agent", AGENTS)
STREAM = {"sessionID": "s-1", "timestamp": 1}
TOKENS = {"input": 10, "output": 5, "reasoning": 0, "cache": {"read": 0, "write": 0}}


def printed(agent: str, text: str) -> str:
    """What the program prints that has answered so."""
    if agent == "gemini":
        models = {"m": {"api": {"totalRequests": 1}, "tokens": {"prompt": 10, "candidates": 5}}}
        said: Any = {"session_id": "s-1", "response": text, "stats": {"models": models}}
        return json.dumps(said, indent=2)
    if agent == "codex":
        usage = {"input_tokens": 10, "output_tokens": 5}
        lines = [
            {"type": "thread.started", "thread_id": "s-1"},
            {"type": "item.completed", "item": {"type": "agent_message", "text": text}},
            {"type": "turn.completed", "usage": usage},
        ]
    else:
        finish = {"reason": "stop", "tokens": TOKENS, "cost": 0.5}
        lines = [
            {"type": "step_start", **STREAM, "part": {}},
            {"type": "text", **STREAM, "part": {"text": text}},
            {"type": "step_finish", **STREAM, "part": finish},
        ]
    return "\n".join(map(json.dumps, lines))


def refusing(agent: str, message: str, status: int) -> str:
    """Lines of shell of a program whose API refused so."""
    if agent == "gemini":
        said = json.dumps({"session_id": "s", "error": {"message": message, "code": status}})
        return f"echo {shlex.quote(said)} >&2\nexit {status % 256}"
    if agent == "codex":
        text = f"unexpected status {status}: {message}"
        said = json.dumps({"type": "turn.failed", "error": {"message": text}})
    else:
        data = {"message": message, "statusCode": status}
        said = json.dumps({"type": "error", **STREAM, "error": {"name": "APIError", "data": data}})
    return f"echo {shlex.quote(said)}\nexit 1"


@dataclass
class Pretended:
    """A question to a program that runs some lines of shell; it keeps what it was given."""

    question: Question
    folder: Path

    def ask(self, **changed: Any) -> Answer:
        module = importlib.import_module(f"attractor.agents.{self.question.agent}")
        answer: Answer = module.ask(replace(self.question, **changed), SystemClock())
        return answer

    def kept(self, name: str) -> str:
        return (self.folder / name).read_text()


Pretend = Callable[[str, str], Pretended]


@pytest.fixture
def pretend(asked: Question, tmp_path: Path) -> Pretend:
    def make(agent: str, shell: str) -> Pretended:
        folder = tmp_path / "kept"
        folder.mkdir()
        program = tmp_path / agent
        program.write_text(
            f"#!/bin/sh\nhere={shlex.quote(str(folder))}\n"
            'n=$(ls "$here" | grep -c stdin); n=$((n + 1))\n'
            'cat > "$here/stdin$n"\nprintf "%s\\n" "$@" > "$here/argv$n"\n'
            f'pwd > "$here/pwd$n"\nenv > "$here/env$n"\n{shell}\n'
        )
        program.chmod(0o755)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
        question = replace(asked, agent=agent, program=str(program), env=env)
        return Pretended(question, folder)

    return make


def saying(agent: str, *texts: str) -> str:
    """Lines of shell of a program that answers so, one after the other when asked again."""
    cases = [
        f"{n}) cat <<'END'\n{printed(agent, text)}\nEND\n;;" for n, text in enumerate(texts, 1)
    ]
    return "case $n in\n" + "\n".join(cases) + "\nesac"


@every_agent
def test_the_object_in_the_text_is_the_verdict(agent: str, pretend: Pretend) -> None:
    program = pretend(agent, saying(agent, 'Well: {"verdict": "pass"}'))
    answer = program.ask()
    assert (answer.ok, answer.structured, answer.error) == (True, {"verdict": "pass"}, "")
    assert (answer.session_id, answer.exit_code) == ("s-1", 0)
    assert (answer.usage.sessions, answer.usage.input_tokens) == (1, 10)
    assert answer.usage.output_tokens == 5


@every_agent
def test_an_answer_that_does_not_fit_is_asked_for_once_more(agent: str, pretend: Pretend) -> None:
    texts = ('{"verdict": 3}', '{"verdict": "fail"}')
    program = pretend(agent, saying(agent, *texts))
    answer = program.ask()
    assert (answer.ok, answer.structured) == (True, {"verdict": "fail"})
    assert (answer.usage.sessions, answer.usage.input_tokens) == (2, 20)
    assert '{"verdict": 3}' in program.kept("stdin2")
    assert "answer.verdict" in program.kept("stdin2")


@every_agent
@pytest.mark.parametrize("text", ["It passed.", '{"verdict": 3}', '{"verdict": "p", "x": 1}'])
def test_after_the_second_time_it_is_no_verdict(agent: str, text: str, pretend: Pretend) -> None:
    program = pretend(agent, saying(agent, text, text, '{"verdict": "never asked"}'))
    answer = program.ask()
    assert (answer.error_class, answer.structured) == (ErrorClass.SCHEMA, None)
    assert answer.text == text
    assert answer.usage.sessions == 2


@every_agent
@pytest.mark.parametrize(
    ("message", "status", "expected"),
    [
        ("Please try again in 30s.", 429, ErrorClass.RATE_LIMIT),
        ("You exceeded your current quota.", 429, ErrorClass.RATE_LIMIT),
        ("Incorrect API key provided.", 401, ErrorClass.AUTH),
        ("Internal error.", 500, ErrorClass.API),
    ],
)
def test_a_refusal_of_the_api_is_told_from_the_others(
    agent: str, message: str, status: int, expected: ErrorClass, pretend: Pretend
) -> None:
    began = time.time()
    answer = pretend(agent, refusing(agent, message, status)).ask()
    assert (answer.error_class, answer.structured) == (expected, None)
    assert message in answer.error
    if "30s" in message:
        assert answer.retry_at is not None
        assert began + 30 <= answer.retry_at <= time.time() + 30
    else:
        assert answer.retry_at is None


@every_agent
def test_silence_is_a_timeout(agent: str, pretend: Pretend) -> None:
    answer = pretend(agent, "exec sleep 600").ask(timeout_seconds=0.5)
    assert (answer.error_class, answer.exit_code) == (ErrorClass.TIMEOUT, None)
    assert "0.5 seconds" in answer.error


@every_agent
def test_both_tries_share_one_deadline(agent: str, pretend: Pretend) -> None:
    shell = "[ $n = 2 ] && exec sleep 600\n" + saying(agent, "no object")
    began = time.monotonic()
    answer = pretend(agent, shell).ask(timeout_seconds=4)
    assert answer.error_class in (ErrorClass.TIMEOUT, ErrorClass.SCHEMA)
    assert time.monotonic() - began < 60


@every_agent
@pytest.mark.parametrize("ending", ["exit 7", "kill -9 $$"])
def test_a_program_that_fails_has_crashed(agent: str, ending: str, pretend: Pretend) -> None:
    answer = pretend(agent, f"echo the reason >&2\n{ending}").ask()
    assert (answer.error_class, answer.structured) == (ErrorClass.CRASHED, None)
    assert "the reason" in answer.error
    assert answer.tail == "the reason"


@every_agent
@pytest.mark.parametrize("said", ["", "nonsense", '{"type": "text", "par', "null\n[]\n{}"])
def test_a_program_that_ends_well_without_a_result_is_malformed(
    agent: str, said: str, pretend: Pretend
) -> None:
    answer = pretend(agent, f"printf %s {shlex.quote(said)}").ask()
    assert (answer.error_class, answer.structured) == (ErrorClass.MALFORMED, None)


@every_agent
def test_a_program_that_writes_without_end_is_stopped(
    agent: str, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.agents.headless.MOST_BYTES", 10_000)
    answer = pretend(agent, "exec yes '{}'").ask()
    assert answer.error_class is ErrorClass.MALFORMED
    assert "without end" in answer.error


@every_agent
def test_a_program_that_is_not_there_is_not_installed(agent: str, pretend: Pretend) -> None:
    program = pretend(agent, "")
    with pytest.raises(NotInstalledError, match="npm install"):
        program.ask(program="", env={"PATH": str(program.folder)})
    with pytest.raises(NotInstalledError, match="cannot be executed"):
        program.ask(program=str(program.folder))


@every_agent
def test_a_question_that_cannot_be_asked_is_refused(agent: str, pretend: Pretend) -> None:
    program = pretend(agent, "")
    with pytest.raises(InputError, match="folder does not exist"):
        program.ask(cwd=str(program.folder / "none"))
    with pytest.raises(InputError, match="not a JSON schema"):
        program.ask(schema={"type": 3})


@every_agent
def test_the_prompt_arrives_whole_and_never_as_an_argument(agent: str, pretend: Pretend) -> None:
    program = pretend(agent, saying(agent, '{"verdict": "pass"}'))
    prompt = "/clear $(id) \"quotes\" 'and' `ticks`\n\nÜber 😀\n!ls " + "0123456789" * 50_000
    assert program.ask(prompt=prompt, system="THE SYSTEM").ok
    assert prompt in program.kept("stdin1")
    assert "THE SYSTEM" in program.kept("stdin1")
    assert '"verdict"' in program.kept("stdin1")
    assert len(program.kept("argv1")) < 2_000


@every_agent
def test_a_given_environment_is_all_there_is(
    agent: str, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "1")
    program = pretend(agent, saying(agent, '{"verdict": "pass"}'))
    assert program.ask(model="a/model").ok
    assert "FROM_OUTSIDE" not in program.kept("env1")
    assert "model=a/model" in program.kept("argv1")


@every_agent
def test_without_one_it_is_the_persons_own_but_for_what_a_session_left(
    agent: str, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OPENAI_API_KEY", "CODEX_SANDBOX", "GEMINI_CLI", "OPENCODE", "ATTRACTOR_NODE"):
        monkeypatch.setenv(key, f"value-of-{key}")
    program = pretend(agent, saying(agent, '{"verdict": "pass"}'))
    assert program.ask(env=None).ok
    seen = program.kept("env1")
    assert "value-of-OPENAI_API_KEY" in seen
    for key in ("CODEX_SANDBOX", "GEMINI_CLI", "OPENCODE", "ATTRACTOR_NODE"):
        assert f"value-of-{key}" not in seen


@every_agent
def test_nothing_is_left_in_the_temporary_folder(
    agent: str, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    assert pretend(agent, saying(agent, '{"verdict": "pass"}')).ask().ok
    assert list(private.iterdir()) == []


READ_ONLY = {
    "codex": ["exec", "--sandbox=read-only", "--ephemeral", "--ignore-rules", "-"],
    "gemini": ["--approval-mode=plan", "--skip-trust", "--output-format=json"],
    "opencode": ["run", "--format=json", "--pure", "--agent=attractor"],
}


@every_agent
def test_it_is_called_so_that_it_may_only_read(agent: str, pretend: Pretend) -> None:
    program = pretend(agent, saying(agent, '{"verdict": "pass"}'))
    assert program.ask().ok
    given = program.kept("argv1").splitlines()
    assert set(READ_ONLY[agent]) <= set(given)
    if agent == "opencode":
        assert "OPENCODE_DISABLE_PROJECT_CONFIG=1" in program.kept("env1")
        assert '"*": "deny"' in program.kept("env1")


def test_codex_gets_the_schema_only_where_its_api_takes_it(pretend: Pretend) -> None:
    keep = 'for each in "$@"; do case $each in --output-schema=*) cat "${each#*=}"\
 > "$here/schema";; esac; done\n'
    program = pretend("codex", keep + saying("codex", '{"verdict": "p"}', '{"verdict": "p"}'))
    strict = {**program.question.schema, "required": ["verdict", "score"]}
    assert program.ask().ok
    assert not (program.folder / "schema").exists()
    program.ask(schema=strict)
    assert json.loads(program.kept("schema")) == strict


def test_gemini_starts_outside_of_the_folder_with_a_home_of_its_own(
    pretend: Pretend, project: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "home" / ".gemini"
    theirs.mkdir(parents=True)
    (theirs / "oauth_creds.json").write_text('{"token": 1}')
    auth = {"security": {"auth": {"selectedType": "oauth-personal"}}}
    (theirs / "settings.json").write_text(json.dumps({**auth, "mcpServers": {"m": {}}}))
    keep = 'cat "$GEMINI_CLI_HOME/.gemini/oauth_creds.json" > "$here/login"\n\
cat "$GEMINI_CLI_HOME/.gemini/settings.json" > "$here/settings"\n'
    program = pretend("gemini", keep + saying("gemini", '{"verdict": "pass"}'))
    assert program.ask(settings={"model": {"temperature": 1}}, prompt="see @file").ok
    assert f"--include-directories={project}" in program.kept("argv1")
    assert str(project) not in program.kept("pwd1")
    assert json.loads(program.kept("login")) == {"token": 1}
    made = json.loads(program.kept("settings"))
    assert made["security"] == auth["security"]
    assert made["model"] == {"maxSessionTurns": 20, "temperature": 1}
    assert "mcpServers" not in made
    assert "see \\@file" in program.kept("stdin1")


def test_gemini_is_told_that_the_key_is_the_login_where_there_is_no_other(
    pretend: Pretend,
) -> None:
    keep = 'cat "$GEMINI_CLI_HOME/.gemini/settings.json" > "$here/settings"\n'
    program = pretend("gemini", keep + saying("gemini", '{"verdict": "pass"}'))
    assert program.ask(env={**(program.question.env or {}), "GEMINI_API_KEY": "k"}).ok
    auth = json.loads(program.kept("settings"))["security"]["auth"]
    assert auth == {"selectedType": "gemini-api-key"}
