"""Reads the transcripts of a Claude Code session: main thread and workers, a piece at a time.

The session can write them, so they are read as a stranger's: opened without following a link
anywhere below the configuration folder, only regular files, bounded lines, a bounded number of
bytes and files at a time, and what is damaged is skipped. How far they were read is kept by the
caller; a line that is not complete yet is read later. Totals never fall: a transcript that shrank
or was replaced is counted anew, on top. Not guaranteed: that the newest answer is there already.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from runner.digest import Digest, Digesting
from runner.usage import ApiError, Counted, Usage, api_error, cost_of, count, record

_CHUNK_BYTES: Final = 256 * 1024
_MOST_LINE: Final = 1024 * 1024
_MOST_AT_ONCE: Final = 16 * 1024 * 1024
_MOST_ENTRIES: Final = 10_000
_MOST_FILES: Final = 1_000
_MOST_ERRORS: Final = 20
_LONGEST_NAME: Final = 200
_DEPTH: Final = 3  # projects/FOLDER/SESSION.jsonl
_SUFFIX: Final = ".jsonl"
_WORKER: Final = re.compile(r"agent-[A-Za-z0-9_@.-]{1,200}\.jsonl")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9]")


def transcript_path(config_dir: str, cwd: str, session: str) -> str:
    """Return where Claude Code keeps the transcript of a session that was started in `cwd`."""
    path = os.path.realpath(cwd)
    # JavaScript counts a character beyond the first 65,536 as two.
    data = path.encode("utf-16-le", "surrogatepass")
    units = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
    name = _NOT_PLAIN.sub("-", "".join(map(chr, units)))
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{_hash(units)}"
    return os.path.join(config_dir, "projects", name, f"{session}{_SUFFIX}")


def _hash(units: list[int]) -> str:
    number = 0
    for unit in units:
        number = (number * 31 + unit) & 0xFFFFFFFF
    number = min(number, 2**32 - number)  # as a signed number, without its sign
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def is_transcript(config_dir: str, path: str) -> bool:
    """Say whether a path that a hook named can be a transcript of this configuration."""
    return _below(config_dir, path) is not None


def has_begun(config_dir: str, path: str) -> bool:
    """Say whether a transcript holds a conversation: without a prompt in it none can be resumed."""
    begun, relative = False, _below(config_dir, path)

    def take(line: bytes) -> None:
        nonlocal begun
        begun = begun or (b'"user"' in line and _is_prompt(line))

    if relative is not None:
        with contextlib.suppress(OSError), _opened(config_dir, relative) as fd:
            _lines(fd, 0, take, _MOST_AT_ONCE)
    return begun


def _is_prompt(line: bytes) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("type") == "user"


def set_aside(config_dir: str, path: str) -> None:
    """Give a transcript another name, so that its session's id can be used anew."""
    if (relative := _below(config_dir, path)) is None:
        return
    folder, name = os.path.split(relative)
    # Whatever it is now: a link is renamed, and not what it leads to.
    with contextlib.suppress(OSError), _opened(config_dir, folder, os.O_DIRECTORY) as fd:
        os.rename(name, f"{name}.aside", src_dir_fd=fd, dst_dir_fd=fd)


class _Mark(NamedTuple):
    """How far one file was read."""

    inode: int
    offset: int = 0
    last: Counted = Counted()

    def as_json(self) -> list[Any]:
        return [self.inode, self.offset, *self.last]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> _Mark:
        inode, offset, *last = value
        return cls(inode, offset, Counted(*last))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is new."""

    added: Usage = field(default_factory=Usage)
    errors: tuple[ApiError, ...] = ()
    """Of the main thread and its workers, oldest first; the newest ones when there are many."""
    mark: Mapping[str, Any] = field(default_factory=dict)
    """A JSON object to be given to the next reading, whatever session that is of."""
    behind: bool = False
    """There is more to read at once."""
    problem: str = ""
    """Why a transcript that is there was not read."""


def read(config_dir: str, path: str, mark: Mapping[str, Any]) -> Reading:
    """Read what was added to a session's transcripts since the mark; `{}` is the beginning."""
    relative = _below(config_dir, path)
    if relative is None:
        return Reading(mark=mark, problem="the path is not one of a transcript")
    reading = _Reading(config_dir, mark)
    for name in _files(config_dir, relative):
        reading.file(name, main=name == relative)
    return reading.result()


