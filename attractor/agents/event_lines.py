"""The JSON objects among the lines that a program printed; what is none is skipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def objects(stdout: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the objects, one a line, in their order; a line that was cut off is none."""
    for line in stdout.split(b"\n"):
        if not line.lstrip().startswith(b"{"):
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def inner(event: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the object below these keys; an empty one where there is none."""
    found: Any = event
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
