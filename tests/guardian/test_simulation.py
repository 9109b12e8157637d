"""Thousands of runs in simulated time: random graphs, orders, faults, and crashes of any layer.

A run is told by its seed alone: ATTRACTOR_SEED=123 runs that one. ATTRACTOR_FULL=1 runs thousands.
What must be true at each step is in conftest.py (`Auditor`); what must be true of a whole run is in
`Simulation.judge`. A calm world has crashes, stops, full disks, duplicates and silent deaths, but
nobody in it does anything wrong: all of it must end well, and no attempt may be charged.
"""

from __future__ import annotations

import heapq
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from attractor.errors import StorageError, ToolError
from attractor.pipeline.lint import Severity, lint
from attractor.run.limits import Limits
from attractor.run.roles import Role
from attractor.run.states import DONE, NodeState
from guardian.hearing import Heard

WORLDS = 400
FULL_WORLDS = 6_000
CHUNKS = 8
MOST_STEPS = 30_000
MOST_SECONDS = 60 * 86_400.0
NEWS = ("NODE_COMPLETE", "AGENT_CRASHED", "AGENT_TERMINATED", "VALIDATION_COMPLETE")


# Graphs


class Drawing:
    """A random pipeline: stretches one behind the other, some with branches or ways back."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.nodes: dict[str, str] = {"start": 'handler="start", shape=Mdiamond'}
        self.edges: list[str] = []
        self.back: dict[str, str] = {}
        self.at = "start"
        self.condition = ""
        for _ in range(rng.randint(1, 4)):
            rng.choice((self.chain, self.branches, self.decision, self.decision, self.repair))()
        self.go(self.add("finish", 'handler="exit", shape=Msquare'))

    def text(self) -> str:
        about = 'promise_id="p1"; ' if self.rng.random() < 0.1 else ""
        nodes = [f"{name} [{attrs}];" for name, attrs in self.nodes.items()]
        return f"digraph g {{ {about}{' '.join([*nodes, *self.edges])} }}"

    def add(self, name: str, attrs: str) -> str:
        self.nodes[name] = attrs
        return name

    def edge(self, source: str, target: str, condition: str = "") -> None:
        said = f' [condition="{condition}"]' if condition else ""
        self.edges.append(f"{source} -> {target}{said};")

    def go(self, target: str) -> None:
        self.edge(self.at, target, self.condition)
        self.at, self.condition = target, ""

    def step(self, *, work: bool = False) -> str:
        count = len(self.nodes)
        kind = "work" if work else self.rng.choice(("work", "work", "work", "tool", "gate"))
        if kind == "work":
            bead = f', bead_id="B-{count}"' if self.rng.random() < 0.05 else ""
            return self.add(f"w{count}", f'handler="codergen", shape=box{bead}')
        if kind == "tool":
            return self.add(f"t{count}", 'handler="tool", shape=box, command="true"')
        return self.gate()

    def gate(self) -> str:
        count = len(self.nodes)
        gate = self.rng.choice(("unit", "technical", "business", "business"))
        handler = "wait.human" if gate == "business" else "wait.system3"
        late = ', default="approve", deadline="10m"' if self.rng.random() < 0.3 else ""
        more = ', options="approve,reject,later"' if self.rng.random() < 0.3 else ""
        extra = f"{late}{more}" if gate == "business" else ""
        key = "gate_type" if gate == "unit" else "gate"
        return self.add(f"g{count}", f'handler="{handler}", shape=hexagon, {key}="{gate}"{extra}')

    def chain(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.go(self.step())

    def branches(self) -> None:
        fork = self.add(f"f{len(self.nodes)}", 'handler="parallel", shape=parallelogram')
        self.go(fork)
        ends = []
        for _ in range(self.rng.randint(2, 4)):
            self.at = fork
            if self.rng.random() < 0.2 and len(self.nodes) < 20:
                self.decision()
            for _ in range(self.rng.randint(1, 2)):
                self.go(self.step(work=self.rng.random() < 0.6))
            ends.append(self.at)
        join = self.add(f"j{len(self.nodes)}", 'handler="parallel", shape=parallelogram')
        for each in ends:
            self.edge(each, join)
        self.at = join

    def decision(self) -> None:
        """A diamond whose "fail" leads back to where this stretch began."""
        if self.condition:
            self.chain()
        before = self.step(work=True)
        self.go(before)
        if self.rng.random() < 0.5:
            self.rng.choice((self.chain, self.branches))()
        self.go(self.gate())
        diamond = self.diamond()
        back = before if self.rng.random() < 0.8 else self.at
        self.go(diamond)
        self.edge(diamond, back, "fail")
        self.back[diamond] = f"the way from {diamond} back to {back}"
        self.condition = "pass"

    def repair(self) -> None:
        """A diamond whose "fail" leads forward, over a node of its own."""
        if self.condition:
            self.chain()
        self.go(self.rng.choice((self.gate, self.step))())
        diamond = self.diamond()
        self.go(diamond)
        mend = self.step(work=True)
        self.edge(diamond, mend, "fail")
        meet = self.add(f"m{len(self.nodes)}", 'handler="parallel", shape=parallelogram')
        self.edge(diamond, meet, "pass")
        self.edge(mend, meet, "pass")
        self.at = meet

    def diamond(self) -> str:
        return self.add(f"d{len(self.nodes)}", 'handler="conditional", shape=diamond')


# The world


@dataclass
class Session:
    """What a Runner knows of one attempt; it outlives the Runner."""

    node: str
    attempt: int
    phase: str = "working"
    commits: int = 0
    obeyed: set[str] = field(default_factory=set)
    over: str = ""
    said: int = 0


class Simulation:
    """One world, from its seed."""

    def __init__(self, seed: int, house: type[Any], killed: type[BaseException]) -> None:
        self.seed, self.rng, self.killed = seed, random.Random(seed), killed
        rng = self.rng
        self.calm = rng.random() < 0.3
        self.person = self.calm or rng.random() < 0.9
        limits = Limits(
            max_attempts=rng.choice((1, 2, 3, 3, 4, 5)), max_violations=rng.randint(1, 3)
        )
        asked: dict[str, Any] = {"max_parallel": rng.randint(1, 4)}
        asked["retrospectives"] = rng.choice((0, 0, 1, 2))
        asked["budget_tokens_per_hour"] = rng.choice((None, None, None, rng.randint(4_100, 9_000)))
        if not self.calm:
            asked["budget_tokens"] = rng.choice((None, None, None, rng.randint(2_500, 9_000)))
            asked["node_budget_tokens"] = rng.choice((None, None, None, rng.randint(2_100, 5_000)))
            asked["auto_approve"] = rng.random() < 0.1
        terms = {
            "review": rng.choice(((), ("self",), ("self", "gemini", "codex"), ("gemini",))),
            "memory": rng.random() < 0.5,
            "replan": rng.random() < 0.5,
            "retry_models": rng.choice(((), ("two", ""), ("two", "three"))),
        }
        drawing = Drawing(rng)
        self.back = drawing.back
        self.house = house(drawing.text(), {"": limits}, terms, **asked)
        self.house.point, self.house.cut = self.point, self.cut
        self.house.on_task, self.house.on_runner = self.on_task, self.on_runner
        self.house.on_order, self.house.on_end_session = self.on_order, self.on_end_session
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.sessions: dict[tuple[str, int], Session] = {}
        self.in_order: dict[str, float] = {}
        self.sent: list[Heard] = []
        self.counted: Counter[str] = Counter()
        self.cursed = self._curse()
        self.futile = self._futile()
        self.skill = rng.choice((0.6, 0.8, 0.95))
        self.strict = rng.choice((10, 40, 80))
        self.deadly = rng.choice((0.0, 0.002, 0.01, 0.03))
        self.failing = rng.choice((0.0, 0.0, 0.003, 0.01))
        self.full_until = -1.0
        self.branch: list[tuple[str, str, str]] = []
        self.merge_of: dict[str, str] = {}
        self.unsure: set[str] = set()
        self.restarts = 0
        self.resumes = rng.randint(0, 2)
        self.stops = rng.choice((0, 0, 0, 1, 2))
        self.names = 0
        for _ in range(self.stops):
            self.after(rng.uniform(0, 400), self.stop_run)
        for _ in range(rng.choice((0, 0, 1, 2))):
            self.after(rng.uniform(0, 600), self.set_clock)
        if rng.random() < 0.1:
            self.after(rng.uniform(0, 100), self.flood)
        if rng.random() < 0.15:
            self.after(rng.uniform(0, 300), self.fill_disk)
        for _ in range(rng.choice((0, 0, 1, 3))):
            self.after(rng.uniform(0, 600), self.kill_now)

        if rng.random() < 0.15:
            self.after(rng.uniform(0, 300), self.shorten_disk)

    def _curse(self) -> set[str]:
        """Return nodes whose Runner dies whenever it is started."""
        if self.calm or self.rng.random() < 0.85:
            return set()
        work = [name for name, each in self.house.terms.items() if each.role is Role.WORK]
        return {self.rng.choice(work)} if work else set()

    def _futile(self) -> set[str]:
        """Return nodes whose sessions leave nothing behind, until they are planned again."""
        if self.calm or self.rng.random() < 0.6:
            return set()
        work = [name for name, each in self.house.terms.items() if each.role is Role.WORK]
        return {each for each in work if self.rng.random() < 0.5}

    # Time

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.names += 1
        at = self.house.times.monotonic() + seconds
        heapq.heappush(self.heap, (at, self.names, what))

    def pass_time(self) -> bool:
        """Go on to what is next; say whether there was anything but the slow look."""
        times, house, loop = self.house.times, self.house, self.house.loop
        now = times.monotonic()
        due = [self.heap[0][0]] if self.heap else []
        if loop is not None:
            if at := loop.core.next_at():
                due.append(now + max(0.0, at - times.wall()))
            if (left := seconds_left(house)) is not None:
                due.append(now + left + 0.1)
            if loop._failing_since is not None:
                due.append(now + 2.0)
        quiet = not due
        if quiet or self.rng.random() < 0.05:
            due.append(now + 15.0)
        times.reach(max(now, min(due)) + 1 / 64)
        while self.heap and self.heap[0][0] <= times.monotonic():
            heapq.heappop(self.heap)[2]()
        return not quiet

    def set_clock(self) -> None:
        hours = self.rng.choice((-26, -3, -1, -1, 1, 5))
        self.house.times.offset += hours * 3_600
        self.counted["clock set"] += 1

    # Faults of the Guardian and its disk

    def point(self, what: str) -> None:
        if self.rng.random() < self.deadly:
            self.counted[f"killed at {what}"] += 1
            raise self.killed
        full = self.house.times.monotonic() < self.full_until
        if what in ("append", "assign", "task", "send", "open") and (
            full or self.rng.random() < self.failing
        ):
            self.counted["disk full"] += 1
            if what == "task":
                raise ToolError("no process", where="here", fix="wait")
            raise StorageError("no space left", where="disk", fix="make room")

    def cut(self, count: int) -> int | None:
        if count and self.rng.random() < self.deadly * 3:
            self.counted["killed inside an append"] += 1
            return self.rng.randint(0, count)
        return None

    def fill_disk(self) -> None:
        self.full_until = self.house.times.monotonic() + self.rng.uniform(1, 500)

    def shorten_disk(self) -> None:
        """Leave too little room for what would begin, for some time."""
        self.counted["disk short"] += 1
        self.house.short = "the disk is nearly full"
        self.after(self.rng.uniform(1, 900), self.make_room)

    def make_room(self) -> None:
        self.house.short = ""

    def kill_now(self) -> None:
        if self.house.loop is not None:
            self.die("killed from outside")

    def die(self, how: str) -> None:
        self.counted[how] += 1
        self.house.loop = None
        self.house.life += 1
        self.house.tasks = {}  # they die with it, or are swept by the next
        self.restarts += 1

    # Signals

    def say(self, node: str, attempt: int | None, kind: str, **payload: Any) -> None:
        self.names += 1
        self.send(Heard(f"s{self.names}", kind, "runner", node, attempt, payload))

    def send(self, signal: Heard) -> None:
        """Deliver it in its node's order; sometimes again, and late."""
        self.sent.append(signal)
        at = max(self.rng.uniform(0, 2), self.in_order.get(signal.node, 0.0) - self.now())
        self.in_order[signal.node] = self.now() + at
        self.after(at, lambda: self.house.deliver(signal))
        if self.rng.random() < 0.1:
            self.counted["repeated"] += 1
            late = at + self.rng.choice((0.0, 1.0, self.rng.uniform(0, 600)))
            self.after(late, lambda: self.house.deliver(signal))

    def now(self) -> float:
        return self.house.times.monotonic()

    def flood(self) -> None:
        """Many signals at once, of attempts that are over, of nobody, and of no matter."""
        self.counted["flood"] += 1
        names = [*self.house.terms, "nobody"]
        for _ in range(self.rng.randint(100, 1_200)):
            self.names += 1
            node = self.rng.choice(names)
            kind = self.rng.choice((*NEWS, "GUIDANCE", "MERGE_READY", "NEEDS_REVIEW"))
            attempt = self.rng.choice((None, 0, 77))
            payload = {"commit_hash": "evil", "summary": "x"}
            self.house.deliver(Heard(f"f{self.names}", kind, "runner", node, attempt, payload))

    def stop_run(self) -> None:
        self.counted["stop"] += 1
        self.names += 1
        self.house.deliver(Heard(f"x{self.names}", "STOP_RUN", "terminal", "", None, {}))

    # Persons

    def look_at_decisions(self) -> None:
        """Answer some: also what was answered before, and with what is no option."""
        story = self.house.story()
        for each in list(story.decisions.values()):
            if not each.open and self.rng.random() < 0.95:
                continue
            options = each.options or ("in blue", "")
            option = options[0] if self.calm else self.rng.choice((*options, "wrong"))
            said = {"decision": each.id, "option": option, "note": self.rng.choice(("", "mind it"))}
            self.names += 1
            payload = {"node_id": each.node, "response": json.dumps(said)}
            kind = "INPUT_RESPONSE"
            self.send(Heard(f"p{self.names}", kind, "terminal", each.node, None, payload))

    # Runners

    def on_runner(self, node: str) -> None:
        birth = self.house.runners[node]
        self.after(self.rng.uniform(0.1, 3), lambda: self.act(node, birth))

    def on_order(self, node: str) -> None:
        if birth := self.house.runners.get(node):
            # Some are slow to end: what follows must wait for them.
            seconds = self.rng.uniform(0.1, 3 if self.rng.random() < 0.8 else 300)
            self.after(seconds, lambda: self.act(node, birth))

    def on_end_session(self, node: str) -> None:
        attempt = self.house.story().open_attempts[node]
        session = self.sessions.setdefault((node, attempt), Session(node, attempt))
        session.over = "ended by the Guardian"
        self.counted["sessions ended"] += 1

    def act(self, node: str, birth: int) -> None:
        """Let a Runner do one thing."""
        if self.house.runners.get(node) != birth:
            return
        attempt = self.house.assigned[node]
        session = self.sessions.setdefault((node, attempt), Session(node, attempt))
        if node in self.cursed or self.rng.random() < 0.03:
            self.counted["Runner died"] += 1
            del self.house.runners[node]
            return
        self.obey(session)
        if session.over:
            self.leave(session, birth)
        elif session.phase == "working":
            self.work(session)
            self.after(self.rng.uniform(0.5, 30), lambda: self.act(node, birth))
        elif session.phase == "handed in" and not self.calm and self.rng.random() < 0.1:
            self.misbehave(session)

    def obey(self, session: Session) -> None:
        for name, order in self.house.mail.get(session.node, []):
            if order.attempt != session.attempt or name in session.obeyed:
                continue
            session.obeyed.add(name)
            match order.type:
                case "VALIDATION_PASSED":
                    session.over = session.over or "COMPLETE"
                case "KILL_ORCHESTRATOR":
                    session.over = session.over or "KILLED"
                case "VALIDATION_FAILED":
                    session.phase = "working"
                case _:
                    session.phase = "handed in" if session.phase == "handed in" else "working"

    def leave(self, session: Session, birth: int) -> None:
        """Say so, and go; one that died in between says it again."""
        mode = "COMPLETE" if session.over == "COMPLETE" else "FAILED"
        id_ = f"exit-{session.node}-{session.attempt}"
        payload = {"mode": mode, "reason": session.over, "usage": self.usage(session)}
        if self.rng.random() < 0.9:
            payload["wrote"] = session.commits > 0
        self.send(Heard(id_, "RUNNER_EXITED", "runner", session.node, session.attempt, payload))
        if self.rng.random() < 0.2:
            straggler = self.rng.choice((*NEWS, "NEEDS_REVIEW", "VIOLATION", "ORCHESTRATOR_STUCK"))
            self.say(session.node, session.attempt, straggler, commit_hash="late")
        if self.rng.random() < 0.9:
            # It stays until it was heard, or dies before.
            self.after(self.rng.uniform(0, 4), lambda: self.gone(session.node, birth))
        else:
            self.gone(session.node, birth)

    def gone(self, node: str, birth: int) -> None:
        if self.house.runners.get(node) == birth:
            del self.house.runners[node]

    def usage(self, session: Session) -> dict[str, int]:
        session.said += self.rng.randint(0, 60)
        return {"input_tokens": session.said, "output_tokens": session.said // 2}

    def work(self, session: Session) -> None:
        node, attempt = session.node, session.attempt
        roll = self.rng.random()
        if node in self.futile and not self.house.story().node(node).replanned:
            session.over = self.rng.choice(("it gave up", "it gave up", "it crashed"))
        elif roll < 0.15:
            self.say(node, attempt, "AGENT_REGISTERED", session_id="s", blindness="bwrap")
        elif roll < 0.25:
            self.say(node, attempt, self.rng.choice(NEWS), summary="news")
        elif roll < self.skill or self.calm:
            self.hand_in(session)
        else:
            self.misbehave(session)

    def hand_in(self, session: Session) -> None:
        session.commits += 1
        session.phase = "handed in"
        commit = f"{session.node}.{session.attempt}.{session.commits}"
        self.say(
            session.node, session.attempt, "NEEDS_REVIEW",
            commit_hash=commit, summary="done", usage=self.usage(session),
        )  # fmt: skip

    def misbehave(self, session: Session) -> None:
        node, attempt = session.node, session.attempt
        handed = session.phase == "handed in"
        match self.rng.randint(0, 5):
            case 0:
                self.say(node, attempt, "VIOLATION", reason="it wrote a file")
            case 1:
                rung = self.rng.choice(("ask", "interrupt", "restart", "hand back"))
                self.say(node, attempt, "ORCHESTRATOR_STUCK", rung=rung, last_output="...")
                if rung == "hand back" and not handed:
                    session.phase = "waiting"
            case 2:
                self.say(node, attempt, "ORCHESTRATOR_CRASHED", usage=self.usage(session))
                if self.rng.random() < 0.5:
                    session.over = "it crashed again and again"
            case 3:
                offered = self.rng.choice((None, ["red", "blue"]))
                self.say(node, attempt, "NEEDS_INPUT", question="Which colour?", options=offered)
                session.phase = session.phase if handed else "waiting"
            case 4:
                session.over = self.rng.choice(("COMPLETE", "it gave up"))  # a lie, or not
            case _:
                self.say(node, attempt, "NEEDS_REVIEW", summary="no commit")

    # Tasks

    def on_task(self, name: str, spec: dict[str, Any]) -> None:
        life = self.house.life
        roll = self.rng.random()
        if roll < 0.02:
            self.counted["task hangs"] += 1
            if spec["kind"] == "merge":
                self.after(1.0, lambda: self.merged_silently(name, spec, life))
            return
        seconds = self.rng.uniform(0.1, self.rng.choice((1, 40)))
        self.after(seconds, lambda: self.task_ends(name, spec, life))

    def lives(self, name: str, life: int) -> bool:
        return self.house.life == life and name in self.house.tasks

    def merged_silently(self, name: str, spec: dict[str, Any], life: int) -> None:
        if self.lives(name, life):
            self.unsure.add(spec["commit"])
            self.merge(spec)

    def task_ends(self, name: str, spec: dict[str, Any], life: int) -> None:
        if not self.lives(name, life):
            return
        said = getattr(self, f"end_{spec['kind']}")(spec)
        if self.rng.random() < 0.03:
            self.counted["task died"] += 1
            self.unsure.add(spec.get("commit", ""))
            said = None
        self.house.finish(name, said)

    def trouble(self, chance: float = 0.08) -> dict[str, Any] | None:
        if self.rng.random() > chance:
            return None
        self.counted["task error"] += 1
        if self.calm or self.rng.random() < 0.5:
            wait = self.rng.choice((-5.0, 1.0, 60.0, 7_200.0))
            at = self.house.times.wall() + wait
            return {"error": "rate limited", "retry_at": at} if wait > 0 else {
                "error": "rate limited", "retry_at": self.house.times.wall() + 2.0
            }  # fmt: skip
        return {"error": "it broke"}

    def used(self) -> dict[str, Any]:
        return {"usage": {"requests": 1, "input_tokens": self.rng.randint(1, 40)}}

    def end_rubric(self, spec: dict[str, Any]) -> dict[str, Any]:
        del spec
        sealed = {"ok": True, "folder": "/r", "by": "agent", "files": {"a": "b"}, "scope": {}}
        if self.rng.random() < 0.05:
            return {"error": "connection refused", "free": True}
        return self.trouble() or {**sealed, "acceptance": {}, **self.used()}

    def end_validate(self, spec: dict[str, Any]) -> dict[str, Any]:
        if said := self.trouble():
            return {**said, "outcome": "none"} if self.rng.random() < 0.3 else said
        outcome = "passed"
        if not self.calm:
            fails = self.strict if spec["gate"] else 12
            among = ["passed"] * 40 + ["failed"] * fails + ["none"] * 3
            among += ["investigate"] * 6 if spec["round"] < 2 else []
            outcome = self.rng.choice(among) if self.rng.random() > 0.004 else "unsealed"
        said = {"outcome": outcome, "score": 0.5, "feedback": "mend it", "round": spec["round"]}
        return {**said, "commit": spec["commit"], "scenarios": [], "checks": {}, **self.used()}

    def end_merge(self, spec: dict[str, Any]) -> dict[str, Any]:
        if not self.calm:
            if said := self.trouble():
                return {**said, "status": "error", "feedback": "git failed"}
            if spec["commit"] not in self.merge_of and self.rng.random() < 0.15:
                status = self.rng.choice(("conflict", "red"))
                return {"status": status, "feedback": "mend the merge", "commit": spec["head"]}
        return self.merge(spec)

    def merge(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Do as `guardian.tasks.merge`, on a branch that is a list."""
        now = self.branch[-1][0] if self.branch else "base"
        heads = ["base", *(each[0] for each in self.branch)]
        since = self.branch[heads.index(spec["head"]) :]
        known = {spec["commit"], *spec["handed_in"]}
        assert all(each[2] in known for each in since), (
            f"the branch stands at {now}, and the Guardian believes {spec['head']}"
        )
        if spec["commit"] in self.merge_of:
            return {"status": "merged", "commit": now, "feedback": ""}
        made = f"m{len(self.branch) + 1}"
        self.branch.append((made, now, spec["commit"]))
        self.merge_of[spec["commit"]] = made
        return {"status": "merged", "commit": made, "feedback": ""}

    def end_tool(self, spec: dict[str, Any]) -> dict[str, Any]:
        if said := self.trouble():
            return said
        exit_ = 0 if self.calm else self.rng.choice((0, 0, 0, 0, 1, None))
        self.names += 1
        commit = f"tool.{self.names}" if self.rng.random() < 0.3 else spec["head"]
        return {"exit": exit_, "tail": "said", "commit": commit, "seconds": 1.0}

    def end_answer(self, spec: dict[str, Any]) -> dict[str, Any]:
        del spec
        answer = self.rng.choice(("in blue", "in red", None, ""))
        return self.trouble() or {"answer": answer, **self.used()}

    def end_review(self, spec: dict[str, Any]) -> dict[str, Any]:
        if said := self.trouble():
            return said
        other = spec["reviewer"] not in ("scan", "self")
        among = ["passed"] * 20 + ["unavailable"] * (5 * other)
        among += ["findings"] * (5 * (not self.calm))
        outcome = self.rng.choice(among)
        found = [{"file": "a.py", "line": 1, "problem": "wrong", "fix": "mend it"}]
        self.counted[f"review {outcome}"] += 1
        return {"outcome": outcome, "findings": found * (outcome == "findings"), **self.used()}

    def end_remember(self, spec: dict[str, Any]) -> dict[str, Any]:
        del spec
        flagged = [{"text": "never use it", "against": "use it"}] * (self.rng.random() < 0.1)
        return self.trouble() or {"ok": True, "added": ["it works"], "flagged": flagged}

    def part(self) -> dict[str, Any]:
        self.names += 1
        name = f"part {self.names}"
        return {"label": name, "prompt": name, "acceptance": name, "files": [f"{self.names}.py"]}

    def end_replan(self, spec: dict[str, Any]) -> dict[str, Any]:
        del spec
        self.counted["planned again"] += 1
        parts = [self.part() for _ in range(self.rng.randint(1, 4))]
        return self.trouble(0.3) or {"outcome": "split", "parts": parts, **self.used()}

    def end_retrospect(self, spec: dict[str, Any]) -> dict[str, Any]:
        added = [self.part() for _ in range(self.rng.choice((0, 0, 1, 3)))]
        self.counted[f"looked back, round {spec['round']}"] += 1
        outcome = "added" if added else "silent"
        return self.trouble() or {"outcome": outcome, "additions": added, **self.used()}

    def end_books(self, spec: dict[str, Any]) -> dict[str, Any]:
        del spec
        return self.trouble() or {"ok": True, "notes": []}

    # The run

    def play(self) -> None:
        """Run it to its end, or to where only a person could go on."""
        quiet = 0
        for step in range(MOST_STEPS):
            ended = self.one_round()
            if step % 7 == 0 and self.house.loop is not None:
                self.house.audit.agrees(self.house.loop.core)
            if ended and not self.again():
                return
            if self.person and step % 5 == 0 and self.house.story().open_decisions():
                self.look_at_decisions()
            moved = self.pass_time()
            quiet = 0 if moved or self.house.loop is None else quiet + 1
            if quiet > 3:
                if self.house.story().open_decisions():
                    if not self.person:
                        self.counted["waits for a person"] += 1
                        return
                    continue
                raise AssertionError("nothing moves, and nobody is asked")
            assert self.now() < MOST_SECONDS, "the run takes for ever"
        raise AssertionError("the run never ends")

    def one_round(self) -> bool:
        try:
            if self.house.loop is None:
                self.house.guardian()
            assert self.house.loop is not None
            return bool(self.house.loop.patient_step())
        except self.killed:
            self.die("died")
        except (StorageError, ToolError):
            self.die("gave up")
        return False

    def again(self) -> bool:
        """Have the run go on that has ended, as often as it was decided before."""
        result = str((self.house.story().ended or {}).get("result"))
        self.counted[result] += 1
        if result == "validated" or (self.resumes <= 0 and not self.calm):
            return False
        self.resumes -= 1
        self.counted["resumed"] += 1
        more = {"budget_tokens": None, "node_budget_tokens": None}
        self.house.resume(**(more if result == "budget" else {}))
        self.die("ended")
        return True

    def judge(self) -> None:
        """Say what must be true of the whole."""
        house, story = self.house, self.house.story()
        if self.house.loop is not None:
            house.audit.agrees(self.house.loop.core)
        if story.ended is None:
            return
        heads = ["base", *(each[0] for each in self.branch)]
        for commit, merged in house.audit.merges.items():
            assert heads.index(self.merge_of[commit]) <= heads.index(merged), "it is not in there"
        lost = self.merge_of.keys() - house.audit.merges.keys()
        assert lost <= self.unsure, "merged, and nobody has taken it in"
        if not lost:
            assert story.head == heads[-1]
        assert house.answers.keys() <= story.tasks.keys(), "an answer that nobody will put away"
        assert house.final == story.ended["result"]
        assert house.shown == story.core.statuses
        for order in story.orders:
            assert any(order == each for _, each in house.mail.get(order.node, [])), "not sent"
        self.judge_ways_back()
        if self.calm:
            self.judge_calm()

    def judge_ways_back(self) -> None:
        story = self.house.story()
        for diamond, edge in self.back.items():
            went = story.state(diamond) in DONE and story.core.outcomes[diamond] == "fail"
            assert not went or story.stopping, f"{edge} was begun, and not gone to its end"

    def judge_calm(self) -> None:
        """Where nobody does anything wrong, all ends well, and nobody is charged."""
        story = self.house.story()
        assert story.ended["result"] == "validated", story.ended
        states = {story.state(name) for name in self.house.terms}
        assert states <= DONE | {NodeState.PENDING}
        for name, each in self.house.terms.items():
            charged = [found for found in story.node(name).attempts if not found.free]
            if each.role is Role.WORK:
                assert len(charged) <= 1, f"{name} was charged {len(charged)} times"


def seconds_left(house: Any) -> float | None:
    return min(
        (each.deadline - house.times.monotonic() for each in house.tasks.values()), default=None
    )


def play(seed: int, house: type[Any], killed: type[BaseException]) -> Simulation:
    """Play one world; a failure says how to see it again."""
    world = Simulation(seed, house, killed)
    try:
        world.play()
        world.judge()
    except (Exception, killed) as error:
        error.add_note(
            f"to see it again: ATTRACTOR_SEED={seed} pytest tests/guardian/test_simulation.py\n"
            f"{world.house.dot}\nlast: {[e[2:4] for e in world.house.journal[-6:]]}"
        )
        raise
    return world


def _first(config: pytest.Config) -> tuple[int, int]:
    """Return the first seed and how many; one seed that was asked for is played alone."""
    if given := os.environ.get("ATTRACTOR_SEED"):
        return int(given), 1
    many = FULL_WORLDS if os.environ.get("ATTRACTOR_FULL") == "1" else WORLDS
    return int(config.getoption("randomly_seed", 0) or 0) % 1_000_000 * 10_000, many


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_run_keeps_the_invariants_and_ends(
    chunk: int,
    house: type[Any],
    killed: type[BaseException],
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    first, many = _first(pytestconfig)
    counted: Counter[str] = Counter()
    for seed in range(first + chunk, first + many, CHUNKS):
        world = play(seed, house, killed)
        counted.update(world.counted)
        counted["entries"] += len(world.house.journal)
        counted["worlds"] += 1
    if counted["worlds"]:
        kills = sum(count for what, count in counted.items() if what.startswith("killed"))
        words = f"{counted['worlds']} worlds, {counted['entries']} entries, {kills} kills, "
        ends = ("validated", "failed", "stopped", "budget", "waits for a person")
        record_property(
            "shown",
            f"simulation {chunk}: {words}" + ", ".join(f"{counted[each]} {each}" for each in ends),
        )


def test_the_graphs_of_the_simulation_are_sound(house: type[Any]) -> None:
    for seed in range(200):
        made = house(Drawing(random.Random(seed)).text())
        found = lint(made.graph, [])
        # Words for sessions are left out: nobody here reads them.
        errors = [each for each in found if each.severity is Severity.ERROR]
        assert [each for each in errors if each.rule != "required_attributes"] == []


def test_a_world_is_told_by_its_seed(house: type[Any], killed: type[BaseException]) -> None:
    first, second = (play(7, house, killed) for _ in range(2))
    assert [each[2:4] for each in first.house.journal] == [
        each[2:4] for each in second.house.journal
    ]
