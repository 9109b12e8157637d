"""The journal: an append-only file of one JSON object a line, from which a run is rebuilt.

A line is the canonical JSON (sorted keys, compact, UTF-8) of an entry: `seq` counts from 1, `at`
is the wall time, `event` and `data` say what happened, `prev` is the `sum` of the line before (64
zeros in the first), and `sum` is the SHA-256 of the canonical JSON of the other five. So no line
can be changed, taken out, put in or moved unnoticed, except by recomputing all that follow: the
chain shows accidents and hand edits, it does not stop a forger. The order is that of `seq`; a
clock that goes back does not matter.

Guaranteed: what `append` returned is on the disk. An append that fails leaves the file as it was.
After a crash the entries are a prefix of those that were being written; a batch may be cut between
its entries, so what must happen together belongs into one entry. An incomplete last line is a torn
one: readers pass over it, and `Journal.open` cuts it off and keeps the bytes in a file beside. Any
other damage is refused with its line number, and nothing is changed.

Not guaranteed: mutual exclusion. **Whoever opens a `Journal` holds the lease of the run** and is
the only writer. `read` needs no lease: it sees a prefix of what is being written, whose last
entries may not be durable yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from json.encoder import JSONEncoder
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, final

from attractor.errors import DamageError, InputError, StorageError
from attractor.run.plain import MOST_BYTES, content, open_plain
from signals.atomic import fsync_folder, publish, storage_errors, write_all
from signals.clock import Clock, iso, stamp

# An entry may have to name every node of a pipeline, whose file may have this size.
MAX_ENTRY_BYTES: Final = 64 * 1024 * 1024

_START: Final = "0" * 64
_EVENT: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_KEYS: Final = frozenset({"at", "data", "event", "prev", "seq", "sum"})
# The sum is the last key in sorted order, so the other five are the line without this much.
_SUM_LENGTH: Final = len(f',"sum":"{_START}"}}')

_canonical = JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


class Entry(NamedTuple):
    """One line of the journal."""

    seq: int
    at: str
    event: str
    data: dict[str, Any]
    prev: str
    sum: str


class Reading(NamedTuple):
    """What a journal holds. `torn` is empty, or says what is wrong with the end of the file."""

    entries: list[Entry]
    torn: str
    whole_bytes: int  # the length of the file up to the end of the last entry
    ended: bool  # False: the last entry is whole, but its newline is missing


class _BadLineError(ValueError):
    """What is wrong with one line."""


def read(path: str | os.PathLike[str]) -> Reading:
    """Return all entries, verified; changes nothing. A missing file is an empty journal."""
    with storage_errors("read the journal", path):
        try:
            fd = open_plain(path, os.O_RDONLY)
        except FileNotFoundError:
            return Reading([], "", 0, ended=True)
    try:
        return _verified(_content(fd, path), os.fspath(path))
    finally:
        os.close(fd)


def _content(fd: int, path: str | os.PathLike[str]) -> bytes:
    with storage_errors("read the journal", path):
        return content(fd, path)


def _verified(data: bytes, path: str) -> Reading:
    entries: list[Entry] = []
    prev = _START
    ended = True
    for number, line in enumerate(io.BytesIO(data), 1):
        ended = line.endswith(b"\n")
        try:
            entry = _entry(line.removesuffix(b"\n"))
        except _BadLineError as error:
            if ended:
                raise _damage(path, number, str(error)) from None
            torn = f"line {number} is incomplete ({len(line)} bytes without an end): {error}"
            return Reading(entries, torn, len(data) - len(line), ended=True)
        # Also without its newline: a crash leaves part of a line, not a whole one from elsewhere.
        if broken := _broken_link(entry, number, prev):
            raise _damage(path, number, broken)
        entries.append(entry)
        prev = entry.sum
    return Reading(entries, "", len(data), ended)


def _entry(line: bytes) -> Entry:
    """Return the entry of a line whose bytes are exactly what we write for it."""
    try:
        text = line.decode()
        said = json.loads(text)
        # Also finds what json.loads lets pass: repeated keys, NaN, spaces, another order.
        canonical = _canonical(said)
    except UnicodeDecodeError:
        raise _BadLineError("it is not UTF-8") from None
    except (ValueError, RecursionError):
        raise _BadLineError("it is not JSON" if line else "it is empty") from None
    if not isinstance(said, dict) or said.keys() != _KEYS:
        raise _BadLineError(f"it is not an object with exactly the keys {', '.join(sorted(_KEYS))}")
    if canonical != text:
        raise _BadLineError("it is not written as we write it (a repeated key, spaces, an order)")
    if hashlib.sha256(line[:-_SUM_LENGTH] + b"}").hexdigest() != said["sum"]:
        raise _BadLineError("its sum does not match its content")
    _check_types(said)
    return Entry(**said)


def _check_types(said: Mapping[str, Any]) -> None:
    event = said["event"]
    if not (
        type(said["seq"]) is int
        and type(said["at"]) is str
        and type(said["data"]) is dict
        and type(event) is str
        and _EVENT.fullmatch(event)
    ):
        raise _BadLineError("it has a value of the wrong type")


def _broken_link(entry: Entry, number: int, prev: str) -> str:
    if entry.seq != number:
        return f"its seq is {entry.seq}, where {number} is due"
    if entry.prev != prev:
        return "its prev is not the sum of the line before"
    return ""


def _damage(path: str, line: int, reason: str) -> DamageError:
    return DamageError(
        f"line {line} of the journal is damaged: {reason}. Nothing was changed",
        where=f"{path}:{line}",
        fix="put back a copy of the file; without one, move it away, which starts a new journal "
        "from the statuses in the DOT file, and then use `attractor checkpoint restore "
        "--unverified`; "
        "`attractor journal verify` says whether all is well",
        line=line,
    )


@final
class Journal:
    """The journal as its one writer has it; the caller holds the lease. Use `Journal.open`."""

    def __init__(self, path: str, fd: int, reading: Reading, clock: Clock) -> None:
        self.path = path
        self.entries = reading.entries
        self.torn = reading.torn
        self._fd = fd
        self._bytes = reading.whole_bytes
        self._clock = clock
        self._refuses = ""

    @classmethod
    def open(cls, path: str | os.PathLike[str], clock: Clock) -> Self:
        """Verify the whole journal and make its end fit to append to; create it where missing.

        `torn` then says what was cut off, and where the bytes are kept.
        """
        path = os.fspath(path)
        with storage_errors("open the journal", path):
            fd = open_plain(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            reading = _verified(_content(fd, path), path)
            with storage_errors("repair the end of the journal", path):
                reading = _mended(fd, path, reading, clock)
            with storage_errors("open the journal", path):
                # What a writer that died left in the page cache is acted on from here on.
                os.fsync(fd)
                fsync_folder(os.path.dirname(path) or os.curdir)
        except BaseException:  # the descriptor is given back, and the error goes on
            os.close(fd)
            raise
        return cls(path, fd, reading, clock)

    def append(self, event: str, data: dict[str, Any]) -> Entry:
        """Add one entry, durable when this returns; else StorageError, and nothing has changed."""
        return self.append_all([(event, data)])[0]

    def append_all(self, batch: Iterable[tuple[str, dict[str, Any]]]) -> list[Entry]:
        """Add entries with one write and one fsync; a crash may leave the first few of them."""
        at = iso(self._clock.wall_ns())
        last = self.entries[-1] if self.entries else None
        lines: list[bytes] = []
        added: list[Entry] = []
        for event, data in batch:
            line, last = _next_line(last, at, event, data)
            lines.append(line + b"\n")
            added.append(last)
        if added:
            self._write(b"".join(lines))
            self.entries += added
        return added

    def close(self) -> None:
        """Let go of the file; what was appended is durable already."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._refuses = -1, "it was closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, lines: bytes) -> None:
        self._check_writable(len(lines))
        try:
            with storage_errors("append to the journal", self.path):
                write_all(self._fd, lines)
                # After a failed fsync the kernel may have dropped the pages, and says so only once.
                self._refuses = "an fsync did not succeed"
                os.fsync(self._fd)
        except StorageError as error:
            problem = f"{error.problem}. {self._take_back()}"
            raise StorageError(problem, where=self.path, fix=error.fix) from error.__cause__
        except BaseException:  # also an interrupt must leave whole lines; it goes on
            self._take_back()
            raise
        self._refuses = ""
        self._bytes += len(lines)

    def _take_back(self) -> str:
        """Undo a failed append, and return how that went."""
        try:
            os.ftruncate(self._fd, self._bytes)
        except OSError as error:
            self._refuses = "a failed append could not be taken back"
            return (
                f"Taking it back failed too ({error.strerror}): what was there before is intact, "
                "but may be followed by a part of what was not added"
            )
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        return "The previous state is intact"

    def _check_writable(self, length: int) -> None:
        if self._refuses:
            raise StorageError(
                f"the journal takes no more entries: {self._refuses}",
                where=self.path,
                fix="open it again: that verifies what is on the disk",
            )
        if self._bytes + length > MOST_BYTES:
            raise InputError(
                f"the journal would become larger than {MOST_BYTES // 1024**3} GiB, which is the "
                "limit; nothing was added",
                where=self.path,
                fix="move it away, which starts a new journal from the statuses in the DOT file",
            )
        with storage_errors("append to the journal", self.path):
            now = os.fstat(self._fd)
        if now.st_size != self._bytes or not now.st_nlink:
            raise DamageError(
                "somebody else has written to the journal or replaced it; nothing was added",
                where=self.path,
                fix="only the holder of the run's lease may write: end the other process, "
                "then see `attractor journal verify`",
            )


