"""What a screen shows of a run: a row for each node, a total, and what to do next. Pure.

Made from the story, the graph, what is known of the nodes at this moment (`Live`), and the time.
Whether only a person is waited for is a guess from the journal: between two of its entries the
Guardian may be about to do something, so whoever acts on it looks twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, final

from attractor.pipeline.graph import Graph, NodeId
from attractor.run.fold import RunEvent
from attractor.run.journal import Entry
from attractor.run.node_story import REPLAN, NodeStory
from attractor.run.plan import Plan
from attractor.run.records import Decision
from attractor.run.rests import Cooling, Rest, rests
from attractor.run.states import RUNNING, NodeState
from attractor.run.story import BUDGETED, COUNTED, Story, StoryEvent
from attractor.run.times import seconds_of, shown

STOPPED: Final = "stopped"
_STOPS: Final = frozenset({STOPPED, "budget"})
WAITING: Final = 3
"""The exit status when nothing moves until a person decides."""
_MOST_WHAT: Final = 300
_DOING: Final = {
    "rubric": "the rubric is being written",
    "validate": "is being judged",
    "review": "is being reviewed",
    "merge": "is being merged",
    "tool": "its command runs",
    "answer": "a question is being answered",
    "books": "beads and promise are being told",
    "hook": "the command for the end runs",
    "remember": "what was learnt is being kept",
    "replan": "is being planned again",
    "retrospect": "somebody looks back",
}


@final
class Live(NamedTuple):
    """What a node's own files say at this moment; the journal learns of it later, or never."""

    attempt: int = 0
    last: str = ""
    last_at: str = ""
    usage: Mapping[str, Any] = {}
    cooling: Cooling | None = None


@final
class News(NamedTuple):
    """One entry of the journal, as it is told in one line."""

    at: str
    event: str
    node: str
    state: str
    attempt: int
    what: str
    """What happened, in words."""

    def as_json(self) -> dict[str, Any]:
        """Return the object that scripts get."""
        return {key: value for key, value in self._asdict().items() if value not in ("", 0)}


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One node."""

    node: str
    handler: str
    state: str
    attempt: int
    seconds: float | None
    """How long it has been under way, or was; None before it began."""
    last: str
    tokens: int
    cost: float
    stopped: bool = False
    """It has failed only because the run was ended, and goes on with it."""

    @property
    def shown(self) -> str:
        """Return where it stands, as people are told."""
        return STOPPED if self.stopped else self.state

    def as_json(self) -> dict[str, Any]:
        """Return the object that scripts get."""
        named = {name: getattr(self, name) for name in Row.__slots__}
        return named | {"cost": round(self.cost, 6)}


@final
@dataclass(frozen=True, slots=True)
class Card:
    """What a person is asked, and how it is answered."""

    id: str
    node: str
    question: str
    options: tuple[str, ...]
    default: str
    deadline: str
    command: str

    def as_json(self) -> dict[str, Any]:
        """Return the object that scripts get."""
        return {name: getattr(self, name) for name in Card.__slots__}


@final
@dataclass(frozen=True, slots=True)
class View:
    """The whole run."""

    run_id: str
    rows: tuple[Row, ...]
    doing: str
    """What is done for no node."""
    seconds: float
    tokens: int
    cost: float
    cards: tuple[Card, ...] = ()
    rests: tuple[Rest, ...] = ()
    waiting: bool = False
    """Nothing moves until a person answers."""
    stopping: bool = False
    rehearsed: bool = False
    """The model is scripted, so that the cost is what its tokens would have cost."""
    ended: Mapping[str, Any] | None = field(default=None)

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes there are in each state, in the order of a node's life."""
        states = [row.state for row in self.rows]
        return {each.value: n for each in NodeState if (n := states.count(each.value))}

    @property
    def shown(self) -> dict[str, int]:
        """The same as people are told: what was stopped has not failed."""
        stopped = sum(row.stopped for row in self.rows)
        counts = {**self.counts, STOPPED: stopped}
        counts[NodeState.FAILED.value] = counts.get(NodeState.FAILED.value, 0) - stopped
        return {state: number for state, number in counts.items() if number}

    def as_json(self) -> dict[str, Any]:
        """Return the object that scripts get."""
        said = {
            "run": self.run_id,
            "nodes": [row.as_json() for row in self.rows],
            "counts": self.counts,
            "decisions": [card.as_json() for card in self.cards],
            "rests": [each.as_json() for each in self.rests],
            "seconds": round(self.seconds, 3),
            "tokens": self.tokens,
            "cost_usd": round(self.cost, 6),
            "waiting": self.waiting,
        }
        return said | ({"ended": dict(self.ended)} if self.ended is not None else {})


