"""Texts as sets of words, so that two of them can be compared; pure.

Comparing is crude on purpose: case, punctuation, filler words and the commonest English endings
do not count. Words of other languages and names in code are compared as they are.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:[._/:-][^\W_]+)*|[^\W_]")
_FILLER: Final = """
    a also all always an and any are as at be been being but by can could did do does ensure for
    from had has have here how i if in into is it its itself just make may might more most must my
    of on one only or our ours please shall should so some such sure than that the their them then
    there these they this those to too us very via was we were what when where which who why will
    with would you your
"""
_DENYING: Final = """
    not never no none avoid without cannot forbid forbidden prohibited neither nor dont don't
    doesn't doesnt mustn't mustnt shouldn't shouldnt won't wont can't cant isn't isnt aren't stop
    disallow disallowed ban banned
"""
_ALIKE: Final = """
    use: adopt choose chose chosen pick prefer rely used uses using utilize
    database: db databases
    postgres: postgresql psql
    javascript: js
    typescript: ts
    auth: authentication authenticate authenticated
    config: configuration configure settings
"""
_FILLERS: Final = frozenset(_FILLER.split())
_NEGATIVE: Final = frozenset(_DENYING.split())
_SAME: Final = {
    other: word.strip()
    for word, _, others in (line.partition(":") for line in _ALIKE.splitlines())
    for other in others.split()
}
_ENDINGS: Final = ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s")
_SHORTEST_STEM: Final = 3


def plain(text: str) -> str:
    """Return the text without case and punctuation: equal for the same words in the same order."""
    return " ".join(_WORD.findall(text.casefold().replace("\u2019", "'")))


def split(text: str) -> list[str]:
    """Return all words of a text, as they stand in it but for their case."""
    lowered = text.casefold().replace("\u2019", "'")
    return re.findall(r"[^\W_]+'[^\W_]+|[^\W_]+", lowered)


def content(text: str) -> frozenset[str]:
    """Return the words that say what a text is about, by their stems."""
    words = (each for each in split(text) if each not in _FILLERS and each not in _NEGATIVE)
    # "avoid X" is "do not use X".
    avoided = {"use"} if {"avoid", "ban", "banned"} & {*split(text)} else set()
    return frozenset(map(_stem, words)) | avoided


def is_negative(text: str) -> bool:
    """Say whether a text denies or forbids something."""
    return sum(each in _NEGATIVE for each in split(text)) % 2 == 1


def numbers(words: frozenset[str]) -> frozenset[str]:
    """Return those words that hold a digit."""
    return frozenset(each for each in words if any(map(str.isdigit, each)))


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how much two sets have in common, of all that is in either: 0 to 1."""
    return len(one & other) / len(one | other) if one or other else 1.0


def _stem(word: str) -> str:
    word = _SAME.get(word, word)
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST_STEM and stem.isascii() and stem.isalpha():
            stem = f"{stem}y" if ending == "ies" else stem
            # "stopped" and "stop", "storing" and "store"
            return _SAME.get(stem, stem[:-1] if stem[-1] == stem[-2] and ending != "s" else stem)
    return word.removesuffix("e") if len(word) > _SHORTEST_STEM + 1 else word
