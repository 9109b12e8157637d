"""How the other agents are started, and what the lines mean that they print: a table.

Pure. What an agent prints is its own word, and read tolerantly: a line that is no JSON object, an
event of an unknown type and a key of another kind are passed over. Each agent continues a
conversation by a name that it gives itself (`thread`). Verified with codex 0.169.0, gemini 0.61.0
and opencode 1.18.33.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.agents.usage import Usage, money, number
from runner.ratelimit import Limit, recognise

_MOST_TEXT: Final = 20_000
_MOST_ID: Final = 200
_MOST_LINES: Final = 200
_MOST_LINE: Final = 300
_MOST_CALLS: Final = 10_000
_TITLE: Final = "attractor"
_RETRIES: Final = 3  # of one request, before its turn is taken for refused


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call, at its begin or at its end."""

    id: str
    name: str
    about: str
    over: bool


@final
class Reading:
    """What one turn has printed so far."""

    def __init__(self, agent: str) -> None:
        self.thread = ""
        self.text = ""
        """The last message."""
        self.usage = Usage()
        self.error = ""
        self.complete = False
        """The agent itself ended the turn, and well."""
        self.calls: list[Call] = []
        self._speaks = False
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._take = _AGENTS[agent].take

    def add(self, line: bytes) -> None:
        """Take one line."""
        if not line.startswith(b"{"):
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict):
            self._take(self, event)

    def lines(self) -> list[str]:
        """Return what it printed, for a person."""
        return [*self._lines, *(self.text.splitlines() if self._speaks else ())]

    def named(self, thread: object) -> None:
        """Note how the conversation is called; what begins like an option is no name."""
        if isinstance(thread, str) and _NAME.fullmatch(thread):
            self.thread = thread

    def say(self, text: object, *, more: bool = False) -> None:
        """Note what the model said: a message, or more of the one that it is saying."""
        if not isinstance(text, str):
            return
        if more and self._speaks:
            self.text = (self.text + text)[-_MOST_TEXT:]
            return
        self._said()
        self.text, self._speaks = text[-_MOST_TEXT:], True

    def _said(self) -> None:
        self._lines.extend(self.text.splitlines() if self._speaks else ())
        self._speaks = False

    def call(self, id_: object, name: object, about: object, *, over: bool) -> None:
        """Note a tool call."""
        self._said()
        said = about if isinstance(about, str) else json.dumps(about, ensure_ascii=False)
        made = Call(id=str(id_)[:_MOST_ID], name=str(name)[:_MOST_ID], about=said, over=over)
        if len(self.calls) < _MOST_CALLS:
            self.calls.append(made)
        if said:
            self._lines.append(f"{'  ' if over else '* '}{made.name} {said}"[:_MOST_LINE])

    def failed(self, text: object) -> None:
        """Note an error of the agent's; a turn that ends well all the same forgets it."""
        self._said()
        self.error = str(text)[:_MOST_TEXT]
        self._lines.append(f"! {self.error}"[:_MOST_LINE])

    def ended(self) -> None:
        """Note that the turn ended well."""
        self.complete, self.error = True, ""


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")


def _codex(reading: Reading, event: Mapping[str, Any]) -> None:
    item = _mapping(event.get("item"))
    match event.get("type"):
        case "thread.started":
            reading.named(event.get("thread_id"))
        case "item.completed" if item.get("type") == "agent_message":
            reading.say(item.get("text"))
        case "item.started" | "item.completed" if item.get("type") in _CODEX_CALLS:
            about = item.get("command") or item.get("changes") or item.get("query") or ""
            over = event["type"] == "item.completed"
            reading.call(item.get("id"), item["type"], about, over=over)
        case "turn.completed":
            reading.usage = _codex_usage(_mapping(event.get("usage")))
            reading.ended()
        case "turn.failed":
            reading.failed(_mapping(event.get("error")).get("message"))
        case "error":
            reading.failed(event.get("message"))
        case _:
            pass


_CODEX_CALLS: Final = (
    *("command_execution", "file_change", "mcp_tool_call"),
    *("collab_tool_call", "web_search"),
)


def _codex_usage(said: Mapping[str, Any]) -> Usage:
    """Return what a conversation of codex has used so far: its figures are sums over all turns."""
    cached = number(said.get("cached_input_tokens"))
    written = number(said.get("cache_write_input_tokens"))
    return Usage(
        input_tokens=max(0, number(said.get("input_tokens")) - cached - written),
        output_tokens=number(said.get("output_tokens")),
        cache_read_tokens=cached,
        cache_creation_tokens=written,
    )


def _gemini(reading: Reading, event: Mapping[str, Any]) -> None:
    match event.get("type"):
        case "init":
            reading.named(event.get("session_id"))
        case "message" if event.get("role") == "assistant":
            reading.say(event.get("content"), more=event.get("delta") is True)
        case "tool_use":
            about = event.get("parameters")
            reading.call(event.get("tool_id"), event.get("tool_name"), about, over=False)
        case "tool_result":
            reading.call(event.get("tool_id"), "", "", over=True)
        case "error":
            reading.failed(event.get("message"))
        case "result":
            reading.usage = _gemini_usage(_mapping(event.get("stats")))
            if event.get("status") == "success":
                reading.ended()
            else:
                reading.failed(_mapping(event.get("error")).get("message"))
        case _:
            pass


