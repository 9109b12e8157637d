"""The rules that hold for every pipeline: those of the public specification, and a few of ours.

Each rule is a generator of faults; `lint.RULES` names it and gives it its severity. A fault is
reported by one rule only: what an earlier rule has condemned, a later one leaves alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from attractor.pipeline.conditions import ConditionError
from attractor.pipeline.finding import Fault
from attractor.pipeline.graph import SHAPE_HANDLERS, Edge, Node, NodeId
from attractor.pipeline.stylesheet import PROPERTIES, StylesheetError, parse_stylesheet
from attractor.pipeline.survey import SHOWN_NODES, Survey, loops

KNOWN_HANDLERS: Final = frozenset(SHAPE_HANDLERS.values()) | {
    "acceptance-test-writer",
    "stack.manager_loop",
    "tool",
    "wait.cobuilder",
    "wait.system3",
}
STATUSES: Final = ("pending", "active", "impl_complete", "validated", "accepted", "failed")
FIDELITIES: Final = ("full", "truncate", "compact", "summary:low", "summary:medium", "summary:high")

_DURATION: Final = re.compile(r"\d+(\.\d+)?\s*(ms|s|m|h|d)?")
_DURATIONS: Final = ("timeout", "manager.poll_interval")
_RETRY_TARGETS: Final = ("retry_target", "fallback_retry_target")


def start_node(survey: Survey) -> Iterator[Fault]:
    """Want one door in."""
    if not survey.starts:
        fix = "Add a node: start [shape=Mdiamond]"
        yield Fault("The pipeline has no start node", fix)
    for node in survey.starts[1:]:
        first = survey.starts[0].id
        yield Fault(
            f"{node.id} is a second start node, after {first}",
            f"Keep one; let {first} lead here",
            node,
        )


def terminal_node(survey: Survey) -> Iterator[Fault]:
    """Want a way out; exactly one in the harness's dialect."""
    if not survey.exits:
        yield Fault("The pipeline has no exit node", "Add a node: exit [shape=Msquare]")
    if survey.harness:
        for node in survey.exits[1:]:
            first = survey.exits[0].id
            yield Fault(
                f"{node.id} is a second exit node, after {first}",
                f"Lead its edges to {first}",
                node,
            )


def reachability(survey: Survey) -> Iterator[Fault]:
    """Want every node on some path from the start."""
    for node in survey.graph.nodes.values():
        if node.id in survey.reached or node.id in survey.phantoms:
            continue
        alone = not survey.graph.incoming[node.id] and not survey.graph.outgoing[node.id]
        kind = "an orphan without any edge" if alone else "an orphan of the graph"
        yield Fault(
            f"{node.id} is unreachable from the start: {kind}",
            f"Add an edge that leads to {node.id}, or remove the node",
            node,
        )


def edge_target_exists(survey: Survey) -> Iterator[Fault]:
    """Doubt a name that only edges use: most often it is a slip of the pen."""
    told: set[NodeId] = set()
    for edge in survey.graph.edges:
        for name in (edge.source, edge.target):
            if name in survey.phantoms and name not in told:
                told.add(name)
                yield Fault(
                    f"The edge {edge.source} -> {edge.target} names {name}, which is not declared",
                    f"Declare it ({name} [shape=box]), or correct the name",
                    edge,
                )


def start_no_incoming(survey: Survey) -> Iterator[Fault]:
    """Lead nothing back to the start."""
    for node in survey.starts:
        for edge in survey.graph.incoming[node.id]:
            yield Fault(
                f"The edge {edge.source} -> {edge.target} leads into the start",
                "Lead it to the first node of work instead",
                edge,
            )


def exit_no_outgoing(survey: Survey) -> Iterator[Fault]:
    """Let nothing come after the exit."""
    for node in survey.exits:
        for edge in survey.graph.outgoing[node.id]:
            yield Fault(
                f"The edge {edge.source} -> {edge.target} leaves the exit",
                "Lead it from the last node before the exit instead",
                edge,
            )


