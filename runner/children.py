"""The Runner's own child processes: the node's checks, and questions to a model.

A child answers by a file in `results/`, which wakes the loop; so does its silence at a deadline.
What a child that was started before our own death has answered counts as well. Children do not
outlive what they are for: `end` ends them, and each is recorded in `results/NAME.owner` until it
has ended, so that those of a Runner that was killed are ended by the next before it starts others.
One that was started in the moment before a kill can have no record yet; nobody is killed on less
than proof that it is the process that was recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, final

from attractor import spawn
from attractor.child import RECORD, Child, end_recorded
from attractor.run.assignment import Assignment
from signals import atomic
from signals.clock import Clock

_MOST_BYTES: Final = 1024 * 1024
_SLACK_SECONDS: Final = 30.0
CHECK: Final = "check-"
OPINION: Final = "opinion-"


class Result(NamedTuple):
    """What a child answered; nothing for one that died or was late."""

    name: str
    said: Mapping[str, Any] | None
    path: str


@final
class Children:
    """One node's children."""

    def __init__(
        self,
        assignment: Assignment,
        check_spec: Callable[[str, str], Mapping[str, Any]],
        question: Callable[[int, str, str], Mapping[str, Any]],
        environment: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._assignment = assignment
        self._check_spec = check_spec
        self._question = question
        self._environment = environment
        self._clock = clock
        self.folder = assignment.layout.results(assignment.node_id)
        self._running: dict[str, Child] = {}
        self._sweep()

    def check(self, head: str) -> None:
        """Run the node's checks on this commit."""
        name = f"{CHECK}{head}"
        spec = self._check_spec(head, self._path(name))
        self._start(name, "runner.checks", spec, self._assignment.limits.check_timeout)

    def ask(self, turn: int, message: str, screen: str) -> None:
        """Ask a model what the end of a turn means."""
        name = f"{OPINION}{turn}"
        question = self._question(turn, message, screen)
        seconds = self._assignment.limits.ask_timeout
        self._start(name, "attractor.agents", question, seconds, self._path(name))

    def _start(
        self,
        name: str,
        module: spawn.OwnModule,
        spec: Mapping[str, Any],
        seconds: float,
        *arguments: str,
    ) -> None:
        if name in self._running:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(name))
        # Not *.json, so that the watch does not wake for what we write ourselves.
        path = os.path.join(self.folder, f"{name}.spec")
        atomic.replace(path, json.dumps(spec).encode())
        log = os.path.join(self.folder, f"{name}.log")
        process = spawn.start_own(
            module, path, *arguments, log=log, cwd=self.folder, env=self._environment
        )
        deadline = self._clock.monotonic() + seconds + _SLACK_SECONDS
        self._running[name] = Child.recorded(process, self._record(name), deadline)

    def results(self) -> list[Result]:
        """Return what is answered by now, each once."""
        found = []
        for entry in sorted(os.listdir(self.folder)):
            name = entry.removesuffix(".json")
            if entry.endswith(".json") and name.startswith((CHECK, OPINION)):
                found.append(self._result(name))
                if name in self._running:
                    self._end(name)
        for name, child in list(self._running.items()):
            if child.process.poll() is not None or self._clock.monotonic() > child.deadline:
                self._end(name)
                found.append(Result(name, None, ""))
        return found

    def _result(self, name: str) -> Result:
        with atomic.storage_errors("read a result", self._path(name)):
            with open(self._path(name), "rb") as file:
                data = file.read(_MOST_BYTES)
            kept = os.path.join(self.folder, f"{name}.done")
            os.replace(self._path(name), kept)
        try:
            said = json.loads(data)
        except ValueError:
            said = None
        return Result(name, said if isinstance(said, dict) else None, kept)

    def runs(self, name: str) -> bool:
        """Say whether this child is running."""
        return name in self._running

    def deadline(self) -> float | None:
        """Return how many seconds are left until a child is late."""
        now = self._clock.monotonic()
        return min((each.deadline - now for each in self._running.values()), default=None)

    def fds(self) -> tuple[int, ...]:
        """Return descriptors that become readable when a child ends."""
        return tuple(each.fd for each in self._running.values() if each.fd >= 0)

    def end(self) -> None:
        """End them all."""
        for name in list(self._running):
            self._end(name)
        self._sweep()

    def _end(self, name: str) -> None:
        self._running[name].end(self._assignment.limits.kill_grace)
        del self._running[name]
        self._forget(name)

    def _sweep(self) -> None:
        """End what a Runner before us started, and keep the record of what does not end."""
        entries = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        for name in (each.removesuffix(RECORD) for each in entries if each.endswith(RECORD)):
            end_recorded(self._record(name), self._assignment.limits.kill_grace)

    def _forget(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._record(name))

    def _record(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}{RECORD}")

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}.json")
