"""What is answered when work is looked at once more, and nobody wrote the answer. Pure.

Every review passes, looking back adds nothing, and a node that goes nowhere is told anew, whole.
The shapes are those of the questions: `findings`, `additions`, `parts`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

PASSED: Final[dict[str, Any]] = {"result": "PASSED", "findings": []}
SILENT: Final[dict[str, Any]] = {"additions": []}


# A review is told what was found before, and so its first is known by what is not there yet.
BY_ITSELF: Final = "Nothing says why this line is here, as this rehearsal has it."
BY_ANOTHER: Final = "Nothing says what this line is good for, as this rehearsal has it."


def found(problem: str, file: str, line: int) -> dict[str, Any]:
    """Return what a review says that finds one thing."""
    fix = "Say it in the file, and commit it."
    finding = {"file": file, "line": line, "problem": problem, "fix": fix}
    return {"result": "FINDINGS", "findings": [finding]}


def added(node: str, file: str) -> dict[str, Any]:
    """Return one piece of work that is missing after a node's."""
    return {
        "label": f"Say how {node} is used",
        "prompt": f"Write {file}: how what {node} made is used.",
        "acceptance": f"{file} is there and not empty.",
        "files": [file],
        "why": f"Nobody is told how {node} is used.",
    }


def rewritten(label: str, files: Sequence[str]) -> dict[str, Any]:
    """Return the one part that a node is rewritten into."""
    named = ", ".join(files)
    part = {
        "label": label,
        "prompt": f"Begin anew, with the smallest step that can be seen: write {named}.",
        "acceptance": f"There is {named}, and it is not empty.",
        "files": [*files],
        "checks": [f"test -s {shlex.quote(each)}" for each in files],
    }
    return {"why": "Nothing was ever written; a smaller beginning can be.", "parts": [part]}