def _next_line(
    last: Entry | None, at: str, event: str, data: dict[str, Any]
) -> tuple[bytes, Entry]:
    """Return the line that follows `last`, and the entry as it will be read from it."""
    if not _EVENT.fullmatch(event):
        raise InputError(f"{event!r} cannot name an event", fix="name it like NodeMoved")
    seq, prev = (last.seq + 1, last.sum) if last else (1, _START)
    try:
        said = {"at": at, "data": data, "event": event, "prev": prev, "seq": seq}
        body = _canonical(said).encode()
        line = b'%s,"sum":"%s"}' % (body[:-1], hashlib.sha256(body).hexdigest().encode())
        entry = _entry(line)
        if entry.data != data:
            raise ValueError("it reads back differently")  # noqa: TRY301 - as all that follows
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the data of {event} is not a JSON object: {error}",
            fix="use a dict with strings as keys, and strings, numbers (no NaN), true, false, "
            "null, lists and such dicts as values",
        ) from error
    if len(line) >= MAX_ENTRY_BYTES:
        raise InputError(
            f"this is too much for one entry of the journal: {event} would have {len(line)} bytes, "
            f"and {MAX_ENTRY_BYTES} is the limit; nothing was changed",
            fix="an entry holds the name of every node that it is about: use fewer or shorter "
            "names, or two pipelines; and a shorter reason, if you gave one",
        )
    return line, entry


def _mended(fd: int, path: str, reading: Reading, clock: Clock) -> Reading:
    """End the last line where only its newline is missing; cut off and keep an incomplete one."""
    if not reading.ended:
        write_all(fd, b"\n")
        return reading._replace(whole_bytes=reading.whole_bytes + 1, ended=True)
    if not reading.torn:
        return reading
    length = os.fstat(fd).st_size - reading.whole_bytes
    kept = _keep(path, os.pread(fd, length, reading.whole_bytes), clock)
    os.ftruncate(fd, reading.whole_bytes)
    return reading._replace(torn=f"{reading.torn}; it was cut off and kept in {kept}")


def _keep(path: str, tail: bytes, clock: Clock) -> str:
    folder, name = os.path.split(path)
    folder = folder or os.curdir
    name = f"{name}.torn-{stamp(clock.wall_ns())}"
    for turn in range(1, 1000):
        with contextlib.suppress(FileExistsError):
            return publish(folder, name if turn == 1 else f"{name}.{turn}", tail, tmp=folder)
    raise InputError(
        "there are a thousand torn ends beside the journal already",
        where=path,
        fix="find out what tears it, then remove them",
    )
