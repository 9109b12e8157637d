"""The story of a run: what its journal says, beyond where each node stands.

A fold, as `fold` is, and of the same entries; what is here can be rebuilt from the journal alone.
The Guardian decides from it, screens and reports show it. Pure: entries come in.

Whatever an entry is about, it may carry these keys, since what must happen together is one entry:
`signal_id` (a signal that is applied by it), `task` (a task of ours that has ended), `dropped`
(tasks that nobody waits for any more), `withdrawn` (questions that nobody need answer), `usage`
(what the attempt has used so far), `review` (what a reviewer of a node said), `orders` (what a
Runner is told because of it) and `notices` (what the terminal is told).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, final

from attractor.pipeline.graph import NodeId
from attractor.run.fold import Recorded, RunEvent, RunState
from attractor.run.node_story import REPLAN, Attempt, NodeStory
from attractor.run.records import Decision, Note, Order, Pause, Task
from attractor.run.states import NodeEvent, NodeState
from attractor.run.times import seconds_of

BUDGETED: Final = ("input_tokens", "output_tokens", "cache_creation_tokens")
"""What budgets count: all that went in or came out, but from a cache."""
COUNTED: Final = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "cost_usd",
    "cooldowns",
    "cooldown_seconds",
    "turns",
    "sessions",
)


_MINUTE: Final = len("2026-11-21T17:05")

HAND_BACK: Final = "hand back"
"""The rung on which a Runner has done what it can."""
BEGAN_AGAIN: Final = "the Guardian began again"
"""What a Guardian notes first, with more, that goes on where another was ended."""
WITHDRAWN: Final = "withdrawn"
"""Stands for the answer to a question that nobody need answer any more."""


@final
class StoryEvent(StrEnum):
    """The events of a run's journal that only a Guardian writes."""

    RUN_STARTED = "RunStarted"  # {request, integration}
    RUN_RESUMED = "RunResumed"  # {request, pid}
    RUBRIC_SEALED = "RubricSealed"  # {folder, by, files, scope, acceptance}
    SIGNAL_HEARD = "SignalHeard"  # {type, node, attempt, text, ...}: it moves no node
    TASK_BEGUN = "TaskBegun"  # {task, kind, node, attempt, about, reserved}
    TASK_ENDED = "TaskEnded"  # {task, node, what, retry_at}: it moves no node
    DECISION_ASKED = "DecisionAsked"  # {id, node, attempt, kind, question, options, ...}
    DECISION_ANSWERED = "DecisionAnswered"  # {id, option, note, by}
    ATTEMPT_CLOSED = "AttemptClosed"  # {node, attempt, why}: nothing of it is left
    STOPPING = "Stopping"  # {reason, result}
    RUN_ENDED = "RunEnded"  # {result, exit, reason, head}
    NOTED = "Noted"  # {what, node}
    GRAPH_CHANGED = "GraphChanged"  # {why, node, change, acceptance, round}
    PAUSED = "Paused"  # {until, why, room}


