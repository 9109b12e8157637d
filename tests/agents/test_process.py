"""The asking process writes an answer whatever happens, with programs that only pretend."""

from __future__ import annotations

import json
import os
import select
import signal as posix_signals
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import answer as answers
from attractor.agents import asking as asker
from attractor.agents.answer import ErrorClass
from attractor.agents.question import Question
from attractor.spawn import Ended

DEADLINE_SECONDS = 60
Run = Callable[..., Any]
Pretend = Callable[[str], Question]
RESULT = {
    "type": "result",
    "is_error": False,
    "terminal_reason": "completed",
    "structured_output": {"verdict": "pass"},
}


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "attractor.agents", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_program_gets_the_question_on_stdin_and_never_as_an_argument(
    pretended: Pretend, asking: Run, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    question = pretended(f'printf "%s\\n" "$@" > {note}.argv; cat > {note}.stdin; exit 3')
    answer = asking(replace(question, prompt="the secret", model="-m", system="--system")).end()
    assert (answer.error_class, answer.exit_code) == (ErrorClass.CRASHED, 3)
    argv = Path(f"{note}.argv").read_text().splitlines()
    assert "the secret" not in argv
    assert {"-p", "--model=-m", "--append-system-prompt=--system"} <= set(argv)
    assert {"--setting-sources=", "--strict-mcp-config", "--no-session-persistence"} <= set(argv)
    assert {"--tools=Read,Grep,Glob", "--allowedTools=Read,Grep,Glob"} <= set(argv)
    said = json.loads(Path(f"{note}.stdin").read_text())
    assert said["message"] == {"role": "user", "content": "the secret"}
    assert said["client_composed"] is True


def test_no_tools_are_none_at_all(pretended: Pretend, asking: Run, tmp_path: Path) -> None:
    question = pretended(f'printf "%s\\n" "$@" > {tmp_path}/argv')
    asking(replace(question, tools=())).end()
    argv = (tmp_path / "argv").read_text().splitlines()
    assert "--tools=" in argv
    assert not [each for each in argv if each.startswith("--allowedTools")]


def test_the_program_has_the_questions_environment_and_folder(
    pretended: Pretend, asking: Run, tmp_path: Path, project: Path
) -> None:
    question = pretended(f"env > {tmp_path}/env; pwd > {tmp_path}/pwd")
    env = {**question.env, "MINE": "1", "CLAUDE_CODE_MAX_RETRIES": "7"}
    asking(replace(question, env=env), os.environ | {"CLAUDECODE": "1", "NOT_MINE": "1"}).end()
    said = (tmp_path / "env").read_text().splitlines()
    assert {"MINE=1", "CLAUDE_CODE_MAX_RETRIES=7", "CLAUDE_CODE_DISABLE_AUTO_MEMORY=1"} <= set(said)
    assert not [each for each in said if each.startswith(("NOT_MINE", "CLAUDECODE"))]
    assert (tmp_path / "pwd").read_text().strip() == os.path.realpath(project)


def test_an_object_that_the_program_did_not_check_is_checked_here(
    printed: Callable[..., Question], asking: Run
) -> None:
    wrong = RESULT | {"structured_output": {"verdict": 7}}
    answer = asking(printed(wrong)).end()
    assert (answer.error_class, answer.structured) == (ErrorClass.SCHEMA, None)
    assert "answer.verdict: 7 is not of type 'string'" in answer.error
    assert asking(printed(RESULT)).end().structured == {"verdict": "pass"}


def test_a_program_that_talks_without_end_is_stopped(pretended: Pretend, asking: Run) -> None:
    answer = asking(pretended("exec yes '{}'")).end()
    assert answer.error_class is ErrorClass.MALFORMED


def test_a_child_of_the_program_that_holds_its_output_does_not_hold_us(
    printed: Callable[..., Question], asking: Run, tmp_path: Path
) -> None:
    question = replace(printed(RESULT), timeout_seconds=3)
    program = Path(question.program)
    script = program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\ntail -f /dev/null &\n")
    program.write_text(script)
    answer = asking(question, until=json.dumps(RESULT)).end()
    assert answer.structured == {"verdict": "pass"}


def test_an_agent_that_nobody_has_is_not_installed(asked: Question, asking: Run) -> None:
    answer = asking(replace(asked, agent="aider")).end()
    assert answer.error_class is ErrorClass.NOT_INSTALLED
    assert "claude, claude-sdk" in answer.error


@pytest.mark.parametrize("agent", ["claude", "claude-sdk"])
def test_a_program_that_is_not_there_is_not_installed(
    agent: str, asked: Question, asking: Run, tmp_path: Path
) -> None:
    program = str(tmp_path / "gone")
    answer = asking(replace(asked, agent=agent, program=program)).end()
    assert answer.error_class is ErrorClass.NOT_INSTALLED


def test_a_program_is_never_taken_from_the_folder_that_is_judged(
    asked: Question, asking: Run, project: Path
) -> None:
    planted = project / "claude"
    planted.write_text("#!/bin/sh\ntouch ran\n")
    planted.chmod(0o755)
    asking(replace(asked, env={"PATH": ":."}, timeout_seconds=5)).end()
    assert not (project / "ran").exists()


def test_a_program_that_cannot_be_started_is_a_crash(pretended: Pretend, asking: Run) -> None:
    question = pretended("")
    Path(question.program).write_text("#!/no/such/interpreter\n")
    answer = asking(question).end()
    assert answer.error_class is ErrorClass.CRASHED
    assert "could not be started" in answer.error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cwd": "/no/such/folder"}, "folder does not exist"),
        ({"schema": {"type": "verdict"}}, "not a JSON schema"),
    ],
)
def test_a_question_that_cannot_be_asked_is_malformed(
    change: dict[str, Any], said: str, pretended: Pretend, asking: Run, tmp_path: Path
) -> None:
    question = pretended(f"touch {tmp_path}/ran")
    answer = asking(replace(question, **change)).end()
    assert answer.error_class is ErrorClass.MALFORMED
    assert said in answer.error
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000])
def test_a_question_that_is_none_is_answered_too(text: str, tmp_path: Path) -> None:
    (tmp_path / "question").write_text(text)
    done = call(tmp_path / "question", tmp_path / "answer")
    assert (done.returncode, done.stderr) == (0, "")
    assert answers.load(tmp_path / "answer").error_class is ErrorClass.MALFORMED


