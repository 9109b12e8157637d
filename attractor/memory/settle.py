"""What a person decides of the memory: which of two counts, and what is to be forgotten.

The page is written first, the store after it; done again after a kill, it is the same. What says
the same as what is settled is settled with it, and what else contradicts it is flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

from attractor.errors import DamageError, InputError, ToolError
from attractor.memory import architect, page_file, places, words
from attractor.memory.contradict import contradict
from attractor.memory.entry import Entry
from attractor.memory.learn import Open, held
from attractor.memory.merge import CHECKED
from attractor.memory.store import Memory, State, Store, key_of
from signals.clock import Clock, iso


@final
@dataclass(frozen=True, slots=True)
class Settled:
    """What a person has decided, and what came of it."""

    memory: Memory
    also: Sequence[Memory]
    """What else counts for something else now; not the one that it contradicted."""
    on_page: bool
    """The page calls withdrawn what is forgotten, and stands there."""
    notes: Sequence[str]


@final
@dataclass(slots=True)
class _Plan:
    """What is to count for what, and what it contradicts then."""

    live: list[Memory] = field(default_factory=list)
    gone: list[Memory] = field(default_factory=list)
    flagged: list[Memory] = field(default_factory=list)


def settle(project: str, number: int, *, take: bool, clock: Clock) -> Settled:
    """Let a flagged memory count, and forget what it contradicts; or forget the flagged one.

    What was forgotten can be taken again.
    """
    with held(project, clock) as memory:
        store = _needed(memory, project)
        chosen = _one(store, number, project)
        # Killed in between, it counts already: the page was read since.
        done = take and chosen.state is State.LIVE and bool(chosen.against)
        if chosen.state is not State.FLAGGED and not (
            take and (done or chosen.state is State.FORGOTTEN)
        ):
            fix = "see what is: `attractor memory list --flagged`"
            problem = f"{chosen.name} is not flagged: it is {chosen.state}"
            raise InputError(problem, where=project, fix=fix)
        plan = (_taken if take else _kept)(chosen, store.memories())
        on_page = _carry_out(project, memory, store, plan, chosen, clock)
        changed = {each.id for each in (*plan.live, *plan.gone, *plan.flagged)} - {number}
        against = _key(chosen.against)
        also = [
            each
            for each in store.memories()
            if each.id in changed and not (take and key_of(each.entry) == against)
        ]
        return Settled(_one(store, number, project), also, on_page, memory.notes)


def forget(project: str, number: int, clock: Clock) -> tuple[Memory, bool, list[str]]:
    """Let a memory count for nothing any more; also whether the page calls it withdrawn now."""
    with held(project, clock) as memory:
        store = _needed(memory, project)
        chosen = _one(store, number, project)
        there = _carry_out(project, memory, store, _Plan(gone=[chosen]), chosen, clock)
        return _one(store, number, project), there, memory.notes


def _taken(chosen: Memory, every: Iterable[Memory]) -> _Plan:
    plan = _Plan(live=[chosen])
    new, old = chosen.entry.text, chosen.against
    for each in every:
        text = each.entry.text
        if each.id == chosen.id:
            continue
        if each.state is not State.FLAGGED and old and _says_same(text, old):
            plan.gone.append(each)
        elif each.state is State.LIVE:
            others = chosen.state is State.FLAGGED and each.entry.kind in CHECKED
            plan.flagged += [each] if others and contradict(text, new) else []
        elif each.state is State.FLAGGED and old:
            same = _says_same(text, new) and _says_same(each.against, old)
            plan.live += [each] if same else []
    return plan


def _kept(chosen: Memory, every: Iterable[Memory]) -> _Plan:
    flagged = [each for each in every if each.state is State.FLAGGED]
    return _Plan(gone=[each for each in flagged if _says_same(each.entry.text, chosen.entry.text)])


def _carry_out(
    project: str, memory: Open, store: Store, plan: _Plan, chosen: Memory, clock: Clock
) -> bool:
    """Write the page and the store; return whether the page calls withdrawn what is gone."""
    found, called = memory.found, False
    written = found.there is not None and not found.read_only
    if found.page is not None and not found.read_only:
        stands = {key_of(each) for each in found.page.entries()}
        live = [each.entry for each in plan.live if key_of(each.entry) not in stands]
        text = architect.added(memory.page if live else found.page, live)
        for each in plan.gone:
            day = iso(clock.wall_ns())
            text = architect.withdrawn(architect.read(text), each.entry.text, day)
        if text != found.page.text:
            page_file.save(project, found, text)
            written = True
        called = _calls_withdrawn(architect.read(text).withdrawn(), plan.gone)
    with store.change():
        for each in plan.live:
            store.put(each.id, State.LIVE)
            store.stands(each.id, True if written else None)
        for each in plan.gone:
            if each.state is State.FORGOTTEN:
                continue
            store.put(each.id, State.FORGOTTEN)
            # A page that was not written may hold it still, and says nothing by that.
            store.stands(each.id, None if written else True)
        for each in plan.flagged:
            store.put(each.id, State.FLAGGED, chosen.entry.text)
    return called


def _calls_withdrawn(withdrawn: Iterable[Entry], gone: Iterable[Memory]) -> bool:
    keys = {key_of(each) for each in withdrawn}
    return any(key_of(each.entry) in keys for each in gone)


def _says_same(one: str, other: str) -> bool:
    """Say whether two texts differ in filler words, at most."""
    if words.plain(one) == words.plain(other):
        return True
    mine, theirs = words.content(one), words.content(other)
    return bool(mine) and mine == theirs and words.is_negative(one) == words.is_negative(other)


def _key(text: str) -> str:
    return f"entry {words.plain(text)}"


def _needed(memory: Open, project: str) -> Store:
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
        fix = "look up its ID: `attractor memory list --all` names them"
        raise InputError(f"there is no memory m{number}", where=places.store(project), fix=fix)
    return found
