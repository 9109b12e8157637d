"""Whether something new contradicts something older; pure, and a heuristic.

Two texts contradict each other where one asks for what the other forbids ("use Redis", "never use
Redis for sessions"), or where both give another value to the same thing ("the database is
Postgres", "the database is SQLite"; "use pytest for tests", "use nose for tests"). Words are
compared, meanings are not: what is said in quite other words is not found ("all state lives in
Postgres", "keep sessions in memory"), and what only looks alike is ("use pytest for tests", "use
Hypothesis for tests"). The price of the second is that a person is asked once; nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, final

from attractor.memory import words

_ALIKE: Final = 0.8
_FEWEST: Final = 2
_MOST_VALUE: Final = 4
_STATES: Final = re.compile(
    r"(?:the |our |all )?(?P<key>[^,;]{1,80}?)(?P<verb> is | are | = |: | must be | should be "
    r"| will be | runs on | run on | defaults to | lives in | live in | equals )"
    r"(?P<where>(?:\w+ed |\w+en )?(?:at|in|on|under|within|by|with|to|from|as) )?(?P<value>[^;]+)"
)
_USES: Final = re.compile(
    r"(?:we |always |only |please )*(?:use|uses|adopt|choose|prefer|pick) (?P<value>[^;]+?)"
    r"(?P<verb> for | as | to )(?P<key>[^;]+)"
)
_TURNS: Final = re.compile(
    r"(?:, (?:and )?(?:not|never)|,? instead of|,? rather than| \(not) ", re.IGNORECASE
)
_ENDS: Final = re.compile(r"[;!?]+\s*|\.\s+|,? but ")


class _Claim(NamedTuple):
    """One part of a text."""

    words: frozenset[str]
    negative: bool


class _Value(NamedTuple):
    """What a text says a thing is."""

    key: frozenset[str]
    verb: str
    value: frozenset[str]


def contradict(one: str, other: str) -> bool:
    """Say whether these two seem to contradict each other."""
    theirs = [*_claims(other)]
    for mine in _claims(one):
        for their in theirs:
            if mine.negative != their.negative and _same(mine.words, their.words):
                return True
    values = [*_values(other)]
    return any(_differ(mine, their) for mine in _values(one) for their in values)


@final
class Older:
    """Texts that something new may contradict: many are compared as fast as few."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: list[str] = []
        self._claims: dict[tuple[bool, str], list[tuple[int, frozenset[str]]]] = {}
        self._values: dict[frozenset[str], list[tuple[int, _Value]]] = {}
        for each in texts:
            self.add(each)

    def add(self, text: str) -> None:
        """Let a text be one of them."""
        number = len(self._texts)
        self._texts.append(text)
        for claim in _claims(text):
            for word in claim.words:
                self._claims.setdefault((claim.negative, word), []).append((number, claim.words))
        for value in _values(text):
            self._values.setdefault(value.key, []).append((number, value))

    def against(self, text: str) -> str:
        """Return the first that this text seems to contradict; nothing where none is."""
        found = {
            number
            for mine in _claims(text)
            for word in mine.words
            for number, their in self._claims.get((not mine.negative, word), ())
            if _same(mine.words, their)
        }
        found |= {
            number
            for mine in _values(text)
            for number, their in self._values.get(mine.key, ())
            if _differ(mine, their)
        }
        return self._texts[min(found)] if found else ""


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    shorter = min(len(one), len(other))
    return shorter >= _FEWEST and len(one & other) / shorter >= _ALIKE


def _claims(text: str) -> Iterator[_Claim]:
    for part in filter(None, _ENDS.split(f"{text} ")):
        first, *turned = _TURNS.split(part)
        negative, said = words.is_negative(first), words.content(first)
        yield _Claim(said, negative)
        for each in turned:
            yield _Claim(words.content(each) | (said & {"use"}), not negative)


def _values(text: str) -> Iterator[_Value]:
    for part in filter(None, _ENDS.split(f"{text} ")):
        lowered = " ".join(_TURNS.split(part)[0].casefold().split())
        if words.is_negative(lowered):
            continue
        if found := _USES.fullmatch(lowered) or _STATES.fullmatch(lowered):
            said = found.groupdict()
            verb = f"{said['verb'].strip()} {said.get('where') or ''}".strip()
            yield _Value(words.content(said["key"]), verb, words.content(said["value"]))


def _differ(one: _Value, other: _Value) -> bool:
    if not one.key or one.key != other.key or _place(one.verb) != _place(other.verb):
        return False
    if not (0 < len(one.value) <= _MOST_VALUE and 0 < len(other.value) <= _MOST_VALUE):
        return False
    mine, theirs = one.value - other.value, other.value - one.value
    other_number = bool(mine and theirs) and mine | theirs == words.numbers(mine | theirs)
    return not one.value & other.value or other_number


_BE: Final = ("is", "are", "=", ":", "must be", "should be", "will be", "equals")


def _place(verb: str) -> str:
    """Return what sort of value a verb gives: "is" and "must be" the same, "is in" another."""
    for each in sorted(_BE, key=len, reverse=True):
        if verb == each or verb.startswith(f"{each} "):
            return f"be{verb[len(each) :]}"
    return verb