def test_a_question_that_is_missing_is_answered_too(tmp_path: Path) -> None:
    assert call(tmp_path / "gone", tmp_path / "answer").returncode == 0
    assert "cannot be read" in answers.load(tmp_path / "answer").error


def test_an_answer_replaces_the_one_before_and_is_for_its_owner_as_that_was(
    asked: Question, asking: Run, tmp_path: Path
) -> None:
    old = tmp_path / "answer.json"
    old.write_text("old")
    old.chmod(0o600)
    asking(replace(asked, agent="aider")).end()
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_an_answer_that_cannot_be_written_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = call(tmp_path / "gone", tmp_path / "no" / "answer")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_call_says_how_it_is_called() -> None:
    done = call("one")
    assert done.returncode == 2
    assert "QUESTION.json ANSWER.json" in done.stderr


def said(reader: int) -> bytes:
    assert select.select([reader], [], [], DEADLINE_SECONDS)[0]
    return os.read(reader, 100)


@pytest.mark.parametrize("number", [posix_signals.SIGTERM, posix_signals.SIGKILL])
def test_a_program_that_ignores_everything_dies_with_the_asking_process(
    number: int, pretended: Pretend, asking: Run, tmp_path: Path
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run = asking(
            pretended(
                f"exec 9>{fifo}\ntrap '' TERM HUP INT PIPE\n"
                "(tail -f /dev/null) &\necho started >&9\ntail -f /dev/null"
            )
        )
        assert said(reader) == b"started\n"
        run.process.send_signal(number)
        # End of file on the fifo proves that nobody, the grandchild included, holds its other end.
        assert said(reader) == b""
        assert run.process.wait(60) == (143 if number == posix_signals.SIGTERM else -number)
        assert not run.answer.exists()
    finally:
        os.close(reader)


def test_a_bug_of_an_agent_is_a_crash_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, asked: Question, tmp_path: Path
) -> None:
    from attractor.agents import __main__ as process
    from attractor.agents import question as questions
    from attractor.agents import registry

    def ask(*_: object) -> None:
        raise ZeroDivisionError("its own fault")

    monkeypatch.setattr(registry, "find", lambda _: ask)
    (tmp_path / "question").write_bytes(questions.dump(asked))
    assert process.main([str(tmp_path / "question"), str(tmp_path / "answer")]) == 0
    answer = answers.load(tmp_path / "answer")
    assert answer.error_class is ErrorClass.CRASHED
    assert "ZeroDivisionError: its own fault" in answer.error
    assert "in ask" in answer.tail


def test_an_asking_process_that_was_killed_says_by_which_signal(
    asked: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = Ended(-9, b"", "", overflowed=False)
    monkeypatch.setattr(asker, "run_leashed", lambda *_, **__: killed)
    answer = asker.ask(asked, str(tmp_path))
    assert (answer.error_class, answer.exit_code) == (ErrorClass.CRASHED, -9)
