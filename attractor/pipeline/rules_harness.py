"""The rules of the original harness, for pipelines in its dialect.

They ask for what its workers, gates, beads and rubrics need. A node that the general rules have
condemned (unreachable, undeclared) is left alone here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from attractor.pipeline.conditions import (
    BARE_OUTCOMES,
    OUTCOME_WORDS,
    Clause,
    Condition,
    ConditionError,
    Operator,
    is_failure_route,
    outcome_needed,
)
from attractor.pipeline.finding import Fault
from attractor.pipeline.graph import NodeId
from attractor.pipeline.survey import GATES, Survey

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "codergen": ("bead_id", "worker_type"),
    "tool": ("command",),
    "wait.human": ("gate", "mode"),
    "wait.system3": ("gate_type", "summary_ref"),
    "research": ("solution_design",),
    "refine": ("solution_design", "evidence_path"),
    "acceptance-test-writer": ("prd_ref",),
}
SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {"command": ("tool_command",)}
REQUIRED_OF_GRAPH: Final = ("prd_ref", "label")
WORKER_TYPES: Final = (
    "frontend-dev-expert",
    "backend-solutions-engineer",
    "tdd-test-engineer",
    "solution-architect",
    "solution-design-architect",
    "validation-test-agent",
    "ux-designer",
)
GATE_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "gate": ("technical", "business", "e2e", "manual"),
    "mode": ("technical", "business", "e2e-review"),
    "gate_type": ("unit", "e2e", "contract"),
}
VALIDATION_METHODS: Final = (
    "browser-required",
    "api-required",
    "code-analysis",
    "doc-review",
    "e2e-test",
    "hybrid",
)
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("Mdiamond",),
    "exit": ("Msquare",),
    "codergen": ("box",),
    "tool": ("box", "parallelogram"),
    "wait.human": ("hexagon", "octagon"),
    "wait.system3": ("hexagon",),
    "wait.cobuilder": ("hexagon",),
    "conditional": ("diamond",),
    "parallel": ("parallelogram", "component"),
    "parallel.fan_in": ("tripleoctagon", "parallelogram"),
    "research": ("tab",),
    "refine": ("note",),
    "acceptance-test-writer": ("component",),
    "manager_loop": ("house",),
}

_EVIDENCE: Final = re.compile(r"(?:^|/)evidence/([^/]+)/research-findings\.json$")
_DESIGNS: Final = ("sd_path", "solution_design", "skill_file")


def graph_attributes(survey: Survey) -> Iterator[Fault]:
    """Ask whose requirements the graph carries out."""
    for key in REQUIRED_OF_GRAPH:
        if not survey.graph.attrs.get(key):
            yield Fault(f"The graph has no {key}", f'Add graph [{key}="..."]')


def required_attributes(survey: Survey) -> Iterator[Fault]:
    """Want what a handler cannot work without."""
    inherited = {"prd_ref"} if survey.graph.attrs.get("prd_ref") else set()
    for handler, wanted in REQUIRED.items():
        for node in survey.of(handler):
            if node.id in survey.phantoms:
                continue
            for name in wanted:
                others = SYNONYMS.get(name, ())
                if node.attrs.get(name) or name in inherited or any(map(node.attrs.get, others)):
                    continue
                yield Fault(f"{node.id} ({handler}) has no {name}", f'Add {name}="..."', node)


def gate_values(survey: Survey) -> Iterator[Fault]:
    """Leave no doubt about who judges at a gate."""
    for node in survey.of(*sorted(GATES)):
        for key, legal in GATE_VALUES.items():
            value = node.attrs.get(key)
            if value and value not in legal:
                fix = f"Use one of {', '.join(legal)}"
                yield Fault(f"{node.id} has the unknown {key} {value}", fix, node, key)


def worker_type_known(survey: Survey) -> Iterator[Fault]:
    """Doubt a worker that the harness does not bring along; the project may define it."""
    for node in survey.of("codergen"):
        value = node.attrs.get("worker_type")
        if value and value not in WORKER_TYPES:
            yield Fault(
                f"{node.id} asks for the unknown worker_type {value}",
                f"Use one of {', '.join(WORKER_TYPES)}",
                node,
                "worker_type",
            )


def shape_matches_handler(survey: Survey) -> Iterator[Fault]:
    """Let the picture show what is run."""
    for node in survey.graph.nodes.values():
        shape, handler = node.attrs.get("shape"), survey.handlers[node.id]
        legal = SHAPES.get(handler)
        if shape and legal and shape not in legal:
            yield Fault(
                f"{node.id} is drawn as {shape}, but runs as {handler}",
                f"Use shape={legal[0]}, or correct the handler",
                node,
                "shape",
            )


def sd_path_present(survey: Survey) -> Iterator[Fault]:
    """Send no worker off without a design."""
    for node in survey.of("codergen"):
        if node.id not in survey.phantoms and not any(node.attrs.get(key) for key in _DESIGNS):
            yield Fault(
                f"{node.id} has no sd_path", 'Add sd_path="..." (its solution design)', node
            )


def file_exists(survey: Survey) -> Iterator[Fault]:
    """Look for the designs that nodes name."""
    found = survey.facts.files
    if found is None:
        return
    for node in survey.graph.nodes.values():
        for key in _DESIGNS:
            path = node.attrs.get(key)
            if path and path not in found:
                fix = "Correct the path, or write the file"
                yield Fault(f"{node.id} names {path}, which does not exist", fix, node, key)


def codergen_has_gate(survey: Survey) -> Iterator[Fault]:
    """Want somebody to judge the work."""
    for node in survey.sound("codergen"):
        if node.id not in survey.checked and node.id not in survey.asked:
            yield Fault(
                f"{node.id} has no validation gate (hexagon) downstream",
                f"Add a gate: {node.id} -> gate [shape=hexagon]",
                node,
            )


def gate_pair(survey: Survey) -> Iterator[Fault]:
    """Want the system and a person to judge the work; neither is codergen_has_gate's to say."""
    for node in survey.sound("codergen"):
        checked, asked = node.id in survey.checked, node.id in survey.asked
        if checked != asked:
            missing = "wait.human" if checked else "wait.system3"
            fix = f'Add a hexagon with handler="{missing}" after it'
            yield Fault(f"{node.id} has no {missing} downstream", fix, node)


