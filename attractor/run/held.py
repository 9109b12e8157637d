"""A DOT file and its journal, under the lease: read together, changed together.

Whoever holds a pipeline is its only writer, whatever name the file was given by: the lock, the
journal and the checkpoints lie beside the file that a symbolic link leads to. What is recorded is
durable before the DOT file shows it. `transition` says why that order repairs itself.

People do not ask for the lease. What somebody saved while a command ran is never overwritten: the
rewrite of statuses is done again, on the new text, for the nodes whose status is still as it was.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, final

from attractor.errors import AttractorError, InputError
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import ChangedError, changed, check_unchanged, load
from attractor.run.alone import alone
from attractor.run.fold import RunEvent, fold
from attractor.run.journal import Entry, Journal, read
from attractor.run.layout import Layout, layout_of
from attractor.run.reconcile import Comparison, compare, edited_by_hand, shown_status
from attractor.run.states import NodeState
from signals.atomic import replace
from signals.clock import Clock

Event = tuple[RunEvent, dict[str, Any]]

_TRIES: Final = 5


@final
class NotShownError(AttractorError):
    """The change is on record as entry `seq`, and the DOT file could not be made to show it."""

    code: ClassVar[str] = "not_shown"


@final
class Held:
    """One pipeline, held by its lease. Use `hold`."""

    def __init__(self, path: str, layout: Layout, clock: Clock, journal: Journal | None) -> None:
        self.path = path
        self.layout = layout
        self.clock = clock
        self._journal = journal
        self.entries: list[Entry] = journal.entries if journal else read(layout.journal).entries
        self.state = fold(self.entries, layout.journal)
        self.document, self.graph = load(path)

    def compare(self) -> Comparison:
        """Return how the file differs from the journal."""
        return compare(self.graph, self.state)

    def settle(self, *, dry_run: bool = False) -> None:
        """Repair a missed rewrite, and refuse statuses that were edited by hand."""
        comparison = self.compare()
        if comparison.missed and not comparison.edited and not dry_run:
            # Before the next append: afterwards the cause of the difference could not be told.
            self.show()
            self.document, self.graph = load(self.path)
            comparison = self.compare()
        if comparison.edited:
            raise edited_by_hand(comparison.edited, self.path)

    def statuses(self) -> dict[NodeId, NodeState]:
        """Return the statuses by the journal, and of nodes new to it by the file."""
        return self.state.statuses | self.compare().added

    def introduce(self) -> Entry:
        """Let the journal know the nodes that it does not know yet; return its last entry."""
        if introduction := self._introduction():
            self._append(introduction)
        return self.entries[-1]

    def record(self, *events: Event) -> Entry:
        """Append the events, after what the journal does not know yet; return the last entry."""
        self._append([*self._introduction(), *events])
        return self.entries[-1]

    def show(self, nodes: Collection[NodeId] | None = None) -> list[NodeId]:
        """Rewrite the file's statuses from the journal (those of `nodes` only); say which.

        The graph in memory stays as it was read.
        """
        comparison = self.compare()
        old = {
            each.node: each.file
            for each in [*comparison.missed, *comparison.edited]
            if nodes is None or each.node in nodes
        }
        self._rewrite(old)
        return list(old)

    def _rewrite(self, old: Mapping[NodeId, str]) -> None:
        """Put the journal's statuses in the place of these, and touch nothing else."""
        document, graph = self.document, self.graph
        for _ in range(_TRIES):
            changes = {
                str(node): {"status": self.state.statuses[node].value}
                for node, status in old.items()
                if node in graph.nodes and shown_status(graph, node) == status
            }
            if not changes:
                return
            unchanged = functools.partial(check_unchanged, self.layout.dot, document.source.text)
            try:
                replace(self.layout.dot, set_attrs(document, changes).encode(), check=unchanged)
            except ChangedError:
                document, graph = load(self.path)
            else:
                return
        raise changed(self.path)

    def show_recorded(self) -> None:
        """Rewrite the file after `record`; where that fails, say that the record stands."""
        try:
            self.show()
        except AttractorError as error:
            raise NotShownError(
                f"this is done, and on record as entry {self.state.seq} of the journal, but the "
                f"file may not show it yet: {error.problem}",
                where=error.where,
                fix="do not do it again. Remove the cause (on a full disk, free some space); then "
                f"`attractor transition {self.path} --sync`, or the next command that moves "
                "something, brings the file up to date",
                seq=self.state.seq,
            ) from error

    def node(self, name: str) -> NodeId:
        """Return the node of this name, or refuse it with names that are near."""
        if name in self.graph.nodes:
            return NodeId(name)
        import difflib  # only for a typing error

        near = difflib.get_close_matches(name, self.graph.nodes, n=3)
        raise InputError(
            f"there is no node {name!r}",
            where=self.path,
            fix=f"did you mean {' or '.join(near)}?"
            if near
            else f"`attractor node list {self.path}` shows all nodes",
            near=near,
        )

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def _append(self, events: Sequence[Event]) -> None:
        if self._journal is None:
            self._journal = Journal.open(self.layout.journal, self.clock)
            self.entries = self._journal.entries
        for entry in self._journal.append_all(events):
            self.state.apply(entry)

    def _introduction(self) -> list[Event]:
        added = {node: state.value for node, state in self.compare().added.items()}
        if not self.state.seq:
            file = os.path.basename(self.layout.dot)
            return [(RunEvent.PIPELINE_OPENED, {"file": file, "statuses": added})]
        return [(RunEvent.NODES_ADDED, {"statuses": added})] if added else []


@contextlib.contextmanager
def hold(
    path: str, clock: Clock, *, timeout_seconds: float, dry_run: bool = False
) -> Iterator[Held]:
    """Take the lease of a DOT file, and read it and its journal; a dry run must not change it."""
    layout = layout_of(os.path.realpath(path))
    _check_is_pipeline(path, layout)
    with alone(layout, clock, timeout_seconds), contextlib.ExitStack() as stack:
        journal = None
        if not dry_run and os.path.exists(layout.journal):
            # Before anything is repaired from it: opening makes durable what is about to be used.
            journal = stack.enter_context(Journal.open(layout.journal, clock))
        held = Held(path, layout, clock, journal)
        stack.callback(held.close)
        yield held


def _check_is_pipeline(path: str, layout: Layout) -> None:
    """Refuse what is no pipeline, before a lock lies beside it."""
    if os.path.isfile(layout.dot):
        if not os.path.lexists(layout.lock):
            load(path)
    else:
        if path != "-":
            load(path)  # has the words for each way of not being one
        raise InputError(
            "statuses can only be kept for a file",
            where=path,
            fix="give the path of a DOT file",
        )
