"""Whether a failure of a model's API is a limit that passes, and when it does.

Known are Claude Code's own kinds of error, the HTTP status in the line that a CLI prints, and the
words of Claude Code, Codex, Gemini and OpenCode. A limit that only money lifts is not waited for.
The words are those of today; a limit that is told in others is an ordinary failure. Meant for the
text of an error: in what a session wrote about, these words may stand for anything.
"""

from __future__ import annotations

import enum
import re
from typing import Final, final


@final
class Limit(enum.Enum):
    """What a failure is, as far as limits go."""

    NONE = "none"
    WAIT = "wait"  # it passes by itself
    PERSON = "person"  # only money or a login lifts it


_WAIT_KINDS: Final = frozenset(
    {"rate_limit", "rate_limit_error", "overloaded", "overloaded_error", "usage_limit_reached"}
)
_PERSON_KINDS: Final = frozenset({"billing_error", "insufficient_quota"})
_WAIT_STATUSES: Final = frozenset({429, 529})
_PERSON_STATUSES: Final = frozenset({402})

# What only a person can lift. Asked first: such a message often has the number 429 in it, too.
PERSON_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    ("claude", r"(?:monthly|organization'?s?|channel'?s?) (?:monthly )?spend limit"),
    ("claude", r"spend limit reached"),
    ("claude", r"out of (?:usage )?credits"),
    ("claude", r"credit balance (?:is )?too low"),
    ("claude", r"billing_error"),
    ("openai", r"insufficient_quota"),
    ("openai", r"check your plan and billing details(?!.*(?:RESOURCE_EXHAUSTED|retry))"),
    ("opencode", r"(?:payment required|add (?:a )?payment method)"),
)
WAIT_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    ("claude", r"hit your (?:[\w-]+ ){0,3}limit"),
    ("claude", r"(?:\d+-hour|session|weekly|daily|usage|opus|sonnet) limit reached"),
    ("claude", r"rate_limit_error|overloaded_error"),
    ("claude", r"exceed your (?:account|organization)'s rate limit"),
    ("claude", r"temporarily limiting requests"),
    ("codex", r"usage_limit_reached|rate_limit_exceeded"),
    ("codex", r"(?:hit|reached) (?:your|the) (?:usage|rate) limit"),
    ("codex", r"rate limit reached for"),
    ("gemini", r"RESOURCE_EXHAUSTED|rateLimitExceeded|RATE_LIMIT_EXCEEDED"),
    ("gemini", r"resource (?:has been )?exhausted"),
    ("gemini", r"exhausted your (?:daily )?(?:capacity|quota)"),
    ("gemini", r"quota exceeded for"),
    ("gemini", r"reached your daily [\w.-]+ quota limit"),
    ("gemini", r"no capacity available|model is overloaded"),
    ("opencode", r"too many requests|exceeded the request rate limit|rate limit exceeded"),
    ("any", r"\brate[- ]limited\b|\boverloaded\b"),
)

_STATUS: Final = re.compile(
    r"(?:api error|error|status(?:[ _]?code)?|code|http(?:/[\d.]+)?|rejected)"
    r"[\"':=({\s]{0,6}(\d{3})\b",
    re.IGNORECASE,
)
_PERSON: Final = tuple(re.compile(text, re.IGNORECASE) for _, text in PERSON_PATTERNS)
_WAIT: Final = tuple(re.compile(text, re.IGNORECASE) for _, text in WAIT_PATTERNS)
_MOST_CHARACTERS: Final = 8_000


def recognise(failure: str, text: str) -> Limit:
    """Return what a failed turn, or a program that ended badly, has met.

    `failure` is the error's kind, as the StopFailure hook names it; it may be empty.
    """
    said = _plain(text)
    statuses = {int(found) for found in _STATUS.findall(said)}
    if (
        failure in _PERSON_KINDS
        or statuses & _PERSON_STATUSES
        or any(pattern.search(said) for pattern in _PERSON)
    ):
        return Limit.PERSON
    if (
        failure in _WAIT_KINDS
        or statuses & _WAIT_STATUSES
        or any(pattern.search(said) for pattern in _WAIT)
    ):
        return Limit.WAIT
    return Limit.NONE


def _plain(text: str) -> str:
    return text[-_MOST_CHARACTERS:].replace("\u2019", "'")