def human_gate_predecessor(survey: Survey) -> Iterator[Fault]:
    """Ask a person only about something, and after somebody has checked it."""
    for node in survey.sound("wait.human"):
        before = survey.sources[node.id]
        handlers = {survey.handlers[name] for name in before}
        if handlers <= {"start"}:
            fix = f"Lead the work that it judges to {node.id}"
            yield Fault(f"{node.id} has no work before it to judge", fix, node)
        elif handlers <= {"start", "codergen"} and survey.checked.issuperset(before):
            yield Fault(
                f"{node.id} comes straight after codergen, before the wait.system3 that checks it",
                "Put the wait.system3 between them",
                node,
            )


def diamond_branches(survey: Survey) -> Iterator[Fault]:
    """Want a way for each answer."""
    for node in survey.sound("conditional"):
        edges = survey.graph.outgoing[node.id]
        said = [found for edge in edges if isinstance(found := survey.condition(edge), Condition)]
        if len(said) < len(edges) or any(_unknown_words(found) for found in said):
            continue  # said by condition_syntax or condition_words
        answers = {
            "pass": any(outcome_needed(found) == "pass" for found in said),
            "fail": any(is_failure_route(found) for found in said),
        }
        missing = [name for name, there in answers.items() if not there]
        if missing:
            yield Fault(
                f"{node.id} has no edge for {' and none for '.join(missing)}",
                f"Add {node.id} -> NODE [condition={missing[0]}]",
                node,
            )
            continue
        for edge, found in zip(edges, said, strict=True):
            if not found.clauses:
                yield Fault(
                    f"The edge {edge.source} -> {edge.target} leaves a diamond unconditionally",
                    "Give it a condition: pass, fail or partial",
                    edge,
                )


