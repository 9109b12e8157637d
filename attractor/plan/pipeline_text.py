"""The pipeline of a plan, as DOT: its nodes, then two gates, then the exit. Pure.

In front of the exit the checks of all nodes run on all that is merged, and the Guardian judges the
whole; nobody is asked. Names that the plan's own nodes have are not used twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from attractor.pipeline.splice import write_attrs, write_id
from attractor.plan.model import Plan, PlannedNode

_INDENT: Final = "    "
_WIDEST: Final = 98


class Names(NamedTuple):
    """What belongs to a plan, and what it goes by there."""

    plan: str
    prd: str
    promise: str
    epic: str
    """The bead above the others."""
    beads: Mapping[str, str]
    """By the id of a node."""


def skill_file(node_id: str) -> str:
    """Return where a node's instructions are, from the folder of the plan."""
    return f"skills/{node_id}/SKILL.md"


def pipeline(plan: Plan, names: Names) -> str:
    """Return the text of the pipeline's file."""
    taken = {node.id for node in plan.nodes}
    start, check, judge, finish = (
        _free(each, taken) for each in ("start", "check_all", "judge_all", "finish")
    )
    needed = {each for node in plan.nodes for each in node.after}
    last = [node.id for node in plan.nodes if node.id not in needed]
    criteria = ",".join(each.id for each in plan.prd.criteria)
    graph = {
        "label": plan.title,
        "prd_ref": names.prd,
        "promise_id": names.promise,
        "rankdir": "TB",
    }
    statements = [
        f"graph{_listed(graph)}",
        _node(start, shape="Mdiamond", label="Start", handler="start"),
        *(_work(node, names) for node in plan.nodes),
        _node(
            check,
            shape="hexagon",
            label="Everything together",
            handler="wait.system3",
            gate_type="unit",
            checks="\n".join(dict.fromkeys(each for node in plan.nodes for each in node.checks)),
            summary_ref=f"evidence/{check}.md",
        ),
        _node(
            judge,
            shape="hexagon",
            label="Does it do what was asked?",
            handler="wait.human",
            gate="technical",
            mode="technical",
            promise_ac=criteria,
        ),
        _node(finish, shape="Msquare", label="Done", handler="exit"),
        *(_edge(node.after or (start,), node.id) for node in plan.nodes),
        _edge(last, check),
        _edge([check], judge),
        _edge([judge], finish),
    ]
    body = "".join(f"{_INDENT}{each};\n" for each in statements)
    return f"{_head(plan, names)}digraph {write_id(names.plan)} {{\n{body}}}\n"


def _head(plan: Plan, names: Names) -> str:
    title = " ".join(plan.title.split())
    return (
        f"// {title}\n"
        "//\n"
        f"// Made from a goal by `attractor plan`. Requirements: {names.prd}.md; how each node is\n"
        "// to be done: skills/NODE/SKILL.md.\n\n"
    )


def _work(node: PlannedNode, names: Names) -> str:
    return _node(
        node.id,
        shape="box",
        label=node.label,
        handler="codergen",
        worker_type=node.worker_type,
        bead_id=names.beads[node.id],
        promise_ac=",".join(node.criteria),
        prompt=node.goal,
        acceptance=node.acceptance,
        files=",".join(node.files),
        checks="\n".join(node.checks),
        skill_file=skill_file(node.id),
    )


def _node(name: str, **attrs: str) -> str:
    said = {key: value for key, value in attrs.items() if value}
    return f"{write_id(name)}{_listed({**said, 'status': 'pending'})}"


def _listed(attrs: Mapping[str, str]) -> str:
    """Return attributes, in one line where they fit into it."""
    line = write_attrs(attrs)
    if len(line) + len(_INDENT) < _WIDEST:
        return line
    each = (write_attrs({key: value}).strip()[1:-1] for key, value in attrs.items())
    return " [\n" + ",\n".join(f"{_INDENT * 2}{said}" for said in each) + f"\n{_INDENT}]"


def _edge(sources: Iterable[str], target: str) -> str:
    found = [write_id(each) for each in dict.fromkeys(sources)]
    before = found[0] if len(found) == 1 else "{" + " ".join(found) + "}"
    return f"{before} -> {write_id(target)}"


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
