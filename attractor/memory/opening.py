"""The store of a project, opened: one that is damaged is kept aside and made anew.

What stands in ARCHITECT.md is in the store afterwards, also what a person wrote there. Of a store
that was made anew, what was forgotten, flagged, shown and useful is lost: only the page is left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from attractor.memory import page_file, places
from attractor.memory.architect import NAME, Page
from attractor.memory.entry import Entry, Kind
from attractor.memory.store import State, Store, StoreDamageError, key_of
from signals.atomic import storage_errors
from signals.clock import Clock, iso, stamp

Tell = Callable[[str], object]


@contextlib.contextmanager
def opened(
    project: str,
    page: Page | None,
    clock: Clock,
    *,
    held: bool = False,
    tell: Tell = lambda _: None,
) -> Iterator[Store]:
    """Open the project's store; `held`: the caller holds the lock of the page.

    `tell` is told when the store was damaged, and what is lost.
    """
    path = places.store(project)
    if not os.path.lexists(path):
        page_file.hide(project)
    try:
        store = Store.open(path)
    except StoreDamageError:
        with contextlib.nullcontext() if held else page_file.locked(project, clock):
            store = _anew(project, clock, tell)
    try:
        if page is not None:
            _take_over(store, page, clock)
        yield store
    finally:
        store.close()


def _anew(project: str, clock: Clock, tell: Tell) -> Store:
    path, folder = places.store(project), places.aside(project)
    with contextlib.suppress(StoreDamageError):  # another has done it meanwhile
        return Store.open(path)
    with storage_errors("keep the store aside", path):
        os.makedirs(folder, exist_ok=True)
        kept = os.path.join(folder, f"memory.{stamp(clock.wall_ns())}.db")
        for end in ("-wal", "-shm", ""):  # the file itself last: until then it is damaged
            with contextlib.suppress(FileNotFoundError):
                os.replace(path + end, kept + end)
    tell(
        f"the store of memories was damaged: it is kept in {kept}, and a new one is made of "
        f"{NAME}; what was forgotten counts again, and what was flagged, shown and useful is lost"
    )
    return Store.open(path)


def _take_over(store: Store, page: Page, clock: Clock) -> None:
    known = store.keys()
    # A plan without a day could not be told from itself tomorrow.
    told = (each for each in page.entries() if each.at or each.kind is not Kind.PLANNING)
    new = [each for each in told if key_of(each) not in known]
    if not new:
        return
    now = iso(clock.wall_ns())
    with store.change():
        for each in new:
            dated = each if each.at else _dated(each, now)
            store.remember(dated, State.LIVE)


def _dated(entry: Entry, now: str) -> Entry:
    from dataclasses import replace

    return replace(entry, at=now)
