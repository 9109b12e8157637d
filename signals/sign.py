"""One secret for each run, and the proof that a signal was written by somebody who can read it.

The mac covers every key of a body but `mac` itself, over canonical JSON, so the layout of the file
does not matter and no key can be added, removed or changed. It does not hide anything, does not
stop a genuine signal from being delivered twice (ids do), and protects only against those who
cannot read the key file.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from signals.atomic import StrPath, fsync_folder, storage_errors, write_all
from signals.errors import StorageError

KEY_BYTES: Final = 32
_MAC_CHARACTERS: Final = 64
_MODE: Final = 0o600
_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def new_key() -> bytes:
    """Return a fresh key from the system's randomness."""
    return os.urandom(KEY_BYTES)


def write_key(path: StrPath, key: bytes) -> None:
    """Store a key durably and never over another one; nobody else can read it at any moment."""
    final = os.fspath(path)
    folder, name = os.path.split(final)
    draft = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with storage_errors("write the key", final):
        fd = os.open(draft, flags, _MODE)
        try:
            os.fchmod(fd, _MODE)  # a strange umask must not take our own right away
            write_all(fd, key)
            os.fsync(fd)
            os.link(draft, final)
        except FileExistsError as taken:
            raise StorageError(
                "there is already a key",
                where=final,
                fix="a key is written once, when the run begins; use the one that is there",
            ) from taken
        finally:
            os.close(fd)
            os.unlink(draft)
        fsync_folder(folder or ".")


def read_key(path: StrPath) -> bytes:
    """Return a key that nobody but its owner can read; anything else is a StorageError."""
    final = os.fspath(path)
    with storage_errors("read the key", final):
        try:
            fd = os.open(final, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            fix = "check the path; a run's key is in its folder"
            raise StorageError("there is no key", where=final, fix=fix) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _unfit(final, "it is a symbolic link") from error
            raise
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise _unfit(final, "it is not a regular file")
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise _unfit(final, "others may read it; a key must have mode 0600")
            key = os.read(fd, KEY_BYTES + 1)
        finally:
            os.close(fd)
    if len(key) != KEY_BYTES:
        raise _unfit(final, f"it has not the {KEY_BYTES} bytes of a key")
    return key


def _unfit(path: str, problem: str) -> StorageError:
    fix = "a key that was lost or shown cannot be repaired: begin a new run"
    return StorageError(f"cannot use this key: {problem}", where=path, fix=fix)


def mac(key: bytes, body: Mapping[str, Any]) -> str:
    """Return the signature of a body; ValueError when it is not JSON."""
    signed = dict(body)
    signed.pop("mac", None)
    import hmac  # with it comes OpenSSL, 3.5 MB: only for who signs or verifies

    return hmac.digest(key, _CANONICAL.encode(signed).encode("ascii"), "sha256").hex()


def verify(key: bytes, body: Mapping[str, Any]) -> bool:
    """Say whether a body carries its own signature under this key."""
    claimed = body.get("mac")
    if not isinstance(claimed, str) or len(claimed) != _MAC_CHARACTERS or not claimed.isascii():
        return False
    import hmac

    try:
        return hmac.compare_digest(mac(key, body), claimed)
    except ValueError:
        return False
