"""The Responses API, as `codex` uses it: its items, its event stream and its errors.

Pure. Unknown items and fields are tolerated. What was thought is left out: it would have to come
back encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attractor.rehearsal.dialect import Body, Dialect, objects, reading, renamed, writing
from attractor.rehearsal.reply import TOO_MANY, Event, Form, Frame, Wrong, worded
from attractor.rehearsal.turn import Failure

_CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call")
_TEXTS: Final = ("input_text", "output_text")
_TYPES: Final = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_exceeded", "rate_limit_exceeded"),
    529: ("server_error", "server_is_overloaded"),
}
_WORDS: Final = {
    401: "Incorrect API key provided.",
    429: "Rate limit reached. Please try again later.",
}
_LASTING: Final = "usage_limit_reached"
_LONG_SECONDS: Final = 90  # as with Claude Code


def _body(path: str, content: Body) -> Body:
    del path
    messages: list[Body] = []
    said = content.get("input")
    if isinstance(said, str):
        messages.append({"role": "user", "content": said})
    for item in objects(said):
        _take(item, messages)
    tools = [
        {"name": each.get("name") or each.get("type")} for each in objects(content.get("tools"))
    ]
    return {
        "model": content.get("model", ""),
        "stream": content.get("stream") is True,
        "messages": messages,
        "tools": tools,
    }


def _take(item: Body, messages: list[Body]) -> None:
    """Add an item; those of one answer follow each other, and are one message."""
    kind = str(item.get("type", "message"))
    if kind == "message" and item.get("role") in ("user", "assistant"):
        texts = [each for each in objects(item.get("content")) if each.get("type") in _TEXTS]
        content: list[Body] = [{"type": "text", "text": each.get("text", "")} for each in texts]
        role = item["role"]
    elif kind in _CALLS:
        role, content = "assistant", [{"type": "tool_use", "name": item.get("name", kind)}]
    elif kind.endswith("_output"):
        output = item.get("output")
        parts = [{"type": "text", "text": each.get("text", "")} for each in objects(output)]
        given = output if isinstance(output, str) else parts
        role, content = "user", [{"type": "tool_result", "content": given}]
    else:
        return
    if role == "assistant" and messages and messages[-1]["role"] == role:
        messages[-1]["content"] += content
    else:
        messages.append({"role": role, "content": content})


def _item(block: Mapping[str, Any], at: str) -> Body:
    if block["type"] == "tool_use":
        name, given = block["name"], json.dumps(block["input"])
        call = {"call_id": block["id"], "name": name, "arguments": given}
        return {"type": "function_call", "id": f"fc_{at}", "status": "completed", **call}
    text = {"type": "output_text", "text": block["text"], "annotations": []}
    return {
        "type": "message",
        "id": f"msg_{at}",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }


def _whole(message: Mapping[str, Any]) -> Body:
    usage = message["usage"]
    cached = usage["cache_read_input_tokens"]
    given = usage["input_tokens"] + cached + usage["cache_creation_input_tokens"]
    name = message["id"].removeprefix("msg_")
    return {
        "id": f"resp_{name}",
        "object": "response",
        "status": "completed",
        "model": message["model"],
        "output": [_item(block, f"{name}{at}") for at, block in enumerate(message["content"])],
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": usage["output_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + usage["output_tokens"],
        },
    }


def _frames(
    events: Iterator[Event], message: Mapping[str, Any], failure: Failure | None
) -> Iterator[Frame]:
    whole = _whole(message)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    for kind, data in events:
        at = data.get("index", 0)
        match kind:
            case "message_start":
                yield _frame("response.created", response=begun)
            case "content_block_start":
                item = whole["output"][at]
                empty = "content" if "content" in item else "arguments"
                start = {**item, "status": "in_progress", empty: type(item[empty])()}
                yield _frame("response.output_item.added", output_index=at, item=start)
            case "content_block_delta":
                yield _delta(data["delta"], at, whole["output"][at]["id"])
            case "content_block_stop":
                item = whole["output"][at]
                yield _frame("response.output_item.done", output_index=at, item=item)
            case "message_stop":
                yield _frame("response.completed", response=whole)
            case "error":
                assert failure
                error = _error(Wrong(failure.status, failure.message))["error"]
                wrong = {"code": error["code"] or error["type"], "message": error["message"]}
                yield _frame("response.failed", response={**begun, "error": wrong})
            case _:
                pass


def _delta(delta: Mapping[str, Any], at: int, item: str) -> Frame:
    place = {"output_index": at, "item_id": item}
    if "text" in delta:
        kind = "response.output_text.delta"
        return True, _sent(kind, **place, content_index=0, delta=delta["text"])
    kind = "response.function_call_arguments.delta"
    return True, _sent(kind, **place, delta=delta["partial_json"])


def _frame(kind: str, **data: Any) -> Frame:
    return False, _sent(kind, **data)


def _sent(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def _error(wrong: Wrong) -> Body:
    kind, code = _TYPES.get(wrong.status, ("server_error", None))
    words = wrong.message or _WORDS.get(wrong.status) or worded(wrong.status)
    made: Body = {"message": words, "type": kind, "param": None, "code": code}
    scripted = wrong.scripted
    if scripted and wrong.status == TOO_MANY and _lasts(scripted):
        made |= {"type": _LASTING, "code": None}
        if scripted.retry_after or scripted.reset_seconds:
            made["resets_at"] = wrong.resets_ns // 1_000_000_000
    return {"error": made}


def _lasts(scripted: Failure) -> bool:
    """Say whether it is a limit of days or hours, for which nobody waits in a request."""
    return not scripted.retried or (scripted.retry_after or 0) >= _LONG_SECONDS


OPENAI: Final = Dialect(
    form=Form(whole=_whole, frames=_frames, error=_error),
    body=_body,
    session=lambda headers, _: headers.get("session-id") or headers.get("session_id", ""),
    vocabulary={
        "Bash": renamed("exec_command", cmd="command"),
        "Write": lambda given: ("exec_command", {"cmd": writing(given)}),
        "Read": lambda given: ("exec_command", {"cmd": reading(given)}),
    },
    thinks=False,
)
