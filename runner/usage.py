"""What one line of a Claude Code transcript says about usage and the API's errors: pure.

A message of the model spans several lines that repeat its usage; it is counted once, and a line
that says more than the one before adds the difference. What Claude Code says in the model's name
(`<synthetic>`) is not counted. The format is internal to Claude Code and changes: unknown lines and
keys are skipped, absurd figures count as nothing. Verified with version 2.1.329.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

from attractor.agents.usage import Usage, money, usage_of_message, usage_of_result

__all__ = ["ApiError", "Counted", "Usage", "api_error", "cost_of", "count", "record"]
__all__ += ["usage_of_result"]

SYNTHETIC: Final = "<synthetic>"
_MOST_TEXT: Final = 2_000
_MOST_ID: Final = 200
# Some lines hold a whole prompt of the model; only these types are worth parsing.
_TYPES: Final = (
    b'"type":"assistant"',
    b'"type":"user"',
    b'"type":"system"',
    b'"type":"cost-state"',
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ApiError:
    """An error of the model's API."""

    status: int | None
    """Of HTTP; None where there was no answer."""
    kind: str
    """Claude Code's word for it, such as `rate_limit`."""
    text: str
    at: float
    """Seconds since 1970; 0 where the line does not say."""
    retry_at: float | None
    """When the provider, or a retry that is under way, comes back."""
    final: bool
    """The turn ended with it; otherwise the request is made again."""


class Counted(NamedTuple):
    """The message that was counted last, so that its further lines add only what is new."""

    id: str = ""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0


def record(line: bytes) -> Mapping[str, Any] | None:
    """Return the record on a line; None for one that says nothing here, or is damaged."""
    if not any(each in line for each in _TYPES):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def count(line: Mapping[str, Any], last: Counted) -> tuple[Usage, Counted]:
    """Return what a record adds, and the message that was counted last now."""
    message = message_of(line)
    if line.get("type") != "assistant" or message is None or message.get("model") == SYNTHETIC:
        return Usage(), last
    name = str(message.get("id"))[:_MOST_ID]
    said = usage_of_message(message)
    figures = (
        said.input_tokens,
        said.output_tokens,
        said.cache_read_tokens,
        said.cache_creation_tokens,
    )
    known = last if last.id == name else Counted(name)
    more = Counted(name, *map(max, figures, known[1:]))
    grown = [now - before for now, before in zip(more[1:], known[1:], strict=True)]
    new = last.id != name
    usage = Usage(
        turns=int(new and _ends_turn(line, message)),
        requests=int(new),
        input_tokens=grown[0],
        output_tokens=grown[1],
        cache_read_tokens=grown[2],
        cache_creation_tokens=grown[3],
        models=dict.fromkeys(said.models, grown[1]),
    )
    return usage, more


def _ends_turn(line: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    reason = message.get("stop_reason")
    return isinstance(reason, str) and reason != "tool_use" and line.get("isSidechain") is not True


def cost_of(line: Mapping[str, Any]) -> float | None:
    """Return what the session has cost so far, where a record says it (at a clean exit only)."""
    return money(line.get("totalCostUSD")) if line.get("type") == "cost-state" else None


def message_of(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the message that a record holds."""
    message = line.get("message")
    return message if isinstance(message, Mapping) else None


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    blocks = (
        [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    )
    texts = [each.get("text") for each in blocks if each.get("type") == "text"]
    return [each for each in texts if isinstance(each, str)]


def time_of(line: Mapping[str, Any]) -> float:
    """Return when a record was written, in seconds since 1970; 0 where it does not say."""
    import datetime as dt  # only where a transcript is read

    try:
        return dt.datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def api_error(line: Mapping[str, Any]) -> ApiError | None:
    """Return the API's error that a record tells of."""
    if line.get("type") == "assistant" and line.get("isApiErrorMessage") is True:
        return _final_error(line)
    if line.get("type") == "system" and line.get("subtype") == "api_error":
        return _retried_error(line)
    return None


def _final_error(line: Mapping[str, Any]) -> ApiError:
    parameters = _mapping(line.get("apiErrorParams"))
    return ApiError(
        status=_status(line.get("apiErrorStatus")),
        kind=_word(line.get("error")),
        text="\n".join(texts_of(message_of(line) or {}))[:_MOST_TEXT],
        at=time_of(line),
        retry_at=money(_mapping(parameters.get("rate_limit_info")).get("resetsAt")),
        final=True,
    )


def _retried_error(line: Mapping[str, Any]) -> ApiError:
    error = _mapping(line.get("error"))
    status, at = _status(error.get("status")), time_of(line)
    delay = money(line.get("retryInMs"))
    resets_at = money(_mapping(error.get("rateLimits")).get("resetsAt"))
    return ApiError(
        status=status,
        kind=_KINDS.get(status or 0, "server_error"),
        text=str(error.get("formatted") or error.get("message") or "")[:_MOST_TEXT],
        at=at,
        retry_at=resets_at or (at + delay / 1000 if at and delay is not None else None),
        final=False,
    )


_KINDS: Final = {401: "authentication_failed", 429: "rate_limit", 529: "overloaded"}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _status(value: object) -> int | None:
    return value if type(value) is int and 100 <= value <= 599 else None  # noqa: PLR2004 - of HTTP


def _word(value: object) -> str:
    return value[:_MOST_ID] if isinstance(value, str) else ""