@final
@dataclass(slots=True)
class Story:
    """A run, from its first entry to its last."""

    core: RunState = field(default_factory=RunState)
    request: dict[str, Any] = field(default_factory=dict)
    integration: str = ""
    """The integration branch."""
    head: str = ""
    """Its commit, as far as we moved it."""
    rubric: dict[str, Any] | None = None
    nodes: dict[str, NodeStory] = field(default_factory=dict)
    whole: NodeStory = field(default_factory=NodeStory)
    """What is of no node."""
    tasks: dict[str, Task] = field(default_factory=dict)
    """Those that have not ended."""
    tasks_begun: int = 0
    decisions: dict[str, Decision] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    """Those to attempts that are not closed."""
    notices: list[Order] = field(default_factory=list)
    """What the terminal is told, of no node and no attempt."""
    stopping: dict[str, Any] | None = None
    ended: dict[str, Any] | None = None
    began_at: str = ""
    ended_at: str = ""
    told_at: str = field(default="", compare=False)
    """When the last entry was written."""
    resumed: int = 0
    notes: list[Note] = field(default_factory=list)
    overhead: dict[str, float] = field(default_factory=dict)
    """What was used for no node: the rubric."""
    unmerged: dict[tuple[str, int], str] = field(default_factory=dict)
    """What an attempt of a node has handed in last, where no merge of it is known."""
    open_attempts: dict[str, int] = field(default_factory=dict)
    """Nodes with an attempt that is not closed."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """How the graph has grown, as the entries say it."""
    looks_back: list[dict[str, Any]] = field(default_factory=list)
    """Each {round, outcome, nodes, why, at} of a retrospective."""
    pauses: list[Pause] = field(default_factory=list)
    rests_for_room: int = 0
    """How often it has rested for want of room on the disk, since there was some."""
    spent: dict[str, list[float]] = field(default_factory=dict)
    """Tokens and dollars by the minute in which they were told."""
    spent_tokens: float = 0.0
    spent_usd: float = 0.0

    def node(self, node_id: str) -> NodeStory:
        """Return what happened to a node; nothing yet is a story, too."""
        found = self.nodes.get(node_id)
        if found is None:
            found = self.nodes[node_id] = NodeStory()
        return found

    def of(self, node_id: str) -> NodeStory:
        """Return the same, and for no node what happened to the run as a whole."""
        return self.node(node_id) if node_id else self.whole

    def state(self, node_id: str) -> NodeState:
        """Return where a node stands."""
        return self.core.statuses.get(NodeId(node_id), NodeState.PENDING)

    def used(self, key: str) -> float:
        """Return how much of something the whole run has used."""
        return sum(each.used(key) for each in self.nodes.values()) + self.overhead.get(key, 0.0)

    @property
    def tokens(self) -> int:
        """Return the tokens that budgets count."""
        return int(sum(self.used(key) for key in BUDGETED))

    def open_decisions(self) -> list[Decision]:
        """Return what waits for a person, the oldest first."""
        return [each for each in self.decisions.values() if each.open]

    def apply(self, entry: Recorded, at: str = "") -> None:
        """Take in the next entry."""
        self.core.apply(entry)
        data = entry.data
        self.told_at = when = at or str(getattr(entry, "at", ""))
        if isinstance(signal_id := data.get("signal_id"), str):
            self.core.applied.add(signal_id)
        begun = entry.event == StoryEvent.TASK_BEGUN
        ended = None if begun else self.tasks.pop(str(data.get("task")), None)
        for dropped in data.get("dropped", ()):
            self.tasks.pop(str(dropped), None)
        for name in data.get("withdrawn", ()):
            self._withdraw(str(name), when)
        handler = _HANDLERS.get(entry.event)
        if handler is not None:
            getattr(self, handler)(data, when)
        self._measure(data, ended, when)
        self._review(data, when)
        for place, order in enumerate(data.get("orders", ())):
            node, attempt = str(order["node"]), int(order["attempt"])
            told = Order(entry.seq, place, node, attempt, order["type"], order["payload"])
            self.orders.append(told)
            stuck = data.get("type") == "ORCHESTRATOR_STUCK"
            if stuck and order["type"] == "GUIDANCE" and (current := self.node(node).attempt):
                current.guided += 1
        for place, notice in enumerate(data.get("notices", ())):
            self.notices.append(Order(entry.seq, place, "", 0, notice["type"], notice["payload"]))

    def _withdraw(self, name: str, when: str) -> None:
        decision = self.decisions[name]
        decision.option, decision.by, decision.answered_at = WITHDRAWN, "guardian", when

    def _measure(self, data: Mapping[str, Any], ended: Task | None, when: str) -> None:
        usage = data.get("usage")
        if not isinstance(usage, Mapping):
            return
        name = data.get("node")
        if ended is not None or not isinstance(name, str):
            total = self.node(name).judging if isinstance(name, str) and name else self.overhead
            for key in COUNTED:
                if amount := usage.get(key):
                    total[key] = total.get(key, 0.0) + float(amount)
            self._spend(usage, {}, when)
            return
        attempt = self.attempt(name, data.get("attempt"))
        if attempt is not None:
            self._spend(usage, attempt.usage, when)
            attempt.usage = dict(usage)

    def _spend(self, usage: Mapping[str, Any], before: Mapping[str, Any], when: str) -> None:
        """Keep what was used since; an attempt tells the whole of it each time."""
        more = [
            sum(float(usage.get(key) or 0) - float(before.get(key) or 0) for key in keys)
            for keys in (BUDGETED, ("cost_usd",))
        ]
        self.spent_tokens += max(0.0, more[0])
        self.spent_usd += max(0.0, more[1])
        if any(each > 0 for each in more):
            minute = self.spent.setdefault(when[:_MINUTE], [0.0, 0.0])
            minute[:] = [old + max(0.0, new) for old, new in zip(minute, more, strict=True)]

    def _review(self, data: Mapping[str, Any], when: str) -> None:
        review, name = data.get("review"), data.get("node")
        if isinstance(review, Mapping) and isinstance(name, str):
            node = self.node(name)
            attempt = node.attempt.number if node.attempt else 0
            node.reviews.append({**review, "attempt": attempt, "at": when})
            node.said()

    def attempt(self, node_id: str, number: object) -> Attempt | None:
        """Return one attempt of a node."""
        found = self.node(node_id).attempts
        return next((each for each in reversed(found) if each.number == number), None)

    def _started(self, data: Mapping[str, Any], when: str) -> None:
        self.request = dict(data["request"])
        self.integration = str(data["integration"])
        self.head = str(self.request.get("base_commit", ""))
        self.began_at = when

    def _resumed(self, data: Mapping[str, Any], when: str) -> None:
        if self.pauses and seconds_of(when) < seconds_of(self.pauses[-1].until):
            # By what is asked for now, there may be room.
            self.pauses[-1] = self.pauses[-1]._replace(until=when)
        self.request = dict(data["request"])
        self.resumed += 1
        self.stopping = self.ended = None
        self.ended_at = ""
        self.tasks.clear()
        # What is tried for the run is tried from the beginning.
        self.whole = NodeStory()
        self.rests_for_room = 0

    def _sealed(self, data: Mapping[str, Any], when: str) -> None:
        del when
        self.rubric = {key: data[key] for key in ("folder", "by", "files", "scope", "acceptance")}

    def _moved(self, data: Mapping[str, Any], when: str) -> None:
        name, event = str(data["node"]), data.get("event")
        node = self.node(name)
        node.last, node.last_at = _told(data), when
        if event == NodeEvent.DISPATCHED.value:
            self._dispatched(name, data, when)
        elif event in _AGAIN:
            node.forgiven = len(node.attempts)
        attempt = node.attempt
        if attempt is None:
            return
        self._learn(name, attempt, data, when)
        if event == NodeEvent.REVIEW_REQUESTED.value:
            node.since, node.reviews_since = len(node.verdicts), len(node.reviews)
        elif event == NodeEvent.REJECTED.value:
            attempt.rejections += 1
            attempt.returned.append((when, str(data.get("reason", ""))))
        elif event in _ENDS:
            self._over(name, attempt, data, when)
        if data.get("closed") is True:
            self._close(name, attempt)

    def _dispatched(self, name: str, data: Mapping[str, Any], when: str) -> None:
        node, number = self.node(name), int(data["attempt"])
        base, feedback = str(data.get("base", "")), str(data.get("feedback", ""))
        reserved = int(data.get("reserved") or 0)
        node.attempts.append(Attempt(number, when, base, feedback=feedback, reserved=reserved))
        if reserved:
            self.rests_for_room = 0
        node.since, node.reviews_since = len(node.verdicts), len(node.reviews)
        node.said()
        node.retry_at, node.reason = 0.0, ""
        self.open_attempts[name] = number

    def _learn(self, name: str, attempt: Attempt, data: Mapping[str, Any], when: str) -> None:
        _learn(self.node(name), attempt, data, when)
        if data.get("commit"):
            self.unmerged[name, attempt.number] = attempt.commit

    def _over(self, name: str, attempt: Attempt, data: Mapping[str, Any], when: str) -> None:
        node = self.node(name)
        attempt.ended, attempt.how = when, _told(data)
        attempt.free = data.get("free") is True
        if merged := data.get("merged"):
            node.merged = self.head = str(merged)
            self.unmerged.pop((name, attempt.number), None)
        failed = data.get("event") == NodeEvent.FAILED.value
        node.reason = str(data.get("reason", "")) if failed else ""

    def _given_up(self, data: Mapping[str, Any], when: str) -> None:
        node = self.node(str(data["node"]))
        node.last, node.last_at = f"given up: {data.get('reason', '')}", when

    def _close(self, name: str, attempt: Attempt) -> None:
        attempt.closed, attempt.stopped = True, self.stopping is not None
        self.open_attempts.pop(name, None)
        self.orders = [each for each in self.orders if each.node != name]

    def _heard(self, data: Mapping[str, Any], when: str) -> None:
        name = data.get("node")
        if not isinstance(name, str) or not name:
            return
        node = self.node(name)
        attempt = self.attempt(name, data.get("attempt"))
        node.hear(attempt, str(data.get("type", "")), when)
        if attempt is None:
            return
        match data.get("type"):
            case "AGENT_REGISTERED":
                attempt.session_id = str(data.get("session_id") or "")
                attempt.blindness = str(data.get("blindness") or "")
            case "VIOLATION":
                attempt.violations += 1
                attempt.violation = str(data.get("text") or "")
            case "ORCHESTRATOR_STUCK":
                attempt.stuck += 1
                attempt.handed_back += data.get("rung") == HAND_BACK
            case "ORCHESTRATOR_CRASHED":
                attempt.crashes += 1
            case _:
                pass
        if data.get("closed") is True:
            self._close(name, attempt)

    def _closed(self, data: Mapping[str, Any], when: str) -> None:
        del when
        attempt = self.attempt(str(data["node"]), data.get("attempt"))
        if attempt is not None:
            _note_written(attempt, data)
            self._close(str(data["node"]), attempt)

    def _task(self, data: Mapping[str, Any], when: str) -> None:
        name = str(data["task"])
        about = dict(data.get("about", {}))
        attempt = int(data.get("attempt", 0))
        node, reserved = str(data.get("node", "")), int(data.get("reserved") or 0)
        self.tasks[name] = Task(name, data["kind"], node, attempt, about, when, reserved)
        self.tasks_begun += 1
        if reserved:
            self.rests_for_room = 0

    def _task_ended(self, data: Mapping[str, Any], when: str) -> None:
        name = str(data.get("node") or "")
        node = self.of(name)
        if not name:
            kind = str(data.get("task", "")).rpartition("-")[0]
            self._note(str(data.get("what", "")), when, kind)
        node.retry_at, node.retry_from = float(data.get("retry_at") or 0.0), when
        node.retry_why = str(data.get("what") or "")
        node.no_verdicts += data.get("no_verdict") is True
        node.free_tries += data.get("free") is True
        for what in data.get("noted", ()):
            self._note(str(what), when, name)
        if isinstance(remembered := data.get("remembered"), int):
            node.remembered = remembered
        if isinstance(looked := data.get("looked_back"), Mapping):
            self._looked_back(looked, when)
        if node.attempt is not None:
            self._learn(name, node.attempt, data, when)

    def _looked_back(self, said: Mapping[str, Any], when: str) -> None:
        self.looks_back.append({"nodes": [], "why": "", **said, "at": when})

    def _grown(self, data: Mapping[str, Any], when: str) -> None:
        self.changes.append({**data, "at": when})
        if self.rubric is not None:
            # Where the sealed rubric has scenarios for a node, it is judged by these.
            scope = self.rubric["scope"] or {}
            new = {k: text for k, text in data.get("acceptance", {}).items() if not scope.get(k)}
            self.rubric = {**self.rubric, "acceptance": {**self.rubric["acceptance"], **new}}
        name = str(data["node"])
        node = self.node(name)
        node.said()
        node.retry_at = 0.0
        if data["why"] == REPLAN:
            node.replanned += 1
            node.forgiven = len(node.attempts)
            node.feedback = ""
        else:
            names = list(data["change"]["nodes"])
            self._looked_back({"round": data["round"], "outcome": "added", "nodes": names}, when)

    def _paused(self, data: Mapping[str, Any], when: str) -> None:
        self.rests_for_room += data.get("room") is True
        self.pauses.append(Pause(when, str(data["until"]), str(data.get("why", ""))))

    def _asked(self, data: Mapping[str, Any], when: str) -> None:
        name = str(data["id"])
        self.decisions[name] = Decision(
            id=name,
            node=str(data.get("node", "")),
            attempt=int(data.get("attempt", 0)),
            kind=str(data["kind"]),
            question=str(data["question"]),
            options=tuple(data["options"]),
            default=str(data.get("default", "")),
            deadline=str(data.get("deadline", "")),
            asked_at=when,
            context=str(data.get("context", "")),
            commit=str(data.get("commit", "")),
        )

    def _answered(self, data: Mapping[str, Any], when: str) -> None:
        decision = self.decisions[str(data["id"])]
        decision.option, decision.note = str(data["option"]), str(data.get("note", ""))
        decision.by, decision.answered_at = str(data.get("by", "")), when

    def _stopping(self, data: Mapping[str, Any], when: str) -> None:
        del when
        self.stopping = dict(data)

    def _ended(self, data: Mapping[str, Any], when: str) -> None:
        self.ended, self.ended_at = dict(data), when

    def _noted(self, data: Mapping[str, Any], when: str) -> None:
        self._note(str(data.get("what", "")), when, str(data.get("node") or ""))

    def _note(self, what: str, when: str, about: str = "") -> None:
        """Note what is said of the run as a whole; what is told again and again, once."""
        if what and all(what != known.what for known in self.notes):
            self.notes.append(Note(when, what, about))


# Each event, and the method that takes it in.
_HANDLERS: Final = {
    RunEvent.NODE_MOVED.value: "_moved",
    StoryEvent.RUN_STARTED.value: "_started",
    StoryEvent.RUN_RESUMED.value: "_resumed",
    StoryEvent.RUBRIC_SEALED.value: "_sealed",
    StoryEvent.SIGNAL_HEARD.value: "_heard",
    StoryEvent.TASK_BEGUN.value: "_task",
    StoryEvent.TASK_ENDED.value: "_task_ended",
    StoryEvent.DECISION_ASKED.value: "_asked",
    StoryEvent.DECISION_ANSWERED.value: "_answered",
    StoryEvent.ATTEMPT_CLOSED.value: "_closed",
    StoryEvent.STOPPING.value: "_stopping",
    StoryEvent.RUN_ENDED.value: "_ended",
    StoryEvent.NOTED.value: "_noted",
    StoryEvent.GRAPH_CHANGED.value: "_grown",
    StoryEvent.PAUSED.value: "_paused",
    RunEvent.NODE_GIVEN_UP.value: "_given_up",
}


_AGAIN: Final = frozenset({NodeEvent.REOPENED.value, NodeEvent.REQUEUED.value})
_ENDS: Final = frozenset(
    each.value for each in (NodeEvent.PASSED, NodeEvent.GATE_PASSED, NodeEvent.FAILED)
)


def _begins(data: Mapping[str, Any]) -> bool:
    return data.get("event") == NodeEvent.DISPATCHED.value


def _learn(node: NodeStory, attempt: Attempt, data: Mapping[str, Any], when: str) -> None:
    """Take in what an entry says of the work itself."""
    attempt.commit = str(data.get("commit") or attempt.commit)
    _note_written(attempt, data)
    if isinstance(verdict := data.get("verdict"), Mapping):
        node.verdicts.append({**verdict, "attempt": attempt.number, "at": when})
        node.said()
    if isinstance(output := data.get("output"), str):
        node.output = output
    if isinstance(feedback := data.get("feedback"), str) and not _begins(data):
        node.feedback = feedback


def _note_written(attempt: Attempt, data: Mapping[str, Any]) -> None:
    if isinstance(wrote := data.get("wrote"), bool):
        attempt.wrote = wrote or bool(attempt.wrote)


def _told(data: Mapping[str, Any]) -> str:
    reason = data.get("reason")
    return f"{data.get('event')}: {reason}" if reason else str(data.get("event"))


def read(entries: Iterable[Recorded]) -> Story:
    """Return the story that these entries tell, which are a journal from its beginning."""
    story = Story()
    for entry in entries:
        story.apply(entry)
    return story
