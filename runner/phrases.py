"""What an orchestrator says at the end of a turn: done, a question, or stuck. The words are data.

A tag counts only where a session puts it that means it: outside of code and quotations, on lines
of its own, near the end of the message, and not in a list of all that might be said. So a session
that explains how it is going to end, or recites its instructions, has not ended. A phrase counts
near the end, and where no condition stands before it. Nothing here is proof of anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

DONE_TAG: Final = "<promise>NODE_COMPLETE</promise>"
ENDINGS: Final = (
    f"When everything is done and committed, end with {DONE_TAG}; if you need an answer, with "
    "<question>...</question>; if you cannot go on, with <stuck>...</stuck>. "
    "Each of them counts on a line of its own only."
)
LAST_LINES: Final = 10
"""Among so many lines, not counting empty ones, the tag ends."""
_MOST_TAG_LINES: Final = 100
_END_OF_A_LINE: Final = 1_000

# What is in the tag of a claim: one of these words, and none of those.
_DONE_WORDS: Final = frozenset({"COMPLETE", "COMPLETED", "DONE"})
_NOT_WORDS: Final = frozenset(
    {"NOT", "NO", "NEVER", "CANNOT", "ISNT", "INCOMPLETE", "PARTIALLY", "PARTLY", "HALF", "ALMOST"}
)

_WORK: Final = r"(?:the|this|my) (?:task|work|node|assignment|job)"
_GO_ON: Final = r"(?:proceed|continue|go on|go any further|make (?:any )?(?:further )?progress)"
_COMPLETE: Final = rf"(?:complete|finish) {_WORK}"
_NONE: Final = "(?:none|nothing|no|no blockers?|no issues?|n/a)"
_CANNOT: Final = "cannot|can't|can not|am not able to"
STUCK_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    (
        "I am stuck",
        r"\bI(?:'m| am)(?: (?:still|now|currently|completely|totally))? (?:stuck|blocked)\b",
    ),
    ("I am out of ideas", r"\bI(?:'m| am) out of ideas\b"),
    ("I cannot go on", rf"\bI (?:{_CANNOT}) {_GO_ON}\b"),
    ("I am unable to go on", rf"\bI(?:'m| am) unable to {_GO_ON}\b"),
    (
        "I cannot complete the task",
        rf"\bI (?:{_CANNOT}|could not|couldn't|was not able to|wasn't able to) {_COMPLETE}\b",
    ),
    (
        "I am unable to complete the task",
        rf"\bI(?:'m| am| was) unable to {_COMPLETE}\b",
    ),
    ("I give up", r"\bI(?: give|'ve given| have given) up\b"),
    ("the task is blocked", rf"\b{_WORK} (?:is|remains) blocked\b"),
    (
        "a person is needed",
        r"(?<!no )\b(?:human|manual) (?:intervention|help|assistance) is (?:needed|required)\b",
    ),
    ("a person is needed", r"\b(?:needs|requires) (?:human|manual) (?:intervention|help)\b"),
    (
        "STUCK: ...",
        rf"^\W*(?:status: *)?(?:stuck|blocked) *[:\u2014-] *(?!{_NONE}\W*$)[a-z]",
    ),
)

_COMPILED: Final = tuple((name, re.compile(text, re.IGNORECASE)) for name, text in STUCK_PHRASES)
_CONDITIONAL: Final = re.compile(
    r"\b(?:if|when|whenever|unless|until|in case|should|would|might|so that|otherwise)\b",
    re.IGNORECASE,
)
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_QUOTED: Final = re.compile(r"`[^`]*`|\"[^\"]*\"|\u201c[^\u201d]*\u201d")
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+")
_PROMISE: Final = re.compile(r"<promise>([^<>]*)</promise>", re.IGNORECASE)
_OPEN: Final = re.compile(r"<(question|stuck)>", re.IGNORECASE)
_EMPHASIS: Final = "*_ \t"
_PLACEHOLDER: Final = re.compile(r"[\s.\u2026]*")


@final
@dataclass(frozen=True, slots=True)
class Said:
    """What a message says at its end; a text is empty where it is not said."""

    done: bool = False
    question: str = ""
    stuck: str = ""
    """What stands in the tag, which nobody writes by accident."""
    phrase: str = ""
    """The sentence in which one of the phrases stands."""


def read(message: str) -> Said:
    """Return what the end of a message says."""
    raw = message.splitlines()
    spoken = _spoken(raw)
    last = spoken[-LAST_LINES:]
    tags = _tags(raw, spoken)
    recited = any(not text for _, text in tags)
    return Said(
        done=not recited and any(_is_done(_bare(raw[number])) for number in last),
        question="\n\n".join(text for name, text in tags if name == "question" and text),
        stuck="\n\n".join(text for name, text in tags if name == "stuck" and text),
        phrase=_phrase([_bare(raw[number]) for number in last]),
    )


def _bare(line: str) -> str:
    return line.replace("\u2019", "'").strip(_EMPHASIS)


def _spoken(raw: list[str]) -> list[int]:
    """Return which lines are neither empty nor code nor a quotation."""
    found: list[int] = []
    fence, since = "", 0
    for number, line in enumerate(raw):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence, since = mark[1], len(found)
        elif mark and line.strip().startswith(fence):
            del found[since:]
            fence = ""
        elif _bare(line) and not line.lstrip().startswith(">") and not line.startswith("    "):
            found.append(number)
    return found  # a fence that is never closed hides nothing


def _is_done(line: str) -> bool:
    match = _PROMISE.fullmatch(line)
    words = set(re.findall(r"[A-Z]+", match[1].upper().replace("'", ""))) if match else set()
    return bool(words & _DONE_WORDS) and not words & _NOT_WORDS


def _tags(raw: list[str], spoken: list[int]) -> list[tuple[str, str]]:
    """Return each tag that begins a line and ends one near the end; a placeholder has no text."""
    found = []
    last = spoken[-LAST_LINES:]
    for at, number in enumerate(spoken):
        if at < len(spoken) - _MOST_TAG_LINES or not (match := _OPEN.match(_bare(raw[number]))):
            continue
        name = match[1].lower()
        end = next((each for each in spoken[at:] if _closes(raw[each], name)), None)
        if end in last:
            text = "\n".join(raw[number : end + 1]).strip().strip(_EMPHASIS)
            inside = text[len(name) + 2 : -len(name) - 3].strip()
            found.append((name, "" if _PLACEHOLDER.fullmatch(inside) else inside))
    return found


def _closes(line: str, name: str) -> bool:
    return _bare(line).lower().endswith(f"</{name}>")


def _phrase(lines: list[str]) -> str:
    for line in lines:
        for sentence in _SENTENCE.split(_QUOTED.sub("...", line[-_END_OF_A_LINE:])):
            for _, pattern in _COMPILED:
                match = pattern.search(sentence)
                if match and not _CONDITIONAL.search(sentence, 0, match.start()):
                    return sentence.strip()
    return ""
