"""What the Guardian says to sessions and people in its own words. Pure."""

from __future__ import annotations

from typing import Final

from attractor.pipeline.graph import Node

_MOST_SEEN: Final = 1_500


def warning(reason: str) -> str:
    """Return what a session is told that did what only workers may do."""
    return (
        "You coordinate; workers write. What you tried was not carried out"
        f"{f' ({reason})' if reason else ''}. Give that piece of work to a worker agent. "
        "If it happens again and again, this session is ended."
    )


def guidance(node: Node, seen: str, before: int) -> str:
    """Return what a session is told that has not moved, from what its Runner saw."""
    wanted = node.attrs.get("acceptance") or node.attrs.get("prompt") or node.attrs.get("label", "")
    parts = [
        "Nothing has moved for a while."
        if not before
        else "There is still no progress, and this is the last guidance before the session ends.",
    ]
    if seen.strip():
        parts.append(f"The last that was seen of you:\n{seen.strip()[-_MOST_SEEN:]}")
    if wanted:
        parts.append(f"What is wanted: {wanted}")
    parts.append(
        "Take the smallest next step that can be checked: have a worker make one change, commit "
        "it, and run the checks. If you cannot go on, ask: <question>what you need</question>."
    )
    return "\n\n".join(parts)
