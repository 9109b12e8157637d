"""The table of rules, and the one function that applies it.

`lint` is pure: what only a disk can tell comes in as `Facts`. It never raises on a graph that was
built, takes time in proportion to the graph, and returns its findings in the order of the source.
With `strict` every warning is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attractor.pipeline import rules_harness as harness
from attractor.pipeline import rules_spec as spec
from attractor.pipeline.document import Remark
from attractor.pipeline.finding import Facts, Fault, Finding, Manifest, Rule, Severity
from attractor.pipeline.graph import Dialect, Edge, Graph
from attractor.pipeline.place import Places
from attractor.pipeline.survey import Survey

__all__ = ["PARSER_RULES", "RULES", "Facts", "Finding", "Manifest", "Rule", "Severity", "lint"]

_E, _W = Severity.ERROR, Severity.WARNING


_HARNESS: Final = frozenset[Dialect]({"harness"})

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "start_node",
        _E,
        "There is exactly one start node (Mdiamond).",
        spec.start_node,
        (1,),
        specified=True,
    ),
    Rule(
        "terminal_node",
        _E,
        "There is an exit node (Msquare); in the harness's dialect exactly one.",
        spec.terminal_node,
        (2,),
        specified=True,
    ),
    Rule(
        "reachability",
        _E,
        "Every node can be reached from the start; there is no orphan.",
        spec.reachability,
        (3, 4),
        specified=True,
    ),
    Rule(
        "edge_target_exists",
        _E,
        "Every name in an edge is a declared node (not asked of plain Graphviz).",
        spec.edge_target_exists,
        specified=True,
    ),
    Rule(
        "start_no_incoming",
        _E,
        "No edge leads into the start.",
        spec.start_no_incoming,
        specified=True,
    ),
    Rule("exit_no_outgoing", _E, "No edge leaves the exit.", spec.exit_no_outgoing, specified=True),
    Rule(
        "unguarded_cycle",
        _E,
        "Every loop has an edge with a condition.",
        spec.unguarded_cycle,
        (9,),
    ),
    Rule(
        "condition_syntax",
        _E,
        "Every condition can be read.",
        spec.condition_syntax,
        (11,),
        specified=True,
    ),
    Rule(
        "stylesheet_syntax",
        _E,
        "The model_stylesheet can be read.",
        spec.stylesheet_syntax,
        specified=True,
    ),
    Rule("status_known", _E, "Every status is one of the six states.", spec.status_known, (7,)),
    Rule(
        "type_known",
        _W,
        "Every handler, type or shape names a known handler.",
        spec.type_known,
        specified=True,
    ),
    Rule(
        "fidelity_valid",
        _W,
        "Every fidelity is one of the six modes.",
        spec.fidelity_valid,
        specified=True,
    ),
    Rule(
        "retry_target_exists",
        _W,
        "Every retry_target and fallback_retry_target is a node.",
        spec.retry_target_exists,
        specified=True,
    ),
    Rule(
        "goal_gate_has_retry",
        _W,
        "Every goal gate has a retry_target, or the graph has.",
        spec.goal_gate_has_retry,
        specified=True,
    ),
    Rule(
        "prompt_on_llm_nodes",
        _W,
        "Every codergen node has a prompt, a label, an acceptance or a design.",
        spec.prompt_on_llm_nodes,
        specified=True,
    ),
    Rule("dead_end", _W, "From every node the exit can be reached.", spec.dead_end),
    Rule(
        "stylesheet_property",
        _W,
        "The model_stylesheet sets only properties that have an effect.",
        spec.stylesheet_property,
    ),
    Rule(
        "timeout_format", _W, "Every timeout and poll interval is a duration.", spec.timeout_format
    ),
    Rule("case_clash", _W, "No two nodes differ in upper and lower case only.", spec.case_clash),
    Rule(
        "required_attributes",
        _E,
        "Every handler has the attributes that it needs.",
        harness.required_attributes,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "gate_values",
        _E,
        "Every gate, mode and gate_type is a known one.",
        harness.gate_values,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "diamond_branches",
        _E,
        "Every diamond has a pass and a fail edge, and none without condition.",
        harness.diamond_branches,
        (6,),
        dialects=_HARNESS,
    ),
    Rule(
        "bead_exists",
        _E,
        "Every bead_id is in the store (with --check-beads).",
        harness.bead_exists,
        (15,),
        dialects=_HARNESS,
    ),
    Rule(
        "validation_method",
        _E,
        "Every feature of the rubric has a known validation_method.",
        harness.validation_method,
        (16,),
        dialects=_HARNESS,
    ),
    Rule(
        "graph_attributes",
        _W,
        "The graph has a prd_ref and a label.",
        harness.graph_attributes,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "sd_path_present",
        _W,
        "Every codergen node has an sd_path, a solution_design or a skill_file.",
        harness.sd_path_present,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "worker_type_known",
        _W,
        "Every worker_type is one of the harness's.",
        harness.worker_type_known,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "shape_matches_handler",
        _W,
        "Every shape is the one of the node's handler.",
        harness.shape_matches_handler,
        (8,),
        dialects=_HARNESS,
    ),
    Rule(
        "codergen_has_gate",
        _W,
        "Every codergen node has a gate (hexagon) downstream.",
        harness.codergen_has_gate,
        (5,),
        dialects=_HARNESS,
    ),
    Rule(
        "gate_pair",
        _W,
        "Every codergen node has a wait.system3 and a wait.human downstream.",
        harness.gate_pair,
        (13,),
        dialects=_HARNESS,
    ),
    Rule(
        "human_gate_predecessor",
        _W,
        "Every wait.human has work before it, checked by a wait.system3.",
        harness.human_gate_predecessor,
        (14,),
        dialects=_HARNESS,
    ),
    Rule(
        "promise_ac",
        _W,
        "A promise_ac needs the graph's promise_id.",
        harness.promise_ac,
        (10,),
        dialects=_HARNESS,
    ),
    Rule(
        "condition_words",
        _W,
        "Every outcome in a condition is pass, fail or partial, or a synonym.",
        harness.condition_words,
        (11,),
        dialects=_HARNESS,
    ),
    Rule(
        "refine_evidence",
        _W,
        "Every evidence_path names a research node right before the refine node.",
        harness.refine_evidence,
        (12,),
        dialects=_HARNESS,
    ),
    Rule(
        "file_exists",
        _W,
        "Every sd_path, solution_design and skill_file is a file.",
        harness.file_exists,
        (),
        dialects=_HARNESS,
    ),
    Rule(
        "rubric_place",
        _W,
        "The rubric lies outside the pipeline's target_dir.",
        harness.rubric_place,
        (),
        dialects=_HARNESS,
    ),
)


# What the parser itself says: the first is a DotError, the others are its warnings.
PARSER_RULES: Final[tuple[Rule, ...]] = (
    Rule("syntax", _E, "The file is one digraph that can be read.", None),
    Rule("missing_comma", _W, "Attributes are separated by commas.", None, specified=True),
    Rule("node_id_portable", _W, "Every node's name is one that other tools read too.", None),
)

_NO_FACTS: Final = Facts()
_LONGEST_SENTENCE: Final = 1_000  # one huge default would else stand in every node's finding


def lint(
    graph: Graph,
    document_warnings: Iterable[Remark] = (),
    facts: Facts = _NO_FACTS,
    *,
    strict: bool = False,
) -> list[Finding]:
    """Return everything that the rules have to say, in the order of the source."""
    survey, places = Survey(graph, facts), Places(graph.source)
    warning = _E if strict else _W
    found = [
        Finding(said.rule, warning, said.message, said.offset, fix=said.fix)
        for said in document_warnings
    ]
    for rule in RULES:
        if rule.check and graph.dialect in rule.dialects:
            severity = warning if rule.severity is _W else _E
            found += [_finding(places, rule.id, severity, fault) for fault in rule.check(survey)]
    found.sort(key=lambda finding: finding.offset)
    return found


def _finding(places: Places, rule: str, severity: Severity, fault: Fault) -> Finding:
    message, fix, at = _sentence(fault.message), _sentence(fault.fix), fault.at
    if at is None:
        offset = places.graph_attribute(fault.attr)
        return Finding(rule, severity, message, offset, fix=fix)
    offset = places.attribute(at.offset, fault.attr) if fault.attr else at.offset
    node, edge = ("", (at.source, at.target)) if isinstance(at, Edge) else (at.id, None)
    return Finding(rule, severity, message, offset, node, edge, fix)


def _sentence(text: str) -> str:
    if len(text) > _LONGEST_SENTENCE:
        return f"{text[:_LONGEST_SENTENCE]}..."
    # A full stop behind a piece of DOT would look like a part of it.
    return text if text[-1] in '])".' else f"{text}."
