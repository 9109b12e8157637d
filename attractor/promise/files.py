"""Reads the JSON files of the promises: whole, of bearable size, and with the place of damage.

Guaranteed: a pipe, a device or a huge file holds nobody up, and what cannot be read is a
DamageError with its line. Not guaranteed: that the value has any shape; see `model.shape_fault`.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from io import BufferedReader
from typing import Final, NamedTuple

from attractor.errors import DamageError

MAX_BYTES: Final = 8 * 1024 * 1024


class Damaged(NamedTuple):
    """A file that cannot be read, and why."""

    path: str
    """With line and column where they are known: `FILE:LINE:COLUMN`."""
    reason: str
    mentions: frozenset[str] = frozenset()
    """Which of the sessions that were asked for it speaks of, as far as its bytes show."""

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "reason": self.reason}

    def error(self) -> DamageError:
        fix = "nothing was changed; repair or remove the file by hand"
        return DamageError(self.reason, where=self.path, fix=fix)


def names(folder: str) -> list[str]:
    """Return the names of the `.json` files of a folder, without the ending, sorted."""
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(n[:-5] for n in found if n.endswith(".json") and not n.startswith("."))


def read_json(path: str, *, follow: bool = True) -> object:
    """Return what a JSON file holds; DamageError names the line, FileNotFoundError passes."""
    return parse_json(read_bytes(path, follow=follow), path)


def read_bytes(path: str, *, follow: bool = True) -> bytes:
    """Return what a regular file of bearable size holds."""
    try:
        with regular_file(path, follow=follow) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(path, f"cannot be read: {error.strerror}").error() from error
    if len(data) > MAX_BYTES:
        raise Damaged(path, f"larger than {MAX_BYTES} bytes").error()
    return data


def regular_file(path: str, *, follow: bool = True) -> BufferedReader:
    """Open a file for reading; OSError also for what is none, and for a link not to be followed."""
    # O_NONBLOCK: a FIFO with this name must not hold the command up.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(fd, "rb")


def parse_json(data: bytes, name: str) -> object:
    """Return the value of a JSON text; DamageError says where it breaks."""
    try:
        found: object = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        raise Damaged(place, f"not JSON: {error.msg}").error() from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Damaged(f"{name}:{line}", "not UTF-8").error() from error
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{name}:1", f"not JSON that we can hold: {error}").error() from error
    return found


def to_bytes(value: object) -> bytes:
    """Return JSON as the original writes it: two spaces, UTF-8, a newline at the end."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair, written as an escape by somebody else, stays an escape.
        return json.dumps(value, indent=2).encode() + b"\n"
