"""What a Runner knows and has decided: small enough to be written before every effect.

The state is saved with the effects that are due (`todo`) before any of them is carried out, and
again after each: a Runner that is killed at any moment leaves a state from which another goes on,
and repeats at most the one effect that was under way. Events that were folded in are named in
`applied` until their files are gone, so that none counts twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any, Final, final

from attractor.agents.usage import Usage
from attractor.errors import DamageError
from runner.breaker import Breaker
from runner.cooldown import Cooldown
from runner.effects import Effect, effect_from_json, effect_to_json
from runner.facts import Checks, Opinion, Turn
from runner.ladder import Ladder
from runner.speech import Speech
from runner.view import View

SCHEMA_VERSION: Final = 1


@final
class Phase(Enum):
    """Where a Runner stands."""

    NEW = "new"  # nothing was started yet
    WATCHING = "watching"
    COOLING = "cooling"  # a rate limit; the session idles
    ENDING = "ending"  # the outcome is decided, its effects are due
    CLOSING = "closing"  # the session is ended, and then says what it has cost
    ENDED = "ended"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One node's Runner, one attempt."""

    attempt: int
    phase: Phase = Phase.NEW
    launch: int = 0  # how often a session was started
    session_id: str = ""
    launched_at: float = 0.0
    view: View = field(default_factory=View)
    speech: Speech = field(default_factory=Speech)
    ladder: Ladder = field(default_factory=Ladder)
    breaker: Breaker = field(default_factory=Breaker)
    cooldown: Cooldown = field(default_factory=Cooldown)
    usage: Usage = field(default_factory=Usage)
    retry_at: float | None = None  # the provider's last word in a transcript
    usage_mark: Mapping[str, Any] = field(default_factory=dict)  # how far transcripts were read
    head: str = ""  # the newest commit that was looked at
    commits: int = 0
    dirty: bool = False
    astray: bool = False
    fingerprint: str = ""  # of the worktree
    wrote: bool = False  # it has held commits on top of its base, or changes, when looked at
    looked_turn: int = -1  # the turn after which the worktree was looked at
    reviewed: str = ""  # the commit that was handed in
    checked: str = ""  # the commit that the checks ran on
    checks: Checks = Checks.NONE
    checks_text: str = ""
    opinion: Opinion = Opinion.NOT_ASKED
    opinion_turn: int = -1
    opinion_text: str = ""
    promised: bool = False  # the session has had a completion promise
    refusals: int = 0
    waiting: str = ""
    judged_turn: int = 0  # the turn that the breaker has seen
    cooldowns: int = 0
    cooldown_seconds: float = 0.0
    evidence: str = ""  # what the last checks wrote
    signals: int = 0  # sent so far; makes their ids
    said: int = 0  # the same for what the session is told
    said_at: float = 0.0
    crashed: bool = False
    reason: str = ""  # how it ended
    mode: str = ""
    todo: tuple[Effect, ...] = ()
    applied: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()  # ids of the Guardian's newest signals

    def usage_report(self) -> dict[str, Any]:
        """Return what signals say about usage."""
        known = {**self.usage.as_json(), "turns": self.view.turns, "sessions": self.launch}
        return {
            **{key: value for key, value in known.items() if value not in (None, {})},
            "cooldowns": self.cooldowns,
            "cooldown_seconds": round(self.cooldown_seconds, 3),
        }


def dump(state: State) -> bytes:
    """Return the document."""
    value: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for each in fields(State):
        value[each.name] = _plain(getattr(state, each.name))
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def load(data: bytes, where: str) -> State:
    """Return the state in a document; DamageError when it is none."""
    try:
        value = json.loads(data)
        _check(value.pop("schema_version"))
        return State(**{key: _rich(key, each) for key, each in value.items()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fix = "move the file away: the session is then started anew, its commits are kept"
        problem = f"the Runner's state cannot be understood: {error}"
        raise DamageError(problem, where=where, fix=fix) from error


def _check(version: object) -> None:
    if version != SCHEMA_VERSION:
        raise ValueError("it is of another version")


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, View):
        return {**asdict(value), "turn": value.turn.value}
    as_json = getattr(value, "as_json", None)
    if as_json is not None:
        return as_json()
    return effect_to_json(value) if isinstance(value, Effect) else value


def _view(value: Mapping[str, Any]) -> View:
    made: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in value.items()
    }
    made["turn"] = Turn(value["turn"])
    return View(**made)


_RICH: Final[Mapping[str, Any]] = {
    "phase": Phase,
    "view": _view,
    "speech": Speech.from_json,
    "ladder": Ladder.from_json,
    "breaker": Breaker.from_json,
    "cooldown": Cooldown.from_json,
    "usage": Usage.from_json,
    "checks": Checks,
    "opinion": Opinion,
    "todo": lambda value: tuple(effect_from_json(each) for each in value),
    "applied": tuple,
    "heard": tuple,
}


def _rich(key: str, value: Any) -> Any:  # noqa: ANN401  # each key has its own type
    return _RICH[key](value) if key in _RICH else value
