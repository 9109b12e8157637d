"""Store what a hook of Claude Code is told, as one file that appears whole or not at all.

Started as `python -I -S store.py EVENTS`. It reads stdin to its end, however long that is, so that
the writer never meets a closed pipe, and publishes it in EVENTS as `{time_ns}-{pid}.json`. What is
longer than RAW_BYTES is shortened first (`envelope.cut`). Exit 0 whatever happens: a tool call
neither fails nor waits because an event could not be kept; stderr has one line then.

Not guaranteed: that an event outlives a power cut. It is a fact about a session that is gone by
then as well, so nothing is flushed. A killed hook may leave its draft, a dot file, behind.
The clock is read here, not through `signals.clock`: this file stands alone.
"""

from __future__ import annotations

import posix
import sys
import time

RAW_BYTES = 240 << 10  # an envelope around it stays below what the reader takes
HELD_BYTES = 32 << 20
CHUNK_BYTES = 1 << 16


def read_stdin() -> tuple[bytes, int]:
    """Return what came, at most HELD_BYTES of it, and how much came; reads to the end."""
    parts, held, said = [], 0, 0
    while part := posix.read(0, CHUNK_BYTES):
        said += len(part)
        if held < HELD_BYTES:
            parts.append(part)
            held += len(part)
    return b"".join(parts), said


def write_all(fd: int, data: bytes) -> None:
    """Write every byte."""
    while data:
        data = data[posix.write(fd, data) :]


def store(folder: str, data: bytes) -> None:
    """Publish an event. A failure leaves nothing behind, and raises OSError."""
    name = f"{time.time_ns():020d}-{posix.getpid()}.json"
    draft = f"{folder}/.{name}.{posix.urandom(4).hex()}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    fd = posix.open(draft, flags, 0o600)
    try:
        try:
            write_all(fd, data)
        finally:
            posix.close(fd)
        posix.rename(draft, f"{folder}/{name}")
    except OSError:
        posix.unlink(draft)
        raise


def find_neighbours() -> None:
    """Let `runner.hooks.NAME` be imported from this file's folder, and from nowhere else."""
    folder = __file__.rpartition("/")[0] or "."
    for name, path in (("runner", f"{folder}/.."), ("runner.hooks", folder)):
        package = type(sys)(name)
        package.__path__ = [path]
        sys.modules.setdefault(name, package)


def main() -> None:
    """Store one event; never raises."""
    try:
        data, said = read_stdin()
        if said > RAW_BYTES:
            find_neighbours()
            from runner.hooks.envelope import cut

            data = cut(data, said)
        store(sys.argv[1], data)
    except Exception as error:  # noqa: BLE001 - whatever it is must not stop a tool call
        try:  # noqa: SIM105 - contextlib costs a millisecond
            posix.write(2, f"attractor: the event was not stored: {error!r:.500}\n".encode())
        except OSError:
            pass


if __name__ == "__main__":
    main()
    # The end of an interpreter costs a millisecond, and there is nothing left to do.
    posix._exit(0)  # noqa: SLF001 - `os` has the public name, and is not imported
