"""What reviews of work say, and which of them closed it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

SCAN: Final = "scan"
"""The reviewer that is no model."""
SELF: Final = "self"
"""The node's own agent, in a fresh session."""
STANDS_IN: Final = "Claude Code"
"""Who reviews in a rehearsal for another agent that is not installed."""
PASSED: Final = "passed"
FINDINGS: Final = "findings"
UNAVAILABLE: Final = "unavailable"


def reviewers(said: str) -> tuple[str, ...]:
    """Return who is named in a setting such as `self,gemini`."""
    names = dict.fromkeys(each.strip() for each in said.split(",") if each.strip())
    return tuple(names) or (SELF,)


def closing(reviews: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the review that passed the work last, beside the scan; empty for none."""
    passed = [each for each in reviews if each["outcome"] == PASSED and each["reviewer"] != SCAN]
    return passed[-1] if passed else {}
