"""The paths of a plan: which are no business of a node, and whether two could be the same. Pure.

A path is relative to the repository, with `/`, and may be a folder or hold `*`, `?`, `**` and
`[...]`. Two that might be the same count as the same, also where only their letters' case differs.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Final

_RESERVED: Final = frozenset({".git", ".claude", ".attractor", "acceptance-tests"})
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\{}]")
_GLOB: Final = re.compile(r"[*?]")
_CLASS: Final = re.compile(r"\[([^\]!^/][^\]/]*)\]")
_RANGE: Final = re.compile(r"(.)-(.)", re.DOTALL)

Token = frozenset[str] | None
"""One character of these; of none in particular where it is None."""
_STAR: Final = frozenset[str]()
"""Any number of characters."""


def malformed(path: str) -> bool:
    """Say whether this is no path at all, or one that says nothing of where."""
    return bool(_UNFIT.search(path)) or not path.strip() or not normal(path).strip("*/.? ")


def outside(path: str) -> bool:
    """Say whether it is absolute, of a home folder, or leads out of the repository."""
    drive = len(path) > 1 and path[1] == ":" and path[0].isalpha()
    return path.startswith(("/", "~")) or drive or ".." in path.split("/")


def reserved(path: str) -> bool:
    """Say whether a folder belongs to git, to the supervisor or to the judge, at any depth."""
    return any(part.casefold() in _RESERVED for part in path.split("/"))


def is_open(path: str) -> bool:
    """Say whether it stands for an unknown number of files."""
    return path.endswith("/") or bool(_GLOB.search(path))


def normal(path: str) -> str:
    """Return the path without detours."""
    return posixpath.normpath(path.strip()) if path.strip() else ""


def may_meet(one: str, other: str) -> bool:
    """Say whether both could stand for the same file; a folder stands for all that is in it."""
    if not (_special(one) or _special(other)):
        one, other = sorted((normal(one).casefold(), normal(other).casefold()), key=len)
        return one == other or other.startswith(f"{one}/")
    met = _places(_parts(one), _parts(other), folder=_may_be_folder(other))
    end = len(_parts(other))
    return end in met or (bool(met) and _may_be_folder(one))


def _special(path: str) -> bool:
    return bool(_GLOB.search(path)) or "[" in path


def _may_be_folder(path: str) -> bool:
    name = _parts(path)[-1]
    return path.endswith("/") or "." not in name[1:]


def _parts(path: str) -> tuple[str, ...]:
    return tuple(normal(path).casefold().split("/"))


def _places(one: tuple[str, ...], other: tuple[str, ...], *, folder: bool) -> set[int]:
    """Walk through both at once; return to which places of the other all of the one may lead."""
    end = len(other)
    met = _past_stars({0}, other)
    for part in one:
        if folder and end in met:
            return {end}
        following: set[int] = set()
        for place in met:
            following |= _step(part, other, place)
        met = _past_stars(following, other)
    return met


def _step(part: str, other: tuple[str, ...], place: int) -> set[int]:
    if part == "**":
        return set(range(place, len(other) + 1))
    if place == len(other):
        return set()
    if other[place] == "**":
        return {place}
    return {place + 1} if _part_meets(part, other[place]) else set()


def _past_stars(places: set[int], parts: tuple[str, ...]) -> set[int]:
    left, met = list(places), set(places)
    while left:
        place = left.pop()
        if place < len(parts) and parts[place] == "**" and place + 1 not in met:
            met.add(place + 1)
            left.append(place + 1)
    return met


@lru_cache(maxsize=4096)
def _part_meets(one: str, other: str) -> bool:
    # Brackets are part of many a name (`[id]`), and a choice of characters in others.
    ones = {_tokens(one, classes=False), _tokens(one, classes=True)}
    others = {_tokens(other, classes=False), _tokens(other, classes=True)}
    return any(_tokens_meet(a, b) for a in ones for b in others)


def _tokens(part: str, *, classes: bool) -> tuple[Token, ...]:
    made: list[Token] = []
    place = 0
    while place < len(part):
        found = _CLASS.match(part, place) if classes else None
        if found:
            made.append(_chosen(found[1]))
            place = found.end()
            continue
        made.append({"*": _STAR, "?": None}.get(part[place], frozenset(part[place])))
        place += 1
    return tuple(made)


def _chosen(text: str) -> Token:
    ranges = _RANGE.findall(text)
    return None if ranges else frozenset(text)


def _tokens_meet(one: tuple[Token, ...], other: tuple[Token, ...]) -> bool:
    """Say whether some name is both; `row[j]`: whether the rest of one meets other[j:]."""
    row = [False] * len(other) + [True]
    for j in range(len(other) - 1, -1, -1):
        row[j] = other[j] == _STAR and row[j + 1]
    for token in reversed(one):
        below, row = row, [False] * (len(other) + 1)
        row[-1] = token == _STAR and below[-1]
        for j in range(len(other) - 1, -1, -1):
            if _STAR in (token, other[j]):
                row[j] = below[j] or row[j + 1]
            else:
                row[j] = below[j + 1] and _same(token, other[j])
    return row[0]


def _same(one: Token, other: Token) -> bool:
    return one is None or other is None or bool(one & other)
