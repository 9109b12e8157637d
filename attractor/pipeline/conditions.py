"""When an edge is taken: the harness's words and the specification's clauses, as one thing.

`pass`, `fail`, `partial` (also `pass|partial`) are clauses about the outcome; the specification
writes `outcome=success && context.tests != "red"`. Both become a conjunction of clauses. What does
not parse is refused with its position: a condition is never taken to mean something by guess.
Reading says nothing about which edge wins when several conditions hold; that is the plan's matter.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, cast, final

from attractor.errors import InputError

Outcome = Literal["pass", "fail", "partial"]

# Every word for an outcome that real pipelines use, and the one that we mean by it.
OUTCOME_WORDS: Final[Mapping[str, str]] = {
    "pass": "pass",
    "passed": "pass",
    "success": "pass",
    "succeeded": "pass",
    "fail": "fail",
    "failed": "fail",
    "failure": "fail",
    "partial": "partial",
    "partial_success": "partial",
}
BARE_OUTCOMES: Final = frozenset({"pass", "fail", "partial"})

LEGAL: Final = (
    "Write pass, fail or partial, or clauses such as outcome=success, outcome!=fail, "
    'context.tests="all green", joined by &&'
)

_FALSE: Final = frozenset({"", "false", "0"})
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<operator>&&|!=|=(?!=)|\|(?!\|))
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s"'&|=!<>()]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEY: Final = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")


@final
class Operator(enum.Enum):
    """How a clause compares."""

    EQUALS = "="
    DIFFERS = "!="
    TRUTHY = ""


@final
@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison. EQUALS holds for any of the values, DIFFERS for none of them."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """All clauses must hold; without clauses it always holds."""

    text: str
    clauses: tuple[Clause, ...]


@final
class ConditionError(InputError):
    """A condition that cannot be read; `position` counts characters of its text from 0."""

    code = "condition"

    @property
    def position(self) -> int:
        """Return where reading stopped."""
        return cast("int", self.details["position"])


@final
@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_condition(text: str) -> Condition:
    """Read a condition; blank means "always". Raises ConditionError."""
    if not text.strip():
        return Condition(text, ())
    return Condition(text, tuple(_Reader(text).clauses()))


def evaluate(condition: Condition, facts: Mapping[str, str]) -> bool:
    """Return whether the condition holds; a missing fact is the empty text.

    Text compares exactly, but the words of one outcome (success, succeeded, pass) are one value.
    """
    return all(_holds(clause, facts) for clause in condition.clauses)


def outcome_needed(condition: Condition | str) -> Outcome | None:
    """Return the one outcome without which the condition cannot hold, if it names one."""
    for clause in _read(condition).clauses:
        if _is_outcome(clause.key) and clause.operator is Operator.EQUALS:
            words = {OUTCOME_WORDS.get(value) for value in clause.values}
            if len(words) == 1:
                return cast("Outcome | None", words.pop())
    return None


def is_failure_route(condition: Condition | str) -> bool:
    """Return whether the condition can hold after a failure and never after a success."""
    about = [clause for clause in _read(condition).clauses if _is_outcome(clause.key)]

    def can_hold(outcome: str) -> bool:
        return all(_holds(clause, {"outcome": outcome}) for clause in about)

    return can_hold("fail") and not can_hold("pass")


def _read(condition: Condition | str) -> Condition:
    return parse_condition(condition) if isinstance(condition, str) else condition


def _is_outcome(key: str) -> bool:
    return key.removeprefix("$").removeprefix("context.") == "outcome"


def _holds(clause: Clause, facts: Mapping[str, str]) -> bool:
    said = _look_up(clause.key, facts)
    if clause.operator is Operator.TRUTHY:
        return said not in _FALSE
    wanted = clause.values
    if _is_outcome(clause.key):
        said = OUTCOME_WORDS.get(said, said)
        wanted = tuple(OUTCOME_WORDS.get(value, value) for value in wanted)
    return (said in wanted) is (clause.operator is Operator.EQUALS)


def _look_up(key: str, facts: Mapping[str, str]) -> str:
    key = key.removeprefix("$")
    bare = key.removeprefix("context.")
    for name in (key, bare, f"context.{bare}"):
        if name in facts:
            return facts[name]
    return ""


@final
class _Reader:
    """One pass over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def clauses(self) -> list[Clause]:
        found = [self._clause()]
        while (token := self._take()) is not None:
            if token.text != "&&" or token.kind != "operator":
                self._refuse_after_clause(token)
            found.append(self._clause())
        return found

    def _clause(self) -> Clause:
        key = self._take()
        if key is None or key.kind != "word" or not _KEY.fullmatch(key.text):
            self._refuse("expected a name", key)
        if self._take_operator("|", "=", "!=") is None:
            if key.text in BARE_OUTCOMES:
                return Clause("outcome", Operator.EQUALS, (key.text,))
            return Clause(key.text, Operator.TRUTHY)
        sign = self._tokens[self._next - 1]
        if sign.text == "|":
            self._next -= 1
            return self._alternatives(key)
        return Clause(key.text, Operator(sign.text), (self._literal(sign.text),))

    def _alternatives(self, first: _Token) -> Clause:
        words = [first]
        while self._take_operator("|"):
            word = self._take()
            if word is None:
                self._refuse("expected pass, fail or partial after |", None)
            words.append(word)
        for word in words:
            if word.text not in BARE_OUTCOMES:
                self._refuse("only pass, fail and partial can be joined by |", word)
        return Clause("outcome", Operator.EQUALS, tuple(word.text for word in words))

    def _literal(self, sign: str) -> str:
        token = self._take()
        if token is None or token.kind == "operator":
            self._refuse(f"expected a value after {sign}", token)
        if token.kind == "quoted":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        return token.text

    def _take(self) -> _Token | None:
        if self._next == len(self._tokens):
            return None
        self._next += 1
        return self._tokens[self._next - 1]

    def _take_operator(self, *signs: str) -> _Token | None:
        token = self._tokens[self._next] if self._next < len(self._tokens) else None
        if token is None or token.kind != "operator" or token.text not in signs:
            return None
        self._next += 1
        return token

    def _refuse_after_clause(self, token: _Token) -> NoReturn:
        if token.text.lower() in {"and", "or", "not"}:
            self._refuse(f"{token.text!r} does not join conditions", token)
        if token.kind == "operator":
            self._refuse("expected && or the end", token)
        self._refuse("a value with spaces needs quotes", token)

    def _refuse(self, problem: str, token: _Token | None) -> NoReturn:
        at = len(self._text) if token is None else token.at
        raise _error(self._text, problem, at)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise _error(text, f"{text[at : at + 2].strip()} has no meaning here", at)
        kind = cast("str", match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return found


def _error(text: str, problem: str, at: int) -> ConditionError:
    return ConditionError(
        f"The condition {text!r} cannot be read: {problem}", fix=LEGAL, position=at
    )