def view(story: Story, graph: Graph, live: Mapping[str, Live], now_ns: int) -> View:
    """Return what there is to show at this time."""
    run_id, story = str(story.request.get("run_id", "")), with_live(story, live)
    resting = resting_of(story, live, now_ns)
    words = {each.node: each.words for each in reversed(resting)}
    rows = tuple(
        _row(story, node.id, graph.handler(node), live.get(node.id, Live()), words, now_ns)
        for node in graph.nodes.values()
    )
    began = seconds_of(story.began_at)
    until = seconds_of(story.ended_at) or now_ns / 1e9
    tasks = story.tasks.values() if story.ended is None else ()
    doing = [_DOING.get(each.kind, each.kind) for each in tasks if not each.node]
    return View(
        run_id=run_id,
        rows=rows,
        doing=", ".join(dict.fromkeys([*doing, *(e.words for e in resting if not e.node)])),
        seconds=max(until - began, 0.0) if began else 0.0,
        tokens=story.tokens,
        cost=story.used("cost_usd"),
        cards=tuple(_card(each, run_id) for each in story.open_decisions()),
        rests=resting,
        waiting=waits_for_person(story, graph),
        stopping=story.stopping is not None,
        rehearsed=story.request.get("rehearsed") is True,
        ended=story.ended,
    )


def with_live(story: Story, live: Mapping[str, Live]) -> Story:
    """Return the story with what the nodes' own files know of the attempts under way.

    What is more is newer. So all that is shown of a run is counted in one way.
    """
    nodes = {}
    for name, each in live.items():
        node = story.nodes.get(name)
        if node is None or node.attempt is None or node.attempt.number != each.attempt:
            continue
        usage = {key: _amount(each.usage, key) for key in COUNTED if key in each.usage}
        if _size(usage) > _size(node.attempt.usage):
            attempt = replace(node.attempt, usage=usage)
            nodes[name] = replace(node, attempts=[*node.attempts[:-1], attempt])
    return replace(story, nodes={**story.nodes, **nodes}) if nodes else story


def _size(usage: Mapping[str, Any]) -> tuple[float, float]:
    return sum(_amount(usage, key) for key in BUDGETED), _amount(usage, "cost_usd")


def resting_of(story: Story, live: Mapping[str, Live], now_ns: int) -> tuple[Rest, ...]:
    """Return what rests at this time; a Runner speaks of the attempt that is its own."""
    cooling = {}
    for name, each in live.items():
        attempt = story.nodes[name].attempt if name in story.nodes else None
        if attempt is not None and not attempt.ended and attempt.number == each.attempt:
            cooling[name] = each.cooling
    return rests(story, cooling, now_ns)


def news(story: Story, entry: Entry) -> News:
    """Return what an entry says, which the story has taken in."""
    data = entry.data
    name = data.get("node")
    node = name if isinstance(name, str) else ""
    attempt = data.get("attempt")
    what = _what(story, entry.event, data)
    return News(
        at=entry.at,
        event=entry.event,
        node=node,
        state=story.state(node).value if node else "",
        attempt=attempt if isinstance(attempt, int) else 0,
        what=what[:_MOST_WHAT],
    )


def _what(story: Story, event: str, data: Mapping[str, Any]) -> str:
    told = _TOLD.get(event)
    if told is not None:
        return told(data)
    return f"the run begins, on {story.integration}" if event == StoryEvent.RUN_STARTED else ""


def _with(what: str, more: object) -> str:
    return f"{what}: {more}" if isinstance(more, str) and more else what


def _grown(data: Mapping[str, Any]) -> str:
    new = ", ".join((data.get("change") or {}).get("nodes") or ())
    if data.get("why") == REPLAN:
        return f"planned again, cut into {new} and itself" if new else "planned again"
    return f"{new} is added" if new else "nothing is added"


