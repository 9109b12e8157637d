"""How long a Runner waits, and how often it tries: the numbers of one node.

Guaranteed: a `Limits` made by `from_json` or by `config.resolve` has every number in its range; a
bad one is an InputError that names it. `Limits(...)` itself checks nothing. Lengths of time are
seconds; as text they are written as in the Attractor specification: `250ms`, `15`, `900s`, `15m`,
`2h`, `1d`. Nothing is read here, and no clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final, final

from attractor.errors import InputError

SECONDS: Final = "seconds"
COUNT: Final = "count"
BYTES: Final = "bytes"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST: Final = 365 * 86_400.0
_SHORTEST: Final = 0.01
_MOST: Final = 1_000_000_000
_LENGTH: Final = "a length of time from 10ms to 365d, such as 250ms, 90s, 15m, 2h or 1d"


def _time(default: float, about: str, rehearsed: float | None = None) -> float:
    return field(
        default=default,
        metadata={"unit": SECONDS, "least": _SHORTEST, "about": about, "rehearsed": rehearsed},
    )


def _count(default: int, about: str, least: int = 1) -> int:
    return field(default=default, metadata={"unit": COUNT, "least": least, "about": about})


def _bytes(default: int, about: str) -> int:
    return field(default=default, metadata={"unit": BYTES, "least": 1_000, "about": about})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers, each with the name that it has in DOT, in settings and on disk."""

    # The last number of a time is what a rehearsal shortens it to at the most; without one it
    # bounds a program that is real there, too.
    stuck_after: float = _time(300.0, "no tool, commit or changed file for so long: stuck", 6.0)
    tool_stuck_after: float = _time(1800.0, "the same while a tool runs", 12.0)
    start_within: float = _time(60.0, "the session's first hook after its launch")
    receipt_within: float = _time(5.0, "the session's receipt for what was typed")
    check_timeout: float = _time(900.0, "the node's checks, together")
    ask_timeout: float = _time(120.0, "the answer of a model that is asked")
    review_timeout: float = _time(900.0, "one review, look back, or planning again", 120.0)
    max_attempts: int = _count(3, "attempts of a node; 30 of a persistent run, if nothing is said")
    max_restarts: int = _count(2, "sessions that are started again in one attempt", least=0)
    max_no_progress: int = _count(3, "turns without progress, one after another")
    max_same_error: int = _count(
        3, "turns, or attempts, that end in the same way, one after another"
    )
    breaker_open: float = _time(60.0, "the rest that an open breaker takes", 1.0)
    cooldown_min: float = _time(60.0, "the first cooldown after a rate limit", 1.0)
    cooldown_max: float = _time(3600.0, "the longest cooldown of our own choice", 6.0)
    reset_max: float = _time(604_800.0, "the longest cooldown that a provider can ask for", 6.0)
    max_cooldowns: int = _count(24, "cooldowns, one after another, before a person is asked")
    max_violations: int = _count(3, "violations of one session before it is stuck")
    max_refusals: int = _count(3, "claims of completion that the facts contradict")
    kill_grace: float = _time(5.0, "what a session that is ended may still do")
    max_prompt_bytes: int = _bytes(100_000, "the first prompt")
    max_carry_bytes: int = _bytes(20_000, "what is told about the attempt before")
    slow_seconds: float = _time(15.0, "the listing that makes up for a lost event")

    @classmethod
    def from_json(cls, given: Mapping[str, object]) -> Limits:
        """Return the limits that a JSON object gives; what it leaves out is the default."""
        made = cls(**{name: number(name, value) for name, value in given.items()})  # type: ignore[arg-type]  # `number` gives each its type
        check(made)
        return made


FIELDS: Final = {each.name: each for each in fields(Limits)}


def number(name: str, given: object) -> float | int:
    """Return one limit's value from a number or from text; InputError if it cannot be."""
    if name not in FIELDS:
        raise InputError(f"there is no limit {name!r:.60}", fix=f"the limits are {_names()}")
    about = FIELDS[name].metadata
    value = _seconds(given) if about["unit"] == SECONDS else _whole(given)
    most = _LONGEST if about["unit"] == SECONDS else _MOST
    if value is None or not about["least"] <= value <= most:
        raise InputError(f"{name} cannot be {given!r:.60}", fix=f"write {_legal(name)}")
    return value


def seconds(name: str, given: str) -> float:
    """Return the length of time that an attribute of this name says; 0 where it says none."""
    if not given.strip():
        return 0.0
    value = _seconds(given)
    if value is None or not _SHORTEST <= value <= _LONGEST:
        raise InputError(f"{name} cannot be {given!r:.60}", fix=f"write {_LENGTH}")
    return value


def check(limits: Limits) -> None:
    """Raise InputError where two limits contradict each other."""
    if limits.cooldown_min > limits.cooldown_max:
        raise InputError(
            f"cooldown_min ({duration(limits.cooldown_min)}) is longer than cooldown_max "
            f"({duration(limits.cooldown_max)})",
            fix="set both",
        )


def duration(seconds: float) -> str:
    """Return a length of time as it is written in DOT, in its largest whole unit."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    amount, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    return f"{amount:.3f}".rstrip("0").rstrip(".") + unit


def for_rehearsal(limits: Limits) -> Limits:
    """Return the limits with every wait for the world cut to seconds.

    What bounds a real program (its start, a receipt, a check) stays: it is as slow as in life.
    """
    return replace(
        limits,
        **{
            name: min(getattr(limits, name), each.metadata["rehearsed"])
            for name, each in FIELDS.items()
            if each.metadata.get("rehearsed") is not None
        },
    )


def _seconds(given: object) -> float | None:
    if isinstance(given, str):
        match = _DURATION.fullmatch(given.strip())
        return float(match[1]) * _UNITS[match[2] or "s"] if match else None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if abs(given) <= _LONGEST and math.isfinite(given) else None


def _whole(given: object) -> int | None:
    if isinstance(given, str):
        text = given.strip()
        return (
            int(text)
            if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST))
            else None
        )
    return given if type(given) is int else None


def _legal(name: str) -> str:
    about = FIELDS[name].metadata
    if about["unit"] == SECONDS:
        return _LENGTH
    return f"a whole number from {about['least']} to {_MOST}"


def _names() -> str:
    return ", ".join(FIELDS)
