"""A signal file, its bytes, and the JSON object in them: from one to the next, and no further.

Stricter than JSON readers usually are, because a file may have been written by anybody: what this
module lets through can be shown, signed, and written again without a surprise. No numbers beyond
a float, no NaN, no half of a surrogate pair, nothing nested deeper than 64, nothing over 1 MiB,
and no file that is a link, a pipe or a device.
What the object means is for `signals.kinds`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from signals.errors import ProtocolError

MAX_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 64
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ODD_FILES: Final = {
    errno.ELOOP: "it is a symbolic link",
    errno.ENXIO: "it is not a regular file",
    errno.ENODEV: "it is not a regular file",
    errno.EACCES: "it may not be read",
    errno.EPERM: "it may not be read",
}


def read_file(path: str) -> bytes:
    """Return a file's bytes; never waits, and takes nothing but a plain file of bounded size."""
    try:
        fd = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno in _ODD_FILES:
            raise ProtocolError(_ODD_FILES[error.errno]) from error
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ProtocolError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ProtocolError(f"it has more than {MAX_BYTES} bytes")
        return os.read(fd, status.st_size + 1)
    finally:
        os.close(fd)


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a signal file, laid out as the harness does."""
    try:
        data = json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ProtocolError(
            f"this signal cannot be written: {error}",
            fix="a payload holds Unicode text, finite numbers, true, false, lists and objects",
        ) from error
    if len(data) > MAX_BYTES:
        raise ProtocolError(
            f"this signal has {len(data)} bytes; the limit is {MAX_BYTES}",
            fix="put the long part into a file, and send its path",
        )
    _refuse_depth(body, data)
    return data


def decode(data: bytes) -> dict[str, Any]:
    """Return the JSON object in these bytes, or raise a ProtocolError that says what is wrong."""
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode()
        body = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(body, ensure_ascii=False).encode()  # finds half a surrogate pair
    except UnicodeDecodeError as error:
        raise ProtocolError(f"it is not UTF-8: byte {error.start}") from error
    except RecursionError as error:
        raise ProtocolError("it is nested too deeply") from error
    except ValueError as error:
        raise ProtocolError(f"it is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ProtocolError("it is not a JSON object")
    _refuse_depth(body, data)
    return body


def _refuse_depth(body: Mapping[str, Any], data: bytes) -> None:
    # Counting brackets settles nearly every signal; only the others are walked.
    if data.count(b"[") + data.count(b"{") <= _MAX_DEPTH:
        return
    level: list[object] = [body]
    for _ in range(_MAX_DEPTH):
        level = [inner for value in level for inner in _children(value)]
        if not level:
            return
    raise ProtocolError("it is nested too deeply")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text:.20} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
