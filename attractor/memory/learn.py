"""The one way into a project's memory: merged into ARCHITECT.md, then kept in the store.

Done again with the same, it changes nothing and says the same. Killed in between, the page may hold
what the store does not; the next opening of the store takes it over. Where the page cannot be
used, it is kept aside and left alone, and entries go into the store only; so it is where its mode
lets nobody write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final, final

from attractor.errors import ToolError
from attractor.memory import architect, merge, page_file, words
from attractor.memory.architect import NAME, Page
from attractor.memory.entry import MOST_HANDED_IN, Entry
from attractor.memory.merge import Flagged, Merged
from attractor.memory.opening import opened
from attractor.memory.page_file import Found
from attractor.memory.store import State, Store, key_of
from signals.clock import Clock

Attempt = tuple[str, str, int]
"""The run, the node, and the number of an attempt."""
_READ_ONLY: Final = "its mode lets nobody write it; to have them there: chmod u+w ARCHITECT.md"


@final
@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned at once."""

    entries: Sequence[Entry] = ()
    files: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    """What was handed in by `by`, by the hash of each file; what another handed in counts once."""
    by: Attempt = ("", "", 0)
    good: bool = False
    """The work of `by` was judged good, so what it had been shown has helped."""
    structure: str | None = None
    """What Project Structure is to say."""
    most: int = MOST_HANDED_IN


@final
@dataclass(slots=True)
class Learned:
    """What came of it."""

    added: list[Entry] = field(default_factory=list)
    duplicates: list[Entry] = field(default_factory=list)
    flagged: list[Flagged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a person should know of the memory itself."""


@final
@dataclass(slots=True)
class Open:
    """The memory of a project while its lock is held."""

    found: Found
    store: Store | None
    notes: list[str]
    lost: list[str]
    """What is told of a store that was damaged, and made anew just now."""

    @property
    def page(self) -> Page:
        """Return the page; where there is none that can be used or written, as it would be."""
        there = self.found.there
        if there is not None and not self.found.read_only:
            return there
        return _rendered(there or architect.read(architect.empty()), self.store)


def learn(project: str, lesson: Lesson, clock: Clock) -> Learned:
    """Take a lesson in; BusyError or StorageError where trying again may help."""
    with held(project, clock) as memory:
        store = memory.store
        learned = Learned(notes=memory.notes)
        page = memory.page
        given = [*lesson.entries, *_fresh(lesson, store)]
        entries = _unsettled(given, store, page.withdrawn(), learned)
        gone = frozenset(words.plain(each) for each in _uncounted(store))
        merged = merge.merge(page.text, entries, most=lesson.most, forgotten=gone)
        _note(merged, learned)
        written = _write(project, memory.found, merged.text, lesson.structure)
        if store is not None:
            made = page.entries() if memory.found.missing else ()
            _keep(store, lesson, merged, [*made, *merged.added] if written else ())
        return learned


@contextmanager
def held(project: str, clock: Clock) -> Iterator[Open]:
    """Open the memory of a project for whoever changes it."""
    with page_file.locked(project, clock), ExitStack() as stack:
        found, notes, lost = page_file.load(project), list[str](), list[str]()
        store: Store | None = None
        if found.problem:
            notes.append(_told(project, found.problem, clock))
        elif found.read_only:
            notes.append(f"{NAME} is left alone, and entries go to the store only: {_READ_ONLY}")
        try:
            opening = opened(
                project, found.there, clock, held=True, tell=lost.append, tell_page=notes.append
            )
            store = stack.enter_context(opening)
        except ToolError as error:
            notes.append(f"{error.problem}: {NAME} alone is used")
        if store is not None and found.there is None:
            with store.change():
                store.lose_page()
        notes += lost
        yield Open(found, store, notes, lost)


def _told(project: str, problem: str, clock: Clock) -> str:
    kept = page_file.keep_aside(project, clock)
    copied = f"; a copy of it is in {kept}" if kept else ""
    return f"{NAME} is left alone, and entries go to the store only: {problem}{copied}"


def _fresh(lesson: Lesson, store: Store | None) -> Iterator[Entry]:
    for digest, entries in lesson.files.items():
        before = store.taken_by(digest) if store is not None else None
        if before in {None, lesson.by}:
            yield from entries


def _unsettled(
    entries: Iterable[Entry], store: Store | None, withdrawn: Iterable[Entry], learned: Learned
) -> list[Entry]:
    """Return the entries about which no person decides, or has decided."""
    gone = {key_of(each) for each in withdrawn}
    every = store.memories() if store is not None else []
    settled = {key_of(each.entry): each for each in every if each.state is not State.LIVE}
    left = []
    for each in entries:
        found = settled.get(key_of(each))
        if found is None and key_of(each) not in gone:
            left.append(each)
        elif found is None:
            learned.duplicates.append(each)
        elif found.state is State.FLAGGED and found.entry.source == each.source:
            learned.flagged.append(Flagged(found.entry, found.against))
        else:
            learned.duplicates.append(each)
    return left


def _rendered(page: Page, store: Store | None) -> Page:
    """Return the page as it would be with all that counts."""
    every = store.memories() if store is not None else []
    stands = {key_of(each) for each in page.entries()}
    living = [each.entry for each in every if each.state is State.LIVE]
    new = [each for each in living if key_of(each) not in stands]
    return architect.read(architect.added(page, new))


def _uncounted(store: Store | None) -> Iterator[str]:
    for each in store.memories() if store is not None else ():
        if each.state is not State.LIVE:
            yield each.entry.text


def _note(merged: Merged, learned: Learned) -> None:
    learned.added += merged.added
    learned.duplicates += merged.duplicates
    learned.flagged += merged.flagged
    learned.refused += merged.refused


def _write(project: str, found: Found, text: str, structure: str | None) -> bool:
    """Write the page, unless it is left alone; return whether it says this now."""
    if found.page is None or found.read_only:
        return False
    if structure is not None:
        text = architect.with_structure(architect.read(text), structure)
    if text != found.page.text:
        page_file.save(project, found, text)
    return True


def _keep(store: Store, lesson: Lesson, merged: Merged, on_page: Iterable[Entry]) -> None:
    with store.change():
        for each in merged.added:
            store.remember(each)
        for each in on_page:
            store.stands(store.remember(each), there=True)
        for each, against in merged.flagged:
            store.remember(each, State.FLAGGED, against)
        for digest in lesson.files:
            store.take(digest, *lesson.by)
        if lesson.good:
            store.helped(*lesson.by)
