"""What keeps the rubric's words back from texts that go down to a session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attractor.errors import DamageError
from guardian import criteria
from guardian.criteria import Unsealed
from guardian.feedback import Guard

_MOST: Final = 1_000
_ENDS: Final = re.compile(r"(?<=[.!?;])[ \t]+")


def guard_of(spec: Mapping[str, Any]) -> Guard:
    """Return the guard of a task's rubric; DamageError where it is not the one that was sealed."""
    # Nothing is judged here, so nothing of the node is looked for in it.
    known = criteria.of({"rubric": None, "node": "", **spec, "features": [], "acceptance": "done"})
    if isinstance(known, Unsealed):
        differs = "; ".join(known.differs)[:_MOST]
        where = (spec.get("rubric") or {}).get("folder", "")
        fix = "restore it, or start another run"
        problem = f"the rubric is not the one that was sealed: {differs}"
        raise DamageError(problem, where=where, fix=fix)
    return known.guard


def tellable(text: str, guard: Guard) -> str:
    """Return a text without those sentences in which the rubric can be read."""
    kept = guard.kept([each for each in _ENDS.sub("\n", text).split("\n") if each.strip()])
    return text if not guard.leaks(text) else "\n".join(kept)
