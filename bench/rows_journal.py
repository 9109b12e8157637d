"""The journal, against the bare write and fsync, and against just reading the file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator

from measure import Row, paired

from attractor.run.journal import Journal, read
from signals.clock import SystemClock

APPENDS = 50
BATCH = 50
ENTRIES = 20_000


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    data = {"node": "impl_login", "event": "dispatched", "from": "pending", "to": "active"}
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(os.path.join(folder, "ours.jsonl"), SystemClock())
        line = json.dumps({"seq": 1, "at": "x" * 27, "data": data, "prev": "0" * 64}).encode()
        fd = os.open(os.path.join(folder, "bare.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def bare(times: int) -> None:
            for _ in range(times):
                os.write(fd, line + b"\n")
                os.fsync(fd)

        def ours() -> None:
            for _ in range(APPENDS):
                journal.append("NodeMoved", data)

        yield paired(
            f"append {APPENDS} entries, chained and fsynced",
            ours,
            "bare write + fsync",
            lambda: bare(APPENDS),
            pairs=11,
        )
        yield paired(
            f"append a batch of {BATCH} entries, one fsync",
            lambda: journal.append_all([("NodeMoved", data)] * BATCH),
            "one bare write + fsync",
            lambda: bare(1),
            pairs=11,
        )
        journal.close()
        os.close(fd)
        yield _verify(folder, data)


def _verify(folder: str, data: dict[str, str]) -> Row:
    path = os.path.join(folder, "long.jsonl")
    with Journal.open(path, SystemClock()) as journal:
        journal.append_all([("NodeMoved", data)] * ENTRIES)

    def bare() -> None:
        with open(path, "rb") as file:
            for line in file:
                json.loads(line)

    return paired(
        f"read and verify {ENTRIES} entries",
        lambda: read(path),
        "reading the lines + json.loads",
        bare,
    )
