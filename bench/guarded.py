"""Runs to be guarded: pipelines of layers, a Guardian's loop with quiet surroundings, run folders.

A quiet surrounding answers at once and does nothing; journal, story and decisions are the real
ones.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, NodeId, build
from attractor.rehearsal.project import make_project
from attractor.run import request as requests
from attractor.run.begin import begin
from attractor.run.branch import integration_branch
from attractor.run.fold import RunEvent
from attractor.run.journal import Entry, Journal
from attractor.run.records import Order
from attractor.run.request import Request
from attractor.run.roles import role
from attractor.run.states import NodeState
from attractor.run.story import StoryEvent, read
from guardian.children import Result
from guardian.core import Core, Event
from guardian.hearing import Heard
from guardian.loop import Loop
from guardian.terms import Terms
from signals.clock import SystemClock, iso

CHAIN: Final = [1] * 100
FAN: Final = [100]
MIXED: Final = ([1] * 50 + [50]) * 10
COMMIT: Final = "c0ffee" + "0" * 34
_SECONDS: Final = 300.0
PLACE: Final = "shape=parallelogram, handler=parallel"
TOOL: Final = 'shape=box, handler=tool, command="true"'
WORK: Final = 'shape=box, handler=codergen, bead_id="", prompt="Say hello", acceptance="It does"'


def layers(widths: Sequence[int], attrs: str, last: str = "") -> str:
    """Return a pipeline of layers, each of which needs all of the one before; `last` is a node."""
    lines = ["digraph g {", "    start [shape=Mdiamond, handler=start];"]
    before = ["start"]
    for at, width in enumerate(widths):
        layer = [f"n{at}_{each}" for each in range(width)]
        lines += [f"    {each} [{attrs}];" for each in layer]
        lines += [f"    {source} -> {each};" for source in before for each in layer]
        before = layer
    if last:
        lines += [f"    last [{last}];", *(f"    {each} -> last;" for each in before)]
        before = ["last"]
    lines += ["    finish [shape=Msquare, handler=exit];"]
    lines += [f"    {each} -> finish;" for each in before]
    return "\n".join([*lines, "}"]) + "\n"


def opening(request: Request, graph: Graph) -> list[Event]:
    """Return what the journal of a run says before its first node is dispatched."""
    statuses = {str(node): NodeState.PENDING.value for node in graph.nodes}
    asked = {"request": request.as_json(), "integration": integration_branch(request.run_id)}
    sealed = {"folder": "", "by": "hand", "files": {}, "scope": {}, "acceptance": {}}
    return [
        (RunEvent.PIPELINE_OPENED.value, {"file": "pipeline.dot", "statuses": statuses}),
        (StoryEvent.RUN_STARTED.value, asked),
        (StoryEvent.RUBRIC_SEALED.value, sealed),
    ]


class Quiet:
    """Everything around the loop: Runners that hand in at once, tasks that are answered at once."""

    def __init__(self, folder: str, commit: str = COMMIT) -> None:
        self.folder = folder
        self._merge = {"status": "merged", "commit": commit, "feedback": ""}
        self._inbox: list[tuple[str, Heard]] = []
        self._numbers = iter(range(10**9))
        self._runners: set[str] = set()
        self._tasks: dict[str, Mapping[str, Any]] = {}

    def heard(self) -> list[tuple[str, Heard]]:
        """Return what Runners have said."""
        return list(self._inbox)

    def acknowledge(self, names: Sequence[str]) -> None:
        """Put away."""
        self._inbox = self._inbox[len(names) :]

    def send(self, orders: Sequence[Order], notices: Sequence[Order], seq: int) -> None:
        """Tell a Runner; one that was told that all is well ends."""
        del notices
        for each in orders:
            if each.node in self._runners and each.seq <= seq:
                self._runners.discard(each.node)
                self._say("RUNNER_EXITED", each.node, each.attempt, status="COMPLETE")

    def short(self) -> str:
        """Say what is short: nothing is."""
        return ""

    def runner_lives(self, node: str) -> bool:
        """Say whether it was started."""
        return node in self._runners

    def start_runner(self, node: str) -> None:
        """Hand in some work."""
        self._runners.add(node)
        self._say("AGENT_REGISTERED", node, 1, session_id=f"session of {node}")
        self._say("NEEDS_REVIEW", node, 1, commit_hash=COMMIT, summary="it is done, and tested")

    def forget_runner(self, node: str) -> None:
        """Let go."""
        self._runners.discard(node)

    def runs(self, name: str) -> bool:
        """Say whether a task was started."""
        return name in self._tasks

    def running(self) -> list[str]:
        """Return the tasks that were not consumed."""
        return list(self._tasks)

    def start(self, name: str, spec: Mapping[str, Any], seconds: float) -> None:
        """Answer a task."""
        del seconds
        kind = str(spec["kind"])
        self._tasks[name] = self._merge if kind == "merge" else _ANSWERS[kind]

    def results(self, names: Iterable[str]) -> list[Result]:
        """Return the answers."""
        del names
        return [Result(name, said) for name, said in self._tasks.items()]

    def consume(self, name: str) -> None:
        """Put an answer away."""
        self._tasks.pop(name, None)

    def end(self, name: str) -> None:
        """End a task."""
        self._tasks.pop(name, None)

    def fds(self) -> tuple[int, ...]:
        """Return nothing to wait for."""
        return ()

    def seconds_left(self) -> float | None:
        """Return no deadline."""
        return None

    def assign(self, core: Core, node: str, attempt: int) -> None:
        """Write no assignment."""

    def tell(self, core: Core) -> None:
        """Nobody looks."""

    def show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        """Show nothing."""

    def end_session(self, node: str) -> None:
        """There is none."""

    def conclude(self, core: Core) -> None:
        """Write no report."""

    def _say(self, kind: str, node: str, attempt: int, **payload: str) -> None:
        name = f"s{next(self._numbers)}"
        self._inbox.append((name, Heard(name, kind, "runner", node, attempt, payload)))


_VERDICT: Final[Mapping[str, Any]] = {
    "outcome": "passed",
    "score": 0.93,
    "round": 0,
    "commit": COMMIT,
    "feedback": "",
    "checks": {"status": "green", "command": "python -m pytest -q", "exit": 0, "tail": ""},
    "scenarios": [
        {"feature": f"F{each}", "scenario": f"S{each}", "score": 0.9, "ok": True, "evidence": []}
        for each in range(3)
    ],
    "usage": {"requests": 3, "input_tokens": 9_000, "output_tokens": 700, "cost_usd": 0.05},
    "seconds": 12.5,
    "report": "",
}
_ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tool": {"exit": 0, "tail": "", "seconds": 0.0, "commit": "", "tree": "", "log": ""},
    "validate": _VERDICT,
    "books": {"ok": True, "notes": []},
}


def opened(path: str, graph: Graph, terms: Mapping[str, Terms], request: Request) -> Opened:
    """Take up the run whose journal this is, as a Guardian does."""
    journal = Journal.open(path, SystemClock())
    story = read(journal.entries)
    if not story.core.seq:
        for entry in journal.append_all(opening(request, graph)):
            story.apply(entry)
    del journal.entries[:-1]
    return Opened(journal, Core(graph, terms, request, story, iso_of))


@dataclasses.dataclass
class Opened:
    """A journal, and the core that stands on it."""

    journal: Journal
    core: Core

    def pair(self) -> tuple[Journal, Core]:
        """Return both, as the loop takes them."""
        return self.journal, self.core


def iso_of(seconds: float) -> str:
    """Return a time as the journal writes it."""
    return iso(round(seconds * 1_000_000_000))


def plain_terms(graph: Graph) -> dict[str, Terms]:
    """Return terms without any settings."""
    return {str(node.id): Terms(role=role(graph, node)) for node in graph.nodes.values()}


def loop_of(graph: Graph, folder: str, request: Request) -> Loop:
    """Return a Guardian's loop in quiet surroundings, with a real journal in this folder."""
    quiet = Quiet(folder)
    path = os.path.join(folder, "journal.jsonl")
    terms = plain_terms(graph)
    return Loop(
        lambda: opened(path, graph, terms, request).pair(), quiet, quiet, quiet, SystemClock()
    )


