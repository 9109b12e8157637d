"""What each answer to a decision brings about, in words. Pure.

Who asks (`guardian.answers`) says which answers there are; no answer is better than another here.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

MERGE_IT: Final = "merge it"
REVIEW: Final = "review"
"""The kind of decision that is asked about what a review has found."""
_GATE: Final = "gate"
_KNOWN: Final = {
    (REVIEW, MERGE_IT): "this commit is merged as it is, over what was found",
    (REVIEW, "give it back"): "the session gets what was found and your note, for one more turn",
    (REVIEW, "give up"): "the node has failed for good, and nothing of it is merged",
    ("verdict", "retry"): "it is tried again",
    ("verdict", "give up"): "the node has failed for good, and nothing of it is merged",
    ("rubric", "retry"): "it is tried again",
    ("rubric", "give up"): "the run has failed; it can be resumed, and tries again then",
}
ANY_TEXT: Final = "TEXT"
"""Stands for the answer where there are no options."""


def effect(kind: str, options: Sequence[str], option: str) -> str:
    """Return what an option brings about; empty where only who asks knows."""
    if kind == _GATE:
        return "the gate lets it pass" if option == options[0] else "the gate does not let it pass"
    return _KNOWN.get((kind, option), "")


def command(decision: str, option: str, run: str) -> str:
    """Return what a person types to answer so."""
    words = ["attractor", "answer", decision, option or ANY_TEXT]
    return shlex.join([*words, "--run", run] if run else words)
