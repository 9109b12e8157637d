"""The Claude Code that answers a question: which program, in which environment, with what settings.

Both ways of asking it use the same ones, so that they give the same answers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.agents.answer import Answer, ErrorClass, NotInstalledError
from attractor.agents.claude_events import answer_of
from attractor.agents.person import own_login
from attractor.agents.question import Question
from attractor.agents.schema import Schema
from attractor.errors import InputError
from attractor.spawn import Ended, run_leashed
from signals.clock import Clock

SDK: Final = "claude_agent_sdk"
MOST_BYTES: Final = 64 * 1024 * 1024
_USUAL: Final = {
    # Ten are the default, with waits that outlast most deadlines: the caller knows better when.
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
    "DISABLE_AUTOUPDATER": "1",
}
_ALWAYS: Final = {"CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1"}


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """A question, and all that is needed to ask it."""

    question: Question
    program: str
    env: Mapping[str, str]
    settings: Mapping[str, Any]


# Returns an argv and its stdin; what the program prints is stream-json.
Start = Callable[[Prepared], tuple[list[str], bytes]]


def ask_claude(question: Question, clock: Clock, start: Start) -> Answer:
    """Ask, wait at most until the question's deadline, and check what comes back."""
    schema = Schema(question.schema)
    prepared = _prepared(question)
    argv, stdin = start(prepared)
    ended = run_leashed(
        argv,
        timeout_seconds=question.timeout_seconds,
        stdin=stdin,
        cwd=question.cwd,
        env=prepared.env,
        max_output_bytes=MOST_BYTES,
    )
    return _checked(ended, question, schema, clock)


def _checked(ended: Ended, question: Question, schema: Schema, clock: Clock) -> Answer:
    answer = answer_of(ended, question.timeout_seconds, clock.wall_ns() / 1e9)
    if not answer.ok or not (misfit := schema.misfit(answer.structured)):
        return answer
    error = f"the answer does not fit the schema: {misfit}"
    return replace(answer, error_class=ErrorClass.SCHEMA, error=error, structured=None)


def _prepared(question: Question) -> Prepared:
    if not os.path.isdir(question.cwd):
        fix = "ask in a folder that exists"
        raise InputError("the question's folder does not exist", where=question.cwd, fix=fix)
    own: dict[str, Any] = {}
    env: Mapping[str, str] = question.env or {}
    if question.env is None:
        env, own = own_login(os.environ)
    settings = own | dict(question.settings)
    return Prepared(question, _program(question, env), _USUAL | dict(env) | _ALWAYS, settings)


def _program(question: Question, env: Mapping[str, str]) -> str:
    """Return the program's path: the person's own comes before the one inside the SDK."""
    if question.program:
        if os.access(question.program, os.X_OK) and os.path.isfile(question.program):
            return question.program
        fix = "name a program that exists, or none"
        raise NotInstalledError("cannot be executed", where=question.program, fix=fix)
    folders = filter(os.path.isabs, env.get("PATH", os.defpath).split(os.pathsep))
    found = shutil.which("claude", path=os.pathsep.join(folders))
    if found:
        return found
    if spec := importlib.util.find_spec(SDK):
        bundled = os.path.join(os.path.dirname(spec.origin or ""), "_bundled", "claude")
        if os.access(bundled, os.X_OK):
            return bundled
    fix = "install Claude Code, or `pip install 'attractor[sdk]'`, which carries one"
    raise NotInstalledError("claude is not installed", fix=fix)
