"""What a Guardian costs while nothing happens, and what it and other engines hold of the memory.

The Guardian is the real one. Its Runners are stand-ins: real processes that hold still, with the
record by which a Guardian knows its Runners; what a real one costs is in the rows on the runner. A
wake-up is a voluntary switch of context. No model is asked: the stand-ins have no session.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import guarded
import peers
from measure import Line
from processes import SLEEPING, Spent, bare_memory, megabytes, memory, spent

from attractor.run.request import Request
from signals.owner import owner_of

SECONDS = 60.0
SETTLE_SECONDS = 5.0
NODES = (1, 50)


def rows() -> Iterator[Line]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        project, commit = guarded.project_in(os.path.join(folder, "project"))
        with contextlib.ExitStack() as held:
            guards = {each: held.enter_context(_watching(project, commit, each)) for each in NODES}
            still = held.enter_context(_still())
            time.sleep(SETTLE_SECONDS)
            pids = {**guards, 0: still}
            before = {key: spent(pid) for key, pid in pids.items()}
            time.sleep(SECONDS)
            used = {key: spent(pid).since(before[key]) for key, pid in pids.items()}
            resident = {key: memory(pid) for key, pid in guards.items()}
        yield from _idle(used)
        for key, kibibytes in resident.items():
            what = f"Guardian, {_watched(key)}, memory (resident)"
            bare = megabytes(bare_memory())
            yield Line(what, megabytes(kibibytes), "python -I, doing nothing", bare, "<= 30 MB")
        with peers.running(folder) as engines:
            for engine in engines:
                engine.run(guarded.CHAIN)
                for part, kibibytes in engine.memory().items():
                    what = f"   ({engine.name}, {part}, after a chain of 100)"
                    yield Line(what, "", "memory (resident)", megabytes(kibibytes))


def _idle(used: dict[int, Spent]) -> Iterator[Line]:
    still, minute = used[0], 60 / SECONDS
    for key in NODES:
        yield Line(
            f"Guardian, {_watched(key)}, processor time",
            f"{used[key].seconds * minute * 1e3:.0f} ms/min",
            "a process that sleeps",
            f"{still.seconds * minute * 1e3:.0f} ms/min",
        )
        yield Line(
            f"Guardian, {_watched(key)}, wake-ups",
            f"{used[key].wakes * minute:.0f}/min",
            "a process that sleeps",
            f"{still.wakes * minute:.0f}/min",
        )


def _watched(nodes: int) -> str:
    return f"{nodes} idle node{'s' if nodes > 1 else ''}"


@contextlib.contextmanager
def _watching(project: str, commit: str, nodes: int) -> Iterator[int]:
    """Yield the pid of a Guardian that watches so many idle nodes."""
    text = guarded.layers([nodes], guarded.WORK)
    request = guarded.run_folder(project, commit, f"idle{nodes}", text)
    with contextlib.ExitStack() as held:
        for each in range(nodes):
            _stand_in(request, f"n0_{each}", held.enter_context(_still()))
        process = guarded.guardian(request)
        held.callback(process.wait)
        held.callback(process.kill)
        guarded.until(lambda: _dispatched(request) == nodes, process)
        yield process.pid


def _dispatched(request: Request) -> int:
    paths = [request.layout.assignment(node) for node in os.listdir(_nodes_of(request))]
    return sum(map(os.path.exists, paths))


def _nodes_of(request: Request) -> str:
    return os.path.dirname(request.layout.node("any"))


def _stand_in(request: Request, node: str, pid: int) -> None:
    """Let a process be taken for the Runner of a node."""
    owner = owner_of(pid)
    assert owner
    os.mkdir(request.layout.node(node), 0o700)
    with open(request.layout.runner_owner(node), "w", encoding="utf-8") as file:
        json.dump(owner.as_json(), file)


@contextlib.contextmanager
def _still() -> Iterator[int]:
    """Yield the pid of a process that holds still."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-I", "-S", "-c", SLEEPING]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        process.stdout.read(1)
        try:
            yield process.pid
        finally:
            process.kill()
