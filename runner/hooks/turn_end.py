"""Store that a turn has ended, and hand over the guidance that waits for that moment.

Started as `python -I -S turn_end.py EVENTS INBOX`, for Stop. Guidance is a file `*.json` in INBOX,
`{"id", "text"}`. What is handed over becomes the reason for which the session goes on; the event
is then stored in the envelope `delivered` with the ids.

Each id is handed over at most once: a marker `.delivered-ID` in EVENTS is made before. Whether it
arrived, only the envelope says, which is stored after. Text beyond what Claude Code takes at once
stays in the INBOX. It fails open: exit 0 whatever happens, and the turn ends.
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REASON_UNITS = 9_500  # Claude Code cuts at 10,000, as JavaScript counts
GUIDANCE_BYTES = 256 << 10
MOST_FILES = 100
NAME_CHARACTERS = 128
BETWEEN = "\n\n"


def find_neighbours() -> None:
    """Let `runner.hooks.NAME` be imported from this file's folder, and from nowhere else."""
    folder = __file__.rpartition("/")[0] or "."
    for name, path in (("runner", f"{folder}/.."), ("runner.hooks", folder)):
        package = type(sys)(name)
        package.__path__ = [path]
        sys.modules.setdefault(name, package)


def waiting(inbox: str) -> list[str]:
    """Return the names of the guidance, oldest first."""
    try:
        names = posix.listdir(inbox)
    except OSError:
        return []
    return sorted(each for each in names if each.endswith(".json") and each[0] != ".")[:MOST_FILES]


def taken(events: str, inbox: str, names: list[str]) -> tuple[list[str], str]:
    """Return the ids and the text of what is to be handed over now."""
    ids: list[str] = []
    texts: list[str] = []
    left = REASON_UNITS
    for name in names:
        said = read(f"{inbox}/{name}")
        identity, text = said.get("id"), said.get("text")
        if not isinstance(identity, str) or not isinstance(text, str) or not is_name(identity):
            continue
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2 + len(BETWEEN)
        if units > REASON_UNITS or not text:
            continue  # it goes another way
        if units > left:
            break
        if mark(f"{events}/.delivered-{identity}"):
            ids.append(identity)
            texts.append(text)
            left -= units
    return ids, BETWEEN.join(texts)


def read(path: str) -> dict[str, Any]:
    """Return what a file in the inbox says; nothing if it cannot be read."""
    from runner.hooks.envelope import parsed

    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
        try:
            said = parsed(posix.read(fd, GUIDANCE_BYTES))
        finally:
            posix.close(fd)
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def is_name(text: str) -> bool:
    """Say whether an id may be part of a file's name."""
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return plain.isascii() and plain.isalnum() and len(text) <= NAME_CHARACTERS


def mark(path: str) -> bool:
    """Make the marker; False if it was there, or cannot be made."""
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        posix.close(posix.open(path, flags, 0o600))
    except OSError:
        return False
    return True


def main() -> None:
    """Answer one event; never raises."""
    try:
        find_neighbours()
        from runner.hooks.store import RAW_BYTES, read_stdin, store, write_all

        events, inbox = sys.argv[1:3]
        data, said = read_stdin()
        ids: list[str] = []
        if names := waiting(inbox):
            ids, text = taken(events, inbox, names)
        if ids or said > RAW_BYTES:
            from runner.hooks import envelope
        if ids:
            block = f'{{"decision":"block","reason":{envelope.quoted(text)}}}'
            write_all(1, block.encode())
            data = envelope.around("delivered", {"ids": ids}, data, said)
        elif said > RAW_BYTES:
            data = envelope.cut(data, said)
        store(events, data)
    except Exception as error:  # noqa: BLE001 - whatever it is must not hold the session
        try:  # noqa: SIM105 - contextlib costs a millisecond
            posix.write(2, f"attractor: the end of the turn was lost: {error!r:.500}\n".encode())
        except OSError:
            pass


if __name__ == "__main__":
    main()
    # The end of an interpreter costs a millisecond, and there is nothing left to do.
    posix._exit(0)  # noqa: SLF001 - `os` has the public name, and is not imported
