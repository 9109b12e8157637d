"""What a story is made of: orders, tasks, decisions, rests, notes. Values only.

`attractor.run.story` fills them in from the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final


class Pause(NamedTuple):
    """A rest of the whole run: for the hour's budget, or for room on the disk."""

    at: str
    until: str
    why: str


class Note(NamedTuple):
    """What is said of the run, once."""

    at: str
    what: str
    about: str
    """The node, or the kind of task; empty for the run as a whole."""


class Order(NamedTuple):
    """What a Runner is told; its place in the journal is its name."""

    seq: int
    place: int
    node: str
    attempt: int
    type: str
    payload: Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Task:
    """What a child process of the Guardian does, or did."""

    id: str
    kind: str
    node: str
    attempt: int
    about: Mapping[str, Any]
    at: str
    reserved: int = 0
    """The tokens that were set aside for it."""

    @property
    def closing(self) -> bool:
        """Whether it tells beads and promise how the run has ended."""
        return self.kind == "books" and "result" in self.about

    @property
    def finished(self) -> bool:
        """Whether it goes on when the run is stopped: a merge may have moved the branch."""
        return self.kind == "merge" or self.closing


@final
@dataclass(slots=True)
class Decision:
    """What a person is asked."""

    id: str
    node: str
    attempt: int
    kind: str
    question: str
    options: tuple[str, ...]
    default: str
    deadline: str
    """When the default counts, as the journal writes times; empty for never."""
    asked_at: str
    context: str = ""
    commit: str = ""
    """What it is about, where it is about something that was handed in."""
    option: str = ""
    note: str = ""
    by: str = ""
    answered_at: str = ""

    @property
    def open(self) -> bool:
        """Whether nobody has answered."""
        return not self.option
