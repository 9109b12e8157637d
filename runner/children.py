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
import signal as posix_signals
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, final

from attractor import spawn
from attractor.process import Process
from attractor.run.assignment import Assignment
from signals import atomic
from signals.clock import Clock
from signals.owner import Owner, owner_of

_MOST_BYTES: Final = 1024 * 1024
_SLACK_SECONDS: Final = 30.0
CHECK: Final = "check-"
OPINION: Final = "opinion-"
_OWNER: Final = ".owner"
_MOST_RECORD: Final = 4096


class Result(NamedTuple):
    """What a child answered; nothing for one that died or was late."""

    name: str
    said: Mapping[str, Any] | None
    path: str


class _Child(NamedTuple):
    process: spawn.OwnProcess
    deadline: float
    fd: int  # readable when it has ended; -1 where there is no such thing

    def end(self, grace_seconds: float) -> None:
        """End it, with what it started; it has handlers that do so."""
        if self.fd >= 0:
            os.close(self.fd)
        for number in (posix_signals.SIGTERM, posix_signals.SIGKILL):
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(spawn.TimeoutExpired):
                self.process.wait(grace_seconds)


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
        self._running: dict[str, _Child] = {}
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
        if owner := owner_of(process.pid):
            atomic.replace(self._record(name), json.dumps(owner.as_json()).encode())
        deadline = self._clock.monotonic() + seconds + _SLACK_SECONDS
        self._running[name] = _Child(process, deadline, _pidfd(process.pid))

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
        for name in (each.removesuffix(_OWNER) for each in entries if each.endswith(_OWNER)):
            process = Process(_recorded(self._record(name)))
            for number in (posix_signals.SIGTERM, posix_signals.SIGKILL):
                _signal_group(process, number)
                if process.wait(self._assignment.limits.kill_grace):
                    self._forget(name)
                    break
            process.close()

    def _forget(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._record(name))

    def _record(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}{_OWNER}")

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}.json")


def _recorded(path: str) -> Owner | None:
    try:
        with open(path, "rb") as file:
            return Owner.from_json(json.loads(file.read(_MOST_RECORD)))
    except (OSError, ValueError, RecursionError):
        return None


def _signal_group(process: Process, number: int) -> None:
    """Send a signal to a child of old, with its group, of which it is the leader."""
    if process.owner is not None and process.alive is True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.owner.pid, number)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # elsewhere the slow listing finds its end
        return -1
