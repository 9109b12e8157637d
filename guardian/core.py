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

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.run.fold import RunEvent
from attractor.run.node_story import Attempt
from attractor.run.plan import Plan
from attractor.run.records import Task
from attractor.run.reviews import SCAN
from attractor.run.roles import Role
from attractor.run.states import DONE, RUNNING, NodeEvent, NodeState, advance
from attractor.run.story import Story, StoryEvent
from attractor.run.times import seconds_of
from guardian.breaker import Next, after
from guardian.budget import MODEL_TASKS, tokens_for

if TYPE_CHECKING:
    from attractor.run.request import Request
    from guardian.terms import Terms

Event = tuple[str, dict[str, Any]]
_BY: Final = "guardian"
_OF_THE_RUN: Final = 8_000
_BUSY: Final = (Role.WORK, Role.TOOL, Role.CHECK, Role.JUDGE)
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
        *,
        writes_rubric: bool = True,
    ) -> None:
        self.graph = graph
        self.terms = terms
        self.request = request
        self.story = story
        self.plan = Plan(graph, story.core.statuses, story.core.outcomes)
        self.made: list[Event] = []
        self.now = 0.0
        self.short = ""
        """What is to be said of the disk, where it has no room for what would begin."""
        self.iso = iso
        self.writes_rubric = writes_rubric
        """Whether the rubric, if it is not sealed yet, must be written by a model."""
        self.running: dict[str, None] = {}
        """Nodes with something under way, in the order in which it began."""
        self.again: dict[str, None] = {}
        """Failed nodes whose turn comes again."""
        self.busy_ones = frozenset(name for name, each in terms.items() if each.role in _BUSY)
        """Nodes that take one of the places in which something may be done at once."""
        self.working: dict[str, None] = {}
        """Those of them that are under way."""
        self.decided: dict[str, None] = {}
        """Conditions whose way back, if that is what they decided, may not be gone yet."""
        self.later = [name for name, each in terms.items() if each.later]
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
        self.stale = False
        """Whether the graph has grown: nothing follows until the core is made anew."""
        self.unlearnt = {
            name: None for name, each in story.nodes.items() if each.lessons > each.remembered
        }
        """Nodes of which something was said that the memory was not told."""
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
        self.stale = self.stale or event == StoryEvent.GRAPH_CHANGED
        if ("verdict" in data or "review" in data) and (node := data.get("node")):
            self.unlearnt[str(node)] = None

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

    def give_up(self, node: str, reason: str) -> None:
        """Have no attempt follow on a failed one."""
        said = {"node": node, "outcome": "fail", "reason": reason}
        notices = [self.escalation(f"node {node} has failed: {reason}")]
        self.add(RunEvent.NODE_GIVEN_UP, {**said, "notices": notices})
        self.plan.move(NodeId(node), NodeState.FAILED, "fail")
        self.again.pop(node, None)

    def _place(self, node: str, state: NodeState) -> None:
        for known in (self.running, self.working, self.again, self.decided):
            known.pop(node, None)
        if state in RUNNING:
            self.running[node] = None
            if node in self.busy_ones:
                self.working[node] = None
        elif state in DONE and self.terms[node].role is Role.CONDITION:
            self.decided[node] = None
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

    def busy(self, node: str) -> list[Task]:
        """Return the tasks that hold a node up; what is remembered of it does not."""
        return [each for each in self.tasks(node) if each.kind != "remember"]

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
            "reserved": tokens_for(self.characters(node)) if self.asks(kind, node, about) else 0,
        }

    def asks(self, kind: str, node: str, about: Mapping[str, Any]) -> bool:
        """Say whether a task will ask a model, as far as is known before it begins."""
        match kind:
            case "rubric":
                return self.writes_rubric
            case "review":
                return about.get("reviewer") != SCAN
            case "validate":
                return self.terms[node].role is not Role.CHECK
            case _:
                return kind in MODEL_TASKS

    def characters(self, node: str) -> int:
        """Return about how much somebody is told who works on a node, or with "" on the run."""
        if not node:
            return _OF_THE_RUN
        made = self.terms[node].assignment
        more = len(made.skill) + len(made.memory) if made else 0
        said = sum(map(len, self.node(node).attrs.values()))
        return said + more + len(self.story.node(node).feedback)

    def after(self, name: str) -> Next:
        """Return what follows for a node whose attempt has failed."""
        terms = self.terms[name]
        node = self.story.node(name)
        return after(node, terms.limits, terms.models, self.now, may_replan=terms.replan)

    def model(self, name: str, number: int) -> str:
        """Return the model of an attempt; one that was not charged counts as never made."""
        node, terms = self.story.node(name), self.terms[name]
        charged = [each for each in node.attempts[node.forgiven :] if not each.free]
        before = sum(each.number < number for each in charged)
        return terms.model_of(before + 1)

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
        waiting = (*self.running, *self.again, "")
        due = [self.story.of(each).retry_at for each in waiting if self.waits(each)]
        due += [until for each in self.again if (until := self.after(each).until)]
        if until := self.paused():
            due.append(until)
        due += [seconds_of(each.deadline) for each in self.story.open_decisions() if each.deadline]
        return min(due, default=0.0)

    def paused(self) -> float:
        """Return until when an hour's budget, or the disk, has nothing begin; 0 where it may."""
        last = self.story.pauses[-1] if self.story.pauses else None
        if last is None:
            return 0.0
        # A clock that was set back ends it.
        until = seconds_of(last.until)
        return until if seconds_of(last.at) <= self.now < until else 0.0

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
