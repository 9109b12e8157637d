"""The plan that a run would carry out: read from the pipeline's file, not from what was once said.

The files of a plan may be edited before it is approved. What is shown, and what beads and promise
are made of, is what stands in the pipeline and in its requirements; of the planner's answer there
remains what neither says. A file that is missing, that `attractor lint --strict` or one of the
plan's own checks finds fault with, is an InputError with its place. How large a node may be binds
the planner, and nobody who edits a plan.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Final, NamedTuple

from attractor.errors import InputError
from attractor.pipeline.document import Document
from attractor.pipeline.facts import gather
from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.pipeline.lint import lint
from attractor.pipeline.load import load
from attractor.plan import checks
from attractor.plan.draft import plan_of
from attractor.plan.model import Criterion, Fault, Plan, PlannedNode
from attractor.plan.pipeline_text import Names
from attractor.rubric import prd
from attractor.run import config
from attractor.run.roles import Role, role

_SILENT: Final = frozenset({Role.PLACE, Role.EXIT})
_BULLET: Final = re.compile(r"\s*[-*+]\s+(?:\[.\]\s+)?(.*)")
_CRITERION: Final = re.compile(r"[*_]*(AC-\d+)[*_]*\s*:[*_]*\s*(.*)")
_HEADING: Final = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*")
_SECTION: Final = "acceptance criteria"


class Gate(NamedTuple):
    """A node that no agent works on, and that does something."""

    id: str
    label: str
    role: str
    checks: tuple[str, ...] = ()
    """The commands that it runs."""


class Drawn(NamedTuple):
    """What the files of a plan say."""

    plan: Plan
    names: Names
    prd: str
    """The path of the requirements."""
    gates: tuple[Gate, ...]


def read(folder: str, project: str, known: Mapping[str, Any]) -> Drawn:
    """Return what the files in a plan's folder say; `known` is what `plan.json` has.

    KeyError, TypeError, ValueError or AttributeError where `known` is not what was made here.
    """
    names = _names(known["names"])
    dot = os.path.join(folder, f"{names.plan}.dot")
    if not os.path.isfile(dot):
        fix = "put it back, or have a plan made again: attractor plan"
        raise InputError("the pipeline of this plan is not there", where=dot, fix=fix)
    document, graph = load(dot)
    _linted(dot, document, graph)
    requirements = _requirements(dot, graph, project)
    said = plan_of(known["plan"])
    criteria = _criteria(requirements.text)
    plan = replace(
        said,
        title=graph.attrs.get("label") or said.title,
        prd=replace(said.prd, criteria=criteria),
        nodes=_nodes(graph, {each.id: each for each in said.nodes}),
    )
    beads = {each.id: _text(graph, each.id, "bead_id") for each in plan.nodes}
    faults = [*checks.check_drawn(plan), *_beads(beads)]
    if faults:
        raise _refused(dot, graph, faults)
    promise = graph.attrs.get("promise_id", "").strip() or names.promise
    found = _names({**names._asdict(), "promise": promise, "beads": beads})
    return Drawn(_in_order(plan), found, requirements.path, _gates(graph))


def _names(said: Mapping[str, Any]) -> Names:
    """Return the names of a plan; ValueError where one leads out of its folder."""
    names = Names(**said)
    if any(os.path.basename(each) != each for each in (names.plan, names.prd, names.promise)):
        raise ValueError(names)
    return names


# The requirements.


def _requirements(dot: str, graph: Graph, project: str) -> prd.Prd:
    name = prd.name_of(graph)
    path = prd.find(name, dot, project)
    if not path:
        problem = f"the requirements of this plan are not there: {name or 'no prd_ref'}"
        raise InputError(problem, where=dot, fix="put the document beside the pipeline")
    return prd.read(path)


def _criteria(text: str) -> tuple[Criterion, ...]:
    """Return the criteria, each a list item that begins with its id, over one line or more."""
    found: list[Criterion] = []
    inside = False
    for line in _section(text.splitlines()):
        item = _BULLET.fullmatch(line)
        criterion = item and _CRITERION.fullmatch(item[1])
        if criterion:
            found.append(Criterion(criterion[1], criterion[2].strip()))
        elif inside and not item and line[:1].isspace() and line.strip():
            last = found.pop()
            found.append(Criterion(last.id, f"{last.text} {line.strip()}"))
            continue
        inside = bool(criterion)
    return tuple(found)


def _section(lines: list[str]) -> list[str]:
    """Return the lines below the heading of the criteria; all where there is no such heading."""
    headings = [(at, _HEADING.fullmatch(line)) for at, line in enumerate(lines)]
    places = [(at, found[1].lower()) for at, found in headings if found]
    first = next((at for at, text in places if text == _SECTION), -1)
    last = next((at for at, _ in places if at > first >= 0), len(lines))
    return lines[first + 1 : last]


# The nodes.


def _nodes(graph: Graph, said: Mapping[str, PlannedNode]) -> tuple[PlannedNode, ...]:
    return tuple(
        _node(graph, each, said.get(each.id))
        for each in graph.nodes.values()
        if role(graph, each) is Role.WORK
    )


def _node(graph: Graph, node: Node, said: PlannedNode | None) -> PlannedNode:
    own = node.attrs
    return replace(
        said or PlannedNode(node.id, "", ""),
        label=own.get("label", ""),
        goal=own.get("prompt", ""),
        criteria=_split(own.get("promise_ac", "")),
        files=_split(own.get("files", ""), r"[,;\n]"),
        checks=_checks(graph, node),
        acceptance=own.get("acceptance", ""),
        after=tuple(_before(graph, node.id)),
        worker_type=own.get("worker_type", ""),
    )


def _checks(graph: Graph, node: Node) -> tuple[str, ...]:
    return config.resolve(node.attrs, graph.attrs, config.load(None, {})).words("checks")


def _split(text: str, at: str = r"[\s,;]+") -> tuple[str, ...]:
    return tuple(each.strip() for each in re.split(at, text) if each.strip())


def _text(graph: Graph, node: str, name: str) -> str:
    return graph.nodes[NodeId(node)].attrs.get(name, "")


def _before(graph: Graph, node: NodeId) -> dict[str, None]:
    """Return the nodes with work that come right before one, also by way of gates."""
    found, seen = dict[str, None](), {node}
    left = [each.source for each in graph.incoming[node]]
    while left:
        each = left.pop(0)
        if each in seen:
            continue
        seen.add(each)
        if role(graph, graph.nodes[each]) is Role.WORK:
            found[each] = None
        else:
            left += [edge.source for edge in graph.incoming[each]]
    return found


def _in_order(plan: Plan) -> Plan:
    """Leave out what leads back: whatever goes round begins somewhere."""
    place = {name: at for at, name in enumerate(checks.order(plan))}
    nodes = (
        replace(node, after=tuple(each for each in node.after if place[each] < place[node.id]))
        for node in plan.nodes
    )
    return replace(plan, nodes=tuple(nodes))


def _gates(graph: Graph) -> tuple[Gate, ...]:
    return tuple(
        Gate(node.id, node.attrs.get("label", ""), kind.value, _commands(graph, node, kind))
        for node in graph.nodes.values()
        if (kind := role(graph, node)) is not Role.WORK and kind not in _SILENT
    )


def _commands(graph: Graph, node: Node, kind: Role) -> tuple[str, ...]:
    if kind is Role.TOOL:
        own = node.attrs
        return tuple(filter(None, [own.get("command") or own.get("tool_command", "")]))
    return _checks(graph, node) if kind in {Role.CHECK, Role.JUDGE} else ()


# What is wrong.


def _beads(beads: Mapping[str, str]) -> Iterator[Fault]:
    by_bead: dict[str, str] = {}
    for node, bead in beads.items():
        if bead and by_bead.setdefault(bead, node) != node:
            problem = f"{by_bead[bead]} and {node} have the same bead, {bead}"
            yield Fault("bead-twice", node, problem, "give each a bead_id of its own")


def _linted(dot: str, document: Document, graph: Graph) -> None:
    found = lint(graph, document.warnings, gather(dot, graph, files=True), strict=True)
    if not found:
        return
    first = found[0]
    problem = f"{first.message.rstrip('.')}{_more(len(found))}"
    raise InputError(
        f"the pipeline of this plan does not lint clean: {problem}",
        where=graph.source.where(first.offset),
        fix=f"{first.fix.rstrip('.')}; `attractor lint --strict --check-files` shows all there is",
        findings=[{"rule": each.rule, "message": each.message, "fix": each.fix} for each in found],
    )


def _refused(dot: str, graph: Graph, faults: list[Fault]) -> InputError:
    first = faults[0]
    node = graph.nodes.get(NodeId(first.node))
    return InputError(
        f"this plan cannot be approved: {first.problem}{_more(len(faults))}",
        where=graph.source.where(node.offset) if node else dot,
        fix=f"{first.fix}; then do the same again",
        faults=[asdict(each) for each in faults],
    )


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
