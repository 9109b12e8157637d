"""How a request says for whom it is made: role, run, node and attempt, in headers or in its path.

Claude Code sends what `ANTHROPIC_CUSTOM_HEADERS` says with every request, also with those of its
subagents. Other agents send no headers of ours, so their base URL has a path before the API's own:
`/as/ROLE/=RUN/=NODE/ATTEMPT`. Names of runs and nodes are percent-encoded, so that any name can be
said; the `=` keeps an empty name, `.` and `..` from being taken out of a path.
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
_PATH: Final = re.compile(r"/as/([^/?]+)/=([^/?]*)/=([^/?]*)/([0-9]{1,9})(?=/|$)")


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
        self._check()
        said = {
            "role": self.role,
            "run": quote(self.run, safe=""),
            "node": quote(self.node, safe=""),
            "attempt": str(self.attempt or ""),
        }
        return "\n".join(f"x-attractor-{key}: {value}" for key, value in said.items() if value)

    def path(self) -> str:
        """Return what stands before the API's own path; InputError for an impossible role."""
        self._check()
        run, node = (quote(each, safe="") for each in (self.run, self.node))
        return f"/as/{self.role}/={run}/={node}/{self.attempt}"

    def _check(self) -> None:
        # A role that is only dots would be taken out of a path.
        if not _ROLE.fullmatch(self.role) or not self.role.strip("."):
            fix = "use letters, digits and . _ : - only"
            raise InputError(f"{self.role!r} cannot be the name of a role", fix=fix)

    @classmethod
    def of_path(cls, path: str) -> tuple[Self | None, str]:
        """Return who asks, if the path says it, and the API's own path."""
        found = _PATH.match(path)
        if not found:
            return None, path
        role, run, node, attempt = (unquote(each) for each in found.groups())
        return cls(role, run, node, int(attempt)), path[found.end() :] or "/"

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
