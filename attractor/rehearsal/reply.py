"""What the scripted model sends: messages, event streams and errors as the Messages API has them.

Another API's form is made from the same message and the same events. Pure: bytes out of values. The
same request gives the same message, ids and usage figures among it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

from attractor.rehearsal.turn import Cut, Failure, Pace, Text, Thinking, ToolCall, Turn
from signals.clock import iso

NO_ANSWER: Final = 0
TOO_MANY: Final = 429
_BYTES_A_TOKEN: Final = 4
_PIECE: Final = 200  # characters in one delta
_ERRORS: Final = {
    400: ("invalid_request_error", "The request is invalid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission for this resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    411: ("invalid_request_error", "The request has no content-length."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
    ),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
_MODELS: Final = ("claude-opus-4-5", "claude-sonnet-5", "claude-haiku-4-5")
_DELTAS: Final = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_STREAMED: Final = {"text", "thinking", "signature", "input"}  # empty where their block begins

Event = tuple[str, dict[str, Any]]
"""One event of the Messages API's stream."""
Frame = tuple[bool, bytes]
"""What is sent for it, and whether it is a piece of the answer, before which a slow one pauses."""


@final
@dataclass(frozen=True)
class Reply:
    """One HTTP answer: its body in the parts in which it is sent, with a pause before each."""

    status: int
    parts: tuple[bytes, ...]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0  # before anything is sent
    pause_seconds: float = 0.0  # between the parts
    cut: bool = False  # more is promised than comes


@final
@dataclass(frozen=True)
class Wrong:
    """An error, before it is put into an API's words."""

    status: int
    message: str = ""
    """Empty for the usual words."""
    request_id: str = ""
    scripted: Failure | None = None
    resets_ns: int = 0
    """When a scripted limit ends, since 1970."""


@final
@dataclass(frozen=True)
class Form:
    """How one API says it."""

    whole: Callable[[Mapping[str, Any]], Any]
    """A message that is not streamed."""
    frames: Callable[[Iterator[Event], Mapping[str, Any], Failure | None], Iterator[Frame]]
    """The stream of such events, of this message, that may end with this failure."""
    error: Callable[[Wrong], dict[str, Any]]
    """The body of an error."""


def as_json(value: object, status: int = 200) -> Reply:
    """Return an answer that carries a JSON document."""
    return Reply(status, (json.dumps(value).encode(),))


def nothing(wait_seconds: float) -> Reply:
    """Return no answer at all: the connection ends, some time later."""
    return Reply(NO_ANSWER, (), wait_seconds=wait_seconds, cut=True)


def error(status: int, message: str, request_id: str, form: Form | None = None) -> Reply:
    """Return an error in the API's envelope."""
    return as_json((form or MESSAGES).error(Wrong(status, message, request_id)), status)


def failure(
    scripted: Failure, request_id: str, *, resets_ns: int, form: Form | None = None
) -> Reply:
    """Return the error that a script asks for; a rate limit comes with its headers."""
    headers = {}
    if scripted.retry_after is not None:
        headers["retry-after"] = str(scripted.retry_after)
    if not scripted.retried:
        headers["x-should-retry"] = "false"
    if scripted.status == TOO_MANY:
        for what in ("requests", "tokens", "input-tokens", "output-tokens"):
            for key, value in (("limit", "1000"), ("remaining", "0"), ("reset", iso(resets_ns))):
                headers[f"anthropic-ratelimit-{what}-{key}"] = value
    wrong = Wrong(scripted.status, scripted.message, request_id, scripted, resets_ns)
    made = as_json((form or MESSAGES).error(wrong), scripted.status)
    return replace(made, headers=headers, wait_seconds=scripted.wait_seconds)


def worded(status: int) -> str:
    """Return what is usually said with an error."""
    return _ERRORS[status][1]


def models() -> Reply:
    """Return the list of models."""
    listed = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2025-01-01T00:00:00Z",
        }
        for name in _MODELS
    ]
    ends = {"first_id": _MODELS[0], "last_id": _MODELS[-1], "has_more": False}
    return as_json({"data": listed, **ends})


def count(body: bytes) -> Reply:
    """Return the estimated number of tokens of a request."""
    return as_json({"input_tokens": _tokens(body)})


