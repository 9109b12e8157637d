"""The documents of a plan: its requirements, and the instructions of each node. Pure.

Their words are the planner's, each put where it belongs: a line stays one line, so that no text of
a criterion looks like a heading or another criterion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from attractor.plan.model import Plan, PlannedNode


def requirements(plan: Plan) -> str:
    """Return the document of the requirements, in which each criterion is a line of its own."""
    prd = plan.prd
    parts = [
        f"# {_flat(plan.title)}",
        prd.summary.strip(),
        *_section("Requirements", prd.requirements),
        *_section("Acceptance criteria", (f"{each.id}: {each.text}" for each in prd.criteria)),
        *_section("Out of scope", prd.out_of_scope),
        *_section("Risks", prd.risks),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def skill(plan: Plan, node: PlannedNode) -> str:
    """Return the instructions of one node, as a skill of Claude Code."""
    about = f"{node.label}: {node.acceptance or node.goal}"
    front = {"name": node.id.replace("_", "-"), "description": _flat(about)[:1_000]}
    said = {each.id: each.text for each in plan.prd.criteria}
    criteria = (f"{each}: {said.get(each, '')}" for each in node.criteria)
    parts = [
        "\n".join(["---", *(f"{key}: {json.dumps(text)}" for key, text in front.items()), "---"]),
        f"# {_flat(node.label)}",
        *_text("Goal", node.goal),
        *_text("What it is part of", f"{_flat(plan.title)}. {_flat(plan.prd.summary)}"),
        *_section("Criteria", criteria),
        *_text("Reference style", node.reference_style),
        *_text("Outline", node.outline),
        *_section("Steps", node.steps, numbered=True),
        *_section("Files", (f"`{each}`" for each in node.files)),
        *_section("Checks", (f"`{each}`" for each in node.checks)),
        *_section("Privacy and safety", (f"[ ] {each}" for each in node.safety)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _text(heading: str, text: str) -> Iterator[str]:
    if text.strip():
        yield f"## {heading}"
        yield text.strip()


def _section(heading: str, lines: Iterable[str], *, numbered: bool = False) -> Iterator[str]:
    found = [_flat(each) for each in lines]
    if found:
        yield f"## {heading}"
        marks = (f"{number}." if numbered else "-" for number in range(1, len(found) + 1))
        yield "\n".join(f"{mark} {each}" for mark, each in zip(marks, found, strict=True))


def _flat(text: str) -> str:
    return " ".join(text.split())
