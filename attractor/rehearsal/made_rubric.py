"""The rubric that is made from a graph when nobody wrote one: that every piece of work is there.

Pure. Its shape is the answer of whoever is asked to write one (`attractor.rubric.question.SCHEMA`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from attractor.pipeline.graph import Graph, NodeId
from attractor.run.assign import worked_on
from attractor.run.layout import escape

_MOST_FEATURES: Final = 40
_DIGITS: Final = 4


def rubric_for(graph: Graph, criteria: Sequence[str] = ()) -> dict[str, Any]:
    """Return one feature for each node with work, and one for the whole where there is none.

    `criteria` are those of the requirements, where they are known: each is then covered, those that
    no node names by the last feature.
    """
    works = [NodeId(each) for each in worked_on(graph)]
    size = -(-len(works) // _MOST_FEATURES) or 1
    groups: list[Sequence[NodeId]] = [
        works[at : at + size] for at in range(0, len(works), size)
    ] or [()]
    named = [[each for each in criteria if _is_promised(graph, group, each)] for group in groups]
    named[-1] += [each for each in criteria if not any(each in group for group in named)]
    each_weighs = round(1 / len(groups), _DIGITS)
    last_weighs = round(1 - each_weighs * (len(groups) - 1), _DIGITS)
    weights = [each_weighs] * (len(groups) - 1) + [last_weighs]
    features = [
        _feature(f"F{at}", group, its_criteria, weight)
        for at, (group, its_criteria, weight) in enumerate(
            zip(groups, named, weights, strict=True), start=1
        )
    ]
    return {"title": "What a rehearsal asks for", "features": features}


def _is_promised(graph: Graph, nodes: Sequence[NodeId], criterion: str) -> bool:
    said = " ".join(graph.nodes[each].attrs.get("promise_ac", "") for each in nodes)
    return re.search(rf"\b{re.escape(criterion)}\b", said, re.IGNORECASE) is not None


def _feature(
    name: str, nodes: Sequence[NodeId], criteria: Sequence[str], weight: float
) -> dict[str, Any]:
    what = f"the work of {escape(nodes[0])[:80]}" if len(nodes) == 1 else "the work"
    return {
        "id": name,
        "title": f"Has {what}",
        "weight": weight,
        "rationale": "A rehearsal asks for no more.",
        "validation_method": "code-analysis",
        "criteria": [*criteria],
        "nodes": [*nodes],
        "scenarios": [
            {
                "name": f"Someone looks for {what}",
                "steps": [
                    f"When {what} is looked for in the tree",
                    "Then a file holds a line that says it was rehearsed",
                ],
            }
        ],
        "scoring_guide": ["1.0: the line is there", "0.0: it is not"],
        "evidence": [f"the files of {what}"],
        "red_flags": [],
    }
