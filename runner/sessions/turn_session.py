"""A session of a program that has one process for each turn, whatever the program.

What is said is said when the turn before has ended: if it has not, the words are kept, and said
when `submit` asks for it. How a turn is started, and what is seen of it, its program knows.
"""

from __future__ import annotations

from typing import Protocol, final

from attractor.errors import ToolError
from runner.session import Launch, Look
from runner.sessions.stage import Stage
from runner.sessions.turns import Turns


class TurnProgram(Protocol):
    """One node's."""

    turns: Turns

    def start(self, launch: Launch) -> None:
        """Start the first turn; of the session before nothing is left."""

    def say(self, text: str) -> None:
        """Start the next turn; of the one before nothing is left."""

    def look(self) -> Look:
        """Say what is proved about the session now."""

    def screen(self) -> str:
        """Return what a person would see, bounded."""


@final
class TurnSession:
    """One node's."""

    def __init__(self, stage: Stage, program: TurnProgram) -> None:
        self.program = program
        self._stage = stage
        self._turns = program.turns

    def start(self, launch: Launch) -> None:
        self.end()
        self.program.start(launch)

    def look(self) -> Look:
        return self.program.look()

    def screen(self) -> str:
        return self.program.screen()

    def deliver(self, text: str) -> None:
        if not self._turns.over(text):
            raise ToolError("the turn before is still at work, so nothing can be said")
        self._say(text)

    def submit(self) -> None:
        if text := self._turns.waiting():
            self._say(text)

    def _say(self, text: str) -> None:
        # What the turn before has left running is not the next one's.
        self._stage.sweep()
        self.program.say(text)
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
