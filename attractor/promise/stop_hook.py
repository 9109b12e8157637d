"""The Claude Code Stop hook: a session that owns a promise may not stop before it is kept.

Started as `python -I -S FILE`. It reads at most 1 MiB of stdin, prints nothing (the session may
stop) or one JSON object (it may not, and why), and always exits with 0. This file is the door: it
looks for promises that mention the session, without parsing any, and imports nothing that costs
time. Only when there is one does it load `stop_decision.py` beside it, from its compiled cache;
both use the standard library alone.

It never wedges a session: an error of its own blocks once, and what cannot be put on record first
is not blocked. When five seconds are not enough to read every promise, those that were read
decide; a session of which none was found is let go. Not guaranteed: that a session stays. Claude
Code runs no Stop hook for one that is killed or interrupted, so promises are enforced from outside
as well. The clock is read here, not through `signals.clock`: this file stands alone.
"""

from __future__ import annotations

import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECONDS = 5.0
STDIN_BYTES = 1 << 20
FILE_BYTES = 8 << 20  # as the store
PARSED_BYTES = 16 << 20  # half a second
CHUNK_BYTES = 1 << 16
NAME_CHARACTERS = 128
NAME = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
FILE_TYPE, REGULAR = 0o170000, 0o100000


class Stop:
    """One Stop event, as far as it is known without parsing anything."""

    def __init__(self) -> None:
        self.deadline = time.monotonic() + SECONDS
        self.project = project_folder()
        self.state = f"{self.project}/.claude/completion-state"
        self.session = b""
        self.said = b""

    def answer(self) -> str:
        """Return what to print: nothing, or why the session is held, as JSON."""
        self.said = read_stdin(self.deadline)
        promises = listed(f"{self.state}/promises")
        # A kept promise has moved there; its session still owes tidy beads.
        kept = listed(f"{self.state}/history") if beads_folder(self.project) else []
        if not promises and not kept:
            return ""
        ids = mentioned_ids(self.said)
        self.session = ids[0] if ids else b""
        mine = self.mentioning(ids, "promises", promises)
        past = self.mentioning(ids, "history", kept)
        if not mine and not past:
            return ""
        judge = load_decision()["judge"]
        answer: str = judge(self.said, self.project, mine, past, self.deadline)
        return answer

    def mentioning(self, ids: list[bytes], folder: str, names: list[str]) -> dict[str, bytes]:
        """Return the files that contain one of these ids, by name; no more than can be parsed."""
        found, left = {}, PARSED_BYTES
        for name in names:
            if left <= 0 or time.monotonic() > self.deadline:
                break
            data = read_file(f"{self.state}/{folder}/{name}", FILE_BYTES)
            if any(each in data for each in ids):
                found[name] = data
                left -= len(data)
        return found

    def after(self, error: Exception) -> str:
        """Return the answer to an error of ours: block once with its last line, then let go."""
        if not self.session:
            return ""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = place.tb_frame.f_code.co_filename if place else "?"
        line = f"{type(error).__name__}: {error}"[:1000]
        text = f"{where}, line {place.tb_lineno if place else 0}: {line}"
        import json

        said = "The stop hook itself failed; the next stop is allowed.\n" + text
        answer = json.dumps({"decision": "block", "reason": said})
        self.mark_failed(text.encode("utf-8", "replace"))
        return answer

    def mark_failed(self, text: bytes) -> None:
        """Put the error on record; FileExistsError says that the session was blocked for one."""
        if not exists(f"{self.state}/hooks"):
            posix.mkdir(f"{self.state}/hooks")
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
        fd = posix.open(f"{self.state}/hooks/{self.session.decode()}.failed", flags, 0o644)
        try:
            write_all(fd, text + b"\n")
        finally:
            posix.close(fd)


def load_decision() -> dict[str, Any]:
    """Return the names of `stop_decision.py`; it imports this file by its full name."""
    from importlib.machinery import SourceFileLoader

    name = "attractor.promise.stop_decision"
    sys.modules.setdefault("attractor.promise.stop_hook", sys.modules[__name__])
    path = f"{__file__.rpartition('/')[0] or '.'}/stop_decision.py"
    code = SourceFileLoader(name, path).get_code(name)
    assert code is not None
    names = {"__name__": name, "__file__": path}
    exec(code, names)  # noqa: S102 - our own file; this door to its compiled cache is the cheapest
    return names


