"""Compare what a DOT file shows with what its journal says: which difference means what.

The journal is the truth and the file a view of it, so a difference has one of three causes:

* the last rewrite was missed, because a process died after its append: the file shows, for all the
  nodes that the last entry moved, the statuses from before that entry. These are repaired, whatever
  else differs, since to take one for an edit could undo a move that was reported as done;
* a node was added to the graph: it starts from the status that the file gives it;
* anything else was edited by hand: it is reported, and never obeyed unless adopted.

Nodes that vanished from the file stay in the journal. Pure: text comes in, a comparison goes out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import final

from attractor.errors import InputError
from attractor.pipeline.graph import Graph, NodeId
from attractor.run.fold import RunState
from attractor.run.states import NodeState

_NAMED_AT_MOST = 5


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """One node whose status in the file is not the journal's; `file` is as it stands there."""

    node: NodeId
    journal: NodeState
    file: str


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences by cause, in source order."""

    missed: list[Difference]
    added: dict[NodeId, NodeState]
    edited: list[Difference]


def shown_status(graph: Graph, node: NodeId) -> str:
    """Return the status that the file shows for a node, unchecked; without one it is pending."""
    return graph.nodes[node].attrs.get("status", NodeState.PENDING.value)


def shown_state(graph: Graph, node: NodeId) -> NodeState:
    """Return the status that the file shows for a node, or refuse it with its place."""
    status = shown_status(graph, node)
    try:
        return NodeState(status)
    except ValueError:
        raise InputError(
            f"the status of node {node!r} is {status!r}, which is not a state",
            where=graph.source.where(graph.nodes[node].offset),
            fix=f"write one of {', '.join(state.value for state in NodeState)}",
            node=node,
        ) from None


def compare(graph: Graph, state: RunState) -> Comparison:
    """Sort the differences between a file and its journal by what they mean."""
    differing = [
        Difference(node, state.statuses[node], shown_status(graph, node))
        for node in graph.nodes
        if node in state.statuses and shown_status(graph, node) != state.statuses[node].value
    ]
    added = {node: shown_state(graph, node) for node in graph.nodes if node not in state.statuses}
    missed = _missed(graph, state)
    return Comparison(
        [each for each in differing if each.node in missed],
        added,
        [each for each in differing if each.node not in missed],
    )


def _missed(graph: Graph, state: RunState) -> Collection[NodeId]:
    """Return the nodes that the last entry moved, if the file shows none of these moves."""
    before = {n: was.value for n, was in state.shown_before.items() if n in graph.nodes}
    missed = all(shown_status(graph, node) == was for node, was in before.items())
    return before.keys() if missed else ()


def edited_by_hand(edited: list[Difference], path: str) -> InputError:
    """Return the error that names each edited node, both statuses, and the two ways out."""
    named = [
        f"node {each.node!r} is {each.file} in the file, but {each.journal.value} in its journal"
        for each in edited[:_NAMED_AT_MOST]
    ]
    if more := len(edited) - len(named):
        named.append(f"{more} more")
    first = edited[0].node if len(edited) == 1 else ""
    return InputError(
        f"edited by hand: {'; '.join(named)}",
        where=path,
        fix=(
            f"take the file's over with `attractor transition {path} {first}{' ' * bool(first)}"
            f"--adopt`, or put the journal's back with `attractor transition {path} --sync`"
        ),
        nodes=[
            {"node": each.node, "journal": each.journal.value, "file": each.file} for each in edited
        ],
    )
