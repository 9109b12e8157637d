"""What a signal's file is called, and the names of all its types.

`{timestamp}-{source}-{target}-{TYPE}.json` sorts as text in the order of time, and says who a
signal is for without opening it. Costs nothing to import, so that a listing need not pay for the
models in `signals.kinds`. A name is a claim; whether the body agrees is the mailbox's business.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

SUFFIX: Final = ".json"

LAYER: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.]{0,63}$"
STAMP: Final = r"^[0-9]{8}T[0-9]{6}(\.[0-9]{1,6})?Z$"

SIGNAL_TYPES: Final = frozenset(
    {
        "NEEDS_REVIEW",
        "NEEDS_INPUT",
        "VIOLATION",
        "ORCHESTRATOR_STUCK",
        "ORCHESTRATOR_CRASHED",
        "NODE_COMPLETE",
        "VALIDATION_COMPLETE",
        "VALIDATION_PASSED",
        "VALIDATION_FAILED",
        "INPUT_RESPONSE",
        "KILL_ORCHESTRATOR",
        "GUIDANCE",
        "MERGE_READY",
        "MERGE_COMPLETE",
        "MERGE_FAILED",
        "AGENT_REGISTERED",
        "AGENT_CRASHED",
        "AGENT_TERMINATED",
        "RUNNER_EXITED",
        "PIPELINE_COMPLETE",
        "ESCALATION",
        "GUARDIAN_ERROR",
        "STOP_RUN",
    }
)


class NameParts(NamedTuple):
    """What a file name claims."""

    stamp: str
    source: str
    target: str
    signal_type: str


class Named(Protocol):
    """What a name is made from; every Signal is one."""

    @property
    def timestamp(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def signal_type(self) -> str: ...


def name_of(signal: Named) -> str:
    """Return the file name that belongs to a signal."""
    parts = (signal.timestamp, signal.source, signal.target, signal.signal_type)
    return "-".join(parts) + SUFFIX


def is_layer(name: str) -> bool:
    """Say whether a source or target can be called so."""
    return re.fullmatch(LAYER, name) is not None


def is_name(name: str) -> bool:
    """Say whether this is exactly what `name_of` returns for some signal."""
    parts = parse_name(name)
    return (
        parts is not None
        and name == "-".join(parts) + SUFFIX
        and parts.signal_type in SIGNAL_TYPES
        and all(map(is_layer, (parts.source, parts.target)))
        and re.fullmatch(STAMP, parts.stamp) is not None
    )


def parse_name(name: str) -> NameParts | None:
    """Return the four parts, also of a kept `NAME.2.json`; None when it is no signal's name."""
    if not name.endswith(SUFFIX) or name.startswith("."):
        return None
    parts = name[: -len(SUFFIX)].split("-", 3)
    if len(parts) != len(NameParts._fields) or not all(parts):
        return None
    stamp, source, target, rest = parts
    return NameParts(stamp, source, target, rest.partition(".")[0])
