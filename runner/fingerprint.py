"""What an error is recognised by when it comes again: its words, without what changes each time.

Paths, addresses, numbers, hexadecimal, times and colours are taken out, so that one error gives
one fingerprint in another folder, process or hour. Two errors that differ in nothing else are
taken for one.
"""

from __future__ import annotations

import re
from typing import Final

_MOST_CHARACTERS: Final = 20_000
_MOST_LINES: Final = 20
_MOST_OF_A_LINE: Final = 500
_LONGEST: Final = 300

_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_TELLING: Final = re.compile(
    r"error|fail|exception|fatal|panic|denied|refused|not found|cannot|can't|unable|timed? ?out"
    r"|assert",
    re.IGNORECASE,
)
# In this order: what is longer is taken before the numbers in it.
_CHANGING: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE),
    re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\b"),
    re.compile(r"(?<![\w/])(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][\w@%+=.,~-]+)+[/\\]?(?::\d+)*"),
    re.compile(r"\b[\w@%+=.-]+(?:/[\w@%+=.-]+)+(?::\d+)*"),
    re.compile(r"\b[\w-]+\.[a-z]{1,5}(?::\d+)+\b", re.IGNORECASE),
    re.compile(r"\b(?:req|msg|toolu)_\w+"),
    re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE),
    re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE),
    re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,}\b", re.IGNORECASE),
    re.compile(r"\d+(?:[.,:]\d+)*(?:\s?(?:ms|s|m|h|kb|mb|gb|%))?\b", re.IGNORECASE),
    re.compile(r"\d+"),
)


def fingerprint(text: str) -> str:
    """Return what the error is recognised by; empty for a text that says nothing.

    Where some lines speak of an error, only they count.
    """
    lines = [_bare(line) for line in _CONTROL.sub("", text[-_MOST_CHARACTERS:]).splitlines()]
    telling = [line for line in lines if _TELLING.search(line)] or [line for line in lines if line]
    unique = list(dict.fromkeys(telling))
    return " | ".join(unique[-_MOST_LINES:])[:_LONGEST]


def _bare(line: str) -> str:
    line = line[:_MOST_OF_A_LINE]
    for pattern in _CHANGING:
        line = pattern.sub("#", line)
    return " ".join(line.lower().split())
