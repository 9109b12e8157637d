"""What is wrong with a plan, told so that the planner can put it right. Pure.

Each rule is a row of `RULES`. No fault means that the plan can be made into a pipeline and that its
parts fit together. Whether it leads to the goal, and whether a check is the right one, is not known
here. A plan that is larger than any may be is told so, and not looked at any further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Final

from attractor.plan import checks_of_nodes as nodes
from attractor.plan import checks_of_plan as whole
from attractor.plan.model import Fault, Plan, Project, Scope
from attractor.plan.view import View, levels, order

__all__ = ["FIRST", "RULES", "check", "levels", "order"]

Rule = Callable[[View], Iterator[tuple[str, str, str]]]
"""Yields node, problem and fix."""

RULES: Final = MappingProxyType[str, Rule](
    {
        "name": whole.name,
        "prd": whole.prd,
        "criterion-id": whole.criterion_id,
        "criterion-twice": whole.criterion_twice,
        "criterion-text": whole.criterion_text,
        "criterion-carried": whole.criterion_carried,
        "criterion-known": whole.criterion_known,
        "plan-size": whole.plan_size,
        "node-id": nodes.node_id,
        "node-twice": nodes.node_twice,
        "label": nodes.label,
        "label-twice": nodes.label_twice,
        "goal": nodes.goal,
        "acceptance": nodes.acceptance,
        "steps": nodes.steps,
        "files": nodes.files,
        "path": nodes.path,
        "path-outside": nodes.path_outside,
        "path-reserved": nodes.path_reserved,
        "checks": nodes.checks,
        "check-line": nodes.check_line,
        "check-vacuous": nodes.check_vacuous,
        "after-known": nodes.after_known,
        "cycle": whole.cycle,
        "node-files": nodes.node_files,
        "node-surfaces": nodes.node_surfaces,
        "node-steps": nodes.node_steps,
        "node-criteria": nodes.node_criteria,
        "same-file": whole.same_file,
    }
)
FIRST: Final = MappingProxyType[str, Rule]({"too-long": whole.too_long, "text": whole.text})
"""Applied before all others; where one of them is broken, the others are not asked."""


OF_THE_PLANNER: Final = frozenset(
    {"name", "steps", "plan-size", "node-files", "node-surfaces", "node-steps", "node-criteria"}
)
"""Rules that bind who answers, and not the person who edits what came of it.

How large the parts may be is the scope's, which is said to the planner; the others are about words
that no pipeline holds. A pipeline may lead back, so `cycle` is for its own lint.
"""
_DRAWN: Final = MappingProxyType(
    {name: rule for name, rule in RULES.items() if name not in {*OF_THE_PLANNER, "cycle"}}
)


def check(plan: Plan, scope: Scope, project: Project) -> list[Fault]:
    """Return all that is wrong with a plan; nothing means that it may be shown to a person."""
    view = View(plan, scope, project)
    return _faults(FIRST, view) or _faults(RULES, view)


def check_drawn(plan: Plan) -> list[Fault]:
    """Return what is wrong with a plan that was read from its pipeline, whatever its size."""
    view = View(plan, Scope.COMPLEX, Project(""))
    return _faults(FIRST, view) or _faults(_DRAWN, view)


def _faults(rules: MappingProxyType[str, Rule], view: View) -> list[Fault]:
    return [Fault(rule, *said) for rule, found in rules.items() for said in found(view)]
