"""What `codex exec --json` printed, as an answer: pure.

The text is that of the last message that the agent completed; the run counts only when its turn
did. Events of unknown types are skipped, and so is an item of type `error`, which the run survives.
Codex names no cost, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, final

from attractor.agents.answer import Answer
from attractor.agents.event_lines import inner, objects
from attractor.agents.headless import plain, unfinished
from attractor.agents.refusal import refused
from attractor.agents.usage import Usage, number
from attractor.spawn import Ended

LOG_IN: Final = "log in with `codex login`, or set the key of its provider"


def answer_of(ended: Ended, now: float) -> Answer:
    """Return what a run came to; `now` is seconds since 1970."""
    seen = _Seen()
    for event in objects(ended.stdout):
        seen.add(event)
    if seen.completed and ended.status == 0:
        return plain(seen.text, seen.usage, seen.session)
    why = seen.failure
    made = refused(why, now, fix=LOG_IN) if why else unfinished(ended, "codex")
    return seen.sign(made)


@final
class _Seen:
    """What the events said, as far as it matters."""

    def __init__(self) -> None:
        self.session = ""
        self.text = ""
        self.failure = ""
        self.completed = False
        self.usage = Usage(sessions=1)

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == "thread.started":
            self.session = str(event.get("thread_id"))[:200]
        elif kind == "item.completed":
            self._item(inner(event, "item"))
        elif kind == "turn.completed":
            self.completed = True
            self.usage += usage_of(inner(event, "usage"))
        elif kind == "turn.failed":
            self.completed = False
            self.failure = str(inner(event, "error").get("message") or "the turn failed")
        elif kind == "error":
            self.failure = str(event.get("message") or "it did not say why")

    def _item(self, item: Mapping[str, Any]) -> None:
        if item.get("type") == "agent_message":
            self.text, self.failure = str(item.get("text") or ""), ""

    def sign(self, answer: Answer) -> Answer:
        return replace(answer, session_id=self.session, usage=self.usage)


def usage_of(said: Mapping[str, Any]) -> Usage:
    """Return what a turn used; its input includes what came from the cache, ours does not."""
    cached = number(said.get("cached_input_tokens"))
    written = number(said.get("cache_write_input_tokens"))
    return Usage(
        turns=1,
        requests=1,
        input_tokens=max(number(said.get("input_tokens")) - cached - written, 0),
        output_tokens=number(said.get("output_tokens")),
        cache_read_tokens=cached,
        cache_creation_tokens=written,
    )
