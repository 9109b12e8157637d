"""What is read out of a request: who asks, in which turn, and what was said since the last answer.

Unknown fields are tolerated, as the API's clients add some with every release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

_MOST_CHARACTERS: Final = 20_000  # of one text in the log
_STOP_HOOK: Final = "Stop hook feedback"
_REMINDER: Final = "<system-reminder>"
# Claude Code writes this answer itself, when it resumes a session that was killed in a tool call.
_FILLER: Final = [{"type": "text", "text": "No response requested."}]


@final
@dataclass(frozen=True)
class Request:
    """One request, as the log has it."""

    at: str
    method: str
    path: str
    role: str
    run: str
    node: str
    attempt: int  # 0: not said
    session: str
    agent: str
    model: str
    turn: int  # how many answers the conversation holds
    stream: bool
    tools: tuple[str, ...]  # the names of those that may be called
    said: tuple[str, ...]  # the user's texts since the last answer
    reminders: tuple[str, ...]  # what Claude Code added to them
    results: tuple[str, ...]  # what the tools gave back since the last answer
    stop_hook_feedback: str  # the text of a Stop hook that refused to let the session end
    status: int  # of our answer
    notes: tuple[tuple[str, int, int | str], ...] = ()  # what a server must remember of it

    def as_json(self) -> dict[str, Any]:
        """Return the object that stands in the log."""
        return asdict(self)


def turn_of(body: Mapping[str, Any]) -> int:
    """Return how many answers the conversation holds."""
    return sum(map(_is_answer, _messages(body)))


def news(body: Mapping[str, Any]) -> list[str]:
    """Return what was said and given back before each answer, and after the last one."""
    made: list[list[str]] = [[]]
    for message in _messages(body):
        if _is_answer(message):
            made.append([])
        elif message.get("role") == "user":
            made[-1] += [*_texts(message), *_results(message)]
    return ["\n".join(each) for each in made]


def first_prompt(body: Mapping[str, Any]) -> str:
    """Return what the user said before the first answer."""
    texts: list[str] = []
    for message in _messages(body):
        if message.get("role") == "assistant":
            break
        texts += _texts(message)
    return "\n".join(texts)


def tool_names(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that the model may call."""
    tools = body.get("tools")
    each = tools if isinstance(tools, list) else []
    return tuple(str(tool.get("name", "")) for tool in each if isinstance(tool, dict))


def said_since(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the user's texts since the last answer."""
    return tuple(text for text in _texts_since(body) if not text.startswith(_REMINDER))


def reminders_since(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what Claude Code itself said since the last answer, in the user's name."""
    return tuple(text for text in _texts_since(body) if text.startswith(_REMINDER))


def results_since(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tools gave back since the last answer."""
    return tuple(result for message in _news(body) for result in _results(message))


def stop_hook_feedback(said: Sequence[str]) -> str:
    """Return what a Stop hook said, if one spoke."""
    return next((text for text in said if text.lstrip().startswith(_STOP_HOOK)), "")


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    each = messages if isinstance(messages, list) else []
    return [message for message in each if isinstance(message, dict)]


def _is_answer(message: Mapping[str, Any]) -> bool:
    if message.get("role") != "assistant":
        return False
    plain = [{k: v for k, v in b.items() if k != "cache_control"} for b in _blocks(message)]
    return plain != _FILLER


def _texts_since(body: Mapping[str, Any]) -> list[str]:
    return [text for message in _news(body) for text in _texts(message)]


def _news(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = _messages(body)
    last = max((at for at, each in enumerate(messages) if _is_answer(each)), default=-1)
    return [message for message in messages[last + 1 :] if message.get("role") == "user"]


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    each = content if isinstance(content, list) else []
    return [block for block in each if isinstance(block, dict)]


def _texts(message: Mapping[str, Any]) -> list[str]:
    return list(_parts(message.get("content")))


def _results(message: Mapping[str, Any]) -> Iterator[str]:
    for block in _blocks(message):
        if block.get("type") == "tool_result":
            yield "\n".join(_parts(block.get("content")))


def _parts(content: object) -> Iterator[str]:
    """Yield the texts of a content, which is one text or a list of blocks."""
    if isinstance(content, str):
        yield content[:_MOST_CHARACTERS]
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict) and block.get("type") == "text":
                yield str(block.get("text", ""))[:_MOST_CHARACTERS]
