"""What a Runner can do: values, decided in one place and carried out in another.

Each is small, written to disk before it is carried out, and may be carried out twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Tell the Guardian. The number makes its id, so that twice is once."""

    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start the session, new or with its context; what is left of the one before is ended."""

    launch: int
    session_id: str
    resume: bool
    prompt: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """Put guidance where the Stop hook finds it."""

    id: str
    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Paste:
    """Type something into the idle session."""

    id: str
    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Press Enter again."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """End the turn that is under way."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Run the node's checks on this commit, in a child."""

    head: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask a model what the end of this turn means, in a child."""

    turn: int
    message: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Keep what the session shows."""

    why: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """End the session and everything that it started."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Say something in the node's timeline."""

    what: str
    detail: Mapping[str, Any] = field(default_factory=dict)


Effect = Signal | Start | Inbox | Paste | Enter | Interrupt | Check | Ask | Snapshot | End | Note

_KINDS: Final = {kind.__name__: kind for kind in Effect.__args__}


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """Return what `effect_from_json` reads."""
    return {"effect": type(effect).__name__, **asdict(effect)}


def effect_from_json(value: Mapping[str, Any]) -> Effect:
    """Return the effect that was written."""
    said = dict(value)
    made: Effect = _KINDS[said.pop("effect")](**said)
    return made
