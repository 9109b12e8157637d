"""What we have to say to a session, and how each thing reaches it.

Pure. While a turn runs, guidance waits in the inbox, where the Stop hook finds it when the turn
ends; what is urgent, or finds the session idle, is pasted. It counts as said only when its receipt
has come: a prompt (`UserPromptSubmit`) with its mark in it. Without one Enter is pressed again,
then it is pasted again, then it has failed. A thing is said at least once, in order, one at a
time; after a lost receipt perhaps twice.

What is pasted has no control characters, because some end a paste and press Enter, and neither
begins with `/` or `!` nor ends with a backslash, because these are commands to Claude Code.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

from attractor.run.limits import Limits
from runner.facts import Turn
from runner.view import View

OURS: Final = "say-"
"""How the ids of the Runner's own words begin."""
PASTES: Final = 3  # before a delivery has failed
ENTERS: Final = 2  # for each paste
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@final
class Way(enum.Enum):
    """What is due for the first thing in the queue."""

    INBOX = "inbox"  # put it where the Stop hook looks
    PASTE = "paste"  # type it; take it out of the inbox first
    ENTER = "enter"  # it was typed, and nothing happened
    SAID = "said"  # its receipt is here
    FAILED = "failed"  # it cannot be said


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One thing to say."""

    id: str
    text: str
    why: str
    urgent: bool = False  # not to wait for the end of the turn
    inbox: bool = False
    pasted_at: float = 0.0
    pastes: int = 0
    enters: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """All that is to be said, oldest first."""

    queue: tuple[Saying, ...] = field(default=())

    def as_json(self) -> list[dict[str, Any]]:
        """Return what `from_json` reads."""
        return [
            {name: getattr(each, name) for name in Saying.__dataclass_fields__}
            for each in self.queue
        ]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> Speech:
        """Return the queue that was written."""
        return cls(queue=tuple(Saying(**each) for each in value))


def spoken(saying_id: str, text: str, why: str) -> str:
    """Return the text as the session gets it, with the mark by which its receipt is known."""
    plain = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\t", "    "))
    head = f"Message {mark(saying_id)} from your supervisor ({_CONTROL.sub('', why)}):"
    return f"{head}\n\n{plain.strip()}\n\nEnd of the message."


def mark(saying_id: str) -> str:
    """Return what is looked for in the receipt."""
    return f"[{saying_id[:32]}]"


def add(speech: Speech, saying: Saying) -> Speech:
    """Return the queue with one more thing at its end; a thing that is in it already stays once."""
    if any(each.id == saying.id for each in speech.queue):
        return speech
    return replace(speech, queue=(*speech.queue, saying))


def due(speech: Speech, view: View, now: float, limits: Limits) -> Way | None:
    """Return what is to be done for the first in the queue; None: wait."""
    if not speech.queue:
        return None
    first = speech.queue[0]
    if first.id in view.delivered or (first.pastes and mark(first.id) in view.receipts):
        return Way.SAID
    if first.pastes:
        return _after_paste(first, now, limits)
    if view.turn is Turn.STARTING or (view.turn is Turn.BUSY and not first.urgent):
        return None if first.inbox else Way.INBOX
    return Way.PASTE


def _after_paste(first: Saying, now: float, limits: Limits) -> Way | None:
    waited = max(0.0, now - first.pasted_at)
    if waited < limits.receipt_within * (first.enters + 1):
        return None
    if first.enters < ENTERS:
        return Way.ENTER
    return Way.PASTE if first.pastes < PASTES else Way.FAILED


def done(speech: Speech, way: Way, now: float) -> Speech:
    """Return the queue after this was done for its first."""
    first, rest = speech.queue[0], speech.queue[1:]
    match way:
        case Way.SAID | Way.FAILED:
            return replace(speech, queue=rest)
        case Way.INBOX:
            first = replace(first, inbox=True)
        case Way.PASTE:
            first = replace(first, inbox=False, pastes=first.pastes + 1, pasted_at=now, enters=0)
        case Way.ENTER:
            first = replace(first, enters=first.enters + 1)
    return replace(speech, queue=(first, *rest))


def is_ours(saying: Saying) -> bool:
    """Say whether it comes from the Runner itself, and may be replaced by something newer."""
    return saying.id.startswith(OURS)


def kept(speech: Speech) -> Speech:
    """Return what is still to be said to a session that begins again: all but our own words."""
    fresh = tuple(_unsaid(each) for each in speech.queue if not is_ours(each))
    return replace(speech, queue=fresh)


def again(speech: Speech, saying: Saying) -> Speech:
    """Return the queue with a thing at its front that could not be said."""
    return replace(speech, queue=(_unsaid(saying), *speech.queue))


def _unsaid(saying: Saying) -> Saying:
    return replace(saying, inbox=False, pasted_at=0.0, pastes=0, enters=0)


def settled(speech: Speech, now: float) -> Speech:
    """Return the queue as it is to be kept: nothing was typed in the future."""
    if all(each.pasted_at <= now for each in speech.queue):
        return speech
    queue = tuple(replace(each, pasted_at=min(each.pasted_at, now)) for each in speech.queue)
    return replace(speech, queue=queue)


def next_at(speech: Speech, limits: Limits) -> float | None:
    """Return when `due` has to be asked again, if nothing else happens before."""
    if not speech.queue or not speech.queue[0].pastes:
        return None
    first = speech.queue[0]
    return first.pasted_at + limits.receipt_within * (first.enters + 1)
