"""Killed at every file operation, a Guardian that is started again ends the same run, once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import load
from attractor.run import journal, request
from attractor.run.layout import RunLayout
from attractor.run.records import Order
from attractor.run.request import Request
from attractor.run.story import Story
from attractor.run.story import read as story_of
from guardian.post import Post
from signals.clock import SystemClock
from signals.kinds import parse
from signals.mailbox import Mailbox
from signals.sign import new_key, write_key

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1200)]

# All is real but the processes. A task has answered as soon as it was started, by a file, as a real
# one does; a Runner says what it must have said by what it was told, whoever was killed in between.
# What is done in a forked child is done here, so that its file operations are counted, too.
PROGRAM = """
import contextlib, json, os
from attractor.child import Child
from guardian import assemble, children, post, terms
post.apart = terms.apart = lambda work, clock, seconds: json.loads(json.dumps(work()))
from attractor.digest import sha256
from attractor.run import assignment, report_text
from attractor.run.alone import alone
from attractor.run.layout import RunLayout
from signals import atomic, kinds
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.sign import read_key
import attractor.agents.registry, attractor.run.assign, attractor.run.config

CLOCK = SystemClock()
WORK = ("one", "two", "futile")

class Over:
    pid = 0
    def poll(self):
        return 0

class Doubles(children.Children):
    runners = frozenset()

    def runner_lives(self, node):
        return node in self.runners

    def start_runner(self, node):
        self.runners |= {node}

    def forget_runner(self, node):
        self.runners -= {node}

    def start(self, name, spec, seconds):
        answer = ANSWERS[spec["kind"]](spec)
        atomic.replace(self._path(name), json.dumps(answer).encode())
        self._tasks[name] = Child(Over(), CLOCK.monotonic() + seconds, -1)

assemble.Children = Doubles

def rubric(spec):
    return {"ok": True, "folder": "", "by": "acceptance", "files": {}, "scope": {},
            "acceptance": {each: "It is there." for each in (*WORK, "gate")}, "usage": {}}

def validate(spec):
    # The first that `two` hands in is not good.
    bad = spec["commit"] == commit("two", 1, 0)
    return {"outcome": "failed" if bad else "passed", "score": 0.1 if bad else 0.9, "usage": {},
            "feedback": "It lacks all." if bad else "", "commit": spec["commit"], "round": 0,
            "checks": {"status": "none given"}, "scenarios": [], "seconds": 1, "report": ""}

def merge(spec):
    made = sha256((spec["head"] + spec["commit"]).encode()).hexdigest()[:40]
    return {"status": "merged", "commit": made, "feedback": ""}

def books(spec):
    return {"ok": True, "notes": []}

def review(spec):
    return {"outcome": "passed", "reviewer": spec["reviewer"], "findings": [], "usage": {}}

def remember(spec):
    return {"ok": True, "added": [], "flagged": [], "notes": [], "usage": {}}

def part(name):
    return {"label": name, "prompt": f"{AGAIN}: {name}.", "acceptance": "It is there.",
            "files": [f"{name}.txt"], "checks": []}

def replan(spec):
    return {"outcome": "split", "parts": [part("first"), part("then")], "why": "", "usage": {}}

def retrospect(spec):
    return {"outcome": "added", "additions": [part("more")], "suite": {}, "usage": {}}

AGAIN = "Planned again"
ANSWERS = {each.__name__: each for each in
           (rubric, validate, merge, books, review, remember, replan, retrospect)}

def commit(node, attempt, number):
    return sha256(f"{node} {attempt} {number}".encode()).hexdigest()[:40]

def play(layout, node, key):
    told = assignment.load(layout.assignment(node))
    at = {"node_id": node}
    mailbox = Mailbox(layout.runner_mailbox(node), key=key, clock=CLOCK)
    orders = {}
    for each in mailbox.drain():
        orders[each.signal.id] = each.signal
    for name in mailbox.processed():
        signal = kinds.parse(open(os.path.join(mailbox.folder, "processed", name), "rb").read())
        orders[signal.id] = signal
    heard = [each.signal_type for each in sorted(orders.values(), key=lambda one: one.timestamp)
             if each.attempt == told.attempt]
    say(layout, key, told, "registered", "AGENT_REGISTERED",
        at | {"agent_id": "x", "agent_type": "orchestrator", "session_id": "s"})
    if told.node_id == "futile" and not told.prompt.startswith(AGAIN):
        say(layout, key, told, "exited", "RUNNER_EXITED",
            at | {"mode": "STUCK", "reason": "nothing was done", "wrote": False})
        mailbox.acknowledge(*mailbox.waiting())
        return
    reviews = 1 + heard.count("VALIDATION_FAILED")
    for number in range(reviews):
        say(layout, key, told, f"review {number}", "NEEDS_REVIEW",
            at | {"commit_hash": commit(node, told.attempt, number), "summary": "Done."})
    if "VALIDATION_PASSED" in heard:
        say(layout, key, told, "exited", "RUNNER_EXITED",
            at | {"mode": "COMPLETE", "reason": "validated"})
    mailbox.acknowledge(*mailbox.waiting())