def message(
    turn: Turn,
    *,
    model: str,
    body: bytes,
    stream: bool,
    broken: Cut | Failure | None = None,
    form: Form | None = None,
) -> Reply:
    """Return the message that answers a request, at once or as an event stream.

    What breaks it ends it after so many characters: an error event, or nothing more at all.
    """
    form = form or MESSAGES
    whole = _message(turn, model, body)
    wait = broken.wait_seconds if broken else turn.wait_seconds
    if not stream:
        made = as_json(form.whole(whole))
        if isinstance(broken, Cut):
            made = replace(made, parts=(made.parts[0][: broken.after],), cut=True)
        return replace(made, wait_seconds=wait + _streaming_seconds(whole, turn.pace))
    events = _events(whole, turn.pace.characters if turn.pace else _PIECE)
    if broken:
        events = _ended(events, broken)
    frames = form.frames(events, whole, broken if isinstance(broken, Failure) else None)
    return Reply(
        200,
        tuple(_parts(frames, one_by_one=turn.pace is not None)),
        "text/event-stream",
        wait_seconds=wait,
        pause_seconds=turn.pace.seconds if turn.pace else 0.0,
        cut=isinstance(broken, Cut),
    )


def _error(status: int, message: str) -> dict[str, str]:
    kind, usual = _ERRORS[status]
    return {"type": kind, "message": message or usual}


def _message(turn: Turn, model: str, body: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()[:24]
    content = [_content(block, f"{digest}{at}") for at, block in enumerate(turn.blocks)]
    written = _tokens(json.dumps(content).encode())
    called = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{digest}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if called else "end_turn",
        "stop_sequence": None,
        "usage": _usage({"input_tokens": _tokens(body), "output_tokens": written, **turn.usage}),
    }


def _tokens(data: bytes) -> int:
    return max(1, len(data) // _BYTES_A_TOKEN)


def _usage(figures: Mapping[str, int]) -> dict[str, Any]:
    written = figures.get("cache_creation_input_tokens", 0)
    return {
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        **figures,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _content(block: Text | Thinking | ToolCall, name: str) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            signature = hashlib.sha256(block.text.encode()).hexdigest()
            return {"type": "thinking", "thinking": block.text, "signature": signature}
        case ToolCall():
            call = {"id": f"toolu_{name}", "name": block.name, "input": dict(block.input)}
            return {"type": "tool_use", **call}


def _streaming_seconds(whole: Mapping[str, Any], pace: Pace | None) -> float:
    """Return how long it would take to stream a message."""
    if pace is None:
        return 0.0
    pieces = sum(-(-len(_told(block)) // pace.characters) for block in whole["content"])
    return pace.seconds * pieces


def _events(whole: Mapping[str, Any], piece: int) -> Iterator[Event]:
    begun = {**whole["usage"], "output_tokens": 1}
    start = {**whole, "content": [], "stop_reason": None, "usage": begun}
    yield "message_start", {"message": start}
    yield "ping", {}
    for index, block in enumerate(whole["content"]):
        yield from _block_events(index, block, piece)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    yield "message_delta", {"delta": delta, "usage": usage}
    yield "message_stop", {}


def _block_events(index: int, block: Mapping[str, Any], piece: int) -> Iterator[Event]:
    at = {"index": index}
    kind, key = _DELTAS[block["type"]]
    text = _told(block)
    empty = {key: type(value)() for key, value in block.items() if key in _STREAMED}
    yield "content_block_start", {**at, "content_block": {**block, **empty}}
    for start in range(0, len(text), piece):
        part = text[start : start + piece]
        yield "content_block_delta", {**at, "delta": {"type": kind, key: part}}
    if block["type"] == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        yield "content_block_delta", {**at, "delta": signed}
    yield "content_block_stop", at


def _told(block: Mapping[str, Any]) -> str:
    """Return what a block says, as it is streamed."""
    if block["type"] == "tool_use":
        return json.dumps(block["input"])
    return str(block[block["type"]])


def _ended(events: Iterable[Event], broken: Cut | Failure) -> Iterator[Event]:
    """Yield the events until the answer breaks off."""
    left = broken.after or 0
    for kind, data in events:
        if kind == "message_delta":
            break
        delta = data.get("delta", {})
        key = next((key for _, key in _DELTAS.values() if key in delta), None)
        if key and len(delta[key]) > left:
            yield kind, {**data, "delta": {**delta, key: delta[key][:left]}}
            break
        left -= len(delta[key]) if key else 0
        yield kind, data
    if isinstance(broken, Failure):
        yield "error", {"error": _error(broken.status, broken.message)}


def _parts(frames: Iterable[Frame], *, one_by_one: bool) -> Iterator[bytes]:
    """Yield the stream's bytes, whole or so that there is a pause before each delta."""
    part = b""
    for is_delta, data in frames:
        if one_by_one and is_delta:
            yield part
            part = b""
        part += data
    yield part


def _frames(
    events: Iterable[Event], message: Mapping[str, Any], failure: Failure | None
) -> Iterator[Frame]:
    del message, failure
    for kind, data in events:
        said = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"
        yield kind == "content_block_delta", said.encode()


def _enveloped(wrong: Wrong) -> dict[str, Any]:
    said = _error(wrong.status, wrong.message)
    return {"type": "error", "error": said, "request_id": wrong.request_id}


MESSAGES: Final = Form(whole=lambda message: message, frames=_frames, error=_enveloped)
