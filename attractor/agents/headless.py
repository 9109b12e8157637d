"""An agent's program that is asked once, over pipes, and ends: what all of them need.

The program gets its whole prompt by stdin, which then ends; it runs in a process group of its own
until the question's deadline, and nothing of it is left. An answer that is no object, or not one
that fits the schema, is asked for once more in the same time; after that it is no verdict. What
the program needs as files is in a folder of its own that is removed, but after a SIGKILL.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.agents import one_object
from attractor.agents.answer import Answer, ErrorClass, NotInstalledError
from attractor.agents.question import Question
from attractor.agents.schema import Schema
from attractor.agents.usage import Usage
from attractor.errors import InputError
from attractor.scratch import scratch
from attractor.spawn import Ended, run_leashed
from signals.clock import Clock

MOST_BYTES: Final = 64 * 1024 * 1024
_LEAST_SECONDS: Final = 1.0
# What an outer session of any agent leaves to its children; a login, a home, a choice stays.
_LEFTOVER: Final = re.compile(
    r"ATTRACTOR_.*|CLAUDECODE|CLAUDE_CODE_(ENTRYPOINT|SESSION.*|SSE_PORT)|CODEX_(SANDBOX.*|THREAD.*"
    r"|CI)|GEMINI_CLI|GEMINI_CLI_(IDE_.*|NO_RELAUNCH|SESSION_ID|ACTIVE.*)|OPENCODE"
    r"|OPENCODE_(PID|PROCESS_ROLE|RUN_ID|CLIENT|SERVER_.*|CONFIG_CONTENT|PERMISSION)"
)


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """A question, and all that is needed to ask it."""

    question: Question
    prompt: str
    """Complete: with the system text, and the wish for an object."""
    program: str
    env: Mapping[str, str]
    folder: str
    """Only for this question, and removed afterwards."""


@final
@dataclass(frozen=True, slots=True)
class Call:
    """One start of a program."""

    argv: list[str]
    stdin: bytes
    cwd: str
    env: Mapping[str, str]


@final
@dataclass(frozen=True, slots=True)
class Program:
    """What is particular to one program."""

    name: str
    install: str
    """What to do where it is not installed."""
    call: Callable[[Prepared], Call]
    read: Callable[[Ended, float], Answer]
    """What it printed, as text or as a refusal; gets the time in seconds since 1970."""


def ask_program(question: Question, clock: Clock, program: Program) -> Answer:
    """Ask, wait at most until the question's deadline, and check what comes back."""
    schema = Schema(question.schema)
    if not os.path.isdir(question.cwd):
        fix = "ask in a folder that exists"
        raise InputError("the question's folder does not exist", where=question.cwd, fix=fix)
    env = own_environment(os.environ) if question.env is None else dict(question.env)
    path = find_program(program, question.program, env)
    prompt = one_object.request(question.prompt, question.schema, question.system)
    deadline = clock.monotonic() + question.timeout_seconds
    with scratch("ask") as folder:
        prepared = Prepared(question, prompt, path, env, folder)
        answer = _asked(prepared, program, schema, clock, deadline)
        if answer.error_class is not ErrorClass.SCHEMA or not answer.text:
            return answer
        if deadline - clock.monotonic() < _LEAST_SECONDS:
            return answer
        second = one_object.again(prompt, answer.text, answer.error)
        last = _asked(replace(prepared, prompt=second), program, schema, clock, deadline)
        return replace(last, usage=answer.usage + last.usage)


def _asked(
    prepared: Prepared, program: Program, schema: Schema, clock: Clock, deadline: float
) -> Answer:
    call = program.call(prepared)
    ended = run_leashed(
        call.argv,
        timeout_seconds=max(deadline - clock.monotonic(), 0.001),
        stdin=call.stdin,
        cwd=call.cwd,
        env=call.env,
        max_output_bytes=MOST_BYTES,
    )
    answer = _ending(ended, program, prepared.question.timeout_seconds, clock.wall_ns() / 1e9)
    answer = replace(answer, exit_code=ended.status, tail=ended.stderr or answer.text[-4_000:])
    return _checked(answer, schema) if answer.ok else answer


def _ending(ended: Ended, program: Program, timeout_seconds: float, now: float) -> Answer:
    if ended.overflowed:
        error = "the agent wrote without end, and was stopped"
        return Answer(error_class=ErrorClass.MALFORMED, error=error)
    answer = program.read(ended, now)
    if ended.status is not None:
        return answer
    if not answer.ok and answer.error_class in (ErrorClass.RATE_LIMIT, ErrorClass.AUTH):
        return answer  # it was waiting for the API, and said for what
    error = f"no answer within {timeout_seconds:g} seconds"
    if answer.error_class is ErrorClass.API:
        return replace(answer, error=f"{error}: {answer.error}")
    return replace(answer, error_class=ErrorClass.TIMEOUT, error=error)


def _checked(answer: Answer, schema: Schema) -> Answer:
    value = one_object.last_object(answer.text)
    misfit = "there is no JSON object in it" if value is None else schema.misfit(value)
    if not misfit:
        return replace(answer, structured=value)
    error = f"no answer that fits the schema: {misfit}"
    return replace(answer, error_class=ErrorClass.SCHEMA, error=error)


def find_program(program: Program, named: str, env: Mapping[str, str]) -> str:
    """Return the program's path: the named one, else the one on PATH."""
    if named:
        if os.access(named, os.X_OK) and os.path.isfile(named):
            return named
        fix = "name a program that exists, or none"
        raise NotInstalledError("cannot be executed", where=named, fix=fix)
    found = on_path(program.name, env)
    if found is None:
        raise NotInstalledError(f"{program.name} is not installed", fix=program.install)
    return found


def on_path(name: str, env: Mapping[str, str]) -> str | None:
    """Return where a program is; an entry of PATH that is not absolute does not count."""
    folders = filter(os.path.isabs, env.get("PATH", os.defpath).split(os.pathsep))
    return shutil.which(name, path=os.pathsep.join(folders))


def own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the person's own environment, without what an outer session left there."""
    return {key: value for key, value in environ.items() if not _LEFTOVER.fullmatch(key)}


def unfinished(ended: Ended, name: str) -> Answer:
    """Return the answer for a program that ended without a result and without a refusal."""
    if ended.status is None:
        return Answer(error_class=ErrorClass.TIMEOUT, error="no answer before the deadline")
    if ended.status == 0:
        return Answer(error_class=ErrorClass.MALFORMED, error=f"{name} ended without a result")
    how = f"was killed by signal {-ended.status}" if ended.status < 0 else "failed"
    said = (ended.stderr.splitlines() or ["it said nothing"])[-1]
    return Answer(error_class=ErrorClass.CRASHED, error=f"{name} {how}: {said:.500}")


def plain(text: str, usage: Usage, session: str) -> Answer:
    """Return the answer for a program that ended well; whether an object is in it is not known."""
    return Answer(error_class=ErrorClass.NONE, text=text, usage=usage, session_id=session[:200])


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two settings as one; where both say something, the other's holds."""
    made = dict(one)
    for key, value in other.items():
        there = made.get(key)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        made[key] = merged({**there}, value) if both and there else value
    return made