def _gemini_usage(stats: Mapping[str, Any]) -> Usage:
    total = Usage()
    for name, said in _mapping(stats.get("models")).items():
        each, cached = _mapping(said), number(_mapping(said).get("cached"))
        output = number(each.get("output_tokens"))
        total += Usage(
            input_tokens=max(0, number(each.get("input_tokens")) - cached),
            output_tokens=output,
            cache_read_tokens=cached,
            models={str(name)[:_MOST_ID]: output},
        )
    return total


def _opencode(reading: Reading, event: Mapping[str, Any]) -> None:
    part = _mapping(event.get("part"))
    reading.named(event.get("sessionID"))
    match event.get("type"):
        case "text":
            reading.say(part.get("text"))
        case "tool_use":
            # It is told of when it is over.
            about = _mapping(part.get("state")).get("input")
            reading.call(part.get("callID"), part.get("tool"), about, over=True)
        case "step_finish":
            reading.usage += _opencode_usage(part)
            if part.get("reason") != "tool-calls":
                reading.ended()
        case "error":
            error = _mapping(event.get("error"))
            data = _mapping(error.get("data"))
            status = data.get("statusCode")
            said = f"{error.get('name')}: {data.get('message') or data or ''}"
            reading.failed(f"{said} (status {status})" if status else said)
        case _:
            pass


def _opencode_usage(part: Mapping[str, Any]) -> Usage:
    tokens = _mapping(part.get("tokens"))
    cache = _mapping(tokens.get("cache"))
    return Usage(
        requests=1,
        input_tokens=number(tokens.get("input")),
        output_tokens=number(tokens.get("output")) + number(tokens.get("reasoning")),
        cache_read_tokens=number(cache.get("read")),
        cache_creation_tokens=number(cache.get("write")),
        cost_usd=money(part.get("cost")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _codex_words(model: str, thread: str) -> list[str]:
    # The fence around it is ours; its own would keep it from the repository, where commits go.
    words = ["exec", *(("resume",) if thread else ()), "--json", "--skip-git-repo-check"]
    words += ["-c", 'sandbox_mode="danger-full-access"', "-c", 'approval_policy="never"']
    words += ["-m", model] if model else []
    return [*words, *((thread,) if thread else ()), "-"]


def _gemini_words(model: str, thread: str) -> list[str]:
    words = ["-o", "stream-json", "--approval-mode", "yolo", "--skip-trust"]
    words += ["-m", model] if model else []
    return [*words, *(("-r", thread) if thread else ())]


def _opencode_words(model: str, thread: str) -> list[str]:
    # Its log is the only place that tells of a request which is made again and again.
    words = ["run", "--format", "json", "--auto", "--print-logs", "--log-level", "ERROR"]
    words += ["-m", model] if model else []
    # With a title of ours it asks no model for one.
    return [*words, *(("-s", thread) if thread else ("--title", _TITLE))]


_GEMINI_RETRY: Final = re.compile(r"^Attempt \d+ failed\b.*", re.MULTILINE)
_OPENCODE_RETRY: Final = re.compile(r'^.*message="stream error".*\bsmall=false\b.*', re.MULTILINE)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One agent's."""

    words: Callable[[str, str], list[str]]
    """Its arguments: of a model, or none; of a conversation to go on with, or none."""
    take: Callable[[Reading, Mapping[str, Any]], None]
    sums: bool = False
    """Its figures are of the whole conversation, not of the turn."""
    forgets: bool = False
    """It keeps no conversation in which nothing was said."""
    retry: re.Pattern[str] | None = None
    """A line on stderr that tells of a request which failed and is made again."""


_AGENTS: Final[Mapping[str, Dialect]] = {
    "codex": Dialect(words=_codex_words, take=_codex, sums=True),
    "gemini": Dialect(words=_gemini_words, take=_gemini, forgets=True, retry=_GEMINI_RETRY),
    "opencode": Dialect(words=_opencode_words, take=_opencode, retry=_OPENCODE_RETRY),
}
AGENTS: Final = frozenset(_AGENTS)


def dialect(agent: str) -> Dialect:
    """Return how this agent is spoken to."""
    return _AGENTS[agent]


def refused(agent: str, err: str) -> str:
    """Return why a turn goes no further, from what it has said on stderr since its last event.

    Empty where it may. The agents wait for a limit themselves, some of them for hours, and nobody
    could tell that from work.
    """
    pattern = _AGENTS[agent].retry
    found = pattern.findall(err) if pattern else []
    return found[-1][:_MOST_TEXT] if len(found) >= _RETRIES else ""


LIMIT: Final = "rate_limit"
NO_MODEL: Final = "model_not_found"
UNKNOWN: Final = "server_error"
_PERSON: Final = re.compile(
    r"\b40[13]\b|unauthori[sz]ed|authentication|api[ _]key|credentials|auth method"
    r"|(?:log|sign) ?in\b|not logged in",
    re.IGNORECASE,
)
_NO_MODEL: Final = re.compile(
    r"model.{0,200}(?:not found|not exist|not supported|not available)|ModelNotFound"
    r"|unknown model",
    re.IGNORECASE | re.DOTALL,
)


def kind_of(text: str) -> str:
    """Return Claude Code's word for an error that another agent tells in its own words."""
    limit = recognise("", text)
    if limit is not Limit.NONE:
        return LIMIT if limit is Limit.WAIT else "billing_error"
    if _NO_MODEL.search(text):
        return NO_MODEL
    return "authentication_failed" if _PERSON.search(text) else UNKNOWN