def condition_words(survey: Survey) -> Iterator[Fault]:
    """Doubt a word for an outcome that the harness does not know."""
    for edge in survey.graph.edges:
        found = survey.condition(edge)
        if isinstance(found, ConditionError):
            continue  # said by condition_syntax
        for word in _unknown_words(found):
            yield Fault(
                f"The condition {word} is none that the harness knows",
                "Use pass, fail or partial",
                edge,
                "condition",
            )


def _unknown_words(condition: Condition) -> list[str]:
    return [word for clause in condition.clauses for word in _words(clause)]


def _words(clause: Clause) -> list[str]:
    if clause.operator is Operator.TRUTHY:
        return [] if "." in clause.key or clause.key.startswith("$") else [clause.key]
    if clause.key != "outcome":
        return []
    return [value for value in clause.values if value not in {*BARE_OUTCOMES, *OUTCOME_WORDS}]


def promise_ac(survey: Survey) -> Iterator[Fault]:
    """Want a promise for each criterion. An empty promise_id is one that is still to be made."""
    if "promise_id" in survey.graph.attrs:
        return
    holders = [node for node in survey.graph.nodes.values() if node.attrs.get("promise_ac")]
    if holders:
        names = ", ".join(node.id for node in holders)
        fix = 'Add graph [promise_id=""]'
        yield Fault(f"promise_ac without a promise_id: {names}", fix, holders[0], "promise_ac")


def refine_evidence(survey: Survey) -> Iterator[Fault]:
    """Match what a refine node reads with the research node right before it."""
    for node in survey.of("refine"):
        path = node.attrs.get("evidence_path")
        if not path:
            continue  # said by required_attributes
        match = _EVIDENCE.search(path)
        name = NodeId(match[1]) if match else NodeId("")
        if not match:
            problem = f"The evidence_path {path} names no research node"
            fix = 'write ".../evidence/RESEARCH_NODE/research-findings.json"'
        elif survey.handlers.get(name) != "research":
            problem = f"The evidence_path names {name}, which is no research node"
            fix = "Name a research node of this pipeline"
        elif name not in survey.sources[node.id]:
            problem = f"No edge leads from {name}, whose evidence {node.id} reads"
            fix = f"Add {name} -> {node.id}"
        else:
            continue
        yield Fault(problem, fix, node, "evidence_path")


def bead_exists(survey: Survey) -> Iterator[Fault]:
    """Look for each bead in the store."""
    if survey.facts.beads is None:
        return
    for node in survey.graph.nodes.values():
        bead = node.attrs.get("bead_id")
        if bead and bead not in survey.facts.beads:
            fix = "Create it, or correct the bead_id"
            yield Fault(
                f"{node.id} names the bead {bead}, which does not exist", fix, node, "bead_id"
            )


def validation_method(survey: Survey) -> Iterator[Fault]:
    """Want each feature of the rubric to say how it is checked."""
    fix = f"Use one of {', '.join(VALIDATION_METHODS)}"
    for manifest in survey.facts.manifests.values():
        if manifest.problem:
            yield Fault(
                f"{manifest.path}: {manifest.problem}", "Repair the rubric", None, "prd_ref"
            )
        for feature, method in manifest.methods:
            if method not in VALIDATION_METHODS:
                said = (
                    f"has the unknown validation_method {method}"
                    if method
                    else ("has no validation_method")
                )
                yield Fault(f"{manifest.path}: the feature {feature} {said}", fix, None, "prd_ref")


def rubric_place(survey: Survey) -> Iterator[Fault]:
    """Keep the rubric from those whom it judges."""
    for manifest in survey.facts.manifests.values():
        if manifest.exposed:
            yield Fault(
                f"The rubric {manifest.path} lies inside the target_dir, where workers can read it",
                "Keep the rubric in another repository",
                None,
                "target_dir",
            )
