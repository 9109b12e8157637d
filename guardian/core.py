"""The run as the Guardian decides on it: the story so far, and what is added to it.

Theory of operation
===================

Deciding is pure. What has happened (a signal, the end of a task, the passing of time) is told to
the core; it answers with entries for the journal, each of which it has already applied to its own
story, so that one decision can follow from another. The loop appends them all with one fsync, and
only then does what follows from them: `wants` says which Runners and tasks must be there and which
words are to be sent. That is computed from the story and from nothing else, so a Guardian that was
killed comes to the same wants again.

An append that fails leaves the core ahead of the disk: then it is made anew from the journal.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.run.fold import RunEvent
from attractor.run.node_story import Attempt
from attractor.run.plan import Plan
from attractor.run.roles import Role
from attractor.run.states import RUNNING, NodeEvent, NodeState, advance
from attractor.run.story import Story, StoryEvent, Task

if TYPE_CHECKING:
    from attractor.run.request import Request
    from guardian.terms import Terms

Event = tuple[str, dict[str, Any]]
_BY: Final = "guardian"
_PARTS_OF_TIME: Final = 6
_WITHIN: Final = frozenset({NodeEvent.REVIEW_REQUESTED, NodeEvent.REJECTED})
"""What happens within an attempt, and beads do not show."""


class Made(NamedTuple):
    """An entry that is not in the journal yet."""

    seq: int
    at: str
    event: str
    data: dict[str, Any]


class Wants(NamedTuple):
    """What must be there, or be done, because of the story."""

    runners: Mapping[str, int]
    """Nodes that must have a Runner, and for which attempt."""
    tasks: Sequence[Task]


@final
class Core:
    """One run. `guardian.hearing`, `guardian.answers` and `guardian.advance` decide on it."""

    def __init__(
        self,
        graph: Graph,
        terms: Mapping[str, Terms],
        request: Request,
        story: Story,
        iso: Callable[[float], str],
    ) -> None:
        self.graph = graph
        self.terms = terms
        self.request = request
        self.story = story
        self.plan = Plan(graph, story.core.statuses, story.core.outcomes)
        self.made: list[Event] = []
        self.now = 0.0
        self.iso = iso
        self.running: dict[str, None] = {}
        """Nodes with something under way, in the order in which it began."""
        self.again: dict[str, None] = {}
        """Failed nodes whose turn comes again."""
        self.conditions = [name for name, each in terms.items() if each.role is Role.CONDITION]
        self.has_books = bool(graph.attrs.get("promise_id")) or any(
            each.attrs.get("bead_id") for each in graph.nodes.values()
        )
        """Whether the pipeline names a bead or a promise."""
        self.books_due = self.has_books
        """Whether these may not show what the journal says."""
        self.books_closed = not self.has_books
        """Whether they were told how the run has ended."""
        self.moves = 0
        """How often a node was moved."""
        self._seq = story.core.seq
        for name, state in story.core.statuses.items():
            if name in graph.nodes:
                self._place(str(name), state)

    def take(self) -> list[Event]:
        """Return the entries that were added since, in order."""
        made, self.made = self.made, []
        return made

    def add(self, event: str, data: dict[str, Any]) -> None:
        """Add an entry and apply it."""
        self._seq += 1
        at = self.iso(self.now)
        self.story.apply(Made(self._seq, at, str(event), data), at)
        self.made.append((str(event), data))

    def move(self, node: str, event: NodeEvent, **data: Any) -> None:
        """Move a node, as the table of states says."""
        source = self.story.state(node)
        target = advance(source, event, where=f"node {node}").to
        said = {"node": node, "event": event.value, "from": source.value, "to": target.value}
        self.add(RunEvent.NODE_MOVED, {**said, "by": _BY, **_given(data)})
        self.plan.move(NodeId(node), target, data.get("outcome"))
        self._place(node, target)
        self.moves += 1
        if self.terms[node].role is Role.WORK and event not in _WITHIN:
            self.books_due = self.has_books

    def _place(self, node: str, state: NodeState) -> None:
        self.running.pop(node, None)
        self.again.pop(node, None)
        if state in RUNNING:
            self.running[node] = None
        elif state is NodeState.FAILED and self._may_follow(node):
            self.again[node] = None

    def _may_follow(self, node: str) -> bool:
        # One that was failed by hand, before this run, stays so.
        final = NodeId(node) in self.story.core.outcomes
        return not final and bool(self.story.node(node).attempts)

    # What decisions ask

    def node(self, name: str) -> Node:
        """Return the node of the graph."""
        return self.graph.nodes[NodeId(name)]

    def attempt(self, name: str) -> Attempt:
        """Return the newest attempt of a node that has one."""
        found = self.story.node(name).attempt
        assert found is not None
        return found

    def tasks(self, node: str, kind: str = "") -> list[Task]:
        """Return the tasks that are open for a node, or of a kind, or both."""
        return [
            each
            for each in self.story.tasks.values()
            if each.node == node and kind in ("", each.kind)
        ]

    def merging(self) -> bool:
        """Say whether somebody works on the integration branch."""
        return any(each.kind == "merge" for each in self.story.tasks.values())

    def begin(self, kind: str, node: str = "", about: Mapping[str, Any] | None = None) -> None:
        """Begin a task."""
        self.add(StoryEvent.TASK_BEGUN, self.task(kind, node, about or {}))

    def task(self, kind: str, node: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an entry says that begins a task."""
        current = self.story.node(node).attempt if node else None
        return {
            "task": f"{kind}-{self.story.tasks_begun + 1}",
            "kind": kind,
            "node": node,
            "attempt": current.number if current else 0,
            "about": dict(about),
        }

    def order(self, node: str, type_: str, **payload: Any) -> dict[str, Any]:
        """Return one order, as entries carry them."""
        said = {"node_id": node, **_given(payload)}
        return {
            "node": node,
            "attempt": self.attempt(node).number,
            "type": type_,
            "payload": said,
        }

    def escalation(self, issue: str, options: Sequence[str] = ()) -> dict[str, Any]:
        """Return what tells the terminal that a person is wanted."""
        said = {"pipeline_id": self.request.run_id, "issue": issue}
        more = {"options": [*options]} if options else {}
        return {"type": "ESCALATION", "payload": said | more}

    def waits(self, node: str) -> float:
        """Return for how long a node's next task must wait; a clock that went back ends that."""
        story = self.story.of(node)
        if story.retry_at <= self.now or self.now < seconds_of(story.retry_from):
            return 0.0
        return story.retry_at - self.now

    def next_at(self) -> float:
        """Return when something is due by the clock alone; 0 for never."""
        due = [self.story.of(each).retry_at for each in (*self.running, "") if self.waits(each)]
        due += [seconds_of(each.deadline) for each in self.story.open_decisions() if each.deadline]
        return min(due, default=0.0)

    def wants(self) -> Wants:
        """Return what must be there."""
        story = self.story
        runners = {
            node: number
            for node, number in story.open_attempts.items()
            if node in self.terms and self.terms[node].role is Role.WORK
        }
        if story.ended is not None:
            return Wants(runners, [])
        stops = story.stopping is not None
        tasks = [each for each in story.tasks.values() if not stops or each.finished]
        return Wants(runners, tasks)

    def upstream(self, name: str) -> Iterator[str]:
        """Yield the sources of a node's edges that have no condition."""
        for edge in self.graph.incoming[NodeId(name)]:
            if not edge.attrs.get("condition", "").strip():
                yield str(edge.source)


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}


def seconds_of(text: str) -> float:
    """Return a time of the journal in seconds since 1970; 0 for none."""
    whole, _, rest = text.rstrip("Z").partition(".")
    parts = [int(each) for each in re.findall(r"\d+", whole)]
    if len(parts) != _PARTS_OF_TIME:
        return 0.0
    return calendar.timegm((*parts, 0, 0, 0)) + float(f"0.{rest or 0}")
