"""Any program as a session: the prompt on stdin, exit 0 ends the turn, anything else is a crash.

Such a program has no hooks. So this file writes the events without which nobody would know where
it stands, with `"source": "attractor"` in them: `UserPromptSubmit` and `PreToolUse` when a turn is
started (its whole run counts as one tool call), and `Stop`, with the end of what it printed as the
last message, when its process has ended well. A turn's end is found by whoever looks; it is written
at least once, and after a crash of ours perhaps twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any, Final, final

from runner.session import Launch, Look
from runner.sessions.announce import announce
from runner.sessions.stage import Stage
from runner.sessions.turns import Turns
from signals import atomic

KIND: Final = "command"
_MOST_MESSAGE: Final = 8_000
_MOST_PROMPT: Final = 100_000
_LAST: Final = 4_000
_SHOWN: Final = 20_000


@final
class Command:
    """One node's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.turns = Turns(stage, KIND)

    def start(self, launch: Launch) -> None:
        self.turns.begin(launch.session_id, launch.number)
        self._run(self._with_task(launch))

    def _with_task(self, launch: Launch) -> str:
        """Return the prompt; of a session that is resumed with its task, for it has no memory."""
        path = os.path.join(self._stage.layout.brief(self._stage.node), "prompt.md")
        if launch.resume:
            with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
                return f"{file.read()}\n\n{launch.prompt}"
        self._stage.prepare()
        atomic.replace(path, launch.prompt.encode("utf-8", "replace"))
        return launch.prompt

    def _run(self, text: str) -> None:
        env = self._stage.prepare()
        argv = ["/bin/sh", "-c", self._stage.assignment.command]
        self.turns.run(argv, env, text.encode("utf-8", "replace"))
        self._publish("UserPromptSubmit", {"prompt": text[:_MOST_PROMPT]})
        call = {"tool_name": KIND, "tool_use_id": f"turn-{self.turns.number}"}
        self._publish("PreToolUse", {**call, "tool_input": {"command": argv[-1][:_MOST_MESSAGE]}})

    def look(self) -> Look:
        running = self.turns.running
        if running is not False:
            return Look(alive=running, last_lines=self._said(_LAST))
        status = self.turns.status()
        code = status.get("exit") if status else None
        if code == 0:
            self._ended()
        if code == 0 or self.turns.record.interrupted:
            return Look(alive=True, last_lines=self._said(_LAST))
        return self.turns.crash(self._said(_LAST))

    def _ended(self) -> None:
        """Say that the turn has ended, unless that was said before."""
        mark = self.turns.path("stopped")
        if os.path.lexists(mark):
            return
        message = self.turns.tail("out", _MOST_MESSAGE).strip()
        self._publish("Stop", {"last_assistant_message": message, "background_tasks": []})
        with contextlib.suppress(FileExistsError):
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _publish(self, kind: str, said: Mapping[str, Any]) -> None:
        announce(self._stage, self.turns.record.session_id, kind, said)

    def screen(self) -> str:
        return self._said(_SHOWN)

    def _said(self, most: int) -> str:
        return f"{self.turns.tail('out', most)}{self.turns.tail('err', most)}"[-most:]

    def say(self, text: str) -> None:
        self._run(text)
