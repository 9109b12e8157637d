"""A run in memory: all that a Guardian's loop touches, and what must be true of its journal.

Real: the loop, the core, the plan, the story. Fake: the disk, mailboxes, processes and time. What
is on a `House` outlives a Guardian; `life` says which Guardian may still touch it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.agents.answer import Answer
from attractor.errors import StorageError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, NodeId, build
from attractor.run.fold import RunEvent
from attractor.run.growth import LATER, Change, grown
from attractor.run.journal import Entry
from attractor.run.limits import Limits
from attractor.run.records import Order
from attractor.run.request import Request
from attractor.run.reviews import closing
from attractor.run.roles import Role, role
from attractor.run.states import DONE, RUNNING, NodeEvent, NodeState
from attractor.run.story import Story, StoryEvent, read
from attractor.spawn import own_command
from guardian import assemble as assembly
from guardian.children import Result
from guardian.core import Core
from guardian.ending import give_again
from guardian.hearing import Heard
from guardian.loop import Loop
from guardian.reviewing import next_reviewer
from guardian.terms import Terms

NANOSECONDS = 1_000_000_000
AT_ONCE = 500
BUSY = frozenset({Role.WORK, Role.TOOL, Role.CHECK, Role.JUDGE})


def _nothing(*_: object) -> None:
    """Stand in for what nobody asked for."""


class Killed(BaseException):
    """SIGKILL of the Guardian: no cleanup of its own may run."""


class Times:
    """Two clocks that move when told to; the wall's may be set."""

    def __init__(self) -> None:
        # Sixty-fourths of a second are exact as floats and as microseconds.
        self.ticks = 0
        self.offset = 1_772_000_000

    def wall_ns(self) -> int:
        return self.offset * NANOSECONDS + self.ticks * 15_625_000

    def wall(self) -> float:
        return self.wall_ns() / NANOSECONDS

    def monotonic(self) -> float:
        return self.ticks / 64

    def reach(self, at: float) -> None:
        self.ticks = max(self.ticks, int(at * 64) + (at * 64 != int(at * 64)))

    def advance(self, seconds: float) -> None:
        self.reach(self.monotonic() + seconds)


@dataclass
class Doing:
    """A task that runs."""

    spec: dict[str, Any]
    deadline: float
    dead: bool = False


