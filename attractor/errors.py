"""The errors of the upper layers. The base, and what it promises, is in `signals.errors`."""

from __future__ import annotations

from signals.errors import AttractorError, BusyError, ProtocolError, StorageError

__all__ = [
    "AttractorError",
    "BusyError",
    "DamageError",
    "InputError",
    "ProtocolError",
    "StorageError",
    "ToolError",
    "UsageError",
]


class InputError(AttractorError):
    """What the user gave cannot be used: a file, a name, a value."""

    code = "input"


class UsageError(AttractorError):
    """The command was called wrongly."""

    code = "usage"
    exit_status = 2


class DamageError(AttractorError):
    """A file of ours is not what we wrote; nothing is guessed and nothing is repaired silently."""

    code = "damage"


class ToolError(AttractorError):
    """An outside program is missing, failed, or did not end in time."""

    code = "tool"
