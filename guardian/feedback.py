"""What the orchestrator is told about work that is not accepted: what is wrong, never the rubric.

Made from the judge's own words on the work, the places that it quoted, and the end of the checks'
output. The guard drops each sentence that shares, across case, punctuation, accents and spaces, a
whole sentence of the rubric or six words in a row with it; also where they run over several
sentences. Not noticed: the same thing said in other words, which is what a judge is asked for, and
titles of one or two words, which would forbid the names of files.
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

_RUN: Final = 6
_SENTENCE: Final = 3
_LETTERS: Final = 8  # a row of a table may be `| 1 | 2 |`
_MOST: Final = 6_000
_MOST_PROBLEM: Final = 1_500
_MOST_COMMAND: Final = 500
_MOST_PLACES: Final = 5
_WORD: Final = re.compile(r"[^\W_]+")
_ENDS: Final = re.compile(r"(?<=[.!?;])\s+|\n+")
# What stands before the words of a step or of a line of a guide, and is not part of its sentence.
_MARK: Final = re.compile(
    r"^[\s#*-]*(?:(Given|When|Then|And|But|Feature:\s*[A-Z]{1,4}-?\d+\b|Feature|Rule|Background"
    r"|Examples?|Weight|Scenario(?: Outline| Template)?|Scoring Guide|Evidence to Check"
    r"|Red Flags)\b:?|[01]?\.\d+\s*:)?\s*",
    re.IGNORECASE,
)
_PARTS: Final = re.compile(r"(?<=[.!?;])\s+|\s*\|\s*|[\"“”`]")
_LAST: Final = "Not accepted."


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one thing that was judged."""

    criterion: str
    """The name of what it belongs to, which may be told."""
    text: str
    """What the judge says; it may hold anything."""
    places: tuple[str, ...] = ()
    """FILE:LINE of quotations that were found."""


@final
class Guard:
    """Knows the words of a rubric, and keeps them back."""

    def __init__(self, rubric: Iterable[str]) -> None:
        found = {each for text in rubric for each in _secrets(text)}
        self._secrets = tuple(sorted(found - {""}))

    def leaks(self, text: str) -> bool:
        """Say whether a sentence of the rubric, or six words in a row, can be read in the text."""
        compact = _compact(text)
        return any(secret in compact for secret in self._secrets)

    def kept(self, parts: Sequence[str]) -> list[str]:
        """Return those parts of a text in which, and between which, nothing can be read."""
        left = list(parts)
        while bad := self._bad(left):
            # Once more after this: what stood apart may stand side by side now.
            left = [each for at, each in enumerate(left) if at not in bad]
        return left

    def _bad(self, parts: Sequence[str]) -> set[int]:
        compact = [_compact(each) for each in parts]
        ends = list(itertools.accumulate(map(len, compact)))
        whole = "".join(compact)
        bad: set[int] = set()
        for secret in self._secrets:
            start = whole.find(secret)
            while start >= 0:
                first = bisect.bisect_right(ends, start)
                bad.update(range(first, bisect.bisect_left(ends, start + len(secret)) + 1))
                start = whole.find(secret, start + 1)
        return bad


def of_verdict(problems: Sequence[Problem], guard: Guard) -> str:
    """Return the feedback on work that was judged and not accepted."""
    first = "The work was judged, and is not accepted yet."
    lines = [_told(each, guard) for each in problems]
    whole = "\n".join([first, *(f"- {each}" for each in dict.fromkeys(lines))])[:_MOST]
    return _first_safe((whole, first), guard)


def of_checks(command: str, how: str, tail: str, guard: Guard) -> str:
    """Return the feedback on work whose own checks failed: which one, how, and what it said."""
    first = f"The check `{command[:_MOST_COMMAND]}` {how} in a clean checkout of the commit."
    lines = guard.kept(tail[-_MOST // 2 :].splitlines())
    end = "\n".join(lines).strip("\n")
    whole = f"{first} The end of its output:\n{end}" if end else first
    return _first_safe((whole, first, "A check failed in a clean checkout."), guard)


def _told(problem: Problem, guard: Guard) -> str:
    """Return one line: the judge's words, or without them what it is about."""
    sentences = [each for each in _ENDS.split(problem.text[:_MOST_PROBLEM]) if each.strip()]
    said = " ".join(" ".join(guard.kept(sentences)).split())
    places = ", ".join(dict.fromkeys(problem.places[:_MOST_PLACES]))
    see = f" See {places}." if places else ""
    neutral = f"What {problem.criterion} asks for is not there yet."
    told = [f"{problem.criterion}: {said}{see}"] if _WORD.search(said) else []
    return _first_safe((*told, f"{neutral}{see}", neutral), guard)


def _first_safe(texts: Iterable[str], guard: Guard) -> str:
    return next((each for each in texts if not guard.leaks(each)), _LAST)


def _secrets(text: str) -> Iterator[str]:
    """Yield what must not be read: whole sentences, and runs of words, also over their ends."""
    words: list[str] = []
    for line in text.splitlines():
        mark = _MARK.match(line)
        told = line[mark.end() :] if mark else line
        if mark and mark[1] and len(whole := "".join(_words(line))) >= _LETTERS:
            yield whole
        for sentence in (told, *_PARTS.split(told)):
            found = [each for each in map(_compact, sentence.split()) if each]
            if len(found) >= _SENTENCE and len(whole := "".join(found)) >= _LETTERS:
                yield whole
        words += _words(told)
    for at in range(len(words) - _RUN + 1):
        yield "".join(words[at : at + _RUN])


def _words(text: str) -> list[str]:
    found = (_compact(each) for each in _WORD.findall(unicodedata.normalize("NFKC", text)))
    return [each for each in found if each]


def _compact(text: str) -> str:
    """Return its letters and digits only, so that no spacing or spelling hides them."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(each for each in plain if each.isalnum())
