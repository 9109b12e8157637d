"""A plan as a person sees it before they approve it: a tree by what comes after what, a picture.

The tree is plain text, a line for a node. A node that comes after several stands below the last of
them, with the others named; each node stands in it once. The picture is drawn beside the pipeline,
where Graphviz is installed; where it is not, the plan is shown without.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from attractor.errors import AttractorError
from attractor.pipeline.load import load
from attractor.plan import checks
from attractor.plan.drawn import Gate
from attractor.plan.model import Plan, PlannedNode
from signals import atomic

_LEAST: Final = 20


def tree(plan: Plan, width: int = 0) -> list[str]:
    """Return the plan's nodes as lines, each below one that it comes after.

    With a width, what is longer goes on below itself; a path or a name stays whole.
    """
    place = {name: at for at, name in enumerate(checks.order(plan))}
    above = {
        node.id: max(node.after, key=lambda each: place[each]) if node.after else ""
        for node in plan.nodes
    }
    below: dict[str, list[PlannedNode]] = {}
    for node in sorted(plan.nodes, key=lambda each: place[each.id]):
        below.setdefault(above[node.id], []).append(node)
    return [*_level(below, above, "", "", width)]


def _level(
    below: dict[str, list[PlannedNode]], above: dict[str, str], name: str, lead: str, width: int
) -> Iterator[str]:
    nodes = below.get(name, [])
    for node in nodes:
        last = node is nodes[-1]
        inner = f"{lead}{'    ' if last else '|   '}"
        bar = "|   " if node.id in below else "    "
        head = f"{lead}{'`-- ' if last else '|-- '}{_line(node, above[node.id])}"
        yield from wrapped(head, f"{inner}{bar}", width)
        for what, said in (("files", ", ".join(node.files)), ("checks", "; ".join(node.checks))):
            yield from wrapped(f"{inner}{bar}{what}: {said or 'none'}", f"{inner}{bar}  ", width)
        yield from _level(below, above, node.id, inner, width)


def wrapped(line: str, lead: str, width: int) -> list[str]:
    """Return a line as lines of this width, all but the first behind `lead`; 0 leaves it whole."""
    if not width or len(line) <= width:
        return [line]
    start = len(line) - len(line.lstrip("`|- "))
    room = max(width, len(lead) + _LEAST, start + _LEAST)
    text = textwrap.wrap(
        line[start:],
        room,
        initial_indent=line[:start],
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text or [line]


def gates(plan: Plan, found: Sequence[Gate], width: int = 0) -> list[str]:
    """Return what no agent works on: gates, and nodes that run a command."""
    every = {each for node in plan.nodes for each in node.checks}
    lines: list[str] = []
    for gate in found:
        lines += wrapped(f"{gate.id}: {gate.label} ({gate.role})", "  ", width)
        own = [each for each in gate.checks if each not in every]
        same = len({*gate.checks} & every)
        own += [f"{same} of the {len(every)} checks above"] if same else []
        if own:
            lines += wrapped(f"  checks: {'; '.join(own)}", "    ", width)
    return lines


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
