"""What Claude Code printed, as an answer: pure, so that every ending can be tried without it.

The stream is read tolerantly: lines that are no JSON objects and events of unknown types are
skipped. A verdict needs all of it: a result event, no error in it, a run that the model completed,
and an object in it (whether that fits the schema is the caller's to check). Without a result, the
last retry that the stream tells of says what the run was waiting for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, final

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.event_lines import objects
from attractor.agents.usage import Usage, money, usage_of_message, usage_of_result
from attractor.spawn import Ended

SYNTHETIC: Final = "<synthetic>"
_TAIL_CHARACTERS: Final = 4_000
_TEXT_CHARACTERS: Final = 200_000
_COMPLETED: Final = (None, "completed")
_RATE_LIMIT: Final = 429
_AUTH: Final = (401, 402, 403)
_AUTH_ERRORS: Final = (
    "account_on_hold",
    "authentication_failed",
    "billing_error",
    "cloud_credential_error",
    "oauth_org_not_allowed",
    "verification_required",
)
_NO_ANSWER: Final = {
    "budget_exhausted": "it used up its budget before it answered",
    "max_turns": "it used up its turns before it answered",
    "structured_output_retry_exhausted": "it gave no answer that fits the schema, several times",
}
_NO_ANSWER_SUBTYPES: Final = {
    "error_max_budget_usd": "budget_exhausted",
    "error_max_structured_output_retries": "structured_output_retry_exhausted",
    "error_max_turns": "max_turns",
}


def answer_of(ended: Ended, timeout_seconds: float, now: float) -> Answer:
    """Return what a run that printed stream-json came to; `now` is seconds since 1970."""
    seen = _Seen()
    for event in objects(b"" if ended.overflowed else ended.stdout):
        seen.add(event)
    made = _ending(ended, seen, timeout_seconds, now)
    return replace(
        made,
        session_id=seen.session_id,
        usage=seen.usage(),
        exit_code=ended.status,
        tail=ended.stderr or ended.stdout[-_TAIL_CHARACTERS:].decode("utf-8", "replace"),
    )


@final
class _Seen:
    """What the events said, as far as it matters."""

    def __init__(self) -> None:
        self.session_id = ""
        self.result: Mapping[str, Any] | None = None
        self.retry: Mapping[str, Any] = {}  # of the request that is not answered yet
        self.error = ""
        self.resets_at: float | None = None
        self._messages: dict[str, Usage] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        if not self.session_id and isinstance(event.get("session_id"), str):
            self.session_id = event["session_id"][:200]
        kind = event.get("type")
        if kind == "result":
            self.result = event
        elif kind == "assistant":
            self._assistant(event)
        elif kind == "system" and event.get("subtype") == "api_retry":
            self.retry = event
        elif kind == "rate_limit_event":
            self._limit(event.get("rate_limit_info"))

    def _assistant(self, event: Mapping[str, Any]) -> None:
        message = event.get("message")
        if not isinstance(message, Mapping):
            return
        if message.get("model") == SYNTHETIC:
            self.error = str(event.get("error"))
            parameters = event.get("api_error_params")
            if isinstance(parameters, Mapping):
                self._limit(parameters.get("rate_limit_info"))
            return
        self.retry, self.error = {}, ""
        self._messages[str(message.get("id"))] = usage_of_message(message)

    def _limit(self, info: object) -> None:
        if isinstance(info, Mapping) and info.get("status") == "rejected":
            self.resets_at = money(info.get("resetsAt")) or self.resets_at

    def usage(self) -> Usage:
        if self.result is not None:
            return replace(usage_of_result(self.result), requests=len(self._messages))
        return sum(self._messages.values(), Usage(sessions=1))


def _ending(ended: Ended, seen: _Seen, timeout_seconds: float, now: float) -> Answer:
    if ended.overflowed:
        return _none(ErrorClass.MALFORMED, "the agent wrote without end, and was stopped")
    if seen.result is not None:
        return _result(seen.result, seen, now)
    if ended.status is None:
        return _late(seen, timeout_seconds, now)
    if ended.status == 0:
        return _none(ErrorClass.MALFORMED, "the agent ended without a result")
    how = f"was killed by signal {-ended.status}" if ended.status < 0 else "failed"
    reason = ended.stderr.splitlines()[-1:] or ["it said nothing"]
    return _none(ErrorClass.CRASHED, f"the agent's program {how}: {reason[0]}")


def _result(result: Mapping[str, Any], seen: _Seen, now: float) -> Answer:
    text = result.get("result")
    text = text[:_TEXT_CHARACTERS] if isinstance(text, str) else ""
    if result.get("is_error") is not False:
        return replace(_error(result, seen, text, now), text=text)
    reason = result.get("terminal_reason")
    if reason not in _COMPLETED:
        error = f"the run was ended before it was complete: {reason!r:.100}"
        return replace(_none(ErrorClass.SCHEMA, error), text=text)
    if result.get("structured_output") is None:
        error = "the agent answered without the object that it was asked for"
        return replace(_none(ErrorClass.SCHEMA, error), text=text)
    structured = result["structured_output"]
    return Answer(error_class=ErrorClass.NONE, structured=structured, text=text)


def _error(result: Mapping[str, Any], seen: _Seen, text: str, now: float) -> Answer:
    subtype = str(result.get("subtype"))
    reason = _NO_ANSWER_SUBTYPES.get(subtype, str(result.get("terminal_reason")))
    if reason in _NO_ANSWER:
        return _none(ErrorClass.SCHEMA, f"no verdict: {_NO_ANSWER[reason]}")
    errors = result.get("errors")
    said = text or "; ".join(map(str, errors if isinstance(errors, list) else [])) or subtype
    kind = _class_of(result.get("api_error_status"), seen.error)
    return _refused(kind, f"the model's API refused: {said:.500}", seen, now)


def _late(seen: _Seen, timeout_seconds: float, now: float) -> Answer:
    """Return why the deadline passed: often the program was waiting to ask the API again."""
    if seen.retry:
        status, name = seen.retry.get("error_status"), str(seen.retry.get("error"))
        error = f"the model's API kept refusing until the deadline: {status} {name:.100}"
        return _refused(_class_of(status, name), error, seen, now)
    return _none(ErrorClass.TIMEOUT, f"no answer within {timeout_seconds:g} seconds")


def _class_of(status: object, name: str) -> ErrorClass:
    if status == _RATE_LIMIT or name == "rate_limit":
        return ErrorClass.RATE_LIMIT
    if status in _AUTH or name in _AUTH_ERRORS:
        return ErrorClass.AUTH
    return ErrorClass.API


def _refused(kind: ErrorClass, error: str, seen: _Seen, now: float) -> Answer:
    retry_at = None
    if kind is ErrorClass.RATE_LIMIT:
        delay = money(seen.retry.get("retry_delay_ms"))
        retry_at = seen.resets_at or (now + delay / 1000 if delay else None)
    return Answer(error_class=kind, error=error, retry_at=retry_at)


def _none(kind: ErrorClass, error: str) -> Answer:
    return Answer(error_class=kind, error=error)
