"""Theory of operation: how a signal gets from one process to another, and is never lost.

A mailbox is a folder. A signal is one file in it, and where the file lies is the state it is in:

    tmp/.NAME.xxxxxxxx  being written; nobody reads here
    NAME                waiting
    processed/NAME      acknowledged
    quarantine/NAME     bad; quarantine/NAME.reason says why

*Sending* never overwrites. The file is written and fsynced in tmp/, then linked to its name. If
the name is taken, the signal takes the next microsecond and tries again: two signals of one type in
one instant are two files. When `send` returns, the signal survives power loss.

*Waiting* is what a listing of the folder shows. There is no index, no lock and no notification
to be lost: whoever lists sees everything, oldest first. A watch only says when to list again.

*Reading* believes nothing. A file is opened without following links and without waiting for a
writer, must be a regular file of at most 1 MiB, must be JSON of a known type, must have the name
that its body asks for, and, where the mailbox has a key, must carry that key's signature. The
signature is checked before the meaning, so that a forger learns nothing from the answers.

*Acknowledging* comes after the reader has made durable what the signal caused. The file is linked
into processed/, that folder is fsynced, and only then it is unlinked. Not renamed: a watch sees
a move out of its folder as half an event, and holds back what follows for half a second. Every
crash leaves one of three states: waiting (it will be delivered again, and the reader ignores it
by its id), in both places (acknowledging again finishes the job), or processed.

*Quarantine* goes the same way, with one step more: the reason is durable before the file is gone
from the mailbox. What cannot be linked (a folder, another user's file) stays where it is; its
reason is written once, and every later listing passes it by. So one bad file starves nobody.

There are two kinds of folders. A run's mailbox belongs to one reader. The flat folder of the
original harness is shared by all: given `target`, a Mailbox sees only the names with that target,
and leaves every other file alone, the harness's own `NAME.tmp` among them.

What this does not do: two readers of one mailbox may both be given the same signal. The order is
that of the senders' clocks. Signals are not removed from processed/.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, final

from signals import sign
from signals.atomic import StrPath, draft_of, fsync_folder, publish, storage_errors
from signals.body import decode, encode, read_file
from signals.clock import Clock, iso, stamp
from signals.errors import ProtocolError, StorageError
from signals.names import SUFFIX, is_name, name_of, parse_name

if TYPE_CHECKING:
    from signals.kinds import Signal

_TMP: Final = "tmp"
_PROCESSED: Final = "processed"
_QUARANTINE: Final = "quarantine"
_REASON: Final = ".reason"

_OPEN_OWN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_STALE_NS: Final = 3_600 * 10**9
_SECOND_NS: Final = 10**9
_MICROSECOND_NS: Final = 10**3
_NAME_TRIES: Final = 1_000
_LONGEST_NAME_BYTES: Final = 200  # leaves room for what drafts and reasons append, up to 255

_CANNOT_LINK: Final = frozenset({errno.EPERM, errno.EACCES, errno.EMLINK, errno.EISDIR})


class Delivery(NamedTuple):
    """A signal, and the name by which to acknowledge it."""

    name: str
    signal: Signal


@final
class Mailbox:
    """One folder of signals: anybody sends, one reader reads. The essay above says what holds."""

    def __init__(
        self,
        folder: StrPath,
        *,
        target: str | None = None,
        key: bytes | None = None,
        clock: Clock,
    ) -> None:
        self.folder = os.fspath(folder)
        self._target = target
        self._key = key
        self._clock = clock
        self._last_ns = 0
        self._swept = False

    def create(self) -> None:
        """Make the folder and its subfolders, durably, where they are missing."""
        with storage_errors("create the mailbox", self.folder):
            for name in (_TMP, _PROCESSED, _QUARANTINE):
                self._subfolder(name)
            fsync_folder(self.folder)
            fsync_folder(os.path.dirname(os.path.abspath(self.folder)))

    # Sending

    def send(self, signal: Signal) -> str:
        """Publish a signal under the present time, and return the path of its file.

        An empty id is filled in; one that is set is kept, so that sending again is harmless.
        """
        now = self._clock.wall_ns()
        if 0 <= self._last_ns - now < _SECOND_NS:
            now = self._last_ns + _MICROSECOND_NS  # keeps our own order through a coarse clock
        ready = signal.filled(timestamp=stamp(now))
        for _ in range(_NAME_TRIES):
            body = ready.as_body()
            if self._key is not None:
                body["mac"] = sign.mac(self._key, body)
            try:
                path = publish(self.folder, name_of(ready), encode(body))
            except FileExistsError:
                now += _MICROSECOND_NS
                ready = ready.filled(timestamp=stamp(now))
                continue
            self._last_ns = now
            return path
        raise StorageError(
            f"the next {_NAME_TRIES} names are all taken",
            where=os.path.join(self.folder, name_of(ready)),
            fix="check that the machine's clock runs",
        )

    # Listing

    def waiting(self) -> list[str]:
        """Return the names that wait, oldest first; without opening or judging any."""
        return self._listed(self.folder, SUFFIX)

    def processed(self) -> list[str]:
        """Return the names that were acknowledged, oldest first."""
        return self._listed(os.path.join(self.folder, _PROCESSED), SUFFIX)

    def quarantined(self) -> dict[str, str]:
        """Return the names that were found bad, oldest first, with the reason of each."""
        folder = os.path.join(self.folder, _QUARANTINE)
        return {
            name.removesuffix(_REASON): _reason(os.path.join(folder, name))
            for name in self._listed(folder, SUFFIX + _REASON)
        }

    def _listed(self, folder: str, suffix: str) -> list[str]:
        with storage_errors("list the mailbox", folder):
            try:
                found = os.listdir(folder)
            except FileNotFoundError:
                if folder == self.folder:
                    raise
                return []
        names = [name for name in found if name.endswith(suffix) and name[0] != "."]
        if self._target is not None:
            names = [name for name in names if self._is_mine(name.removesuffix(_REASON))]
        names.sort()
        return names

    def _is_mine(self, name: str) -> bool:
        parts = parse_name(name)
        return parts is not None and parts.target == self._target

    # Reading

    def read(self, name: str) -> Signal:
        """Return the signal that waits under this name; ProtocolError when it is none."""
        path = self._path(name)
        with storage_errors("read the signal", path):
            return self._load(name)

    def drain(self) -> Iterator[Delivery]:
        """Yield what waits, oldest first; bad files go to quarantine on the way.

        The caller acknowledges each one once what it caused is durable. A disk error ends the
        drain with a StorageError: a good signal is never put aside because the machine is ill.
        """
        if not self._swept:
            self.sweep()
        for name in self.waiting():
            try:
                signal = self._load(name)
            except ProtocolError as bad:
                self.quarantine(name, bad.problem)
                continue
            except FileNotFoundError:
                continue  # another reader of a shared folder was faster
            except OSError:
                with storage_errors("read the signal", self._path(name)):
                    raise
            yield Delivery(name, signal)

    def _load(self, name: str) -> Signal:
        from signals import kinds  # not needed to list, and costs 90 ms

        data = read_file(f"{self.folder}/{name}")
        body = decode(data)
        if self._key is not None and not sign.verify(self._key, body):
            how = "its mac is wrong" if "mac" in body else "it has no mac"
            raise ProtocolError(f"forged: {how}")
        signal = kinds.from_body(body, data)
        if name_of(signal) != name:
            raise ProtocolError(f"name and body disagree: the body's name is {name_of(signal)}")
        return signal

    def _path(self, name: str) -> str:
        if "/" in name or name in ("", ".", ".."):
            raise ProtocolError(f"{name!r} is not the name of a signal")
        return os.path.join(self.folder, name)

    # What becomes of a signal

    def acknowledge(self, *names: str) -> None:
        """Move signals to processed/, durably and idempotently; many at once share the fsyncs."""
        with self.acknowledging(*names):
            pass

    @contextlib.contextmanager
    def acknowledging(self, *names: str) -> Iterator[None]:
        """Acknowledge when the block ends well; what refuses that is met before it begins.

        Inside, and after a block that fails, the signals are in both places: they still wait.
        """
        paths = [self._path(name) for name in names]
        with storage_errors("acknowledge", self.folder):
            processed = self._subfolder(_PROCESSED)
            gone = [name for name in names if self._keep(name, processed) is None]
            fsync_folder(processed)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for name in gone:
            if not os.path.lexists(os.path.join(processed, _short(name))):
                where = os.path.join(self.folder, name)
                raise StorageError("there is no such signal to acknowledge", where=where)
        yield
        with storage_errors("acknowledge", self.folder):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            fsync_folder(self.folder)

    def quarantine(self, name: str, reason: str) -> None:
        """Put a bad file aside with its reason; what cannot be moved is reported once and stays."""
        path = self._path(name)
        with storage_errors("quarantine", path):
            folder = self._subfolder(_QUARANTINE)
            try:
                kept = self._keep(name, folder)
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
                self._write_reason(folder, _short(name), name, f"{reason}; it was left in place")
                return
            if kept is None:
                return
            if not self._write_reason(folder, kept, name, reason):
                fsync_folder(folder)  # whoever wrote it may have died before this
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            fsync_folder(self.folder)

    def _subfolder(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        if not os.path.isdir(path):  # the harness's folder has only some of ours
            try:
                os.makedirs(path, exist_ok=True)
            except FileExistsError as error:
                fix = "move it away, or choose another folder"
                raise StorageError("this is not a folder", where=path, fix=fix) from error
            fsync_folder(self.folder)
        return path

    def _keep(self, name: str, folder: str) -> str | None:
        """Link a waiting file into a subfolder, and return its name there; None if it is gone."""
        source, short = os.path.join(self.folder, name), _short(name)
        for number in count(1):
            kept = short if number == 1 else f"{short.removesuffix(SUFFIX)}.{number}{SUFFIX}"
            goal = os.path.join(folder, kept)
            try:
                os.link(source, goal, follow_symlinks=False)
            except FileNotFoundError:
                return None
            except FileExistsError:
                if not _same(source, goal):
                    continue
            return kept
        raise AssertionError("count() has no end")

    def _write_reason(self, folder: str, kept: str, name: str, reason: str) -> bool:
        """Write the reason durably; False if there is one already."""
        if os.path.lexists(os.path.join(folder, kept + _REASON)):
            return False
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        said = {"name": shown, "reason": reason, "at": iso(self._clock.wall_ns())}
        data = json.dumps(said, indent=2).encode("ascii")
        try:
            publish(folder, kept + _REASON, data, tmp=self._subfolder(_TMP))
        except FileExistsError:
            return False
        return True

    def sweep(self) -> None:
        """Remove the drafts that senders that died have left in tmp/, once they are an hour old.

        The folder may be anybody's, its tmp/ too: what is not by name and kind a draft of a
        mailbox stays, and so does everything behind a link.
        """
        self._swept = True
        oldest = self._clock.wall_ns() - _STALE_NS
        with contextlib.suppress(OSError):
            tmp = os.open(os.path.join(self.folder, _TMP), _OPEN_OWN_FOLDER)
            try:
                for name in filter(_is_draft, os.listdir(tmp)):
                    _remove_old(tmp, name, oldest)
            finally:
                os.close(tmp)


def _is_draft(name: str) -> bool:
    final = draft_of(name)
    return final is not None and (is_name(final) or final.endswith(SUFFIX + _REASON))


def _remove_old(folder: int, name: str, oldest_ns: int) -> None:
    with contextlib.suppress(OSError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and found.st_mtime_ns < oldest_ns:
            os.unlink(name, dir_fd=folder)


def _same(one: str, other: str) -> bool:
    """Say whether two names hold the same content, as they do after a crash between two steps."""
    try:
        if os.path.samestat(os.lstat(one), os.lstat(other)):
            return True
        return read_file(one) == read_file(other)
    except (FileNotFoundError, ProtocolError):
        return False


def _short(name: str) -> str:
    raw = os.fsencode(name)
    if len(raw) <= _LONGEST_NAME_BYTES:
        return name
    import hashlib  # for such names only: it brings OpenSSL, 3.5 MB

    return hashlib.sha256(raw).hexdigest()[:32] + SUFFIX


def _reason(path: str) -> str:
    try:
        return str(decode(read_file(path)).get("reason", ""))
    except (OSError, ProtocolError):
        return ""
