"""A plan as a person sees it before they approve it: a tree by what comes after what, a picture.

The tree is plain text, a line for a node. A node that comes after several stands below the last of
them, with the others named; each node stands in it once. The picture is drawn beside the pipeline,
where Graphviz is installed; where it is not, the plan is shown without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from attractor.errors import AttractorError
from attractor.pipeline.load import load
from attractor.plan import checks
from attractor.plan.model import Plan, PlannedNode
from signals import atomic


def tree(plan: Plan) -> list[str]:
    """Return the plan's nodes as lines, each below one that it comes after."""
    place = {name: at for at, name in enumerate(checks.order(plan))}
    above = {
        node.id: max(node.after, key=lambda each: place[each]) if node.after else ""
        for node in plan.nodes
    }
    below: dict[str, list[PlannedNode]] = {}
    for node in sorted(plan.nodes, key=lambda each: place[each.id]):
        below.setdefault(above[node.id], []).append(node)
    return [*_level(below, above, "", "")]


def _level(
    below: dict[str, list[PlannedNode]], above: dict[str, str], name: str, lead: str
) -> Iterator[str]:
    nodes = below.get(name, [])
    for node in nodes:
        last = node is nodes[-1]
        yield f"{lead}{'`-- ' if last else '|-- '}{_line(node, above[node.id])}"
        inner = f"{lead}{'    ' if last else '|   '}"
        bar = "|   " if node.id in below else "    "
        yield f"{inner}{bar}files: {', '.join(node.files) or 'none'}"
        yield f"{inner}{bar}checks: {'; '.join(node.checks) or 'none'}"
        yield from _level(below, above, node.id, inner)


def _line(node: PlannedNode, above: str) -> str:
    others = [each for each in node.after if each != above]
    also = f" (also after {', '.join(others)})" if others else ""
    criteria = f" [{', '.join(node.criteria)}]" if node.criteria else ""
    return f"{node.id}: {node.label}{criteria}{also}"


def picture(dot: str) -> tuple[str, str]:
    """Draw the pipeline; return the path of the picture, or why there is none."""
    from attractor.pipeline.render import coloured_dot, svg

    path = f"{os.path.splitext(dot)[0]}.svg"
    try:
        _, graph = load(dot)
        atomic.replace(path, svg(coloured_dot(graph).encode()))
    except AttractorError as error:
        return "", f"there is no picture: {error.problem}"
    return path, ""
