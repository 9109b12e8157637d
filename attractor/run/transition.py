"""Move a node of a DOT file to another state, on the record.

Theory of operation
===================

Beside `p.dot` lies `p.dot.journal.jsonl`. The journal is the truth: where each node stands is the
fold of its entries (`fold`). The `status` attributes in the DOT file are a view of that, for people
and for tools that read DOT. One command is one pass through the same steps:

1. take the lease on `p.dot.lock` (of the real file, so that every name for it means one lock);
2. read the DOT file and the journal, and fold the journal;
3. reconcile: sort the differences between the two by what they mean (`reconcile`);
4. ask the table whether the move is legal (`states`), and, for an exit, whether every gate is
   done;
5. append to the journal, and wait until that is on the disk;
6. rewrite the DOT file, in one atomic step;
7. let go of the lease.

**The move is certain when step 5 has ended.** Killed before it, nothing has changed: what may be
left is the lock, a torn last line, which the next writer cuts off, or a `PipelineOpened` or
`NodesAdded` that moves nothing. Killed within it, the entry is there whole or not at all. Killed
later, only the view is old, and it is old in a way that can be recognised: it shows, for all the
nodes that the last entry moved, the statuses from before that entry. The next command that changes
anything repairs that before it appends, since one entry later the same difference would have no
explanation. This is why each command writes at most one entry that moves nodes. Where step 6 fails
(a full disk), `NotShownError` says that the move stands.

**A difference with any other cause is an edit by hand.** It is reported, and the command refused:
to obey it would let the view overrule the truth, to overwrite it would destroy what a person meant.
The person chooses: `adopt` takes the file's statuses into the journal, `sync` puts the journal's
back into the file. Edits of anything but a status are no difference at all. Nodes that are new in
the graph start from their own status, which `NodesAdded` records with the next change; nodes that
are gone stay in the journal, and are met again where they come back.

A DOT file without a journal starts from its own statuses: the first command that changes anything
writes `PipelineOpened` with them, together with what it came for.

**An editor does not ask for the lease.** What somebody saves while a command runs stays: just
before the new file takes its place, the old one is compared with what was read. If it is another,
step 6 begins anew from that, and sets the moved node's status only where it is still the one from
before; anything else there is an edit, which the next command reports. The move was decided on the
graph as it was read.

Limits. Between that comparison and the rename pass microseconds; what is saved just then is lost,
and so is what an editor writes into the file that it had opened before. An editor that saves an old
text over a command's rewrite wins, and the next command reports the statuses it wrote as edited by
hand. One edit cannot be told from a missed rewrite: setting the node that moved last back to
exactly what it was. It is repaired, that is undone; `adopt` with the node's name takes it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

from attractor.errors import InputError
from attractor.pipeline.graph import NodeId
from attractor.run.fold import RunEvent
from attractor.run.held import Held, hold
from attractor.run.plan import Plan, implements, is_exit, open_gates
from attractor.run.reconcile import Difference, shown_state
from attractor.run.states import SETTLED, Effect, NodeEvent, NodeState, advance, event_for
from signals.clock import Clock

TIMEOUT_SECONDS: Final = 30.0

_MAY_PASS_OPEN_GATES: Final = frozenset({NodeState.PENDING, NodeState.FAILED})

Outcome = Literal["pass", "fail", "partial"]


@final
@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: this node in that state, and why."""

    node: str
    target: NodeState
    outcome: Outcome | None = None
    reason: str = ""
    by: str = "person"


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """What a transition did; after a dry run, what it would have done, and `seq` is 0."""

    node: NodeId
    source: NodeState
    target: NodeState
    event: NodeEvent
    seq: int
    ready: list[NodeId]


