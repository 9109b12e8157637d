"""From the planner's answer to the files of a plan, and what code finds wrong with them. Pure.

An answer has the question's shape already. A draft without faults is a plan that can be carried
out: the plan itself is checked, the pipeline that is made of it lints clean, and the criteria of
the document are those of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.pipeline.dot import parse
from attractor.pipeline.finding import Facts
from attractor.pipeline.graph import build
from attractor.pipeline.lint import lint
from attractor.plan import checks, documents
from attractor.plan.model import Criterion, Fault, Plan, PlannedNode, Prd, Project, Scope
from attractor.plan.pipeline_text import Names, pipeline, skill_file
from attractor.rubric.model import criteria_in

SCHEMA_VERSION: Final = 1
_MOST_SKILL: Final = 64 * 1024


@final
@dataclass(frozen=True, slots=True)
class Draft:
    """What an answer comes to."""

    plan: Plan
    names: Names
    files: Mapping[str, str]
    """By their place in the plan's folder; empty where they could not be made."""
    faults: tuple[Fault, ...]


def draft(said: Mapping[str, Any], names: Names, scope: Scope, project: Project) -> Draft:
    """Return the plan and its files, and all that is wrong with them."""
    plan = plan_of(said)
    faults = tuple(checks.check(plan, scope, project))
    if faults:
        return Draft(plan, names, {}, faults)
    made = files(plan, names)
    return Draft(plan, names, made, tuple(_faults(plan, names, made)))


def plan_of(said: Mapping[str, Any]) -> Plan:
    """Return the plan that an answer, or a plan's file, describes."""
    prd = said["prd"]
    return Plan(
        name=said["name"],
        title=said["title"],
        structure=said["structure"],
        prd=Prd(
            summary=prd["summary"],
            requirements=tuple(prd["requirements"]),
            criteria=tuple(Criterion(each["id"], each["text"]) for each in prd["criteria"]),
            out_of_scope=tuple(prd["out_of_scope"]),
            risks=tuple(prd["risks"]),
        ),
        nodes=tuple(_node(each) for each in said["nodes"]),
    )


def _node(said: Mapping[str, Any]) -> PlannedNode:
    given: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in said.items()
    }
    return PlannedNode(**given)


def files(plan: Plan, names: Names) -> dict[str, str]:
    """Return the files of a plan by their place in its folder, without what is known of it."""
    return {
        f"{names.plan}.dot": pipeline(plan, names),
        f"{names.prd}.md": documents.requirements(plan),
        **{skill_file(node.id): documents.skill(plan, node) for node in plan.nodes},
    }


def as_text(said: Mapping[str, Any]) -> str:
    """Return an answer as it is shown again."""
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _faults(plan: Plan, names: Names, made: Mapping[str, str]) -> Iterator[Fault]:
    yield from _of_pipeline(made[f"{names.plan}.dot"], frozenset(made))
    meant = {each.id for each in plan.prd.criteria}
    for each in criteria_in(made[f"{names.prd}.md"]):
        if each not in meant:
            fix = "name only criteria that are among prd.criteria"
            yield Fault("criteria", "", f"the requirements name {each}, which is none", fix)
    for node in plan.nodes:
        if len(made[skill_file(node.id)].encode()) > _MOST_SKILL:
            problem = f"its instructions are longer than {_MOST_SKILL // 1024} KiB"
            yield Fault("skill", node.id, problem, "say less, or make several nodes of it")


def _of_pipeline(text: str, there: frozenset[str]) -> Iterator[Fault]:
    document = parse(text, "the plan's pipeline")
    graph = build(document)
    for found in lint(graph, document.warnings, Facts(files=there), strict=True):
        yield Fault(found.rule, str(found.node), found.message, found.fix or "write it otherwise")
