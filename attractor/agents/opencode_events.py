"""What `opencode run --format json` printed, as an answer: pure.

Every line has a type and, but for errors, a part. Tokens and cost are those of one step each, so
they are added up; the text is that of the last step that said something. Unknown types are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, final

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.event_lines import inner, objects
from attractor.agents.headless import plain, unfinished
from attractor.agents.refusal import refused, retry_at
from attractor.agents.usage import Usage, money, number
from attractor.spawn import Ended

LOG_IN: Final = "log in with `opencode providers login`, or set the key of its provider"
NO_MODEL: Final = "there is no such model"
_NO_MODEL: Final = re.compile(r"(?i)ModelNotFound|model.{0,40}not found|no endpoints found")
_LOG: Final = re.compile(r'\berror(?:\.error)?="((?:[^"\\]|\\.){1,500})')


def answer_of(ended: Ended, now: float) -> Answer:
    """Return what a run came to; `now` is seconds since 1970."""
    seen = _Seen()
    for event in objects(ended.stdout):
        seen.add(event)
    if seen.error:
        made = _refusal(seen.error, ended.stderr, now)
    elif seen.text and seen.stopped and ended.status == 0:
        made = plain(seen.text, seen.usage, seen.session)
    elif ended.status is None and (logged := _LOG.findall(ended.stderr)):
        made = refused(logged[-1], now, fix=LOG_IN)  # it was waiting to ask again
    else:
        made = unfinished(ended, "opencode")
    return replace(made, session_id=seen.session, usage=seen.usage)


def says_no_model(answer: Answer) -> bool:
    """Say whether the answer is that the model does not exist."""
    return answer.error_class is ErrorClass.API and NO_MODEL in answer.error


@final
class _Seen:
    """What the events said, as far as it matters."""

    def __init__(self) -> None:
        self.session = ""
        self.text = ""
        self.stopped = False
        self.error: Mapping[str, Any] = {}
        self.usage = Usage(sessions=1, turns=1)
        self._step: list[str] = []

    def add(self, event: Mapping[str, Any]) -> None:
        if not self.session:
            self.session = str(event.get("sessionID") or "")[:200]
        kind, part = event.get("type"), inner(event, "part")
        if kind == "step_start":
            self._step, self.stopped, self.error = [], False, {}
        elif kind == "text":
            self._step.append(str(part.get("text") or ""))
            self.text = "\n".join(self._step)
        elif kind == "step_finish":
            self.stopped = part.get("reason") != "tool-calls"
            self.usage += usage_of(part)
        elif kind == "error":
            self.error = inner(event, "error") or {"name": str(event.get("error"))[:500]}


def usage_of(part: Mapping[str, Any]) -> Usage:
    """Return what one step used; its output leaves out the reasoning, ours includes it."""
    tokens, cache = inner(part, "tokens"), inner(part, "tokens", "cache")
    return Usage(
        requests=1,
        input_tokens=number(tokens.get("input")),
        output_tokens=number(tokens.get("output")) + number(tokens.get("reasoning")),
        cache_read_tokens=number(cache.get("read")),
        cache_creation_tokens=number(cache.get("write")),
        cost_usd=money(part.get("cost")),
    )


def _refusal(error: Mapping[str, Any], log: str, now: float) -> Answer:
    data, name = inner(error, "data"), str(error.get("name") or "")
    said = str(data.get("message") or name)
    if name == "UnknownError" and (logged := _LOG.search(log)):
        said = logged[1]  # the event only says that something went wrong
    if _NO_MODEL.search(said):
        return Answer(error_class=ErrorClass.API, error=f"{NO_MODEL}: {said:.300}")
    if name == "ProviderAuthError":
        error_text = f"the model's API refused: {said:.300}; {LOG_IN}"
        return Answer(error_class=ErrorClass.AUTH, error=error_text)
    if name == "MessageOutputLengthError":
        return Answer(error_class=ErrorClass.SCHEMA, error="the answer was cut off as too long")
    headers = inner(data, "responseHeaders")
    wait = retry_at(f"retry-after: {headers.get('retry-after', '')}", now)
    at = wait or _reset(headers, now)
    return refused(said, now, status=data.get("statusCode"), at=at, fix=LOG_IN)


def _reset(headers: Mapping[str, Any], now: float) -> float | None:
    """Return OpenRouter's own word: milliseconds since 1970."""
    text = str(headers.get("x-ratelimit-reset", ""))
    at = int(text) / 1000 if text.isascii() and text.isdigit() and len(text) < 15 else 0.0  # noqa: PLR2004  # beyond that it is no time
    return at if at > now else None
