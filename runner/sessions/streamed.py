"""Codex, Gemini or OpenCode as a session: one process for each turn, resumed for the next.

These have no hooks of ours. So this file writes the events without which nobody would know where
such a session stands, with `"source": "attractor"` in them, from what a turn prints:
`UserPromptSubmit` when it is started, `PreToolUse` and `PostToolUse` for the tool calls that it
tells of, and in the end `Stop`, or `StopFailure` with the error of its API. A turn that ends
without either has crashed. Each event is written at least once, and after a crash of ours perhaps
twice. What a turn prints is read whenever somebody looks.

The prompt goes in on stdin. A turn whose request is refused again and again is ended here: the
agent would wait by itself, and nobody would know. Nothing that the agent does is denied, but for
what the fence denies: it has no workers, and does the work itself.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final, final

from attractor.errors import ToolError
from runner.session import Launch, Look, last_lines
from runner.sessions import dialects, free_model
from runner.sessions.announce import announce
from runner.sessions.dialects import Reading
from runner.sessions.stage import Stage
from runner.sessions.turns import Turns
from signals import atomic

_CHUNK: Final = 256 * 1024
_MOST_LINE: Final = 1024 * 1024
_MOST_PROMPT: Final = 100_000
_MOST_ABOUT: Final = 2_000
_MOST_MESSAGE: Final = 20_000
_MOST_ERROR: Final = 2_000
_TOLD: Final = "told"  # how many tool calls of a turn were told of
_MODEL: Final = "model"  # which of the free ones it has
_STOPPED: Final = "stopped"  # that its end was told of


@final
class Streamed:
    """One node's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._agent = stage.assignment.agent
        self.turns = Turns(stage, self._agent)
        self._stream = _Stream(self.turns, self._agent)

    def start(self, launch: Launch) -> None:
        if launch.resume:
            self._learn()
        self.turns.begin(launch.session_id, launch.number)
        path = os.path.join(self._stage.layout.brief(self._stage.node), "prompt.md")
        if not launch.resume:
            self._stage.prepare()
            atomic.replace(path, launch.prompt.encode("utf-8", "replace"))
        self._run(launch.prompt)

    def _run(self, text: str) -> None:
        """Start a turn; of a conversation that nothing is known of, with its task."""
        env = self._stage.prepare()
        thread = self.turns.record.thread
        model, free = self._model()
        words = dialects.dialect(self._agent).words(model, thread)
        given = text if thread else self._with_task(text)
        self.turns.run([program(self._stage), *words], env, given.encode("utf-8", "replace"))
        if free:
            atomic.replace(self.turns.path(_MODEL), model.encode())
        self._stream = _Stream(self.turns, self._agent)
        self._tell("UserPromptSubmit", prompt=text[-_MOST_PROMPT:])
        # A model that thinks prints nothing: the turn as a whole has the patience of a tool call.
        call = {"tool_name": self._agent, "tool_use_id": f"turn-{self.turns.number}"}
        self._tell("PreToolUse", **call, tool_input={})

    def _model(self) -> tuple[str, bool]:
        """Return the turn's model, and whether it was chosen among the free ones."""
        told = self._stage.assignment
        if told.agent == "opencode" and told.rehearsed:
            return "", False  # OpenCode asks for no model that it does not know
        if told.agent == "opencode" and told.model == free_model.FREE:
            chosen = free_model.choose(self._stage)
            return chosen, bool(chosen)
        return told.model, False

    def _with_task(self, text: str) -> str:
        path = os.path.join(self._stage.layout.brief(self._stage.node), "prompt.md")
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            task = file.read()
            return text if text == task else f"{task}\n\n{text}"
        return text

    def look(self) -> Look:
        running = self.turns.running
        self._follow()
        if running is not False:
            self._end_refused()
            return Look(alive=running, last_lines=self._last())
        if self.turns.record.interrupted or self._is_over():
            return Look(alive=True, last_lines=self._last())
        return self.turns.crash(self._last())

    def _follow(self) -> None:
        """Tell of what the turn has printed since the last time."""
        reading = self._stream.read()
        self._learn()
        told = self._stream.told
        if not reading.calls[told:]:
            return
        for call in reading.calls[told:]:
            what = {"tool_name": call.name, "tool_use_id": call.id}
            about = {"command": call.about[:_MOST_ABOUT]}
            kind = "PostToolUse" if call.over else "PreToolUse"
            self._tell(kind, **what, tool_input=about)
        self._stream.tell(len(reading.calls))

    def _learn(self) -> None:
        reading = self._stream.read()
        kept = reading.text or reading.calls or not dialects.dialect(self._agent).forgets
        if reading.thread and kept:
            self.turns.learn(reading.thread)

    def _end_refused(self) -> None:
        if self.turns.running and (why := self._stream.refused()):
            self._failed(why)
            self.turns.interrupt()

    def _is_over(self) -> bool:
        """Say whether the turn came to an end of its own; tell of that, unless it was told."""
        if os.path.lexists(self.turns.path(_STOPPED)):
            return True
        reading, status = self._stream.read(), self.turns.status()
        if reading.complete:
            self._once("Stop", last_assistant_message=reading.text[-_MOST_MESSAGE:])
            return True
        code = status.get("exit") if status else None
        said = self.turns.tail("err").strip()[-_MOST_ERROR:] if _failed_by_itself(code) else ""
        why = reading.error
        if said and not reading.thread and self.turns.record.thread:
            # It was to go on with a conversation that is not there: the next turn begins another.
            self._failed(reading.error or said)
            self.turns.learn("")
            return True
        if said and dialects.kind_of(said) != dialects.UNKNOWN:
            why = why or said
        if why:
            self._failed(why)
        return bool(why)

    def _failed(self, why: str) -> None:
        kind = dialects.kind_of(why)
        model = self.turns.tail(_MODEL)
        if model and kind in (dialects.LIMIT, dialects.NO_MODEL):
            free_model.learn(self._stage, model, exists=kind == dialects.LIMIT)
            kind = dialects.LIMIT  # the next turn has another model
        self._once("StopFailure", error=kind, error_details=why)

    def _once(self, kind: str, **said: Any) -> None:
        mark = self.turns.path(_STOPPED)
        if os.path.lexists(mark):
            return
        self._tell(kind, **said, background_tasks=[])
        atomic.replace(mark, b"")

    def _tell(self, kind: str, **said: Any) -> None:
        announce(self._stage, self.turns.record.session_id, kind, said)

    def screen(self) -> str:
        return self.turns.shown(self._stream.read().lines())

    def _last(self) -> str:
        return last_lines(self.screen())

    def say(self, text: str) -> None:
        self._learn()
        self._run(text)


