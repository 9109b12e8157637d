"""Claude Code without a terminal: one `claude -p` for each turn, resumed for the next.

What a turn prints (stream-json) is kept in `turns/N.out`. Its hooks are those of the interactive
kind, so it is watched by the same events. A turn whose process ends without a result has crashed;
one that ends with an error of the API has ended. Between turns no process lives.

To interrupt is to end the turn's process; the conversation goes on with the next prompt. Workers
cannot be teammates here: Claude Code has these in a terminal only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from runner.session import Launch, Look, last_lines
from runner.sessions import claude
from runner.sessions.stage import Stage
from runner.sessions.turns import Turns

KIND: Final = "claude-headless"
_WORDS: Final = ("-p", "--output-format", "stream-json", "--verbose")
_MOST_LINE: Final = 300


@final
class Headless:
    """One node's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.turns = Turns(stage, KIND)

    def start(self, launch: Launch) -> None:
        self.turns.begin(launch.session_id, launch.number)
        self._run(launch)

    def _run(self, launch: Launch) -> None:
        env = self._stage.prepare()
        self.turns.run(claude.command_line(self._stage, launch, env, first=_WORDS), env)

    def look(self) -> Look:
        running = self.turns.running
        if running is not False:
            return Look(alive=running, last_lines=self._last())
        said, status = self.turns.tail("out"), self.turns.status()
        if self.turns.record.interrupted or _has_result(said, status):
            return Look(alive=True, last_lines=self._last())
        return self.turns.crash(self._last())

    def screen(self) -> str:
        return self.turns.shown(shown(self.turns.tail("out")))

    def _last(self) -> str:
        return last_lines(self.screen())

    def say(self, text: str) -> None:
        known = self.turns.record
        launch = Launch(number=known.launch, session_id=known.session_id, resume=True, prompt=text)
        self._run(launch)


def shown(out: str) -> list[str]:
    """Return what a turn printed, as lines for a person."""
    lines = []
    for value in _objects(out):
        message = value.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        blocks = content if isinstance(content, list) else ()
        lines += [_line(block) for block in blocks if isinstance(block, dict)]
        if value.get("type") == "result" and (value.get("is_error") or value.get("errors")):
            lines.append(f"! {value.get('result') or value.get('errors')}"[:_MOST_LINE])
    return [line for line in lines if line]


def _line(block: dict[str, Any]) -> str:
    match block.get("type"):
        case "text":
            said = str(block.get("text"))
        case "tool_use":
            said = f"* {block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}"
        case "tool_result":
            said = f"  {block.get('content')}"
        case _:
            return ""
    return said if block.get("type") == "text" else said[:_MOST_LINE]


def _has_result(out: str, status: Mapping[str, Any] | None) -> bool:
    """Say whether a turn came to an end of its own, if only by an error of the API."""
    for value in _objects(out):
        if value.get("type") == "result":
            failed = value.get("subtype") == "error_during_execution"
            return not (failed and status and status.get("exit"))
    return False


def _objects(out: str) -> Iterator[dict[str, Any]]:
    for line in out.splitlines():
        if not line.startswith("{"):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