def transition_node(
    path: str,
    request: Request,
    clock: Clock,
    *,
    dry_run: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Moved:
    """Move one node. When this returns, the move is durable and the file shows it.

    A status that somebody else wrote meanwhile stays as it is in the file, though not on record.
    A dry run takes the lease too, since it would otherwise read between two steps of another
    command; apart from the lock it leaves no trace.
    """
    with hold(path, clock, timeout_seconds=timeout_seconds, dry_run=dry_run) as held:
        held.settle(dry_run=dry_run)
        node = held.node(request.node)
        source = held.statuses()[node]
        event = _legal_event(held, node, source, request)
        plan = Plan(held.graph, held.statuses(), held.state.outcomes)
        ready = plan.move(node, request.target, request.outcome).ready
        if dry_run:
            return Moved(node, source, request.target, event, 0, ready)
        entry = held.record((RunEvent.NODE_MOVED, _particulars(held, node, source, event, request)))
        held.show_recorded()
        return Moved(node, source, request.target, event, entry.seq, ready)


def adopt(
    path: str,
    nodes: Sequence[str],
    clock: Clock,
    *,
    dry_run: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Difference]:
    """Take statuses edited by hand into the journal: of these nodes, without any of all.

    Returns what was taken over; empty means that there was nothing to take.
    """
    with hold(path, clock, timeout_seconds=timeout_seconds, dry_run=dry_run) as held:
        named = {held.node(name) for name in nodes}
        comparison = held.compare()
        differing = [*comparison.missed, *comparison.edited] if named else comparison.edited
        taken = [each for each in differing if not named or each.node in named]
        statuses = {each.node: shown_state(held.graph, each.node).value for each in taken}
        if dry_run:
            return taken
        held.show({each.node for each in comparison.missed} - statuses.keys())
        if taken:
            was = {each.node: each.journal.value for each in taken}
            held.record((RunEvent.STATUSES_ADOPTED, {"statuses": statuses, "was": was}))
        return taken


def sync(
    path: str,
    clock: Clock,
    *,
    dry_run: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Difference]:
    """Put the journal's statuses into the file; return what the file had shown instead."""
    with hold(path, clock, timeout_seconds=timeout_seconds, dry_run=dry_run) as held:
        if not held.entries:
            raise InputError(
                "there is no journal to rebuild the statuses from",
                where=path,
                fix="the first transition starts one, from the statuses in the file",
            )
        comparison = held.compare()
        if not dry_run:
            held.show()
        return [*comparison.missed, *comparison.edited]


def _legal_event(held: Held, node: NodeId, source: NodeState, request: Request) -> NodeEvent:
    """Return the event that makes the move, or refuse with what would be legal."""
    where = f"{held.path}: node {node}"
    judged = implements(held.graph, node)
    event = event_for(source, request.target, implements=judged, where=where)
    _check_outcome(request, where)
    if is_exit(held.graph, node) and request.target not in _MAY_PASS_OPEN_GATES:
        _check_gates(held, where)
    return event


def _check_gates(held: Held, where: str) -> None:
    statuses = held.statuses()
    if gates := open_gates(held.graph, statuses):
        named = ", ".join(f"{gate} ({statuses[gate].value})" for gate in gates)
        raise InputError(
            f"the exit waits for every gate, and these are not validated yet: {named}",
            where=where,
            fix="move them to validated first",
            gates=gates,
        )


def _check_outcome(request: Request, where: str) -> None:
    if request.outcome is None:
        return
    if request.target not in SETTLED:
        raise InputError(
            f"a node that becomes {request.target.value} has no outcome yet",
            where=where,
            fix="give the outcome with the move to validated or failed",
        )
    if request.target is NodeState.FAILED and request.outcome == "pass":
        raise InputError(
            "a node that failed cannot have the outcome pass",
            where=where,
            fix="say fail or partial, or nothing",
        )


def _particulars(
    held: Held, node: NodeId, source: NodeState, event: NodeEvent, request: Request
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "node": node,
        "event": event.value,
        "from": source.value,
        "to": request.target.value,
        "by": request.by,
    }
    if Effect.START_ATTEMPT in advance(source, event).effects:
        said["attempt"] = held.state.attempts.get(node, 0) + 1
    if request.outcome is not None:
        said["outcome"] = request.outcome
    if request.reason:
        said["reason"] = request.reason
    return said
