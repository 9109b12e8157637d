"""What `gemini -o json` printed, as an answer: pure.

A result is one JSON object on stdout. An error is one on stderr, among warnings and stack traces,
so the last object there is taken; the exit status says what kind it is where it has its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.event_lines import inner
from attractor.agents.headless import plain, unfinished
from attractor.agents.one_object import last_object
from attractor.agents.refusal import class_of, refused
from attractor.agents.usage import Usage, number
from attractor.spawn import Ended

LOG_IN: Final = "log in: start `gemini` once in a terminal, or set GEMINI_API_KEY"
# What an exit status of its own means, and what to do.
_EXITS: Final[Mapping[int, tuple[ErrorClass, str]]] = {
    41: (ErrorClass.AUTH, f"it is not logged in; {LOG_IN}"),
    42: (ErrorClass.MALFORMED, "it refused the input; shorten or change the prompt"),
    44: (ErrorClass.CRASHED, "its sandbox failed; unset GEMINI_SANDBOX, or repair the sandbox"),
    52: (ErrorClass.CRASHED, "its configuration is broken; correct its settings.json"),
    53: (ErrorClass.SCHEMA, "it used up its turns before it answered; allow it more"),
    54: (ErrorClass.CRASHED, "a tool of it failed; ask again"),
    55: (ErrorClass.CRASHED, "it does not trust the folder; it must know --skip-trust: update it"),
    130: (ErrorClass.CRASHED, "it was cancelled; ask again"),
}


def answer_of(ended: Ended, now: float) -> Answer:
    """Return what a run came to; `now` is seconds since 1970."""
    result = last_object(ended.stdout.decode("utf-8", "replace")) or {}
    problem = last_object(ended.stderr) or {}
    session = str(result.get("session_id") or problem.get("session_id") or "")[:200]
    usage = usage_of(inner(result, "stats", "models"))
    error = inner(problem, "error") or inner(result, "error")
    text = result.get("response")
    if ended.status == 0 and isinstance(text, str) and not inner(result, "error"):
        return plain(text, usage, session)
    return replace(_failure(ended, error, now), session_id=session, usage=usage)


def _failure(ended: Ended, error: Mapping[str, Any], now: float) -> Answer:
    said = str(error.get("message") or "")
    if ended.status is not None and ended.status in _EXITS:
        kind, meaning = _EXITS[ended.status]
        return Answer(error_class=kind, error=f"gemini: {meaning}{said and f' ({said:.300})'}")
    if not said:
        # The object may have been too long to be kept whole.
        words = ended.stderr if class_of(ended.stderr) is not ErrorClass.API else ""
        return refused(words, now, fix=LOG_IN) if words else unfinished(ended, "gemini")
    return refused(said, now, status=error.get("code"), fix=LOG_IN)


def usage_of(models: Mapping[str, Any]) -> Usage:
    """Return what the models of a run used; their `input` leaves out what came from the cache."""
    total = Usage(sessions=1, turns=1)
    for name in models:
        tokens, api = inner(models, name, "tokens"), inner(models, name, "api")
        cached = number(tokens.get("cached"))
        prompt = number(tokens.get("prompt")) or number(tokens.get("input")) + cached
        output = number(tokens.get("candidates")) + number(tokens.get("thoughts"))
        total += Usage(
            requests=number(api.get("totalRequests")),
            input_tokens=max(prompt - cached, 0),
            output_tokens=output,
            cache_read_tokens=cached,
            models={name[:100]: output},
        )
    return total


def login_of(settings: bytes) -> dict[str, Any]:
    """Return what belongs to a login and the choice of a model in the user's settings.json."""
    try:
        value = json.loads(settings)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, Any] = {}
    if auth := inner(value if isinstance(value, dict) else {}, "security", "auth"):
        found["security"] = {"auth": dict(auth)}
    if model := inner(value if isinstance(value, dict) else {}, "model"):
        found["model"] = {"name": model["name"]} if isinstance(model.get("name"), str) else {}
    return found
