"""What a Runner can do with the session it watches, whatever kind of agent runs in it.

A session is opened from the assignment and from what `session.json` says of one that was started
before, by this Runner or by one that was killed: whoever opens it holds the same session. Nothing
here decides anything, and no answer is a guess: what cannot be known now is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

_LAST_LINES: Final = 40


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a session is started: new, or with the conversation that `session_id` had."""

    number: int
    session_id: str
    resume: bool
    prompt: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen of a session at one moment."""

    alive: bool | None
    """None: nobody can be asked now."""
    exit_status: int | None = None
    """Of a session that has ended, where it is known; negative for a signal."""
    last_lines: str = ""
    lost: bool = False
    """It did not end by itself: its terminal is gone, or the machine was started anew."""
    dialog: str = ""
    """A dialog that waits for a person, as it stands on the screen."""


class Session(Protocol):
    """One node's session."""

    def start(self, launch: Launch) -> None:
        """End what is left of the session before, then start; returns before the first turn."""

    def look(self) -> Look:
        """Say what is proved about the session now."""

    def screen(self) -> str:
        """Return what a person would see, bounded."""

    def deliver(self, text: str) -> None:
        """Give the session a prompt. Its receipt is an event; ToolError when it is not there."""

    def submit(self) -> None:
        """Press Enter again: the prompt was typed and not taken."""

    def interrupt(self) -> None:
        """End the turn that is under way, not the session."""

    def end(self) -> None:
        """End the session; afterwards no process of it is left. Twice is once."""

    def attach(self, *, write: bool) -> list[str]:
        """Return the command that shows the session to a person; empty if none can."""

    def fds(self) -> tuple[int, ...]:
        """Return descriptors that become readable when the session's process ends."""


def last_lines(screen: str) -> str:
    """Return what of a screen is in a look."""
    return "\n".join(screen.splitlines()[-_LAST_LINES:])
