"""The store of a project, opened: one that is damaged is kept aside and made anew.

What stands in ARCHITECT.md is in the store afterwards, also what a person wrote there, and what the
page calls withdrawn, or holds no more, is forgotten. Of a store that was made anew, what was
flagged, shown and useful is lost: only the page is left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from attractor.memory import page_file, places
from attractor.memory.architect import NAME, Page
from attractor.memory.store import Store, StoreDamageError
from attractor.memory.take_over import Tell, change, take_over
from signals.atomic import storage_errors
from signals.clock import Clock, stamp


@contextlib.contextmanager
def opened(
    project: str,
    page: Page | None,
    clock: Clock,
    *,
    held: bool = False,
    tell: Tell = lambda _: None,
    tell_page: Tell | None = None,
) -> Iterator[Store]:
    """Open the project's store; `held`: the caller holds the lock of the page.

    `tell` is told when the store was damaged, and what is lost; `tell_page`, once, which lines of
    the page are not taken in.
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
            _follow(store, project, page, clock, held=held, tell=tell_page)
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
        f"{NAME}; what it does not call withdrawn counts again, and what was flagged, shown and "
        "useful is lost"
    )
    return Store.open(path)


def _follow(
    store: Store, project: str, page: Page, clock: Clock, *, held: bool, tell: Tell | None
) -> None:
    """Let the store say what the page says."""
    if held:
        take_over(store, page, clock, tell)
    elif change(store, page, tells=tell is not None):
        # A page that was read without its lock may be an old one.
        with page_file.locked(project, clock):
            if (now := page_file.load(project).there) is not None:
                take_over(store, now, clock, tell)