# What each event says in words, but for the first, which the story completes.
_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    RunEvent.NODE_MOVED: lambda data: _with(str(data.get("event", "")), data.get("reason")),
    StoryEvent.SIGNAL_HEARD: lambda data: _with(str(data.get("type", "")), data.get("text")),
    StoryEvent.TASK_BEGUN: lambda data: _DOING.get(str(data.get("kind")), str(data.get("kind"))),
    StoryEvent.TASK_ENDED: lambda data: str(data.get("what") or ""),
    StoryEvent.NOTED: lambda data: str(data.get("what") or ""),
    StoryEvent.DECISION_ASKED: lambda data: f"a person is asked: {data.get('question')}",
    StoryEvent.DECISION_ANSWERED: lambda data: (
        f"{data.get('by') or 'a person'} answered {data.get('option')}"
    ),
    StoryEvent.RUBRIC_SEALED: lambda data: f"the rubric is sealed, {_files(data)}",
    StoryEvent.STOPPING: lambda data: _with("the run is being ended", data.get("reason")),
    StoryEvent.RUN_ENDED: lambda data: _with(str(data.get("result", "")), data.get("reason")),
    StoryEvent.RUN_RESUMED: lambda data: _with("the run goes on", data.get("reason")),
    StoryEvent.GRAPH_CHANGED: lambda data: _with(_grown(data), data.get("reason")),
    StoryEvent.PAUSED: lambda data: _with(
        f"rests until {shown(str(data.get('until')))}", data.get("why")
    ),
    RunEvent.NODE_GIVEN_UP: lambda data: _with("given up", data.get("reason")),
    StoryEvent.ATTEMPT_CLOSED: lambda data: _with("the attempt is over", data.get("why")),
}


def _files(data: Mapping[str, Any]) -> str:
    number = len(data.get("files", ()))
    return f"{number} file{'s' * (number != 1)}"


def waits_for_person(story: Story, graph: Graph) -> bool:
    """Say whether the journal shows nothing that moves, and a decision that is open."""
    open_decisions = story.open_decisions()
    if not open_decisions or story.tasks or story.stopping or story.ended is not None:
        return False
    if story.rubric is None:
        return True
    asked = {each.node for each in open_decisions}
    running = [node for node in graph.nodes if story.state(node) in RUNNING]
    if any(node not in asked for node in running):
        return False
    most = story.request.get("max_parallel")
    if isinstance(most, int) and len(running) >= most:
        return True
    return not Plan(graph, _statuses(story, graph.nodes), story.core.outcomes).ready()


def _statuses(story: Story, nodes: Iterable[NodeId]) -> dict[NodeId, NodeState]:
    return {node: story.state(node) for node in nodes}


def _row(
    story: Story, node_id: str, handler: str, live: Live, resting: Mapping[str, str], now_ns: int
) -> Row:
    node = story.nodes.get(node_id) or NodeStory()
    attempt = node.attempt
    return Row(
        node=node_id,
        handler=handler,
        state=story.state(node_id).value,
        attempt=attempt.number if attempt else 0,
        seconds=_elapsed(node, now_ns),
        last=resting.get(node_id) or _last(story, node_id, node, live),
        tokens=int(sum(node.used(key) for key in BUDGETED)),
        cost=node.used("cost_usd"),
        stopped=is_stopped(story, node_id),
    )


def is_stopped(story: Story, name: str) -> bool:
    """Say whether a node has failed only because a person or a budget ended the run."""
    result = (story.ended or story.stopping or {}).get("result")
    attempt = story.nodes[name].attempt if name in story.nodes else None
    failed = story.state(name) is NodeState.FAILED and NodeId(name) not in story.core.outcomes
    return failed and attempt is not None and attempt.free and result in _STOPS


def _amount(usage: Mapping[str, Any], key: str) -> float:
    value = usage.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _elapsed(node: NodeStory, now_ns: int) -> float | None:
    if not node.attempts:
        return None
    # Between two attempts it is not under way.
    spans = ((seconds_of(e.began), seconds_of(e.ended) or now_ns / 1e9) for e in node.attempts)
    return sum(max(until - began, 0.0) for began, until in spans)


def _last(story: Story, node_id: str, node: NodeStory, live: Live) -> str:
    for task in story.tasks.values():
        if task.node == node_id:
            return _DOING.get(task.kind, task.kind)
    if any(each.node == node_id for each in story.open_decisions()):
        return "waits for a person"
    attempt = node.attempt
    fresh = attempt is not None and not attempt.ended and live.attempt == attempt.number
    return live.last if fresh and live.last_at > node.last_at else node.last


def _card(decision: Decision, run_id: str) -> Card:
    options = decision.options
    words = ["attractor", "answer", decision.id, options[0] if options else "TEXT"]
    return Card(
        id=decision.id,
        node=decision.node,
        question=decision.question,
        options=options,
        default=decision.default,
        deadline=decision.deadline,
        command=shlex.join([*words, "--run", run_id] if run_id else words),
    )


def duration(seconds: float | None) -> str:
    """Return a length of time as a screen shows it: 0:07, 12:34, 1:02:03."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(amount: int) -> str:
    """Return a number of tokens as a screen shows it: 950, 12.3k, 4.5M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if amount >= size:
            return f"{amount / size:.1f}{unit}"
    return str(amount)
