"""One line of `attractor doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import final


class Level(Enum):
    """How much a check's answer matters."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@final
@dataclass(frozen=True)
class Check:
    """One line of the answer."""

    name: str
    level: Level
    message: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the object that `--json` prints."""
        return asdict(self) | {"level": self.level.value}

    def __str__(self) -> str:
        line = f"{self.level.value:<5} {self.name:<14} {self.message}"
        return f"{line}\n{'':<21}{self.fix}" if self.fix else line