class House:
    """What one run has outside of its Guardian."""

    def __init__(
        self,
        dot: str,
        limits: Mapping[str, Limits] | None = None,
        terms: Mapping[str, Any] | None = None,
        **asked: Any,
    ) -> None:
        self.dot = dot
        self.times = Times()
        self.limits = limits or {}
        self.more = terms or {}
        """What the terms of every node say, beside."""
        self.graph, self.terms = self.grown(())
        self.request = Request(
            run_id="r", project="/p", run_root="/p/r", pipeline="/p/r.dot", base_commit="base",
            **asked,
        )  # fmt: skip
        self.journal: list[Entry] = []
        self.inbox: dict[str, Heard] = {}
        self.letters = 0
        self.mail: dict[str, list[tuple[str, Order]]] = {}
        self.terminal: dict[str, Order] = {}
        self.sent = 0
        self.answers: dict[str, Any] = {}
        self.assigned: dict[str, int] = {}
        self.runners: dict[str, int] = {}
        self.births = 0
        self.tasks: dict[str, Doing] = {}
        self.began: list[str] = []
        self.shown: dict[NodeId, NodeState] = {}
        self.final: str = ""
        self.short = ""
        """What is to be said of the disk, where it is nearly full."""
        self.life = 0
        self.audit = Auditor(self)
        self.loop: Loop | None = None
        # What a simulation does at each operation, and what the world does about effects.
        self.point: Callable[[str], None] = _nothing
        self.cut: Callable[[int], int | None] = _nothing
        self.on_task: Callable[[str, dict[str, Any]], None] = _nothing
        self.on_runner: Callable[[str], None] = _nothing
        self.on_order: Callable[[str], None] = _nothing
        self.on_end_session: Callable[[str], None] = _nothing

    def grown(self, changes: Iterable[Mapping[str, Any]]) -> tuple[Graph, dict[str, Terms]]:
        """Do as `guardian.assemble` with the graph and its terms."""
        made = [Change.from_json(each["change"]) for each in changes]
        graph = build(parse(grown(self.dot, "r.dot", made)))
        given = self.limits
        return graph, {
            str(node.id): Terms(
                role=role(graph, node),
                checks=("make test",),
                limits=given.get(str(node.id), given.get("", Limits())),
                later=bool(node.attrs.get(LATER)),
                **self.more,
            )
            for node in graph.nodes.values()
        }

    # The Guardian

    def guardian(self) -> Loop:
        """Start one; the one before, if it lives, is dead from now on."""
        self.life += 1
        self.tasks = {}
        life = self.life
        self.loop = Loop(
            lambda: self._opened(life), FakeLetters(self), FakeProcesses(self), FakeDesk(self),
            self.times,
        )  # fmt: skip
        return self.loop

    def _opened(self, life: int) -> tuple[Record, Core]:
        """Do as `guardian.assemble.opened`."""
        if life != self.life:
            raise Killed
        self.point("open")
        asked = self.request
        record = Record(self, life)
        story = read(self.journal)
        self.graph, self.terms = self.grown(story.changes)

        def add(events: Iterable[tuple[str, dict[str, Any]]]) -> None:
            for entry in record.append_all(events):
                story.apply(entry)

        add(assembly._introduction(self.graph, asked.layout, asked, story))
        if asked.as_json() != story.request:
            core = Core(self.graph, self.terms, asked, story, assembly._iso)
            core.now = self.times.wall()
            give_again(core)
            record.append_all(core.take())
            add([(StoryEvent.RUN_RESUMED.value, {"request": asked.as_json(), "pid": 1})])
        elif story.ended is None and story.tasks_begun:
            add([(StoryEvent.NOTED.value, {"what": f"began again {life}"})])
        if story.ended is None:
            self.final = ""
        return record, Core(self.graph, self.terms, asked, story, assembly._iso)

    def resume(self, **changed: Any) -> None:
        """Do as a person who resumes; the next Guardian finds it."""
        self.request = replace(self.request, resumes=self.request.resumes + 1, **changed)

    # The world

    def deliver(self, signal: Heard) -> None:
        self.letters += 1
        self.inbox[f"{self.letters:09}"] = signal

    def story(self) -> Story:
        """Return what the disk says."""
        return self.audit.story

    def finish(self, name: str, said: Any) -> None:
        """Have a task answer; None: it dies without a word."""
        if said is None:
            self.tasks[name].dead = True
        else:
            self.answers[name] = json.loads(json.dumps(said))


class Record:
    """The journal: what append_all returned is there; a crash may cut a batch."""

    def __init__(self, house: House, life: int) -> None:
        self.house, self.life = house, life

    def append_all(self, batch: Iterable[tuple[str, dict[str, Any]]]) -> list[Entry]:
        house, made = self.house, list(batch)
        if self.life != house.life:
            raise Killed
        house.point("append")
        keep = house.cut(len(made))
        entries = []
        for event, data in made[:keep]:
            seq = len(house.journal) + 1
            at = assembly._iso(house.times.wall())
            entry = Entry(seq, at, event, json.loads(json.dumps(data)), "", "")
            house.journal.append(entry)
            entries.append(entry)
            house.audit.take(entry)
        if keep is not None:
            raise Killed
        if made:
            house.point("appended")
        return entries


class FakeLetters:
    """See `guardian.post`."""

    folder = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sent = house.sent

    def heard(self) -> list[tuple[str, Heard]]:
        self.house.point("heard")
        return list(self.house.inbox.items())[:AT_ONCE]

    def acknowledge(self, names: Sequence[str]) -> None:
        for name in names:
            self.house.point("acknowledge")
            del self.house.inbox[name]
        if names:
            self.house.point("acknowledged")

    def send(self, orders: Sequence[Order], notices: Sequence[Order], seq: int) -> None:
        house = self.house
        due = [each for each in (*orders, *notices) if each.seq > self.sent]
        for each in due:
            house.point("send")
            assert each.seq <= len(house.journal), "an order was sent before its entry was durable"
            name = f"{each.seq}-{each.place}-{each.type}"
            if each.node:
                box = house.mail.setdefault(each.node, [])
                if all(name != known for known, _ in box):
                    box.append((name, each))
                    house.on_order(each.node)
            else:
                house.terminal[name] = each
        if due:
            house.point("sent")
            house.sent = seq
        self.sent = seq


