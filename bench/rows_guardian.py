"""What a node costs the Guardian, beside other engines that write down what they do.

Nodes that do nothing, in three shapes; a tool node that runs `true`; and taking up a run of 1,000
nodes whose Guardian was killed. Others are measured in turn with ours, in the same minutes.
"""

from __future__ import annotations

import functools
import json
import os
import signal as posix_signals
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import guarded
import peers
from guarded import CHAIN, FAN, MIXED, PLACE, TOOL, WORK
from measure import Line, Row, Taken, human, paired, seconds_of, taken_by
from peers import Peer

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.pipeline.load import load
from attractor.run.fold import RunEvent
from attractor.run.journal import Journal
from attractor.run.journal import read as read_journal
from attractor.run.request import Request
from attractor.run.states import NodeState
from guardian.loop import Loop
from guardian.view import View
from signals.clock import SystemClock

SHAPES = {"chain of 100": CHAIN, "fan-out of 100": FAN, "1,000 mixed": MIXED}
TURNS = 5
ENOUGH_SECONDS = 20.0
"""Whoever is slower than this is not asked again, so has fewer turns."""
TOOLS = 10


def rows() -> Iterator[Row | Line]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        with peers.running(folder) as engines:
            for shape, widths in SHAPES.items():
                yield from _overhead(shape, widths, engines)
        yield _shown(folder)
        project, commit = guarded.project_in(os.path.join(folder, "project"))
        yield from _process(project, commit)
        yield _tool(project, commit, folder)
        yield from _resume(project, commit)


# Nodes that do nothing


def _overhead(shape: str, widths: Sequence[int], engines: list[Peer]) -> Iterator[Row | Line]:
    """Yield what a node costs here and there."""
    ours, theirs = _in_turn(widths, engines)
    nodes = sum(widths)
    best = min(theirs, key=lambda name: _middle(theirs[name], 1), default="")
    for what, taken in ours.items():
        if best:
            yield _row(f"{what}, {shape}", taken, best, theirs[best], nodes, "<= 0.5x")
            yield _row("   its processor time", taken, best, theirs[best], nodes, "", at=1)
        else:
            yield Line(f"{what}, {shape}", human(_middle(taken, nodes)), "nobody else is here", "")
    for name in [each for each in theirs if each != best]:
        middle, turns = human(_middle(theirs[name], nodes)), len(theirs[name])
        yield Line(f"   ({shape}; turns: {turns})", "", f"{name}, a node", middle)


def _in_turn(
    widths: Sequence[int], engines: list[Peer]
) -> tuple[dict[str, list[Taken]], dict[str, list[Taken]]]:
    """Return what whole runs took, ours and those of others, one after another and again."""
    graphs = {
        "a place": _graph(widths, PLACE),
        "a command answered at once": _graph(widths, TOOL),
    }
    ours: dict[str, list[Taken]] = {what: [] for what in graphs}
    theirs: dict[str, list[Taken]] = {each.name: [] for each in engines}
    for _ in range(TURNS):
        for what, graph in graphs.items():
            ours[what].append(_guard(graph))
        for each in engines:
            if sum(turn.seconds for turn in theirs[each.name]) < ENOUGH_SECONDS:
                theirs[each.name].append(each.run(widths))
    return ours, theirs


def _middle(taken: list[Taken], nodes: int) -> float:
    return statistics.median(turn.seconds / nodes for turn in taken)


def _row(  # a line has so many parts
    what: str,
    ours: list[Taken],
    name: str,
    theirs: list[Taken],
    nodes: int,
    budget: str,
    *,
    at: int = 0,
) -> Row:
    # Whoever was slow has had fewer turns.
    turns = zip(ours, theirs, strict=False)
    pairs = [(mine[at] / nodes, other[at] / nodes) for mine, other in turns]
    return Row(
        what,
        f"{name}, a node",
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(mine / other for mine, other in pairs),
        budget,
    )


def _graph(widths: Sequence[int], attrs: str) -> Graph:
    return build(parse(guarded.layers(widths, attrs)))


def _guard(graph: Graph) -> Taken:
    """Return what it takes to guard a whole run in quiet surroundings, with a real journal."""
    with tempfile.TemporaryDirectory() as folder:
        loop = guarded.loop_of(graph, folder, guarded.request_of(folder))
        return taken_by(lambda: _to_the_end(loop))


def _to_the_end(loop: Loop) -> None:
    while not loop.step():
        pass
    assert loop.story.ended
    assert loop.story.ended["result"] == "validated"


def _shown(folder: str) -> Row:
    """Return what it takes to show one move in the file of 1,000 nodes."""
    path = os.path.join(folder, "shown.dot")
    with open(path, "w", encoding="utf-8") as file:
        file.write(guarded.layers([1] * 1_000, f"{WORK}, status=pending"))
    view, nodes = View(path), list(load(path)[1].nodes)
    statuses = dict.fromkeys(nodes, NodeState.PENDING)
    moving = iter(nodes)

    def move() -> None:
        statuses[next(moving)] = NodeState.ACTIVE
        view.show(statuses)

    what = "a move shown in the DOT file of 1,000 nodes"
    return paired(what, move, "reading and parsing that file", lambda: load(path))