def dead_end(survey: Survey) -> Iterator[Fault]:
    """Want a way to the exit; told where the way ends, not all along it."""
    if not survey.exits:
        return
    saved = survey.upstream_of(survey.exits)
    lost = [
        node
        for node in survey.graph.nodes.values()
        if node.id in survey.reached and node.id not in saved and node.id not in survey.phantoms
    ]
    ends = [node for node in lost if not survey.graph.outgoing[node.id]]
    phantoms = [survey.graph.nodes[name] for name in survey.phantoms]
    for node in ends:
        yield Fault(
            f"{node.id} leads nowhere: the exit cannot be reached from it",
            f"Add an edge from {node.id} towards {survey.exits[0].id}",
            node,
        )
    explained = survey.upstream_of([*ends, *phantoms])
    circling = [node for node in lost if node.id not in explained]
    if circling:
        names = ", ".join(node.id for node in circling[:SHOWN_NODES])
        yield Fault(
            f"The exit cannot be reached from {names}: the edges lead round in a loop",
            f"Add an edge out of the loop towards {survey.exits[0].id}",
            circling[0],
        )


def unguarded_cycle(survey: Survey) -> Iterator[Fault]:
    """Want a condition in every loop, or it would wait for itself for ever."""
    plain: dict[NodeId, list[Edge]] = {}
    for edge in survey.graph.edges:
        if not _guarded(survey, edge):
            plain.setdefault(edge.source, []).append(edge)
    for edge, path in loops(plain, plain):
        dots = " -> ..." if len(path) == SHOWN_NODES else ""
        yield Fault(
            f"An unguarded cycle: {' -> '.join(path)}{dots} -> {edge.target}",
            f"Give the edge {edge.source} -> {edge.target} a condition, such as condition=fail",
            edge,
        )


def _guarded(survey: Survey, edge: Edge) -> bool:
    source, target = survey.handlers[edge.source], survey.handlers[edge.target]
    if target == "start" or source == "exit":
        return True  # said already, by start_no_incoming and exit_no_outgoing
    chosen = source in {"wait.human", "conditional"} and "label" in edge.attrs
    attrs = edge.attrs
    return chosen or bool(attrs.get("condition", "").strip()) or attrs.get("loop_restart") == "true"


def condition_syntax(survey: Survey) -> Iterator[Fault]:
    """Read every condition."""
    for edge in survey.graph.edges:
        if "condition" in edge.attrs:
            found = survey.condition(edge)
            if isinstance(found, ConditionError):
                yield Fault(found.problem, found.fix, edge, "condition")


def stylesheet_syntax(survey: Survey) -> Iterator[Fault]:
    """Read the model stylesheet."""
    try:
        parse_stylesheet(survey.graph.attrs.get("model_stylesheet", ""))
    except StylesheetError as error:
        yield Fault(error.problem, error.fix, None, "model_stylesheet")


def stylesheet_property(survey: Survey) -> Iterator[Fault]:
    """Doubt a property that nobody reads: a typing error, or another tool's."""
    try:
        rules = parse_stylesheet(survey.graph.attrs.get("model_stylesheet", ""))
    except StylesheetError:
        return  # said by stylesheet_syntax
    for name in dict.fromkeys(found.name for rule in rules for found in rule.declarations):
        if name not in PROPERTIES:
            yield Fault(
                f"model_stylesheet sets {name}, which has no effect",
                f"Use {_list(PROPERTIES)}",
                None,
                "model_stylesheet",
            )


def type_known(survey: Survey) -> Iterator[Fault]:
    """Doubt a handler that nobody knows, and a shape that silently means codergen."""
    for node in survey.graph.nodes.values():
        handler = survey.handlers[node.id]
        explicit = next((key for key in ("handler", "type") if node.attrs.get(key)), "")
        shape = node.attrs.get("shape", "")
        if explicit and handler not in KNOWN_HANDLERS:
            yield Fault(
                f"{node.id} has the unknown {explicit} {node.attrs[explicit]}",
                f"Use one of {_list(KNOWN_HANDLERS)}",
                node,
                explicit,
            )
        elif not explicit and _means_nothing(survey, shape, handler):
            yield Fault(
                f"{node.id} has the shape {shape}, which names no handler; it runs as {handler}",
                f"Use one of {_list(SHAPE_HANDLERS)}, or say which handler",
                node,
                "shape",
            )


