"""One Runner for a node at a time: the lease, and the record of who holds it.

As `signals.lease`, with the kernel's lock alone: a Runner stays for a night, and what filelock
imports would stay with it. The lock file is never unlinked. A crash gives the lease back; what was
forked from the one that crashed may keep it for a moment, so it is waited for, for some seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from typing import Final

from signals.atomic import replace, storage_errors
from signals.clock import Clock, iso
from signals.errors import BusyError
from signals.owner import Owner

_TRIES: Final = 60
_TICK_SECONDS: Final = 0.05


@contextlib.contextmanager
def hold(lock: str, record: str, clock: Clock) -> Iterator[Owner]:
    """Hold a node alone; BusyError says who does."""
    with storage_errors("take the lease", lock):
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not _taken(fd):
            raise _busy(record)
        me = Owner.current()
        said = {**me.as_json(), "since": iso(clock.wall_ns())}
        replace(record, json.dumps(said).encode())
        yield me
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_TICK_SECONDS)
    return False


def _busy(record: str) -> BusyError:
    try:
        with open(record, "rb") as file:
            said = json.load(file)
        who = f"process {said['pid']} since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    fix = "let it work; `attractor stop NODE` ends it"
    return BusyError(f"this node has a Runner already: {who}", where=record, fix=fix)
