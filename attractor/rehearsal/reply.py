"""What the scripted model sends: messages, event streams and errors as the Messages API has them.

Pure: bytes out of values. The same request gives the same message, ids and usage figures among it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.rehearsal.turn import Block, Failure, Text

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


@final
@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200) -> Reply:
    """Return an answer that carries a JSON document."""
    return Reply(status, json.dumps(value).encode())


def error(status: int, message: str, request_id: str) -> Reply:
    """Return an error in the API's envelope."""
    kind, usual = _ERRORS[status]
    said = {"type": kind, "message": message or usual}
    return as_json({"type": "error", "error": said, "request_id": request_id}, status)


def failure(scripted: Failure, request_id: str, *, now: str) -> Reply:
    """Return the error that a script asks for; a rate limit comes with its headers."""
    made = error(scripted.status, scripted.message, request_id)
    headers = {}
    if scripted.retry_after is not None:
        headers["retry-after"] = str(scripted.retry_after)
    if scripted.status == 429:  # noqa: PLR2004 - the number is the name
        for what in ("requests", "tokens", "input-tokens", "output-tokens"):
            for key, value in (("limit", "1000"), ("remaining", "0"), ("reset", now)):
                headers[f"anthropic-ratelimit-{what}-{key}"] = value
    return Reply(made.status, made.body, headers=headers)


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


def message(blocks: Sequence[Block], *, model: str, body: bytes, stream: bool) -> Reply:
    """Return an assistant message that answers a request, at once or as an event stream."""
    digest = hashlib.sha256(body).hexdigest()[:24]
    content = [_content(block, f"{digest}{at}") for at, block in enumerate(blocks)]
    spoken = json.dumps(content).encode()
    whole = {
        "id": f"msg_{digest}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if _calls(content) else "end_turn",
        "stop_sequence": None,
        "usage": _usage(_tokens(body), _tokens(spoken)),
    }
    if not stream:
        return as_json(whole)
    events = "".join(
        f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"
        for kind, data in _events(whole)
    )
    return Reply(200, events.encode(), "text/event-stream")


def _tokens(data: bytes) -> int:
    return max(1, len(data) // _BYTES_A_TOKEN)


def _usage(read: int, written: int) -> dict[str, Any]:
    return {
        "input_tokens": read,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _calls(content: Sequence[Mapping[str, Any]]) -> bool:
    return any(block["type"] == "tool_use" for block in content)


def _content(block: Block, name: str) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    call = {"id": f"toolu_{name}", "name": block.name, "input": dict(block.input)}
    return {"type": "tool_use", **call}


def _events(whole: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {**whole["usage"], "output_tokens": 1}
    start = {**whole, "content": [], "stop_reason": None, "usage": begun}
    yield "message_start", {"message": start}
    yield "ping", {}
    for index, block in enumerate(whole["content"]):
        yield from _block_events(index, block)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    yield "message_delta", {"delta": delta, "usage": usage}
    yield "message_stop", {}


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    at = {"index": index}
    if block["type"] == "text":
        empty, kind, key, text = {**block, "text": ""}, "text_delta", "text", block["text"]
    else:
        empty, kind, key = {**block, "input": {}}, "input_json_delta", "partial_json"
        text = json.dumps(block["input"])
    yield "content_block_start", {**at, "content_block": empty}
    for start in range(0, len(text), _PIECE):
        yield (
            "content_block_delta",
            {**at, "delta": {"type": kind, key: text[start : start + _PIECE]}},
        )
    yield "content_block_stop", at