class FakeProcesses:
    """See `guardian.children`."""

    folder = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.left = set(house.answers)

    def runner_lives(self, node: str) -> bool:
        return node in self.house.runners

    def start_runner(self, node: str) -> None:
        house = self.house
        house.point("runner")
        assert node not in house.runners, "a second Runner"
        attempt = house.assigned[node]
        story = house.story()
        assert story.open_attempts.get(node) == attempt, "a Runner for what is not dispatched"
        house.births += 1
        house.runners[node] = house.births
        house.on_runner(node)
        house.point("runner started")

    def forget_runner(self, node: str) -> None:
        assert node not in self.house.story().open_attempts

    def runs(self, name: str) -> bool:
        return name in self.house.tasks

    def running(self) -> list[str]:
        return list(self.house.tasks)

    def start(self, name: str, spec: Mapping[str, Any], seconds: float) -> None:
        house = self.house
        house.point("task")
        assert name in house.story().tasks, "a task that is not in the journal"
        said = json.loads(json.dumps(spec))
        merging = [each for each in house.tasks.values() if each.spec["kind"] == "merge"]
        assert not merging or said["kind"] != "merge", "two merges at once"
        house.answers.pop(name, None)
        house.tasks[name] = Doing(said, house.times.monotonic() + seconds)
        house.began.append(name)
        house.on_task(name, said)
        house.point("task started")

    def results(self, names: Iterable[str]) -> list[Result]:
        house, now = self.house, self.house.times.monotonic()
        looked = {*names, *house.tasks, *self.left} & house.answers.keys()
        found = [Result(name, house.answers[name]) for name in sorted(looked)]
        found += [
            Result(name, None if each.dead else {"error": "it gave no answer in time"})
            for name, each in house.tasks.items()
            if name not in house.answers and (each.dead or now > each.deadline)
        ]
        return found

    def consume(self, name: str) -> None:
        self.house.point("consume")
        self.end(name)
        self.house.answers.pop(name, None)
        self.left.discard(name)

    def end(self, name: str) -> None:
        self.house.tasks.pop(name, None)
        self.house.point("end")

    def fds(self) -> tuple[int, ...]:
        return ()

    def seconds_left(self) -> float | None:
        now = self.house.times.monotonic()
        return min((each.deadline - now for each in self.house.tasks.values()), default=None)


class FakeDesk:
    """See `guardian.desk`."""

    def __init__(self, house: House) -> None:
        self.house = house

    def assign(self, core: Core, node: str, attempt: int) -> None:
        house = self.house
        if house.assigned.get(node) != attempt:
            house.point("assign")
            assert house.story().open_attempts.get(node) == attempt, "assigned before dispatched"
            assert core.story.attempt(node, attempt) is not None
            house.assigned[node] = attempt

    def short(self) -> str:
        return str(self.house.short)

    def show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        self.house.point("show")
        self.house.shown = dict(statuses)

    def tell(self, core: Core) -> None:
        """Views are looked at elsewhere."""

    def end_session(self, node: str) -> None:
        self.house.point("end session")
        assert node not in self.house.runners
        self.house.on_end_session(node)

    def conclude(self, core: Core) -> None:
        self.house.point("conclude")
        assert core.story.ended is not None
        self.house.final = self.house.final or str(core.story.ended["result"])


