"""What a rubric says: values without I/O.

`read` makes them from a folder; whether they make sense is for `lint` to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

ACCEPT: Final = 0.60
INVESTIGATE: Final = 0.40
METHODS: Final = (
    "browser-required",
    "api-required",
    "code-analysis",
    "doc-review",
    "e2e-test",
    "hybrid",
)
_CRITERION: Final = re.compile(r"\bAC-\d+\b", re.IGNORECASE)


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that must hold. An outline is one scenario, with all its examples."""

    name: str
    text: str
    """Its steps and examples as they are written, with those of the background in front."""
    outcomes: tuple[str, ...] = ()
    """What its Then says, step by step."""
    where: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Some scenarios that are judged together, and how much they weigh."""

    id: str
    title: str
    weight: float
    criteria: tuple[str, ...] = ()
    """The requirements that it covers: `AC-1`, ..."""
    nodes: tuple[str, ...] = ()
    """The nodes at which it is judged; empty where its criteria say so."""
    validation_method: str = ""
    file: str = ""
    """As the manifest names it, or the one that was found for it; empty for none."""
    scenarios: tuple[Scenario, ...] = ()
    guide: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    red_flags: tuple[str, ...] = ()
    where: str = ""
    mentioned: tuple[str, ...] = ()
    """The requirements that its words name, for a rubric that does not list them."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """What the work of one PRD is judged by."""

    folder: str
    prd_id: str
    title: str = ""
    accept: float = ACCEPT
    investigate: float = INVESTIGATE
    features: tuple[Feature, ...] = ()
    files: tuple[str, ...] = ()
    """The names of all its files."""
    written_by: str = ""
    """The `guardian_session`; empty for one that a person wrote."""
    where: str = ""

    def feature(self, feature_id: str) -> Feature | None:
        """Return the feature with this id."""
        return next((each for each in self.features if each.id == feature_id), None)


def criteria_in(*texts: str) -> tuple[str, ...]:
    """Return the ids of requirements in these texts, each once, in order."""
    found: Iterable[str] = (each for text in texts for each in _CRITERION.findall(text))
    return tuple(dict.fromkeys(each.upper() for each in found))
