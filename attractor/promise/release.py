"""Releases a session from the stop hook, on the record, and holds it again.

The record is `hooks/<session>.released.json`; the audit log of each of the session's open promises
says so first. Nothing else about the promises changes: they stay owned and unmet.
"""

from __future__ import annotations

import contextlib
import os

from attractor.errors import InputError
from attractor.promise import audit, escalation, model
from attractor.promise.files import to_bytes
from attractor.promise.model import Promise
from attractor.promise.store import Store
from signals.atomic import fsync_folder, replace, storage_errors


def release(store: Store, sessions: tuple[str, ...], reason: str, by: str) -> list[Promise]:
    """Let the sessions stop; return their open promises."""
    record = {"at": store.now(), "reason": reason, "by": by}
    with store.locked():
        store.folder("audit")
        found = _on_record(store, sessions, by, ("held", "released"), reason)
        for session in sessions:
            path = os.path.join(store.folder("hooks"), f"{session}.released.json")
            replace(path, to_bytes(record))
            escalation.clear(store.root, session, by, store.clock)
    return found


def hold(store: Store, sessions: tuple[str, ...], by: str) -> list[Promise]:
    """Undo `release`; a session that was not released is an error."""
    with store.locked():
        paths = [store.path("hooks", f"{session}.released.json") for session in sessions]
        there = [path for path in paths if os.path.lexists(path)]
        if not there:
            raise InputError(
                f"the session {' or '.join(sessions)} is not released",
                fix="nothing is to be done: the stop hook holds it already",
            )
        found = _on_record(store, sessions, by, ("released", "held"), "")
        for path in there:
            with storage_errors("remove", path), contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        fsync_folder(store.path("hooks"))
    return found


def _on_record(
    store: Store, sessions: tuple[str, ...], by: str, move: tuple[str, str], reason: str
) -> list[Promise]:
    found = [
        each
        for each in store.listing().promises
        if model.owner(each) in sessions and each["status"] in model.OPEN
    ]
    for each in found:
        line = {"what": "session", "from": move[0], "to": move[1], "reason": reason}
        audit.append(store.folder("audit"), each["id"], by, [line], store.clock)
    return found