@final
class _Reading:
    def __init__(self, config_dir: str, mark: Mapping[str, Any]) -> None:
        self._config_dir = config_dir
        self._marks = dict(mark)
        self._added = Usage()
        self._errors: list[ApiError] = []
        self._left = _MOST_AT_ONCE
        self._problem = ""

    def file(self, name: str, *, main: bool) -> None:
        try:
            with _opened(self._config_dir, name) as fd:
                self._read(fd, name, main=main)
        except FileNotFoundError:
            return  # it is written later
        except OSError as error:
            self._problem = f"{name} was not read: {_why(error)}"

    def _read(self, fd: int, name: str, *, main: bool) -> None:
        found = os.fstat(fd)
        key = name.split("/", _DEPTH - 1)[-1]
        known = self._marks.get(key)
        mark = _Mark.from_json(known) if known else _Mark(found.st_ino)
        if main and not known:
            self._added += Usage(sessions=1)
        if mark.inode != found.st_ino or mark.offset > found.st_size:
            mark = _Mark(found.st_ino)
        last = mark.last

        def take(line: bytes) -> None:
            nonlocal last
            if (value := record(line)) is not None:
                usage, last = count(value, last)
                self._added += usage
                self._note(value, f"{key} cost")

        offset, read = _lines(fd, mark.offset, take, self._left)
        self._left -= read
        self._marks[key] = _Mark(found.st_ino, offset, last).as_json()

    def _note(self, value: Mapping[str, Any], key: str) -> None:
        if error := api_error(value):
            self._errors.append(error)
            del self._errors[:-_MOST_ERRORS]
        cost, known = cost_of(value), float(self._marks.get(key, 0.0))
        if cost is not None and cost >= known:
            self._added += Usage(cost_usd=cost - known)
            self._marks[key] = cost

    def result(self) -> Reading:
        return Reading(
            added=self._added,
            errors=tuple(sorted(self._errors, key=lambda each: each.at)),
            mark=self._marks,
            behind=self._left <= 0,
            problem=self._problem,
        )


def digest(config_dir: str, path: str, max_bytes: int) -> Digest:
    """Return what a session did last, in texts of at most `max_bytes`; empty where none is told."""
    relative = _below(config_dir, path)
    digesting = Digesting()
    for name in _files(config_dir, relative) if relative else ():
        with contextlib.suppress(OSError), _opened(config_dir, name) as fd:
            _digest(fd, digesting, main=name == relative)
    return digesting.digest(max_bytes)


def _digest(fd: int, digesting: Digesting, *, main: bool) -> None:
    def take(line: bytes) -> None:
        if (value := record(line)) is not None:
            digesting.add(value, main=main)

    offset = max(0, os.fstat(fd).st_size - _MOST_AT_ONCE)
    _lines(fd, offset, take, _MOST_AT_ONCE)


def _lines(fd: int, offset: int, take: Callable[[bytes], None], most_bytes: int) -> tuple[int, int]:
    """Take each complete line; return the offset behind the last, and how many bytes were read.

    One that is too long is cut into pieces, which are no records; so is the first, if need be.
    """
    os.lseek(fd, offset, os.SEEK_SET)
    pending, left = b"", most_bytes
    while left > 0 and (chunk := os.read(fd, min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            offset += len(line) + 1
            take(line)
        if len(pending) > _MOST_LINE:
            offset += len(pending)
            pending = b""
    return offset, most_bytes - left


def _below(config_dir: str, path: str) -> str | None:
    """Return the path below the configuration folder, if it is one of a transcript."""
    for folder in (config_dir, os.path.realpath(config_dir)):
        start = os.path.join(os.path.normpath(folder), "")
        parts = path.removeprefix(start).split("/")
        if path.startswith(start) and _is_place(parts):
            return "/".join(parts)
    return None


def _is_place(parts: list[str]) -> bool:
    names = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return names and len(parts) == _DEPTH and parts[0] == "projects" and parts[2].endswith(_SUFFIX)


def _files(config_dir: str, relative: str) -> Iterator[str]:
    """Yield the session's own transcript, then its workers'."""
    yield relative
    folder = f"{relative.removesuffix(_SUFFIX)}/subagents"
    with contextlib.suppress(OSError), _opened(config_dir, folder, os.O_DIRECTORY) as fd:
        with os.scandir(fd) as entries:
            names = [each.name for each in itertools.islice(entries, _MOST_ENTRIES)]
        workers = sorted(name for name in names if _WORKER.fullmatch(name))
        yield from (f"{folder}/{name}" for name in workers[:_MOST_FILES])


@contextlib.contextmanager
def _opened(config_dir: str, relative: str, kind: int = 0) -> Iterator[int]:
    """Open a regular file, or a folder, without following a link below the configuration folder."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hold us up
    with contextlib.ExitStack() as held:
        fd = os.open(config_dir, flags | os.O_DIRECTORY)
        held.callback(os.close, fd)
        *folders, name = relative.split("/")
        for part, which in [*((folder, os.O_DIRECTORY) for folder in folders), (name, kind)]:
            fd = os.open(part, flags | os.O_NOFOLLOW | which, dir_fd=fd)
            held.callback(os.close, fd)
        if not kind and not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        yield fd


def _why(error: OSError) -> str:
    linked = error.errno in (errno.ELOOP, errno.ENOTDIR)
    return "there is a link in its path" if linked else str(error.strerror)
