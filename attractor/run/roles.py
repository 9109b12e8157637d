"""What carries a node of a run out, told by its handler and its attributes. Pure."""

from __future__ import annotations

import enum
from typing import Final, final

from attractor.pipeline.graph import Graph, Node


@final
class Role(enum.Enum):
    """What carries a node out."""

    WORK = "work"  # an agent, watched by a Runner
    PLACE = "place"  # nothing: arrows meet there
    EXIT = "exit"  # nothing, and the run ends well
    CONDITION = "condition"  # the outcome of what stands before it
    TOOL = "tool"  # a command
    CHECK = "check"  # the checks, on all that is merged
    JUDGE = "judge"  # checks and judge, on all that is merged
    PERSON = "person"  # somebody decides


IMPOSSIBLE: Final = {
    "manager_loop": (
        "it would supervise another pipeline, which cannot be done",
        "remove the node, and start that pipeline with an `attractor run` of its own",
    ),
    "acceptance-test-writer": (
        "the rubric is written before any work starts, and by no node",
        "remove the node; the graph's prd_ref says what the rubric is made from",
    ),
}
"""Handlers that no Guardian carries out: why, and what to do instead."""

_PLACES: Final = frozenset({"start", "parallel", "parallel.fan_in"})
_BY_HANDLER: Final = {"exit": Role.EXIT, "conditional": Role.CONDITION, "tool": Role.TOOL}
_JUDGING: Final = frozenset({"technical", "e2e", "contract"})
_CHECKING: Final = frozenset({"unit"})
PASSES: Final = "approve"
FAILS: Final = "reject"


def role(graph: Graph, node: Node) -> Role:
    """Return what carries this node out."""
    handler = graph.handler(node)
    if handler in _PLACES:
        return Role.PLACE
    if found := _BY_HANDLER.get(handler):
        return found
    if handler.startswith("wait.") or node.attrs.get("shape") == "hexagon":
        return _gate(node)
    return Role.WORK


def _gate(node: Node) -> Role:
    for key in ("gate", "gate_type", "mode"):
        said = node.attrs.get(key, "").strip().lower()
        if said in _JUDGING:
            return Role.JUDGE
        if said in _CHECKING:
            return Role.CHECK
        if said:
            return Role.PERSON
    return Role.PERSON


def options(node: Node) -> tuple[str, ...]:
    """Return what a person may choose; the first lets the gate pass, the others do not."""
    said = [each.strip() for each in node.attrs.get("options", "").split(",")]
    if len(found := tuple(dict.fromkeys(each for each in said if each))) > 1:
        return found
    return (PASSES, FAILS)
