"""A session with one process for each turn: between turns nobody lives, and that is no death.

A turn is a number, counted through all launches, with files of its own in `turns/`: what it was
given, what it said, how it ended. Its process is started by the launcher, which waits for it and
outlives its Runner, so how a turn ended is known to whoever asks. What is said to the session while
a turn is ending is kept, and said when `submit` asks for it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, final

from attractor.process import Process, fenced_program, first_child
from runner.session import Look
from runner.sessions.record import Record
from runner.sessions.stage import Stage
from signals import atomic
from signals.owner import owner_of

_ENDING_SECONDS: Final = 2.0
_MOST_OUTPUT: Final = 64 * 1024 * 1024
_TAIL_BYTES: Final = 256 * 1024
_SHOWN_LINES: Final = 200
_SHOWN_CHARACTERS: Final = 20_000
# What a turn has beside what it is given; another kind of session may have left a turn so called.
_MADE: Final = ("out", "err", "report", "status", "model", "stopped", "told")


@final
class Turns:
    """One node's turns."""

    def __init__(self, stage: Stage, kind: str) -> None:
        self._stage = stage
        self._kind = kind
        known = stage.record
        self.record = known if known is not None and known.kind == kind else self._none()
        self._process = Process(self.record.owner)

    def _none(self) -> Record:
        assignment = self._stage.assignment
        return Record(kind=self._kind, session_id="", worktree=assignment.worktree)

    @property
    def number(self) -> int:
        """The turn that was begun last; 0 before the first."""
        return self.record.turn

    def path(self, ending: str, number: int | None = None) -> str:
        """Return the name of a file of a turn; of the last without a number."""
        turn = self.number if number is None else number
        return os.path.join(self._stage.turns, f"{turn}.{ending}")

    def begin(self, session_id: str, launch: int) -> None:
        """Write down that a session was started; its turns follow."""
        known = self.record
        thread = known.thread if known.session_id == session_id else ""
        self.record = replace(
            known, session_id=session_id, launch=launch, thread=thread, owner=None
        )
        self._stage.keep(self.record)

    def learn(self, thread: str) -> None:
        """Write down how the agent calls the conversation; empty to begin another one."""
        if thread != self.record.thread:
            self.record = replace(self.record, thread=thread)
            self._stage.keep(self.record)

    def run(self, argv: list[str], env: Mapping[str, str], stdin: bytes | None = None) -> None:
        """Start the process of the next turn."""
        number = self.number + 1
        given: dict[str, Any] = {"stderr": self.path("err", number)}
        if self._stage.fenced:
            given["report"] = self.path("report", number)
        for ending in _MADE:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(ending, number))
        if stdin is not None:
            atomic.replace(self.path("in", number), stdin)
            given["stdin"] = self.path("in", number)
        # First the record: a turn that was begun and not written down could not be told from none.
        self.record = replace(self.record, turn=number, interrupted=False, owner=None)
        self._stage.keep(self.record)
        command = self._stage.command(
            argv,
            {**env, "ATTRACTOR_TURN": str(number)},
            mode="wait",
            stdout=self.path("out", number),
            status=self.path("status", number),
            most=_MOST_OUTPUT,
            grace=self._stage.assignment.limits.kill_grace,
            **given,
        )
        owner = owner_of(self._stage.start(command))
        level = self._stage.level.name
        self.record = replace(self.record, turn=number, interrupted=False, owner=owner, level=level)
        self._stage.keep(self.record)
        self._process.close()
        self._process = Process(owner)

    @property
    def running(self) -> bool | None:
        """Whether a turn is under way; None: that is not known."""
        return self._process.alive

    def over(self, text: str) -> bool:
        """Say whether the next turn can begin, after a short wait; else keep what it is given."""
        if self._process.wait(_ENDING_SECONDS):
            return True
        atomic.replace(self._waiting(), text.encode("utf-8", "replace"))
        return False

    def waiting(self) -> str:
        """Return what was kept, if its turn can begin now."""
        if self.running is not False:
            return ""
        try:
            with open(self._waiting(), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def said(self) -> None:
        """Forget what was kept: its turn has begun."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._waiting())

    def _waiting(self) -> str:
        return os.path.join(self._stage.turns, "waiting")

    def status(self) -> Mapping[str, Any] | None:
        """Return how the last turn's process ended; None while it runs, or if nobody saw it."""
        try:
            with open(self.path("status"), "rb") as file:
                said = json.loads(file.read())
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def tail(self, ending: str, most: int = _TAIL_BYTES) -> str:
        """Return the end of a file of the last turn."""
        try:
            with open(self.path(ending), "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - most))
                return file.read(most).decode("utf-8", "replace")
        except OSError:
            return ""

    def shown(self, said: list[str]) -> str:
        """Return what a person would see of the last turn, with the lines in which it is told."""
        lines = [*said, *self.tail("err").splitlines()]
        return "\n".join(lines[-_SHOWN_LINES:])[-_SHOWN_CHARACTERS:]

    def crash(self, last_lines: str) -> Look:
        """Return what is seen of a turn whose process has ended, and the turn itself has not."""
        status = self.status()
        known = status.get("exit") if status else None
        return Look(
            alive=False,
            exit_status=known if isinstance(known, int) else None,
            last_lines=last_lines,
            lost=status is None,
        )

    def interrupt(self) -> None:
        """End the turn that is under way."""
        if self.running is False:
            return
        # Before the deed: a death in between must not look like the session's own.
        self.record = replace(self.record, interrupted=True)
        self._stage.keep(self.record)
        self._end_process()

    def _end_process(self) -> None:
        """End the turn's program, then the process that waits for it."""
        grace = self._stage.assignment.limits.kill_grace
        owner = self.record.owner
        report = self.path("report")
        program = (
            fenced_program(report) if self._stage.fenced else first_child(owner.pid if owner else 0)
        )
        self._process.end(program, grace)

    def end(self) -> None:
        """End everything that a turn has started."""
        self._end_process()
        self._process.close()
        self._stage.sweep()
        self._stage.ended()
        self.said()

    def fds(self) -> tuple[int, ...]:
        """Return what becomes readable when the turn's process ends."""
        return self._process.fds()