def say(layout, key, told, what, kind, payload):
    guardian = Mailbox(layout.guardian_mailbox, key=key, clock=CLOCK)
    name = sha256(f"{told.node_id} {told.attempt} {what}".encode()).hexdigest()[:32]
    said = [kinds.parse(open(os.path.join(guardian.folder, folder, each), "rb").read()).id
            for folder, names in (("", guardian.waiting()), ("processed", guardian.processed()))
            for each in names]
    if name not in said:
        fields = kinds.PAYLOADS[kind].model_fields
        given = {key: value for key, value in payload.items() if key in fields}
        made = kinds.compose("runner", "guardian", kinds.payload_of(kind, given),
            run_id=told.run_id, node_id=told.node_id, attempt=told.attempt)
        guardian.send(made.model_copy(update={"id": name}))

def main(state, *only):
    layout = RunLayout(os.path.join(str(state), "run"))
    key = read_key(layout.key)
    with alone(layout, CLOCK, 5.0):
        guarding = assemble.assemble(layout, CLOCK)
        for _ in range(90):
            with contextlib.nullcontext() if counts(guarding.loop.story, only) else uncounted():
                if guarding.loop.step():
                    break
                for node in sorted(guarding.children.runners):
                    play(layout, node, key)
        assert guarding.loop.story.ended is not None, guarding.loop.core.wants()
        guarding.end()
    tell("ended")

def counts(story, only):
    # The answer is there as soon as the task has begun; what grows is dispatched in that step, too.
    return not only or any(each.kind in only for each in story.tasks.values())

def again(state, *_):
    main(state)
    path = RunLayout(os.path.join(str(state), "run")).journal
    before = open(path, "rb").read()
    main(state)
    assert open(path, "rb").read() == before
    tell("the next one adds nothing")
