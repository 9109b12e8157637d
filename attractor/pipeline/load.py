"""A pipeline from a file: the one door, and every way in which a file can fail to be one.

Whoever reads a file in order to write it again asks `check_unchanged` just before, since an editor
takes no lease.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import Final, final

from attractor.errors import InputError
from attractor.pipeline.document import Document
from attractor.pipeline.dot import parse, paused_collector
from attractor.pipeline.graph import Graph, build

MOST_BYTES: Final = 64 * 1024 * 1024


@final
class ChangedError(InputError):
    """The file is not the one that was read: somebody saved it meanwhile."""


def load(path: str | os.PathLike[str]) -> tuple[Document, Graph]:
    """Return the file's Document and its Graph; `-` is standard input."""
    name = os.fspath(path)
    with paused_collector():
        document = parse(read(name), "<stdin>" if name == "-" else name)
        return document, build(document)


def read(name: str) -> str:
    """Return the text of a file, byte-order mark and line ends as they are."""
    if name == "-":
        data, name = sys.stdin.buffer.read(MOST_BYTES + 1), "<stdin>"
    else:
        data = _read_file(name)
    if len(data) > MOST_BYTES:
        raise _too_large(name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"Byte {error.start} (in line {line}) is not UTF-8."
        fix = "Save the file as UTF-8, or convert it with `iconv -t UTF-8`."
        raise InputError(problem, where=name, fix=fix, line=line, byte_offset=error.start) from None


def check_unchanged(name: str, text: str) -> None:
    """Raise ChangedError unless the file holds exactly this text, as `read` returned it."""
    try:
        same = _read_file(name) == text.encode()
    except InputError:
        same = False  # gone, or something else by now
    if not same:
        raise changed(name)


def changed(name: str) -> ChangedError:
    """Return the error for a file that somebody saved while it was being edited."""
    return ChangedError(
        "the file was changed meanwhile, and is left as it is now",
        where=name,
        fix="when nobody else is writing it, do the same again",
    )


def _read_file(name: str) -> bytes:
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        fix = "Check the path; `attractor new` writes a template to begin with."
        raise InputError("There is no such file.", where=name, fix=fix) from None
    except PermissionError:
        fix = "Make it readable: `chmod u+r` the file."
        raise InputError("You may not read this file.", where=name, fix=fix) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "Give the path of a DOT file."
        raise InputError(f"It cannot be opened: {reason}.", where=name, fix=fix) from None
    try:
        return _read_regular(descriptor, name)
    finally:
        os.close(descriptor)


def _read_regular(descriptor: int, name: str) -> bytes:
    mode = os.fstat(descriptor)
    if stat.S_ISDIR(mode.st_mode):
        raise InputError("This is a folder.", where=name, fix="Give the path of a DOT file.")
    if not stat.S_ISREG(mode.st_mode):
        fix = "Give a plain file, or `-` for standard input."
        raise InputError("This is not a plain file.", where=name, fix=fix)
    if mode.st_size > MOST_BYTES:
        raise _too_large(name)
    parts: list[bytes] = []
    left = MOST_BYTES + 1
    try:
        while left > 0 and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        problem = f"It cannot be read: {error.strerror}."
        raise InputError(problem, where=name, fix="Check the disk, then try again.") from None
    return b"".join(parts)


def _too_large(name: str) -> InputError:
    return InputError(
        f"The file is larger than {MOST_BYTES // 1024 // 1024} MiB.",
        where=name,
        fix="A pipeline is a few hundred kilobytes at most: is it the right file?",
    )
