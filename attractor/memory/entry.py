"""One thing that is remembered, and how it is handed in.

An entry is one line of text of a bounded length. What agents hand in are files with lines such as
`Decision: use Postgres`; every other line in them is passed over. An entry's text is data: `clean`
makes one printable line of it, without a word at its beginning that would speak for a role.
Nothing here judges what it says, or keeps a secret out: `attractor.memory.merge` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

MOST_CHARACTERS: Final = 500
MOST_HANDED_IN: Final = 20
_LINE: Final = re.compile(
    r"[ \t]*(?:[-*+][ \t]+)?(?:\*\*)?(decision|constraint|lesson|practice)(?:\*\*)?"
    r"[ \t]*:(?:\*\*)?[ \t]*(\S.*)",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    r"(?:[<\[({|#*\s]*(?:system|assistant|user|human|developer|tool|operator)\b"
    r"[\s>\])}|*]*:[\s*]*)+",
    re.IGNORECASE,
)


@final
class Kind(StrEnum):
    """What sort of thing is remembered."""

    DECISION = "decision"
    CONSTRAINT = "constraint"
    LESSON = "lesson"
    PRACTICE = "practice"
    PLANNING = "planning"

    @property
    def binding(self) -> bool:
        """Whether it holds until a person decides otherwise; judges are told only of such."""
        return self in {Kind.DECISION, Kind.CONSTRAINT}


IMPORTANCE: Final = {
    Kind.DECISION: 1.0,
    Kind.CONSTRAINT: 1.0,
    Kind.PRACTICE: 0.7,
    Kind.LESSON: 0.6,
    Kind.PLANNING: 0.2,
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to remember, and where it comes from."""

    kind: Kind
    text: str
    node: str = ""
    run: str = ""
    attempt: int = 0
    at: str = ""
    """When, as records carry it; empty where nobody said."""

    @property
    def source(self) -> tuple[str, str, int]:
        """Return whose it is: the run, the node and the attempt."""
        return self.run, self.node, self.attempt


def clean(text: str) -> str:
    """Return a text as one printable line that speaks for nobody; the length stays."""
    # What is not printable could hide what is said: invisible characters, turned directions.
    shown = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(shown.split())
    role = _ROLE.match(line)
    return line[role.end() :].strip() if role else line


def shortened(text: str) -> str:
    """Return as much of a clean text as an entry may have."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3].rstrip()}..."


def handed_in(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield what the lines of a file hand in, as they stand there."""
    for line in text.splitlines():
        if found := _LINE.fullmatch(line):
            yield Kind(found[1].lower()), found[2]


def first_sentence(text: str) -> str:
    """Return how a text begins: up to the end of its first sentence or line that says anything."""
    lines: Iterable[str] = (each.lstrip(" \t#*->") for each in text.splitlines())
    line = next((each for each in map(clean, lines) if any(map(str.isalnum, each))), "")
    end = re.search(r"(?<=[^\s.][.!?])\s", line)
    return line[: end.start()] if end else line