def _process(project: str, commit: str) -> Iterator[Row | Line]:
    """Yield the same with the real process: its start, and what 1,000 nodes add to it."""
    numbers = iter(range(1_000))

    def whole(widths: Sequence[int]) -> float:
        text = guarded.layers(widths, PLACE)
        request = guarded.run_folder(project, commit, f"places{next(numbers)}", text)
        return seconds_of(lambda: _ended(request))

    taken = [(whole([1]), whole(MIXED), seconds_of(_python)) for _ in range(TURNS)]
    yield Row(
        "the Guardian's process, a run of one place",
        "python -I -c pass",
        statistics.median(short for short, _, _ in taken),
        statistics.median(python for _, _, python in taken),
        statistics.median(short / python for short, _, python in taken),
    )
    node = statistics.median((long - short) / sum(MIXED) for short, long, _ in taken)
    what = "the same, for each of 1,000 mixed places more"
    yield Line(what, human(node), "reading, deciding, DOT file, report", "")


def _python() -> None:
    subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)


def _ended(request: Request) -> None:
    with guarded.guardian(request) as process:
        guarded.until(lambda: process.poll() is not None, process)
    if process.returncode:
        with open(request.layout.log, encoding="utf-8") as file:
            raise AssertionError(file.read())


# A tool


def _tool(project: str, commit: str, folder: str) -> Row:
    """Return what `true` costs from dispatched to validated, by the journal's own times."""
    journal = Journal.open(os.path.join(folder, "bare.jsonl"), SystemClock())
    said = {"node": "n", "event": "dispatched", "from": "pending", "to": "active"}

    def bare() -> None:
        for _ in range(TOOLS):
            journal.append("NodeMoved", said)
            subprocess.run(["true"], check=True)
            journal.append("NodeMoved", said)

    ours, theirs = [], []
    for turn in range(3):
        text = guarded.layers([1] * TOOLS, TOOL)
        request = guarded.run_folder(project, commit, f"tools{turn}", text)
        _ended(request)
        ours.append(statistics.median(_from_dispatched_to_validated(request)))
        theirs.append(seconds_of(bare) / TOOLS)
    journal.close()
    return Row(
        "a tool node running `true`",
        "spawn + 2 appends to the journal",
        statistics.median(ours),
        statistics.median(theirs),
        statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True)),
        "<= 2x",
    )


def _from_dispatched_to_validated(request: Request) -> list[float]:
    from guardian.core import seconds_of as wall

    began: dict[str, float] = {}
    taken = []
    for entry in guarded.entries_of(request):
        if entry.event == RunEvent.NODE_MOVED and str(entry.data["node"]).startswith("n"):
            node = str(entry.data["node"])
            if entry.data["to"] == NodeState.ACTIVE.value:
                began[node] = wall(entry.at)
            elif entry.data["to"] == NodeState.VALIDATED.value:
                taken.append(wall(entry.at) - began[node])
    assert len(taken) == TOOLS
    return taken


# After a kill


def _resume(project: str, commit: str) -> Iterator[Row | Line]:
    """Yield how a run of 1,000 judged and merged nodes is taken up, its last one under way."""
    last = 'shape=box, handler=tool, command="sleep 600"'
    text = guarded.layers(MIXED, WORK, last)
    graph = build(parse(text))
    request = guarded.run_folder(project, commit, "killed", text)
    path = request.layout.journal
    quiet = guarded.Quiet(request.layout.root, commit)
    terms = guarded.plain_terms(graph)
    loop = Loop(
        lambda: guarded.opened(path, graph, terms, request).pair(),
        quiet,
        quiet,
        quiet,
        SystemClock(),
    )
    while not loop.story.tasks or loop.story.node("last").attempt is None:
        loop.step()
    entries = len(read_journal(path).entries)

    def take_up() -> None:
        found = guarded.opened(path, graph, terms, request)
        from guardian.advance import advance

        found.core.now = time.time()
        advance(found.core)
        assert found.core.running
        found.journal.close()

    yield paired(
        f"to the first decision, 1,000 nodes, {entries:,} entries",
        take_up,
        "reading and verifying that journal",
        lambda: read_journal(path),
        budget="<= 3x",
    )
    yield _killed(request)


def _killed(request: Request) -> Row:
    """Return how long the real process takes until it does again what was under way."""
    layout = request.layout
    record = os.path.join(layout.tasks, "tool-")

    def started() -> str:
        for name in os.listdir(layout.tasks):
            path = os.path.join(layout.tasks, name)
            if path.startswith(record) and name.endswith(".owner"):
                with suppress(OSError, ValueError), open(path, "rb") as file:
                    return str(json.load(file)["pid"])
        return ""

    taken, python, before = [], [], ""
    for _ in range(TURNS + 1):
        start = time.perf_counter()
        process = guarded.guardian(request)
        guarded.until(functools.partial(_is_another, before, started), process)
        taken.append(time.perf_counter() - start)
        before = started()
        process.kill()
        process.wait()
        python.append(seconds_of(_python))
    with suppress(ProcessLookupError):
        os.killpg(int(before), posix_signals.SIGKILL)
    # The first finds no task that its predecessor left behind; the others end one.
    pairs = list(zip(taken, python, strict=True))[1:]
    return Row(
        "a killed one's process, to the task begun again",
        "python -I -c pass",
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(mine / other for mine, other in pairs),
    )


def _is_another(before: str, asked: Callable[[], str]) -> bool:
    return asked() not in ("", before)
