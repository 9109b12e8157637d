"""What the session's hooks wrote: read as what it is, files of an untrusted party.

`waiting` lists, bounded and oldest first; `read` returns an event, or says in words why a file is
none; `consume` removes. Links are not followed, a FIFO does not block, size and depth are bounded,
and what is returned can be written as JSON and UTF-8 again.

An event proves nothing: whoever runs in the session can write one, or remove one. `at` is what its
writer says, but never later than the file itself was changed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn, final

from signals.atomic import draft_of, storage_errors

_NAME: Final = re.compile(r"(\d{20})-\d{1,10}\.json")
_MARKER: Final = ".delivered-"
_MOST_NAMES: Final = 2_000
_MOST_LISTED: Final = 10_000
_MOST_BYTES: Final = 512 * 1024
_MOST_DEPTH: Final = 50
_NANOSECONDS: Final = 1_000_000_000
OURS: Final = "attractor"
CUT: Final = "cut"


class Listing(NamedTuple):
    """What waits in the folder."""

    names: list[str]
    flooded: bool
    """There is more than is read at once."""
    litter: list[str] = []  # noqa: RUF012  # a NamedTuple's default, never changed
    """What no hook leaves: to be removed unread. In a flood, drafts of hooks are among it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One occurrence in a session."""

    name: str
    at: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    agent_id: str = ""
    """Empty for the main thread."""


def waiting(folder: str) -> Listing:
    """Return the names of the events that wait, oldest first; folders are passed over."""
    names: list[str] = []
    drafts: list[str] = []
    litter: list[str] = []
    seen = 0
    with storage_errors("list the events", folder), os.scandir(folder) as entries:
        for entry in entries:
            seen += 1
            if entry.is_dir(follow_symlinks=False) or entry.name.startswith(_MARKER):
                pass
            elif not entry.name.startswith(".") and entry.name.endswith(".json"):
                names.append(entry.name)
            elif _NAME.fullmatch(draft_of(entry.name) or ""):
                drafts.append(entry.name)
            else:
                litter.append(entry.name)
            if len(names) >= _MOST_NAMES or seen >= _MOST_LISTED:
                break
    flooded = len(names) >= _MOST_NAMES or seen >= _MOST_LISTED
    return Listing(sorted(names), flooded, [*litter, *(drafts if flooded else ())])


def read(folder: str, name: str) -> Event | str:
    """Return the event, or why the file is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        return "its name is not one that a hook gives"
    found = _file(os.path.join(folder, name))
    if isinstance(found, str):
        return found
    data, changed = found
    value = _value(data)
    if isinstance(value, str):
        return value
    return _event(name, min(int(match[1]), changed) / _NANOSECONDS, value)


def _value(data: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(data, parse_constant=_no_number, parse_float=_number)
        if b"\\ud" in data.lower():
            # JSON can hold half of a character, and nothing that is written as UTF-8 can.
            text = json.dumps(value, ensure_ascii=False)
            value = json.loads(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return "it is not JSON"
    if not isinstance(value, dict):
        return "it is not a JSON object"
    return value if _is_flat(value) else f"it is nested deeper than {_MOST_DEPTH} levels"


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _number(text: str) -> float:
    if math.isinf(number := float(text)):
        _no_number(text)
    return number


def _is_flat(value: dict[str, Any]) -> bool:
    """Say whether the value is nested so little that every function can take it."""
    level: list[Any] = [value]
    for _ in range(_MOST_DEPTH):
        inner: list[Any] = []
        for each in level:
            inner += each.values() if isinstance(each, dict) else each
        level = [each for each in inner if isinstance(each, dict | list)]
        if not level:
            return True
    return False


def _event(name: str, at: float, value: dict[str, Any]) -> Event | str:
    kind = value.get(OURS)
    inner = value.get("event") if kind else value
    inner = inner if isinstance(inner, dict) else {}
    if kind == CUT:
        kind, data = inner.get("hook_event_name"), inner
    elif isinstance(kind, str) and kind:
        kind, data = f"{OURS}:{kind}", {**inner, **value}
    else:
        kind, data = value.get("hook_event_name"), value
    if not isinstance(kind, str) or not kind:
        return "it does not say what happened"
    agent = inner.get("agent_id")
    agent_id = agent[:200] if isinstance(agent, str) else ""
    return Event(name=name, at=at, kind=kind[:100], data=data, agent_id=agent_id)


def _file(path: str) -> tuple[bytes, int] | str:
    """Return a file's content and when it was changed, in nanoseconds; or why it has none."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return "it is not a file"
        if found.st_size > _MOST_BYTES:
            return f"it is larger than {_MOST_BYTES} bytes"
        with open(fd, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES), found.st_ctime_ns
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    finally:
        os.close(fd)


def consume(folder: str, names: Iterable[str]) -> None:
    """Remove what was read; a folder that bears the name of an event stays."""
    for name in names:
        if os.path.basename(name) != name:
            continue  # it is in another folder
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))
