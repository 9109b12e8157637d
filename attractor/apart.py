"""Work in a forked child, so that what it imports never stays in this process.

A Runner or a Guardian lives for a night, and fifty may live side by side. One signal needs
pydantic (15 MB); a child that is gone a moment later gives that memory back. The caller must have
no threads. The result travels as JSON. An error of ours is raised here as it was raised there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal as posix_signals
from collections.abc import Callable
from typing import Any, Final

from attractor.errors import ToolError
from signals.clock import Clock
from signals.errors import AttractorError

_CHUNK_BYTES: Final = 65_536
_MOST_BYTES: Final = 64 * 1024 * 1024


def apart(work: Callable[[], Any], clock: Clock, timeout_seconds: float) -> Any:  # noqa: ANN401  # JSON
    """Return what `work` returns, computed in a child; ToolError if it does not answer in time."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(work, writer)
    os.close(writer)
    try:
        data = _all_of(reader, clock.monotonic() + timeout_seconds, clock)
    finally:
        os.close(reader)
        _reap(child)
    if not data:
        raise ToolError("a child that handles signals died or did not answer in time")
    kind, value = data[:1], data[1:]
    if kind == b"e":
        import pickle

        error = pickle.loads(value)  # noqa: S301 - it comes from our own child through our own pipe
        assert isinstance(error, AttractorError)
        raise error
    return json.loads(value)


def _answer(work: Callable[[], Any], writer: int) -> None:
    """Run in the child; never returns."""
    status = 1
    try:
        # The parent's handlers would act on the parent's behalf.
        for number in (posix_signals.SIGTERM, posix_signals.SIGINT):
            posix_signals.signal(number, posix_signals.SIG_DFL)
        try:
            said = b"v" + json.dumps(work()).encode()
        except AttractorError as error:
            import pickle

            said = b"e" + pickle.dumps(error)
        while said:
            said = said[os.write(writer, said) :]
        status = 0
    finally:
        os._exit(status)


def _all_of(reader: int, deadline: float, clock: Clock) -> bytes:
    parts: list[bytes] = []
    while (left := deadline - clock.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            continue
        part = os.read(reader, _CHUNK_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
        if sum(map(len, parts)) > _MOST_BYTES:
            break
    return b""


def _reap(child: int) -> None:
    # It has closed its end or is late; in both cases nothing that it still does is wanted.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, posix_signals.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
