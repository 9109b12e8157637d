"""What was noted when a node's worktree was made: in the run's folder, where no session writes."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, final

from attractor.errors import DamageError
from signals import atomic
from signals.atomic import storage_errors

_TEXTS: Final = ("path", "branch", "base", "admin")


@final
class Stage(enum.Enum):
    """How far the worktree is."""

    MAKING = "making"
    MADE = "made"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One worktree. While it is being made, no session has been there."""

    stage: Stage
    attempt: int
    path: str
    branch: str
    base: str
    admin: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)


def write(path: str, record: Record) -> None:
    """Make the record durable in one step."""
    said = asdict(record) | {"stage": record.stage.value}
    atomic.replace(path, json.dumps(said, indent=2).encode() + b"\n")


def read(path: str) -> Record | None:
    """Return the record; None if there is none."""
    with storage_errors("read", path):
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
    try:
        return _from_json(json.loads(data))
    except (ValueError, TypeError, KeyError) as error:
        fix = "when the worktree and its branch are safe, remove both and this file"
        raise DamageError(
            "the record of a worktree is not what was written", where=path, fix=fix
        ) from error


def _from_json(said: dict[str, Any]) -> Record:
    known = {each.name: said[each.name] for each in fields(Record)}
    if (
        not all(isinstance(known[name], str) for name in _TEXTS)
        or type(known["attempt"]) is not int
    ):
        raise TypeError
    marks = {str(name): str(mark) for name, mark in dict(known["marks"]).items()}
    return Record(**known | {"stage": Stage(known["stage"]), "marks": marks})
