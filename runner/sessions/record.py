"""`session.json`: how a node's session is reached, by its Runner and by people's commands.

Written when the session has been started, in one step; a Runner that was killed before that finds
the session where it must be, and one that finds this file damaged knows no more than nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Final, final

from signals import atomic
from signals.owner import Owner

_MOST_BYTES: Final = 1024 * 1024
_NUMBERS: Final = ("launch", "turn")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was started last."""

    kind: str
    session_id: str
    worktree: str
    level: str = ""
    """What fences it in."""
    launch: int = 0
    """0: it was ended by us."""
    turn: int = 0
    """Of a kind that starts a process for each turn, counted through all launches."""
    interrupted: bool = False
    """We ended this turn."""
    thread: str = ""
    """How an agent that names its conversations itself calls this one."""
    owner: Owner | None = None
    """The session's process, or that of its turn."""
    socket: str = ""
    attach: tuple[str, ...] = ()
    attach_write: tuple[str, ...] = ()


def save(path: str, record: Record) -> None:
    """Write the record."""
    owner = record.owner.as_json() if record.owner else None
    atomic.replace(path, json.dumps({**asdict(record), "owner": owner}).encode())


def load(path: str) -> Record | None:
    """Return what was written; None where nothing was, or nothing that can be understood."""
    try:
        with open(path, "rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    made = {each.name: said[each.name] for each in fields(Record) if each.name in said}
    made["owner"] = Owner.from_json(said.get("owner"))
    for name in ("attach", "attach_write"):
        made[name] = tuple(map(str, made.get(name) or ()))
    if not all(type(made.get(name, 0)) is int for name in _NUMBERS):
        return None
    try:
        return Record(**made)
    except TypeError:
        return None