"""
PIPELINE = """digraph p {
    // What a person wrote stays.
    start [shape=Mdiamond, handler="start", status="pending"];
    one [shape=box, handler="codergen", status="pending", acceptance="It is there."];
    two [shape=box, handler="codergen", status="pending", acceptance="It is there."];
    gate [shape=hexagon, handler="wait.human", gate="technical", status="pending"];
    finish [shape=Msquare, handler="exit", status="pending"];
    start -> one -> two -> gate -> finish;
}
"""
NODES = ("finish", "gate", "one", "start", "two")
GROWS = """digraph p {
    // What a person wrote stays.
    graph [max_same_error="1"];
    start [shape=Mdiamond, handler="start", status="pending"];
    futile [shape=box, handler="codergen", status="pending", acceptance="It is there."];
    finish [shape=Msquare, handler="exit", status="pending"];
    start -> futile -> finish;
}
"""


def layout_in(state: Path) -> RunLayout:
    return RunLayout(str(state / "run"))


def fresh(state: Path, pipeline: str = PIPELINE, looks_back: int = 0) -> None:
    layout = layout_in(state)
    for folder in ("nodes", "tasks"):
        (state / "run" / folder).mkdir(parents=True)
    (state / "project").mkdir()
    Path(layout.dot).write_text(pipeline)
    write_key(layout.key, new_key())
    for mailbox in (layout.guardian_mailbox, layout.terminal_mailbox):
        Mailbox(mailbox, clock=SystemClock()).create()
    asked = Request(
        run_id="run",
        project=str(state / "project"),
        run_root=layout.root,
        pipeline=layout.dot,
        base_commit="b" * 40,
        retrospectives=looks_back,
    )
    Path(layout.request).write_bytes(request.dump(asked))


def sent(mailbox: str) -> set[str]:
    """Return the ids of all signals that ever came into a mailbox."""
    folder = Path(mailbox)
    files = [*folder.glob("*.json"), *folder.glob("processed/*.json")]
    assert not list(folder.glob("quarantine/*.json"))
    return {parse(each.read_bytes()).id for each in files}


def due(found: list[journal.Entry]) -> Iterator[Order]:
    """Yield what the journal says must have been sent."""
    for entry in found:
        for place, each in enumerate(entry.data.get("orders", ())):
            node, attempt = each["node"], each["attempt"]
            yield Order(entry.seq, place, node, attempt, each["type"], each["payload"])
        for place, each in enumerate(entry.data.get("notices", ())):
            yield Order(entry.seq, place, "", 0, each["type"], each["payload"])


def once(found: list[journal.Entry], story: Story) -> None:
    """Check that nothing was decided twice."""
    for event in ("dispatched", "passed", "rejected", "gate_passed", "review_requested"):
        said = [each.data for each in found if each.data.get("event") == event]
        counted = Counter((each["node"], each.get("commit") or event) for each in said)
        assert set(counted.values()) <= {1}, counted
    heard = Counter(each.data["signal_id"] for each in found if "signal_id" in each.data)
    assert set(heard.values()) == {1}
    begun = Counter(each.data["task"] for each in found if each.event == "TaskBegun")
    ended = Counter(
        each.data["task"] for each in found if "task" in each.data and each.event != "TaskBegun"
    )
    assert begun == ended
    assert set(begun.values()) == {1}
    attempts = {
        name: [(a.number, a.free, a.closed) for a in story.nodes[name].attempts] for name in NODES
    }
    assert attempts == {name: [(1, False, True)] for name in NODES}


def check(state: Path, death: Any) -> None:
    layout = layout_in(state)
    found = journal.read(layout.journal).entries
    story = story_of(found)
    once(found, story)
    verdicts = [each["outcome"] for each in story.nodes["two"].verdicts]
    assert (verdicts, story.nodes["one"].verdicts[0]["outcome"]) == (["failed", "passed"], "passed")

    final = json.loads(Path(layout.final).read_bytes())
    assert (final["result"], final["exit"], final["head"]) == ("validated", 0, story.head)
    assert {each["id"]: each["state"] for each in final["nodes"]} == dict.fromkeys(
        NODES, "validated"
    )
    assert Path(layout.success).read_text().startswith("# ")
    _, graph = load(layout.dot)
    assert {each.attrs["status"] for each in graph.nodes.values()} == {"validated"}
    assert re.sub("validated", "pending", Path(layout.dot).read_text()) == PIPELINE

    post = Post(layout, "run", SystemClock())
    orders = list(due(found))
    for node in ("one", "two"):
        wanted = {post.id_of(each) for each in orders if each.node == node}
        assert sent(layout.runner_mailbox(node)) == wanted
    told = {post.id_of(each) for each in orders if not each.node}
    assert sent(layout.terminal_mailbox) == told
    assert [each.type for each in orders if not each.node] == ["PIPELINE_COMPLETE"]
    assert not list(Path(layout.guardian_mailbox).glob("*.json"))
    # The next Guardian sweeps away the drafts of one that was killed, but for those of mailboxes.
    drafts = [path for path in Path(layout.root).rglob(".*.*") if path.is_file()]
    assert [path for path in drafts if "signals" not in path.parts] == []
    assert [*death.told, *death.recovered][-1] == "the next one adds nothing"


def test_a_killed_guardian_goes_on_where_it_was(sweep: Callable[..., Any]) -> None:
    swept = sweep("guardian, one run", PROGRAM, fresh=fresh, check=check, recover="again")
    assert swept.points > 150


def test_a_killed_guardian_makes_its_graph_grow_once(sweep: Callable[..., Any]) -> None:
    whole: dict[str, str] = {}

    def check(state: Path, death: Any) -> None:
        layout = layout_in(state)
        found = journal.read(layout.journal).entries
        text = Path(layout.dot).read_text()
        assert text.startswith(GROWS.partition(" graph [")[0])
        assert whole.setdefault("dot", text) == text
        changes = [(each.data["why"], each.data["node"]) for each in found if _is(each, "Graph")]
        assert changes == [("replan", "futile"), ("retrospect", "finish")]
        added = [each.data["statuses"] for each in found if each.event == "NodesAdded"]
        assert added == [{"futile_1": "pending"}, {"R01": "pending"}]
        moved = [each.data for each in found if each.data.get("event") == "dispatched"]
        assert [(each["node"], each["attempt"]) for each in moved] == [
            ("start", 1),
            ("futile", 1),
            ("futile_1", 1),
            ("futile", 2),
            ("finish", 1),
            ("R01", 1),
        ]
        begun = Counter(each.data["task"] for each in found if each.event == "TaskBegun")
        assert set(begun.values()) == {1}
        final = json.loads(Path(layout.final).read_bytes())
        assert final["result"] == "validated"
        _, graph = load(layout.dot)
        assert {each.attrs["status"] for each in graph.nodes.values()} == {"validated"}
        assert graph.nodes[NodeId("futile")].attrs["prompt"] == "Planned again: then."
        assert {str(each.target) for each in graph.outgoing[NodeId("R01")]} == {"finish"}
        drafts = [path for path in Path(layout.root).rglob(".*.*") if path.is_file()]
        assert [path for path in drafts if "signals" not in path.parts] == []
        assert [*death.told, *death.recovered][-1] == "the next one adds nothing"

    swept = sweep(
        "guardian, the graph grows",
        PROGRAM,
        fresh=lambda state: fresh(state, GROWS, looks_back=1),
        check=check,
        recover="again",
        arguments=("replan", "retrospect"),
        limit=24,
    )
    assert swept.points > 50


def _is(entry: journal.Entry, what: str) -> bool:
    return entry.event.startswith(what)
