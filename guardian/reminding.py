"""What the project's memory says to one who is asked, within bounds; unreadable is empty.

The memory is only read. It is material for a prompt, never an instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attractor.errors import AttractorError
from attractor.memory.brief import brief
from attractor.memory.places import home
from signals.clock import Clock

TOKENS: Final = 1_500


def remembered(spec: Mapping[str, Any], query: str, role: str, clock: Clock) -> str:
    """Return what is known of a query; `spec` is the task's, and may say that nothing is told."""
    if spec.get("memory", True) in (False, "off"):
        return ""
    request = spec["request"]
    try:
        return brief(
            home(str(request["project"]), rehearsed=request.get("rehearsed") is True),
            query,
            tokens=TOKENS,
            role=role,
            run=str(request["run_id"]),
            node=str(spec.get("node") or ""),
            attempt=int(spec.get("attempt") or 0),
            clock=clock,
        )
    except AttractorError:
        return ""
