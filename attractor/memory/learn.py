"""The one way into a project's memory: merged into ARCHITECT.md, then kept in the store.

Done again with the same, it changes nothing and says the same. Killed in between, the page may hold
what the store does not; the next opening of the store takes it over. Where the page cannot be
used, it is kept aside and left alone, and entries go into the store only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import final

from attractor.errors import DamageError, InputError, ToolError
from attractor.memory import architect, merge, page_file, places, words
from attractor.memory.architect import NAME, Page
from attractor.memory.entry import MOST_HANDED_IN, Entry
from attractor.memory.merge import Flagged, Merged
from attractor.memory.opening import opened
from attractor.memory.page_file import Found
from attractor.memory.store import Memory, State, Store, key_of
from signals.clock import Clock

Attempt = tuple[str, str, int]
"""The run, the node, and the number of an attempt."""


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
class _Open:
    """The memory of a project while its lock is held."""

    found: Found
    store: Store | None
    notes: list[str]
    lost: list[str]
    """What is told of a store that was damaged, and made anew just now."""

    @property
    def page(self) -> Page:
        """Return the page; where there is none that can be used, as it would be."""
        found = self.found
        return _rendered(self.store) if found.page is None or found.missing else found.page


def learn(project: str, lesson: Lesson, clock: Clock) -> Learned:
    """Take a lesson in; BusyError or StorageError where trying again may help."""
    with _memory(project, clock) as memory:
        store = memory.store
        learned = Learned(notes=memory.notes)
        entries = _unsettled([*lesson.entries, *_fresh(lesson, store)], store, learned)
        page = memory.page
        gone = frozenset(words.plain(each) for each in _forgotten(store))
        merged = merge.merge(page.text, entries, most=lesson.most, forgotten=gone)
        _note(merged, learned)
        if memory.found.page is not None:
            _write(project, memory.found, merged.text, lesson.structure)
        if store is not None:
            _keep(store, lesson, merged)
        return learned


def settle(project: str, number: int, *, take: bool, clock: Clock) -> tuple[Memory, list[str]]:
    """Let a flagged memory count, and forget what it contradicts; or forget the flagged one.

    What was forgotten can be taken again.
    """
    with _memory(project, clock) as memory:
        store = _needed(memory, project)
        chosen = _one(store, number, project)
        if chosen.state is not State.FLAGGED and not (take and chosen.state is State.FORGOTTEN):
            fix = "attractor memory list --flagged"
            raise InputError(
                f"{chosen.name} is not flagged: it is {chosen.state}", where=project, fix=fix
            )
        page = memory.page
        if take and memory.found.page is not None:
            _write(project, memory.found, architect.added(page, _missing(page, chosen)), None)
        older = key_of_text(chosen.against)
        with store.change():
            store.put(number, State.LIVE if take else State.FORGOTTEN)
            for each in store.memories() if take else ():
                if key_of(each.entry) == older:
                    store.put(each.id, State.FORGOTTEN)
        return _one(store, number, project), memory.notes


def forget(project: str, number: int, clock: Clock) -> tuple[Memory, bool]:
    """Let a memory count for nothing any more; also whether its line is still on the page."""
    with _memory(project, clock) as memory:
        store = _needed(memory, project)
        chosen = _one(store, number, project)
        with store.change():
            store.put(number, State.FORGOTTEN)
        page = memory.found.page
        there = page is not None and not _missing(page, chosen)
        return _one(store, number, project), there


def key_of_text(text: str) -> str:
    """Return the key of an entry of any kind but planning."""
    return f"entry {words.plain(text)}"


@contextmanager
def _memory(project: str, clock: Clock) -> Iterator[_Open]:
    with page_file.locked(project, clock), ExitStack() as stack:
        found, notes, lost = page_file.load(project), list[str](), list[str]()
        store: Store | None = None
        if found.problem:
            notes.append(_told(project, found.problem, clock))
        try:
            store = stack.enter_context(
                opened(project, found.page, clock, held=True, tell=lost.append)
            )
        except ToolError as error:
            notes.append(f"{error.problem}: {NAME} alone is used")
        notes += lost
        yield _Open(found, store, notes, lost)


def _told(project: str, problem: str, clock: Clock) -> str:
    kept = page_file.keep_aside(project, clock)
    copied = f"; a copy of it is in {kept}" if kept else ""
    return f"{NAME} is left alone, and entries go to the store only: {problem}{copied}"


def _fresh(lesson: Lesson, store: Store | None) -> Iterator[Entry]:
    for digest, entries in lesson.files.items():
        before = store.taken_by(digest) if store is not None else None
        if before in {None, lesson.by}:
            yield from entries


def _unsettled(entries: Iterable[Entry], store: Store | None, learned: Learned) -> list[Entry]:
    """Return the entries about which no person decides, or has decided."""
    every = store.memories() if store is not None else []
    settled = {key_of(each.entry): each for each in every if each.state is not State.LIVE}
    left = []
    for each in entries:
        found = settled.get(key_of(each))
        if found is None:
            left.append(each)
        elif found.state is State.FLAGGED and found.entry.source == each.source:
            learned.flagged.append(Flagged(found.entry, found.against))
        else:
            learned.duplicates.append(each)
    return left


def _rendered(store: Store | None) -> Page:
    """Return the page as it would be, where the one there is cannot be used."""
    every = store.memories() if store is not None else []
    living = [each.entry for each in every if each.state is State.LIVE]
    return architect.read(architect.added(architect.read(architect.empty()), living))


def _forgotten(store: Store | None) -> Iterator[str]:
    for each in store.memories() if store is not None else ():
        if each.state is State.FORGOTTEN:
            yield each.entry.text


def _note(merged: Merged, learned: Learned) -> None:
    learned.added += merged.added
    learned.duplicates += merged.duplicates
    learned.flagged += merged.flagged
    learned.refused += merged.refused


def _write(project: str, found: Found, text: str, structure: str | None) -> None:
    if structure is not None:
        text = architect.with_structure(architect.read(text), structure)
    if found.page is not None and text != found.page.text:
        page_file.save(project, found, text)


def _keep(store: Store, lesson: Lesson, merged: Merged) -> None:
    with store.change():
        for each in merged.added:
            store.remember(each)
        for each, against in merged.flagged:
            store.remember(each, State.FLAGGED, against)
        for digest in lesson.files:
            store.take(digest, *lesson.by)
        if lesson.good:
            store.helped(*lesson.by)


def _needed(memory: _Open, project: str) -> Store:
    """Return the store in which a person's ID is looked up; one made anew has other IDs."""
    store = memory.store
    if memory.lost:
        fix = "look up the ID, which may be another now: attractor memory list --all"
        raise DamageError(memory.lost[0], where=places.store(project), fix=fix)
    if store is None:
        fix = "use a Python whose SQLite has FTS5"
        raise ToolError(
            "this SQLite has no full-text search (FTS5)", where=places.store(project), fix=fix
        )
    return store


def _one(store: Store, number: int, project: str) -> Memory:
    found = store.memory(number)
    if found is None:
        fix = "attractor memory list --all"
        raise InputError(f"there is no memory m{number}", where=places.store(project), fix=fix)
    return found


def _missing(page: Page, memory: Memory) -> list[Entry]:
    """Return the memory's entry, unless it stands on the page."""
    key = key_of(memory.entry)
    return [] if any(key_of(each) == key for each in page.entries()) else [memory.entry]
