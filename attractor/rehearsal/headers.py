"""How a request says for whom it is made: role, run, node and attempt, in HTTP headers.

Claude Code sends what `ANTHROPIC_CUSTOM_HEADERS` says with every request, also with those of its
subagents. Names of runs and nodes are percent-encoded, so that any name can be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, final
from urllib.parse import quote, unquote

from attractor.errors import InputError
from attractor.rehearsal.turn import MAIN

_ROLE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@final
@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a session asks."""

    role: str = MAIN
    run: str = ""
    node: str = ""
    attempt: int = 0  # 0: not said

    def headers(self) -> str:
        """Return the value of ANTHROPIC_CUSTOM_HEADERS; InputError for an impossible role."""
        if not _ROLE.fullmatch(self.role):
            fix = "use letters, digits and . _ : - only"
            raise InputError(f"{self.role!r} cannot be the name of a role", fix=fix)
        said = {
            "role": self.role,
            "run": quote(self.run, safe=""),
            "node": quote(self.node, safe=""),
            "attempt": str(self.attempt or ""),
        }
        return "\n".join(f"x-attractor-{key}: {value}" for key, value in said.items() if value)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """Return who asks, from headers with small names."""
        attempt = headers.get("x-attractor-attempt", "")
        return cls(
            headers.get("x-attractor-role") or MAIN,
            unquote(headers.get("x-attractor-run", "")),
            unquote(headers.get("x-attractor-node", "")),
            int(attempt) if _NUMBER.fullmatch(attempt) else 0,
        )