class Auditor:
    """The invariants, checked at each entry as it reaches the disk."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.story = Story()
        self.used: set[str] = set()
        self.passed: set[tuple[str, int]] = set()
        self.merges: dict[str, str] = {}
        """What was validated, and in which merge it is."""

    def take(self, entry: Entry) -> None:
        story, data = self.story, entry.data
        if story.ended is not None:
            self._after_end(entry)
        current = self._current(data)
        state = story.state(str(data.get("node", "")))
        self._signal(entry, current)
        self._task(entry)
        if entry.event == RunEvent.NODE_MOVED:
            getattr(self, f"_{data['event']}", self._moved)(data, current)
        if entry.event == StoryEvent.DECISION_ANSWERED:
            decision = story.decisions[data["id"]]
            assert decision.open, "answered twice"
            assert not decision.options or data["option"] in decision.options, "no such option"
        story.apply(entry)
        if entry.event == StoryEvent.RUN_ENDED:
            self._ended(data)
        if entry.event == RunEvent.NODE_MOVED and data["to"] == "active" != state.value:
            self._places()

    def _signal(self, entry: Entry, current: Any) -> None:
        data = entry.data
        if not (signal_id := data.get("signal_id")):
            return
        assert signal_id not in self.used, f"{signal_id} was applied twice"
        self.used.add(signal_id)
        if "attempt" in data and entry.event != StoryEvent.STOPPING:
            assert current is not None
            assert current.number == data["attempt"], "a superseded attempt has an effect"
            assert not current.closed, "an attempt that is over has an effect"

    def _task(self, entry: Entry) -> None:
        open_, data = self.story.tasks, entry.data
        if task := data.get("task"):
            assert (task in open_) is (entry.event != StoryEvent.TASK_BEGUN), f"{task} twice"
        merging = {each.id for each in open_.values() if each.kind == "merge"}
        if entry.event == StoryEvent.TASK_BEGUN and data["kind"] == "merge":
            assert not merging, "two merges"
        dropped = merging & set(data.get("dropped", ()))
        assert not dropped, "a merge was dropped: nobody knows where the branch stands"

    def _current(self, data: Mapping[str, Any]) -> Any:
        name = data.get("node")
        return self.story.node(name).attempt if isinstance(name, str) and name else None

    def _after_end(self, entry: Entry) -> None:
        event = entry.data.get("event")
        again = event == NodeEvent.REQUEUED.value or entry.event == RunEvent.NODES_ADDED
        assert again or entry.event == StoryEvent.RUN_RESUMED, f"{entry.event} after the end"

    def _moved(self, data: Mapping[str, Any], current: Any) -> None:
        pass

    def _dispatched(self, data: Mapping[str, Any], current: Any) -> None:
        story, name = self.story, data["node"]
        assert story.rubric is not None, "dispatched before the rubric was sealed"
        assert story.stopping is None, "dispatched while the run is stopping"
        node = story.node(name)
        assert data["attempt"] == (current.number + 1 if current else 1)
        if current is not None:
            assert current.closed, f"{name} is dispatched while something of it is left"
        terms = self.house.terms[name]
        if terms.role is Role.WORK:
            most = terms.limits.max_attempts
            assert node.charged < most, f"{name}: more than {most} attempts are charged"
            assert data["base"] in (story.head, current.base if current else None)

    def _places(self) -> None:
        story, terms = self.story, self.house.terms
        busy = {
            name for name, each in terms.items()
            if each.role in BUSY and story.state(name) in RUNNING
        } | {name for name in story.open_attempts if terms[name].role is Role.WORK}  # fmt: skip
        most = story.request["max_parallel"]
        assert len(busy) <= most, f"{sorted(busy)} at once, and {most} may be"

    def _passed(self, data: Mapping[str, Any], current: Any) -> None:
        node = self.story.node(data["node"])
        verdict = node.verdicts[-1]
        assert len(node.verdicts) > node.since, "passed without a verdict on what was handed in"
        assert verdict["outcome"] == "passed"
        assert verdict["commit"] == current.commit
        assert verdict["attempt"] == current.number == data["attempt"]
        self._reviewed(node, data["node"], current)
        self._merged(data, current)

    def _reviewed(self, node: Any, name: str, current: Any) -> None:
        named = self.house.terms[name].review
        reviews = node.reviews[node.reviews_since :]
        assert all(each["commit"] == current.commit for each in reviews)
        decided = any(
            (each.node, each.commit, each.option) == (name, current.commit, "merge it")
            for each in self.story.decisions.values()
        )
        if named and not decided:
            assert not next_reviewer(named, reviews), "merged without the reviews it needs"
            assert closing(reviews), "merged on the judge's word alone"

    def _merged(self, data: Mapping[str, Any], current: Any) -> None:
        done = (data["node"], current.number)
        assert done not in self.passed, "one attempt is merged twice"
        self.passed.add(done)
        self.merges[current.commit] = data["merged"]

    def _gate_passed(self, data: Mapping[str, Any], current: Any) -> None:
        story, name = self.story, data["node"]
        found = self.house.terms[name].role
        assert found is not Role.WORK, "work is validated without a verdict"
        if found in (Role.CHECK, Role.JUDGE):
            assert data["verdict"]["outcome"] == "passed"
            assert story.tasks[data["task"]].node == name
        elif found is Role.TOOL:
            assert story.tasks[data["task"]].kind in ("tool", "merge")
            if "merged" in data:
                self._merged(data, current)
        elif found is Role.PERSON:
            mine = [
                each for each in story.decisions.values()
                if each.node == name and each.attempt == current.number and each.kind == "gate"
            ]  # fmt: skip
            assert mine[-1].option == mine[-1].options[0]

    def _failed(self, data: Mapping[str, Any], current: Any) -> None:
        name = data["node"]
        assert data["attempt"] == current.number
        if self.house.terms[name].role is not Role.WORK:
            return
        reason, free = data["reason"], data.get("free") is True
        if "died again and again" in reason:
            assert free, f"{name} is charged for our own crash"
            return
        limits = self.house.terms[name].limits
        decided = {
            each.option
            for each in self.story.decisions.values()
            if (each.node, each.attempt) == (name, current.number)
        }
        given_up = "give up" in decided
        justified = (
            data.get("signal_id")  # its Runner said so
            or data.get("task")  # a judge, or a merge, said so
            or current.violations >= limits.max_violations
            or current.guided >= 2
            or given_up
        )
        if self.story.stopping is not None:
            assert free or justified, f"{name} is charged for the end of the run"
            kept = data["from"] != NodeState.IMPL_COMPLETE.value or justified
            assert kept, f"what {name} has handed in is thrown away because the run was ended"
            return
        if free:
            asked = "give it back" in decided or current.stopped or "nearly full" in reason
            assert asked, f"{name} is not charged, and nobody has asked for it"
            return
        assert justified, f"{name} is charged without a cause: {reason}"

    def _ended(self, data: Mapping[str, Any]) -> None:
        story, terms = self.story, self.house.terms
        done = [
            name for name, each in terms.items()
            if each.role is Role.EXIT and story.state(name) in DONE
        ]  # fmt: skip
        if story.stopping is None:
            assert (data["result"] == "validated") is bool(done)
            assert data["result"] in ("validated", "failed")
        else:
            assert data["result"] == story.stopping["result"]
        working = [name for name in story.open_attempts if terms[name].role is Role.WORK]
        assert not working, "the run ended while sessions go on"

    def agrees(self, core: Core) -> None:
        """Say that a Guardian that goes on decides on what the disk says, and on nothing else."""
        assert self.house.loop is not None
        if core.made or self.house.loop._ahead:
            return
        mine, told = read(self.house.journal), core.story
        told = replace(told, nodes={key: each for key, each in told.nodes.items() if each.attempts})
        mine = replace(mine, nodes={key: each for key, each in mine.nodes.items() if each.attempts})
        assert mine == told


@pytest.fixture
def house() -> type[House]:
    return House


@pytest.fixture
def killed() -> type[Killed]:
    return Killed


@pytest.fixture
def full() -> Callable[[str], StorageError]:
    return lambda what: StorageError(f"no space left: {what}", where="disk", fix="make room")


# Tasks that ask an agent


@dataclass
class Answering:
    """Stands in for an agent: answers in turn, and keeps what it was asked and could see."""

    answers: list[Answer]
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    seen: list[set[str]] = field(default_factory=list)

    def __call__(self, _: Mapping[str, Any], **parts: Any) -> Answer:
        self.asked.append(parts)
        self.seen.append(set(os.listdir(parts["cwd"])))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def answering() -> Callable[..., Answering]:
    """`answering(answer, ...)`: an agent that says this in turn, the last again and again."""
    return lambda *answers: Answering(list(answers))


@pytest.fixture
def by_claude(tmp_path: Path) -> Callable[..., Any]:
    """`by_claude(server, made, ...)`: what a task answers, a process, with the real Claude Code."""
    claude = tools.find_claude()
    if claude is None:
        pytest.skip("there is no claude here: install the sdk extra")

    def run(server: Any, made: Any, *, env: Mapping[str, str] | None = None, **said: Any) -> Any:
        more = {"rehearsed": True, "base_url": server.base_url, "claude": claude}
        spec, out = tmp_path / "task.spec", tmp_path / "task.json"
        spec.write_text(json.dumps(made.spec(request={**made.request.as_json(), **more}, **said)))
        argv = own_command("guardian.task", str(spec), str(out))
        subprocess.run(argv, check=True, timeout=90, cwd=sys.prefix, env=env)
        return json.loads(out.read_text())

    return run