def mentioned_ids(said: bytes) -> list[bytes]:
    """Return what may be the session's ids, without parsing: at least those that are."""
    # A quote inside a JSON string is escaped, so what is found is a key, or a whole value.
    ids = []
    for rest in said.split(b'"session_id"', 8)[1:]:
        before, quote, after = rest[: 2 * NAME_CHARACTERS].partition(b'"')
        if quote and before.strip() == b":":
            ids.append(after.partition(b'"')[0])
    ids.append(environment(b"CLAUDE_SESSION_ID").encode("utf-8", "surrogateescape"))
    return [each for each in ids if is_name(each)]


def is_name(text: bytes) -> bool:
    """Say whether an id from outside may become a file's name."""
    return 0 < len(text) <= NAME_CHARACTERS and NAME.issuperset(text)


def environment(name: bytes) -> str:
    """Return a variable, or nothing; `os` is not imported for it."""
    return posix.environ.get(name, b"").decode(sys.getfilesystemencoding(), "surrogateescape")


def project_folder() -> str:
    """Return the project, as the cs-* commands find it from the folder that Claude Code names.

    Promises may lie further up than where the session was started: the nearest `.claude` with a
    completion state, else the nearest at all; no higher than the git work tree, never at home.
    """
    start = folder = environment(b"CLAUDE_PROJECT_DIR") or posix.getcwd()
    home, nearest = identity(environment(b"HOME")), ""
    while folder:
        if exists(f"{folder}/.claude/completion-state"):
            return folder
        nearest = nearest or (folder if exists(f"{folder}/.claude") else "")
        parent = folder.rpartition("/")[0]
        if exists(f"{folder}/.git") or (home and identity(parent) == home):
            break
        folder = parent
    return nearest or start


def beads_folder(project: str) -> str:
    """Return the project's beads, as `attractor bd` finds them from there, or nothing.

    $BEADS_DIR; the nearest `.beads` upwards in this repository; of a linked worktree that of its
    main checkout.
    """
    found, folder = environment(b"BEADS_DIR"), project
    while folder and not found:
        if exists(f"{folder}/.beads"):
            return f"{folder}/.beads"
        if exists(f"{folder}/.git"):
            found = f"{main_checkout(folder)}/.beads"
        folder = folder.rpartition("/")[0]
    return found if found != "/.beads" and exists(found) else ""


def main_checkout(folder: str) -> str:
    """Return the checkout whose linked worktree a folder is, or nothing."""
    said = read_file(f"{folder}/.git", CHUNK_BYTES).decode("utf-8", "surrogateescape")
    where = said.removeprefix("gitdir:").strip()
    main, found, _ = where.partition("/.git/worktrees/")
    if not found:
        return ""
    return main if main.startswith("/") else f"{folder}/{main}"


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a folder from all others, whatever it is called."""
    try:
        facts = posix.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def read_stdin(deadline: float) -> bytes:
    """Return what comes before the deadline, at most 1 MiB."""
    parts, left = [], STDIN_BYTES
    posix.set_blocking(0, False)
    try:
        while left and time.monotonic() < deadline:
            try:
                part = posix.read(0, min(left, CHUNK_BYTES))
            except BlockingIOError:
                time.sleep(0.0005)
                continue
            if not part:
                break
            parts.append(part)
            left -= len(part)
    finally:
        posix.set_blocking(0, True)
    return b"".join(parts)


def exists(path: str) -> bool:
    """Say whether something has this name."""
    try:
        posix.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def listed(folder: str) -> list[str]:
    """Return the JSON files of a folder, oldest name first; drafts are left out."""
    try:
        names = posix.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(each for each in names if each.endswith(".json") and not each.startswith("."))


def read_file(path: str, limit: int) -> bytes:
    """Return a regular file's bytes up to the limit; nothing for a link, a FIFO, or no file."""
    flags = posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        fd = posix.open(path, flags)
    except OSError:
        return b""
    try:
        facts = posix.fstat(fd)
        data = b""
        if facts.st_mode & FILE_TYPE == REGULAR:
            while part := posix.read(fd, min(facts.st_size + 1, limit - len(data))):
                data += part
        return data
    finally:
        posix.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte."""
    while data:
        data = data[posix.write(fd, data) :]


def main() -> None:
    """Answer one Stop event; never raises."""
    answer, stop = "", None
    try:
        stop = Stop()
        answer = stop.answer()
    except Exception as error:  # noqa: BLE001 - whatever it is must not wedge the session
        try:
            answer = stop.after(error) if stop else ""
        except Exception:  # noqa: BLE001 - blocked before, or not to be put on record
            answer = ""
    try:  # noqa: SIM105 - contextlib costs a millisecond
        write_all(1, answer.encode())
    except OSError:
        pass


if __name__ == "__main__":
    main()
    # The end of an interpreter costs a millisecond, and there is nothing left to do.
    posix._exit(0)  # noqa: SLF001 - `os` has the public name, and is not imported
