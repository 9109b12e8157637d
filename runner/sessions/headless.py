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

from attractor.errors import ToolError
from runner.session import Launch, Look
from runner.sessions import claude
from runner.sessions.stage import Stage
from runner.sessions.turns import Turns

KIND: Final = "claude-headless"
_WORDS: Final = ("-p", "--output-format", "stream-json", "--verbose")
_LAST_LINES: Final = 40
_SHOWN_LINES: Final = 200
_MOST_LINE: Final = 300
_MOST_CHARACTERS: Final = 20_000


@final
class HeadlessSession:
    """One node's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._turns = Turns(stage, KIND)

    def start(self, launch: Launch) -> None:
        self.end()
        self._turns.begin(launch.session_id, launch.number)
        self._run(launch)

    def _run(self, launch: Launch) -> None:
        env = self._stage.prepare()
        self._turns.run(claude.command_line(self._stage, launch, env, first=_WORDS), env)

    def look(self) -> Look:
        running = self._turns.running
        if running is not False:
            return Look(alive=running, last_lines=self._last())
        status = self._turns.status()
        if self._turns.record.interrupted or _has_result(self._turns.tail("out"), status):
            return Look(alive=True, last_lines=self._last())
        known = status.get("exit") if status else None
        return Look(
            alive=False,
            exit_status=known if isinstance(known, int) else None,
            last_lines=self._last(),
            lost=status is None,
        )

    def screen(self) -> str:
        lines = [*shown(self._turns.tail("out")), *self._turns.tail("err").splitlines()]
        return "\n".join(lines[-_SHOWN_LINES:])[-_MOST_CHARACTERS:]

    def _last(self) -> str:
        return "\n".join(self.screen().splitlines()[-_LAST_LINES:])

    def deliver(self, text: str) -> None:
        if not self._turns.over(text):
            raise ToolError("the turn before has not ended yet, so nothing can be said")
        self._say(text)

    def submit(self) -> None:
        if text := self._turns.waiting():
            self._say(text)

    def _say(self, text: str) -> None:
        known = self._turns.record
        launch = Launch(number=known.launch, session_id=known.session_id, resume=True, prompt=text)
        # What the turn before has left running is not the next one's.
        self._stage.sweep()
        self._run(launch)
        self._turns.said()

    def interrupt(self) -> None:
        self._turns.interrupt()

    def end(self) -> None:
        self._turns.end()

    def attach(self, *, write: bool) -> list[str]:
        del write
        return []

    def fds(self) -> tuple[int, ...]:
        return self._turns.fds()


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
