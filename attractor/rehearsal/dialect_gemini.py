"""The Gemini API, as `gemini` uses it: contents and parts, its event stream and its errors.

Pure. Unknown parts and fields are tolerated.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attractor.rehearsal.dialect import Body, Dialect, objects, renamed
from attractor.rehearsal.reply import TOO_MANY, Event, Form, Frame, Wrong, worded
from attractor.rehearsal.turn import Failure

PLACE: Final = re.compile(r"/v1(?:beta|alpha)?/models/([^/:]+):(generate|streamGenerate)Content")
_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_WORDS: Final = {
    401: "Request had invalid authentication credentials.",
    429: "Resource has been exhausted (e.g. check quota).",
}
_DETAIL: Final = "type.googleapis.com/google.rpc"
_A_DAY: Final = "GenerateRequestsPerDayPerProjectPerModel"


def _body(path: str, content: Body) -> Body:
    found = PLACE.match(path)
    assert found  # that is how it came here
    tools = [each for tool in objects(content.get("tools")) for each in _declared(tool)]
    return {
        "model": found[1],
        "stream": found[2] == "streamGenerate",
        "messages": [_message(each) for each in objects(content.get("contents"))],
        "tools": [{"name": each.get("name", "")} for each in tools],
    }


def _declared(tool: Body) -> list[Body]:
    return objects(tool.get("functionDeclarations"))


def _message(content: Body) -> Body:
    role = "assistant" if content.get("role") == "model" else "user"
    parts = [_block(part) for part in objects(content.get("parts"))]
    return {"role": role, "content": [part for part in parts if part]}


def _block(part: Body) -> Body | None:
    if "text" in part:
        return None if part.get("thought") else {"type": "text", "text": part["text"]}
    call, given = part.get("functionCall"), part.get("functionResponse")
    if isinstance(call, dict):
        return {"type": "tool_use", "name": call.get("name", "")}
    if isinstance(given, dict):
        response = given.get("response")
        output = response.get("output") if isinstance(response, dict) else None
        told = output if isinstance(output, str) else json.dumps(response)
        return {"type": "tool_result", "content": told}
    return None


def _session(headers: Mapping[str, str], content: Body) -> str:
    """Return what stays the same in one conversation: no request says which it is."""
    del headers
    first = objects(content.get("contents"))[:1]
    return hashlib.sha256(json.dumps(first).encode()).hexdigest()[:16]


def _part(block: Mapping[str, Any]) -> Body:
    match block["type"]:
        case "tool_use":
            return {"functionCall": {"name": block["name"], "args": block["input"]}}
        case "thinking":
            return {"text": block["thinking"], "thought": True}
        case _:
            return {"text": block["text"]}


def _chunk(message: Mapping[str, Any], parts: list[Body], *, last: bool = False) -> Body:
    candidate: Body = {"content": {"role": "model", "parts": parts}, "index": 0}
    made = {"candidates": [candidate], "modelVersion": message["model"]}
    if last:
        candidate["finishReason"] = "STOP"
        made["usageMetadata"] = _usage(message["usage"])
    return {**made, "responseId": message["id"]}


def _usage(usage: Mapping[str, Any]) -> Body:
    cached = usage["cache_read_input_tokens"]
    given = usage["input_tokens"] + cached + usage["cache_creation_input_tokens"]
    return {
        "promptTokenCount": given,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": usage["output_tokens"],
        "totalTokenCount": given + usage["output_tokens"],
    }


def _whole(message: Mapping[str, Any]) -> Body:
    return _chunk(message, [_part(block) for block in message["content"]], last=True)


def _frames(
    events: Iterator[Event], message: Mapping[str, Any], failure: Failure | None
) -> Iterator[Frame]:
    for kind, data in events:
        match kind:
            case "content_block_delta":
                parts = _delta(data["delta"])
                if parts:
                    yield True, _sent(_chunk(message, parts))
            case "content_block_stop":
                block = message["content"][data["index"]]
                if block["type"] == "tool_use":
                    yield False, _sent(_chunk(message, [_part(block)]))
            case "message_stop":
                yield False, _sent(_chunk(message, [{"text": ""}], last=True))
            case "error":
                assert failure
                yield False, _sent(_error(Wrong(failure.status, failure.message)))
            case _:
                pass


def _delta(delta: Mapping[str, Any]) -> list[Body]:
    """Return what a piece of an answer is; a call's arguments come whole, at its end."""
    if "text" in delta:
        return [{"text": delta["text"]}]
    return [{"text": delta["thinking"], "thought": True}] if "thinking" in delta else []


def _sent(data: object) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()


def _error(wrong: Wrong) -> Body:
    name = _STATUSES.get(wrong.status, "UNKNOWN")
    words = wrong.message or _WORDS.get(wrong.status) or worded(wrong.status)
    made: Body = {"code": wrong.status, "message": words, "status": name}
    if wrong.scripted and wrong.status == TOO_MANY:
        made["details"] = _details(wrong.scripted)
    return {"error": made}


def _details(scripted: Failure) -> list[Body]:
    """Return what says of a rate limit whether, and when, to try again."""
    made: list[Body] = []
    if not scripted.retried:
        violated = {"quotaId": _A_DAY}
        made.append({"@type": f"{_DETAIL}.QuotaFailure", "violations": [violated]})
    if scripted.retry_after is not None:
        made.append({"@type": f"{_DETAIL}.RetryInfo", "retryDelay": f"{scripted.retry_after}s"})
    return made


GEMINI: Final = Dialect(
    form=Form(whole=_whole, frames=_frames, error=_error),
    body=_body,
    session=_session,
    vocabulary={
        "Bash": renamed("run_shell_command", command="command", description="description"),
        "Write": renamed("write_file", file_path="file_path", content="content"),
        "Edit": renamed(
            "replace", file_path="file_path", old_string="old_string", new_string="new_string"
        ),
        "Read": renamed("read_file", file_path="file_path"),
    },
)
