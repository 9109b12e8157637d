"""What is handed in becomes part of ARCHITECT.md, or does not; pure.

An entry is refused where it holds what looks like a secret (and is then named by where it stands,
never by what it says), passed over where it is there already in the same or nearly the same words,
kept for a person where it seems to contradict an older decision or constraint, and otherwise
appended. A person's own lines count as older, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, final

from attractor.memory import architect, words
from attractor.memory.contradict import contradict
from attractor.memory.entry import MOST_HANDED_IN, Entry, Kind, clean, shortened
from attractor.memory.secrecy import found_secrets, what

_NEARLY: Final = 0.8
_FEWEST_WORDS: Final = 4
CHECKED: Final = frozenset({Kind.DECISION, Kind.CONSTRAINT, Kind.PRACTICE})

Scan = Callable[[str], Sequence[object]]


class Flagged(NamedTuple):
    """An entry that a person settles, and the older text against which it stands."""

    entry: Entry
    against: str


@final
@dataclass(slots=True)
class Merged:
    """What came of entries that were handed in."""

    text: str
    added: list[Entry] = field(default_factory=list)
    duplicates: list[Entry] = field(default_factory=list)
    flagged: list[Flagged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why, without what."""


def merge(
    text: str,
    entries: Iterable[Entry],
    *,
    scan: Scan | None = None,
    most: int = MOST_HANDED_IN,
    forgotten: Collection[str] = (),
) -> Merged:
    """Return the text with what is new; DamageError where the text is no page.

    What is `forgotten` (as plain words) may stand there, and counts for nothing.

    An entry that stands there already, of the same node and attempt, was added before: it counts
    as added again, so that doing the same twice says the same twice.
    """
    page = architect.read(text)
    known = [each for each in page.entries() if words.plain(each.text) not in forgotten]
    merged, new = Merged(text), list[Entry]()
    given = list(entries)
    for number, each in enumerate(given[:most], 1):
        entry = _safe(each, number, scan or found_secrets, merged)
        if entry is None:
            continue
        if before := _same(entry, known):
            again = before.source == entry.source and bool(entry.node)
            (merged.added if again else merged.duplicates).append(entry)
        elif against := _older_against(entry, known, scan or found_secrets):
            merged.flagged.append(Flagged(entry, against))
        else:
            new.append(entry)
            known.append(entry)
            merged.added.append(entry)
    if len(given) > most:
        merged.refused.append(f"{len(given) - most} more than the {most} that count at once")
    merged.text = architect.added(page, new)
    return merged


def same_words(entry: Entry, other: Entry) -> bool:
    """Say whether two entries say the same, or nearly, in nearly the same words."""
    if words.plain(entry.text) == words.plain(other.text):
        return True
    mine, theirs = words.content(entry.text), words.content(other.text)
    return (
        min(len(mine), len(theirs)) >= _FEWEST_WORDS
        and words.overlap(mine, theirs) >= _NEARLY
        and not words.numbers(mine ^ theirs)
        and words.is_negative(entry.text) == words.is_negative(other.text)
    )


def _safe(entry: Entry, number: int, scan: Scan, merged: Merged) -> Entry | None:
    text = clean(entry.text)
    if not any(map(str.isalnum, text)):
        merged.refused.append(f"entry {number} ({entry.kind}) says nothing")
        return None
    # The whole of it, as it was handed in and as it would stand there.
    if found := [*scan(entry.text), *scan(text)]:
        said = f"entry {number} ({entry.kind}) holds what looks like {what(found[0])}"
        merged.refused.append(said)
        return None
    return replace(entry, text=shortened(text))


def _same(entry: Entry, known: Iterable[Entry]) -> Entry | None:
    """Return what says the same already: of the same attempt, if there is one."""
    found = [each for each in known if _fits(entry, each) and same_words(entry, each)]
    return min(found, key=lambda each: each.source != entry.source, default=None)


def _fits(entry: Entry, other: Entry) -> bool:
    """Say whether two entries could be the same: a plan is so with a plan of its day only."""
    if Kind.PLANNING in {entry.kind, other.kind}:
        return entry.kind == other.kind and entry.at[:10] == other.at[:10]
    return True


def _older_against(entry: Entry, known: Iterable[Entry], scan: Scan) -> str:
    """Return what stands against it; a line of a person's with a secret is quoted nowhere."""
    if entry.kind not in CHECKED:
        return ""
    older = (each.text for each in known if each.kind.binding)
    return next((e for e in older if contradict(entry.text, e) and not scan(e)), "")
