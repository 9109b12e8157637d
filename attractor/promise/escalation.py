"""Takes back what the stop hook told people, once it is answered.

`escalations/<session>.json` says that a session was let go with promises unkept, and lists them.
It is removed when none of them is open any more, or the session is released on the record; the
audit logs say so first. One that lists no promise waits for a release. A file that cannot be read
stays.
"""

from __future__ import annotations

import contextlib
import os

from attractor.errors import DamageError
from attractor.promise import audit, model
from attractor.promise.files import names, read_json
from signals.atomic import fsync_folder, storage_errors
from signals.clock import Clock


def clear_answered(root: str, by: str, clock: Clock) -> None:
    """Remove every escalation of which no promise is open any more; under the lock only."""
    for session in names(os.path.join(root, "escalations")):
        told = _promises(_place(root, session))
        still = (os.path.join(root, "promises", f"{each}.json") for each in told)
        if told and not any(map(os.path.lexists, still)):
            clear(root, session, by, clock)


def clear(root: str, session: str, by: str, clock: Clock) -> None:
    """Remove the escalation of one session, if there is one; under the lock only."""
    path = _place(root, session)
    if not os.path.lexists(path):
        return
    line = {"what": "escalation", "from": session, "to": None}
    for each in _promises(path):
        audit.append(os.path.join(root, "audit"), each, by, [line], clock)
    with storage_errors("remove", path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        fsync_folder(os.path.dirname(path))


def _place(root: str, session: str) -> str:
    return os.path.join(root, "escalations", f"{session}.json")


def _promises(path: str) -> list[str]:
    """Return the promises that an escalation lists; none if it cannot be read."""
    try:
        found = read_json(path, follow=False)
    except (DamageError, FileNotFoundError):
        return []
    listed = found.get("promises") if isinstance(found, dict) else None
    listed = listed if isinstance(listed, list) else []
    ids = [each.get("id") if isinstance(each, dict) else each for each in listed]
    return [each for each in ids if isinstance(each, str) and model.is_name(each)]