def _means_nothing(survey: Survey, shape: str, handler: str) -> bool:
    foreign = survey.graph.dialect == "graphviz"
    return bool(shape) and shape not in SHAPE_HANDLERS and handler == "codergen" and not foreign


def fidelity_valid(survey: Survey) -> Iterator[Fault]:
    """Refuse a seventh name for how much of the conversation a node is given."""
    graph = survey.graph
    fix = f"Use one of {', '.join(FIDELITIES)}"
    default = graph.attrs.get("default_fidelity")
    if default and default not in FIDELITIES:
        yield Fault(f"default_fidelity is {default}", fix, None, "default_fidelity")
    things: Iterator[Node | Edge] = chain(graph.nodes.values(), graph.edges)
    for thing in things:
        value = thing.attrs.get("fidelity")
        if value and value not in FIDELITIES:
            yield Fault(f"The fidelity is {value}", fix, thing, "fidelity")


def retry_target_exists(survey: Survey) -> Iterator[Fault]:
    """Look for the nodes to go back to."""
    for holder in (None, *survey.graph.nodes.values()):
        attrs = survey.graph.attrs if holder is None else holder.attrs
        for key in _RETRY_TARGETS:
            name = attrs.get(key)
            if name and (name not in survey.graph.nodes or name in survey.phantoms):
                fix = f"Name a node of this pipeline, or remove {key}"
                yield Fault(f"{key} names {name}, which is no node", fix, holder, key)


def goal_gate_has_retry(survey: Survey) -> Iterator[Fault]:
    """Give a goal gate that fails somewhere to go."""
    if any(survey.graph.attrs.get(key) for key in _RETRY_TARGETS):
        return
    for node in survey.graph.nodes.values():
        attrs = node.attrs
        if attrs.get("goal_gate") == "true" and not any(attrs.get(key) for key in _RETRY_TARGETS):
            yield Fault(
                f"{node.id} is a goal gate without a retry_target: failing it ends the run",
                'Add retry_target="NODE" to it or to the graph',
                node,
                "goal_gate",
            )


def prompt_on_llm_nodes(survey: Survey) -> Iterator[Fault]:
    """Tell a model what to do."""
    says = ("prompt", "label", "acceptance", "solution_design", "sd_path")
    for node in survey.of("codergen"):
        if node.id not in survey.phantoms and not any(node.attrs.get(key) for key in says):
            fix = f'Add a prompt or a label: {node.id} [prompt="..."]'
            yield Fault(f"{node.id} says nothing of what is to be done", fix, node)


def status_known(survey: Survey) -> Iterator[Fault]:
    """Refuse a status that is no state."""
    for node in survey.graph.nodes.values():
        status = node.attrs.get("status")
        if status and status not in STATUSES:
            fix = f"Use one of {', '.join(STATUSES)}"
            yield Fault(f"{node.id} has the unknown status {status}", fix, node, "status")


def timeout_format(survey: Survey) -> Iterator[Fault]:
    """Refuse a time that cannot be read: it would be no limit at all."""
    for node in survey.graph.nodes.values():
        for key in _DURATIONS:
            value = node.attrs.get(key)
            if value and not _DURATION.fullmatch(value.strip()):
                fix = "Write seconds, or a number with ms, s, m, h or d: 900s, 15m"
                yield Fault(f"{node.id} has the {key} {value}", fix, node, key)


def case_clash(survey: Survey) -> Iterator[Fault]:
    """Keep folders apart on disks that do not tell A from a."""
    first: dict[str, NodeId] = {}
    for node in survey.graph.nodes.values():
        other = first.setdefault(node.id.casefold(), node.id)
        if other != node.id:
            yield Fault(
                f"{node.id} differs from {other} in upper and lower case only",
                "Rename one: on some disks they would share one folder",
                node,
            )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