@final
class _Stream:
    """What the last turn prints, read as far as it has come."""

    def __init__(self, turns: Turns, agent: str) -> None:
        self._turns = turns
        self._agent = agent
        self._reading = Reading(agent)
        self._offset = 0
        self._errors_from = 0  # where stderr stood when the turn moved last
        self.told = self._known()

    def _known(self) -> int:
        text = self._turns.tail(_TOLD)
        return int(text) if text.isdigit() else 0

    def tell(self, count: int) -> None:
        """Note that so many calls were told of."""
        self.told = count
        atomic.replace(self._turns.path(_TOLD), str(count).encode())

    def read(self) -> Reading:
        """Return all that was printed; a line that is not complete yet is read later."""
        before = self._offset
        path = self._turns.path("out")
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            self._offset = take_lines(file, self._offset, self._reading)
        if self._offset != before:
            self._errors_from = self._size("err")
        return self._reading

    def refused(self) -> str:
        """Return why the turn goes no further."""
        room = self._size("err") - self._errors_from
        return dialects.refused(self._agent, self._turns.tail("err", room)) if room > 0 else ""

    def _size(self, ending: str) -> int:
        try:
            return os.stat(self._turns.path(ending)).st_size
        except OSError:
            return 0


def take_lines(file: Any, offset: int, reading: Reading) -> int:  # noqa: ANN401  # a binary file
    """Take the complete lines behind an offset; return the offset behind the last."""
    file.seek(offset)
    for line in file:
        if not line.endswith(b"\n"):
            break
        offset += len(line)
        if len(line) <= _MOST_LINE:
            reading.add(line)
    return offset


def program(stage: Stage) -> str:
    """Return the path of the agent's program; ToolError when there is none."""
    from attractor import tools

    name = stage.assignment.agent
    found = tools.find_agent(name, stage.environ)
    if found is None:
        raise ToolError(f"{name} is not installed", fix=f"install {name}, or put it on PATH")
    return found


def _failed_by_itself(code: object) -> bool:
    return isinstance(code, int) and code > 0