def request_of(folder: str, run_id: str = "bench", **more: object) -> Request:
    """Return a request for a run in a project."""
    root = os.path.join(folder, ".claude", "attractor", "runs", run_id)
    given = {
        "run_id": run_id,
        "project": folder,
        "run_root": root,
        "pipeline": "g.dot",
        "base_commit": "0" * 40,
        "max_parallel": 1_000_000,
        **more,
    }
    return requests.from_json({"schema_version": 1, **given}, root)


def project_in(folder: str) -> tuple[str, str]:
    """Make a small repository; return its path and its commit."""
    graph = build(parse("digraph g { a; }"))
    path = make_project(folder, "g.dot", "digraph g { a; }", graph)
    words = ["git", "-C", path, "rev-parse", "HEAD"]
    return path, subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def run_folder(project: str, commit: str, run_id: str, text: str, **more: object) -> Request:
    """Make a run whose rubric is sealed, so that its first node is next."""
    request = request_of(project, run_id, base_commit=commit, **more)
    begin(request, text, SystemClock(), current=False)
    with Journal.open(request.layout.journal, SystemClock()) as journal:
        journal.append_all(opening(request, build(parse(text))))
    return request


def guardian(request: Request) -> subprocess.Popen[bytes]:
    """Start the real Guardian of a run."""
    with open(request.layout.log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-m", "guardian", request.run_root],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
        )


def until(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait; a process that is late is killed, and one that has ended will not get there."""
    deadline = time.monotonic() + _SECONDS
    while not there():
        if process.poll() is not None and not there():
            raise RuntimeError(f"the Guardian has ended with {process.returncode}")
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError("the Guardian did not get there in time")
        time.sleep(0.002)


def entries_of(request: Request) -> list[Entry]:
    """Return the run's journal, verified."""
    from attractor.run.journal import read as read_journal

    return read_journal(request.layout.journal).entries
