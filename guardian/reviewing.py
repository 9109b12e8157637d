"""Who looks at work next that the judge has found good, before it is merged. Pure.

First a scan without a model, then whoever is named, in order. Of the agents beside the node's own
one review is enough: the next is its stand-in, where it cannot be had. Nothing is merged on the
judge's word alone: where nobody of those named could look, the node's own agent does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor.run.reviews import PASSED, SCAN, SELF, UNAVAILABLE

_MOST_TOLD: Final = 20
_MOST_TEXT: Final = 1_000


def next_reviewer(named: Sequence[str], reviews: Sequence[Mapping[str, Any]]) -> str:
    """Return who looks next at what was handed in last; empty when enough have."""
    said = {str(each["reviewer"]): str(each["outcome"]) for each in reviews}
    for name in (SCAN, *(each for each in named if each == SELF)):
        if said.get(name) != PASSED:
            return name
    for name in (each for each in named if each != SELF):
        if said.get(name) == PASSED:
            return ""
        if said.get(name) != UNAVAILABLE:
            return name
    return "" if said.get(SELF) == PASSED else SELF


def feedback(reviewer: str, findings: Sequence[Mapping[str, Any]]) -> str:
    """Return what the session is told of what was found."""
    who = "A scan for secrets and private data" if reviewer == SCAN else "A review of your changes"
    lines = [f"{who} found {len(findings)}:" if findings else f"{who} found something."]
    for each in findings[:_MOST_TOLD]:
        place = ":".join(str(each[key]) for key in ("file", "line") if each.get(key))
        fix = f" Do this: {each['fix']}" if each.get("fix") else ""
        lines.append(f"- {place}: {each.get('problem', '')}{fix}"[:_MOST_TEXT])
    if len(findings) > _MOST_TOLD:
        lines.append(f"- and {len(findings) - _MOST_TOLD} more")
    lines.append("Put this right, commit it, and say again that the node is complete.")
    return "\n".join(lines)
