"""A child of ours that is waited for with a deadline, and recorded until it has ended.

Whoever starts children may be killed; the next one then ends those that the records name, before
it starts others. Nobody is killed on less than proof that it is the process that was recorded. One
that was started in the moment before a kill can have no record yet.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal as posix_signals
from typing import Final, NamedTuple, Self, final

from attractor.process import Process, pidfd
from attractor.run.locate import read_object
from attractor.spawn import OwnProcess, TimeoutExpired
from signals import atomic
from signals.owner import Owner, owner_of

RECORD: Final = ".owner"
"""What the names of records end in."""
_STOPS: Final = (posix_signals.SIGTERM, posix_signals.SIGKILL)


@final
class Child(NamedTuple):
    """One that runs, or did."""

    process: OwnProcess
    deadline: float
    fd: int
    """Readable when it has ended; -1 where there is no such thing."""

    @classmethod
    def recorded(cls, process: OwnProcess, record: str, deadline: float) -> Self:
        """Return a child that was just started, after it was recorded in this file."""
        if owner := owner_of(process.pid):
            atomic.replace(record, json.dumps(owner.as_json()).encode())
        return cls(process, deadline, pidfd(process.pid))

    def end(self, grace_seconds: float) -> None:
        """End it, with what it started; it has handlers that do so."""
        if self.fd >= 0:
            os.close(self.fd)
        for number in _STOPS:
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(TimeoutExpired):
                self.process.wait(grace_seconds)


def end_recorded(record: str, grace_seconds: float) -> None:
    """End what somebody before us started; the record of what does not end is kept."""
    process = Process(Owner.from_json(read_object(record)))
    for number in _STOPS:
        process.signal_group(number)
        if process.wait(grace_seconds):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(record)
            break
    process.close()
