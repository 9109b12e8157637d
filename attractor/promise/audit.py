"""The audit log of a promise: `audit/<promise id>.jsonl`, one line for each change of status.

    {"at", "session", "what", "from", "to", ...}

`what` is `promise`, `owner`, `session`, or the id of a criterion. A line is fsynced before the
change that it speaks of (intent before effect), so after a crash the last line may speak of a
change that did not happen, and a status without its line does not exist. Lines are only appended.
A line cut off by a crash stays, and the next one starts on a line of its own.
"""

from __future__ import annotations

import json
import os

from attractor.promise.model import Change
from signals.atomic import fsync_folder, storage_errors, write_all
from signals.clock import Clock, iso


def append(folder: str, name: str, session: str, changes: list[Change], clock: Clock) -> None:
    """Write the changes durably; under the store's lock only."""
    at = iso(clock.wall_ns())
    lines = [json.dumps({"at": at, "session": session, **each}) + "\n" for each in changes]
    path = os.path.join(folder, f"{name}.jsonl")
    with storage_errors("write", path):
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(path, flags, 0o644)
        try:
            end = os.fstat(fd).st_size
            torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            write_all(fd, (("\n" if torn else "") + "".join(lines)).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        if end == 0:
            fsync_folder(folder)
