"""One process at a time: the lease that makes "one writer" true.

`lease` holds an flock on a file for the length of a `with` block. The kernel gives it up when the
process ends, however it ends, so a crash never leaves a lease behind. The holder writes its Owner
record beside it (`PATH.owner.json`), and whoever is refused is told who holds it and since when.
The record is a courtesy: it decides nothing, may be missing or stale, and the next holder simply
overwrites it. The lock file itself is never unlinked: a name that is unlinked and made again is
two files, and two processes would each lock one.

Limits: it binds only those who ask, on one machine, on a local filesystem. A child forked without
exec shares the lock and keeps it alive. Waiting is by polling every 50 ms and in no order.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any, Final

from filelock import FileLock, Timeout

from signals.atomic import StrPath, replace, storage_errors
from signals.clock import Clock, iso
from signals.errors import BusyError
from signals.owner import Liveness, Owner, liveness

_POLL_SECONDS: Final = 0.05

# By pid too: a forked child has its parent's set, but not its lease.
_held: set[tuple[int, str]] = set()


class LeaseError(BusyError):
    """Another process holds the lease; `details` say its pid, since when, and if it is alive."""


@contextlib.contextmanager
def lease(path: StrPath, clock: Clock, timeout_seconds: float) -> Iterator[Owner]:
    """Hold `path` alone among all processes; yields this process's identity.

    A timeout of 0 tries once. LeaseError: another process holds it. Taking it twice in one process
    is a mistake in our own code and raises RuntimeError: hand the held lease down instead.
    """
    if not 0 <= timeout_seconds < math.inf:  # also not a number
        raise ValueError(f"a lease needs a deadline, not {timeout_seconds}")
    final = os.path.realpath(path)
    key = (os.getpid(), final)
    if key in _held:
        raise RuntimeError(f"this process already holds the lease {final}: do not take it again")
    lock = FileLock(final, preserve_lock_file=True, fallback_to_soft=False)
    with storage_errors("take the lease", path):
        os.stat(os.path.dirname(final))  # filelock would make the folders of a mistyped path
        try:
            lock.acquire(timeout=timeout_seconds, poll_interval=_POLL_SECONDS)
        except Timeout:
            raise _refused(final) from None
    try:
        _held.add(key)
        me = Owner.current()
        record = me.as_json() | {"since": iso(clock.wall_ns())}
        replace(_record_path(final), json.dumps(record).encode() + b"\n")
        yield me
    finally:
        _held.discard(key)
        # While we still hold it: after the release this would be the next holder's record.
        with contextlib.suppress(OSError):
            os.unlink(_record_path(final))
        lock.release()


def _record_path(path: str) -> str:
    return f"{path}.owner.json"


def _read_record(path: str) -> dict[str, Any]:
    try:
        with open(_record_path(path), "rb") as file:
            record = json.loads(file.read(65536))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _refused(path: str) -> LeaseError:
    record = _read_record(path)
    owner = Owner.from_json(record)
    if owner is None:
        return LeaseError(
            "another process holds this, and has not said which one it is",
            where=path,
            fix=f"try again in a moment; `fuser {path}` shows who it is",
        )
    alive, since = liveness(owner), str(record.get("since", "an unknown time"))
    told = {"pid": owner.pid, "since": since, "holder": alive.value}
    if alive is Liveness.DEAD:
        return LeaseError(
            f"another process holds this; the last that said so, pid {owner.pid}, is dead",
            where=path,
            fix=f"try again in a moment; if it stays, `fuser {path}` shows who it is",
            **told,
        )
    state = "is alive" if alive is Liveness.ALIVE else "may be alive"
    return LeaseError(
        f"process {owner.pid} holds this since {since}, and {state}",
        where=path,
        fix=f"wait until it has finished (`ps -p {owner.pid}` shows it), then do the same again",
        **told,
    )
