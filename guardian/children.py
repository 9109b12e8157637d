"""The Guardian's processes: Runners, which outlive it, and tasks, which do not.

A Runner is known by the record that it writes itself, so that whoever comes back adopts those that
are alive and starts those that are not. Starting a second one is harmless: it finds the node taken,
and ends. A task is recorded in `tasks/NAME.owner` until it has ended; those of a Guardian that was
killed are ended by the next before it starts others, and what they answered until then counts.
Nobody is killed on less than proof that it is the process that was recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, final

from attractor import spawn
from attractor.child import RECORD, Child, end_recorded
from attractor.process import Process
from attractor.run.layout import RunLayout, escape
from attractor.run.locate import read_object
from attractor.run.plain import sweep
from signals import atomic
from signals.clock import Clock
from signals.owner import Owner, owner_of

_ANSWER: Final = ".json"
_MOST_BYTES: Final = 16 * 1024 * 1024
_GRACE_SECONDS: Final = 5.0


class Result(NamedTuple):
    """How a task ended; nothing is said by one that died."""

    name: str
    said: Mapping[str, Any] | None


@final
class Children:
    """One run's processes."""

    def __init__(self, layout: RunLayout, environ: Mapping[str, str], clock: Clock) -> None:
        self._layout = layout
        self._environ = dict(environ)
        self._clock = clock
        self._runners: dict[str, Process] = {}
        self._started: dict[str, spawn.OwnProcess] = {}
        self._ending: list[spawn.OwnProcess] = []
        self._tasks: dict[str, Child] = {}
        with atomic.storage_errors("make", layout.tasks):
            os.makedirs(layout.tasks, mode=0o700, exist_ok=True)
        self._left = self._sweep()
        """Answers that were there before us, and are not consumed yet."""

    @property
    def folder(self) -> str:
        """What to watch for answers."""
        return self._layout.tasks

    # Runners

    def runner_lives(self, node: str) -> bool:
        """Say whether a node's Runner is there, or may be."""
        child = self._started.get(node)
        if child is not None and child.poll() is None:
            return True
        process = self._runners.get(node)
        if process is None or process.alive is False:
            if process is not None:
                process.close()
            recorded = read_object(self._layout.runner_owner(node))
            process = Process(Owner.from_json(recorded))
            self._runners[node] = process
        return process.alive is not False

    def start_runner(self, node: str) -> None:
        """Start the Runner of a node, from the assignment that was written for it."""
        child = self._started.pop(node, None)
        if child is not None:
            child.poll()
        child = spawn.start_own(
            "runner",
            self._layout.assignment(node),
            log=self._layout.runner_log(node),
            cwd="/",
            env=self._environ,
        )
        self._started[node] = child
        if process := self._runners.pop(node, None):
            process.close()
        self._runners[node] = Process(owner_of(child.pid))

    def forget_runner(self, node: str) -> None:
        """Let go of a node's Runner, which has said that it ends."""
        if process := self._runners.pop(node, None):
            process.close()
        if child := self._started.pop(node, None):
            # Asked again at each look, so that none stays a zombie.
            self._ending = [*(each for each in self._ending if each.poll() is None), child]

    # Tasks

    def runs(self, name: str) -> bool:
        """Say whether this task is running."""
        return name in self._tasks

    def running(self) -> list[str]:
        """Return the tasks that run."""
        return list(self._tasks)

    def start(self, name: str, spec: Mapping[str, Any], seconds: float) -> None:
        """Start a task."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(name))
        path = self._path(name, ".spec")
        atomic.replace(path, json.dumps({**spec, "out": self._path(name)}).encode())
        process = spawn.start_own(
            "guardian.task",
            path,
            self._path(name),
            log=self._path(name, ".log"),
            cwd="/",
            env=self._environ,
        )
        deadline = self._clock.monotonic() + seconds
        self._tasks[name] = Child.recorded(process, self._path(name, RECORD), deadline)

    def results(self, names: Iterable[str]) -> list[Result]:
        """Return what these tasks, and those that run, have answered; each until `consume`.

        The folder keeps all that ever was, so it is not listed: what a Guardian before us had not
        consumed was found once, at the start.
        """
        found = []
        for name in sorted({*names, *self._tasks, *self._left}):
            task = self._tasks.get(name)
            late = task is not None and self._clock.monotonic() > task.deadline
            # Asked before its answer is looked for, which it may give just before it ends.
            over = task is not None and task.process.poll() is not None
            if os.path.exists(self._path(name)):
                found.append(Result(name, _read(self._path(name))))
            elif over:
                found.append(Result(name, None))
            elif late:
                found.append(Result(name, {"error": "it gave no answer in time"}))
        return found

    def consume(self, name: str) -> None:
        """Put an answer away, and whoever gave it; to be called when what it caused is durable."""
        self.end(name)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._path(name), self._path(name, ".done"))
        self._left.discard(name)

    def end(self, name: str) -> None:
        """End a task, with what it started."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.end(_GRACE_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(name, RECORD))

    def end_all(self) -> None:
        """End every task; Runners are left alone."""
        for name in list(self._tasks):
            self.end(name)

    # Waiting

    def fds(self) -> tuple[int, ...]:
        """Return descriptors that become readable when a child ends."""
        tasks = [each.fd for each in self._tasks.values() if each.fd >= 0]
        runners = [fd for each in self._runners.values() for fd in each.fds()]
        return (*tasks, *runners)

    def seconds_left(self) -> float | None:
        """Return how long until a task is late."""
        now = self._clock.monotonic()
        return min((each.deadline - now for each in self._tasks.values()), default=None)

    def _path(self, name: str, ending: str = _ANSWER) -> str:
        return os.path.join(self._layout.tasks, f"{escape(name)}{ending}")

    def _sweep(self) -> set[str]:
        """End the tasks of a Guardian before us, and return which have answered by then."""
        for entry in os.listdir(self._layout.tasks):
            if entry.endswith(RECORD):
                end_recorded(os.path.join(self._layout.tasks, entry), _GRACE_SECONDS)
        sweep(self._layout.tasks, lambda _: True)
        entries = os.listdir(self._layout.tasks)
        return {each.removesuffix(_ANSWER) for each in entries if each.endswith(_ANSWER)}


def _read(path: str) -> Mapping[str, Any] | None:
    with atomic.storage_errors("read an answer", path), open(path, "rb") as file:
        data = file.read(_MOST_BYTES)
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
