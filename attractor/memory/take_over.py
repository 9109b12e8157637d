"""What the page says becomes what the store says: the page is a person's to edit.

A line that is new passes the gates of what is handed in: what looks like a secret is left out, and
what seems to contradict an older decision or constraint is flagged. A line that was there and is
gone counts no more, and counts again when it is put back; so does one that was withdrawn. The page
itself is never changed here. A page that is missing or nonsense says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, final

from attractor.digest import sha256
from attractor.memory.architect import NAME, Page
from attractor.memory.contradict import Older
from attractor.memory.entry import Entry, Kind
from attractor.memory.merge import CHECKED
from attractor.memory.secrecy import found_secrets, what
from attractor.memory.store import Standing, State, Store, key_of
from signals.clock import Clock, iso

Tell = Callable[[str], object]
_UNDATED: Final = "9999"


@final
@dataclass(slots=True)
class Change:
    """In what the page and the store differ."""

    new: list[tuple[str, Entry, Standing | None]] = field(default_factory=list)
    """What counts from now on, if it passes: its key, and what is known of it."""
    withdrawn: list[Entry] = field(default_factory=list)
    """What is called withdrawn, and was never known."""
    gone: list[tuple[Standing, bool]] = field(default_factory=list)
    """What counts no more, and whether a person has deleted it."""
    stands: list[tuple[Standing, bool | None]] = field(default_factory=list)
    """Whose line is there now, or is not any more, without another consequence."""

    def __bool__(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.new or self.withdrawn or self.gone or self.stands)


def change(store: Store, page: Page, *, tells: bool) -> Change:
    """Return what the store has to take over; `tells`: a person can be told of what is left out."""
    known, left_out = store.standings(), store.left_out()
    settled = {each for each, told in left_out.items() if told or not tells}
    living: dict[str, Entry] = {}
    for each in page.entries():
        if any(map(str.isalnum, each.text)):
            living.setdefault(key_of(each), each)
    withdrawn = {key_of(each): each for each in page.withdrawn()}
    found = Change(withdrawn=[each for key, each in withdrawn.items() if key not in known])
    for key, each in living.items():
        _add_there(found, key, each, known.get(key), settled)
    for key, before in known.items():
        if key not in living:
            _add_gone(found, before, withdrawn=key in withdrawn)
    return found


def _add_there(
    found: Change, key: str, entry: Entry, before: Standing | None, settled: Collection[str]
) -> None:
    if before is not None and before.there:
        return
    if before is None or before.state is State.FORGOTTEN:
        found.new += [] if _digest(key) in settled else [(key, entry, before)]
    else:
        found.stands.append((before, True))


def _add_gone(found: Change, before: Standing, *, withdrawn: bool) -> None:
    if before.state is State.FORGOTTEN:
        found.stands += [(before, None)] if before.there else []
    elif before.there or (before.state is State.LIVE and withdrawn):
        found.gone.append((before, not withdrawn))


def take_over(store: Store, page: Page, clock: Clock, tell: Tell | None) -> None:
    """Take over what differs, in one step; the lock of the page is held."""
    found = change(store, page, tells=tell is not None)
    if not found:
        return
    with store.change():
        for each, deleted in found.gone:
            store.put(each.id, State.FORGOTTEN)
            store.stands(each.id, False if deleted else None)
        for each, there in found.stands:
            store.stands(each.id, there)
        for entry in found.withdrawn:
            if not found_secrets(entry.text):
                store.remember(entry, State.FORGOTTEN)
        _take_in(store, page, found, iso(clock.wall_ns()), tell)


def _take_in(store: Store, page: Page, found: Change, now: str, tell: Tell | None) -> None:
    """Remember what is new, the older first: that is what stands against the younger."""
    older = Older(_binding(store)) if found.new or found.gone else Older(())
    for key, entry, before in sorted(found.new, key=lambda each: each[1].at or _UNDATED):
        if secrets := found_secrets(entry.text):
            store.leave_out(_digest(key), told=tell is not None)
            if tell is not None:
                tell(
                    f"{_where(page, entry)}: this looks like {what(secrets[0])};"
                    " no agent is told of it"
                )
            continue
        against = older.against(entry.text) if entry.kind in CHECKED else ""
        state = State.FLAGGED if against else State.LIVE
        if before is not None:
            store.put(before.id, state, against)
        # A plan without a day stays so: it could not be told from itself tomorrow.
        dated = entry if entry.at or entry.kind is Kind.PLANNING else replace(entry, at=now)
        number = store.remember(dated, state, against) if before is None else before.id
        store.stands(number, there=True)
        if against and tell is not None:
            tell(
                f"{_where(page, entry)}: m{number} does not count yet;"
                " see attractor memory list --flagged"
            )
        elif not against and entry.kind.binding:
            older.add(entry.text)
    if found.gone:
        _let_count(store, older)


def _where(page: Page, entry: Entry) -> str:
    return f"{NAME}, line {page.place(entry.text)} ({entry.kind})"


def _let_count(store: Store, older: Older) -> None:
    """Let lines on the page count that contradicted only what is gone from it now."""
    there = {each.id for each in store.standings().values() if each.there}
    for each in store.memories():
        if each.state is State.FLAGGED and each.id in there and not older.against(each.entry.text):
            store.put(each.id, State.LIVE)
            if each.entry.kind.binding:
                older.add(each.entry.text)


def _binding(store: Store) -> Iterable[str]:
    return [
        each.entry.text
        for each in store.memories()
        if each.state is State.LIVE and each.entry.kind.binding
    ]


def _digest(key: str) -> str:
    return sha256(key.encode("utf-8", "replace")).hexdigest()
