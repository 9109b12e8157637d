"""How large a plan may be: the table of scopes, and how long each text. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from attractor.plan.model import Scope


@final
@dataclass(frozen=True, slots=True)
class Size:
    """The most that one plan, and one node of it, may have."""

    nodes: int
    files: int
    """Of one node; each folder, and each path with `*` or `?`, counts as `OPEN_COUNTS`."""
    surfaces: int
    """Of one node: the components, or top folders, in which it writes; see `surface.of`."""
    steps: int
    criteria: int
    """Of one node."""


SIZES: Final = MappingProxyType(
    {
        Scope.SIMPLE: Size(nodes=6, files=6, surfaces=1, steps=6, criteria=3),
        Scope.STANDARD: Size(nodes=12, files=12, surfaces=2, steps=10, criteria=5),
        Scope.COMPLEX: Size(nodes=30, files=30, surfaces=3, steps=16, criteria=8),
    }
)
OPEN_COUNTS: Final = 3

MOST_ITEMS: Final = 200
"""Of any list, whatever the scope."""
MOST_ID: Final = 40
MOST_NAME: Final = 48
MOST_LABEL: Final = 80
MOST_PATH: Final = 200
MOST_CHECK: Final = 500
MOST_LINE: Final = 1000
MOST_TEXT: Final = 4000
MOST_STRUCTURE: Final = 20_000
