"""What a journal says: entries in, the state of the run out.

The state is a fold of the journal and of nothing else; whatever else shows a state (the DOT file,
a checkpoint, a screen) is a view of this. Pure: the entries come in, nothing is read or written.

Refused as damage, with the entry's number: an entry that cannot follow from those before it (a
move from a state that the node is not in, an unknown node or state, a second opening). Whether a
move is in the table of states was judged when it was written and is not judged again, so that
today's journals can be read when the table has changed. Events that this module does not know
belong to newer layers and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, final

from attractor.errors import DamageError
from attractor.pipeline.graph import NodeId
from attractor.run.states import SETTLED, NodeState


@final
class RunEvent(StrEnum):
    """The events of a pipeline's journal that this module folds."""

    PIPELINE_OPENED = "PipelineOpened"
    NODES_ADDED = "NodesAdded"
    NODE_MOVED = "NodeMoved"
    NODE_GIVEN_UP = "NodeGivenUp"
    STATUSES_ADOPTED = "StatusesAdopted"
    CHECKPOINT_SAVED = "CheckpointSaved"
    CHECKPOINT_RESTORED = "CheckpointRestored"


class Recorded(Protocol):
    """What the fold needs of a journal entry."""

    @property
    def seq(self) -> int:
        """Return its number in the journal."""
        ...

    @property
    def event(self) -> str:
        """Return what happened."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the particulars."""
        ...


@final
@dataclass(slots=True)
class RunState:
    """Where a run stands after its last entry.

    `shown_before` is what a view showed, before the last entry, for the nodes which that entry
    moved: a view that still shows exactly this has missed one rewrite, and nobody edited it.
    """

    statuses: dict[NodeId, NodeState] = field(default_factory=dict)
    attempts: dict[NodeId, int] = field(default_factory=dict)
    outcomes: dict[NodeId, str] = field(default_factory=dict)
    applied: set[str] = field(default_factory=set)
    seq: int = 0
    shown_before: dict[NodeId, NodeState] = field(default_factory=dict)

    def apply(self, entry: Recorded) -> None:
        """Take in the next entry. DamageError leaves the state as it was."""
        match entry.event:
            case RunEvent.PIPELINE_OPENED:
                self._open(entry)
            case RunEvent.NODES_ADDED:
                self._add(entry)
            case RunEvent.NODE_MOVED:
                self._move(entry)
            case RunEvent.NODE_GIVEN_UP:
                self._give_up(entry)
            case RunEvent.STATUSES_ADOPTED:
                self._adopt(entry)
            case RunEvent.CHECKPOINT_SAVED:
                self._save(entry)
            case RunEvent.CHECKPOINT_RESTORED:
                self._restore(entry)
            case _:
                pass
        self.seq = entry.seq

    def _open(self, entry: Recorded) -> None:
        if self.statuses:
            raise _damage(entry, "the pipeline is opened a second time")
        self.statuses = _states(entry, "statuses")

    def _add(self, entry: Recorded) -> None:
        added = _states(entry, "statuses")
        if known := sorted(added.keys() & self.statuses.keys()):
            raise _damage(entry, f"{known[0]!r} is added a second time")
        self.statuses |= added
        self.shown_before = {}

    def _move(self, entry: Recorded) -> None:
        node = NodeId(_text(entry, "node"))
        source, target = _state(entry, entry.data.get("from")), _state(entry, entry.data.get("to"))
        now = self.statuses.get(node)
        if now is None:
            raise _damage(entry, f"it moves {node!r}, which no entry before it mentions")
        if now is not source:
            raise _damage(
                entry, f"it moves {node!r} from {source.value}, but the node is {now.value}"
            )
        attempt, outcome = entry.data.get("attempt"), entry.data.get("outcome")
        if isinstance(attempt, int):
            self.attempts[node] = attempt
        self.statuses[node] = target
        self._conclude(node, outcome if isinstance(outcome, str) else None)
        if isinstance(signal_id := entry.data.get("signal_id"), str):
            self.applied.add(signal_id)
        self.shown_before = {node: source}

    def _give_up(self, entry: Recorded) -> None:
        node = NodeId(_text(entry, "node"))
        if self.statuses.get(node) is not NodeState.FAILED:
            raise _damage(entry, f"it gives up {node!r}, which has not failed")
        self.outcomes[node] = _text(entry, "outcome")
        self.shown_before = {}

    def _adopt(self, entry: Recorded) -> None:
        for node, state in self._known(entry, "statuses").items():
            self.statuses[node] = state
            self.outcomes.pop(node, None)
        self.shown_before = {}

    def _save(self, entry: Recorded) -> None:
        _text(entry, "checkpoint")
        self.shown_before = {}

    def _restore(self, entry: Recorded) -> None:
        restored = self._known(entry, "statuses")
        outcomes = _mapping(entry, "outcomes")
        self.shown_before = {
            node: self.statuses[node]
            for node, state in restored.items()
            if self.statuses[node] is not state
        }
        for node, state in restored.items():
            self.statuses[node] = state
            self.outcomes.pop(node, None)
            if node in outcomes:
                self.outcomes[node] = str(outcomes[node])

    def _known(self, entry: Recorded, key: str) -> dict[NodeId, NodeState]:
        states = _states(entry, key)
        if unknown := sorted(states.keys() - self.statuses.keys()):
            raise _damage(entry, f"it sets {unknown[0]!r}, which no entry before it mentions")
        return states

    def _conclude(self, node: NodeId, outcome: str | None) -> None:
        """Keep an outcome for as long as its node stays ended."""
        if outcome is not None:
            self.outcomes[node] = outcome
        elif self.statuses[node] not in SETTLED:
            self.outcomes.pop(node, None)


def fold(entries: Iterable[Recorded], path: str = "") -> RunState:
    """Return where a run stands after these entries, which are a journal from its beginning.

    `path` is the journal's, for errors: an entry's number is its line.
    """
    state = RunState()
    for entry in entries:
        try:
            state.apply(entry)
        except DamageError as error:
            if path:
                error.where = f"{path}:{entry.seq}"
            raise
    return state


def _text(entry: Recorded, key: str) -> str:
    value = entry.data.get(key)
    if not isinstance(value, str):
        raise _damage(entry, f"its {key!r} is not text")
    return value


def _state(entry: Recorded, value: object) -> NodeState:
    try:
        return NodeState(value)
    except ValueError:
        raise _damage(entry, f"{value!r} is not a state") from None


def _states(entry: Recorded, key: str) -> dict[NodeId, NodeState]:
    return {NodeId(node): _state(entry, value) for node, value in _mapping(entry, key).items()}


def _mapping(entry: Recorded, key: str) -> Mapping[str, object]:
    value = entry.data.get(key)
    if not isinstance(value, Mapping):
        raise _damage(entry, f"it has no {key!r}")
    return value


def _damage(entry: Recorded, problem: str) -> DamageError:
    return DamageError(
        f"entry {entry.seq} ({entry.event}) is impossible: {problem}",
        where=f"journal entry {entry.seq}",
        fix="nothing was changed. Attractor has not written this: put back a copy of the journal, "
        "or move it away, which starts a new one from the statuses in the DOT file",
        seq=entry.seq,
        line=entry.seq,
    )
