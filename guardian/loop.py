"""The Guardian's loop: wake, list, decide, record, act, sleep.

Theory of operation
===================

A wake-up means "look again". A round takes in what waits (signals, answers of tasks, Runners that
are gone, the time), lets the core decide until nothing follows, and appends all that to the journal
with one fsync. Only then are the signals put away, and what the story wants is done: assignments
are written, Runners and tasks started or ended, orders sent, the view rewritten. Everything that is
done follows from the journal, and may be done twice; so a Guardian may be killed between any two
lines, and the next one goes on.

Nothing here waits for anything but the next wake-up. An append that fails changes nothing: what was
decided is forgotten, and decided again, for some minutes, before the Guardian gives up loudly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, final

from attractor.errors import StorageError, ToolError
from attractor.pipeline.graph import NodeId
from attractor.run.journal import Entry
from attractor.run.records import Order, Task
from attractor.run.states import NodeState
from attractor.run.story import Story
from guardian import specs
from guardian.advance import advance
from guardian.answers import answer
from guardian.children import Result
from guardian.core import Core, Event
from guardian.ending import lost
from guardian.hearing import Heard, hear
from signals.clock import Clock
from signals.watch import Watch

SLOW_SECONDS: Final = 15.0
_FAILING_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 2.0
_MOST_STARTS: Final = 5
_STARTS_SECONDS: Final = 60.0
_NANOSECONDS: Final = 1_000_000_000
_LEAST_SLEEP: Final = 0.01


class Record(Protocol):
    """The journal, as its writer has it."""

    def append_all(self, batch: Iterable[Event]) -> list[Entry]: ...


class Letters(Protocol):
    """See `guardian.post`."""

    @property
    def folder(self) -> str: ...
    def heard(self) -> list[tuple[str, Heard]]: ...
    def acknowledge(self, names: Sequence[str]) -> None: ...
    def send(self, orders: Sequence[Order], notices: Sequence[Order], seq: int) -> None: ...


class Processes(Protocol):
    """See `guardian.children`."""

    @property
    def folder(self) -> str: ...
    def runner_lives(self, node: str) -> bool: ...
    def start_runner(self, node: str) -> None: ...
    def forget_runner(self, node: str) -> None: ...
    def runs(self, name: str) -> bool: ...
    def running(self) -> list[str]: ...
    def start(self, name: str, spec: Mapping[str, Any], seconds: float) -> None: ...
    def results(self, names: Iterable[str]) -> list[Result]: ...
    def consume(self, name: str) -> None: ...
    def end(self, name: str) -> None: ...
    def fds(self) -> tuple[int, ...]: ...
    def seconds_left(self) -> float | None: ...


class Desk(Protocol):
    """See `guardian.desk`: files of the run that follow from the story."""

    def assign(self, core: Core, node: str, attempt: int) -> None: ...
    def short(self) -> str: ...
    def show(self, statuses: Mapping[NodeId, NodeState]) -> None: ...
    def tell(self, core: Core) -> None: ...
    def end_session(self, node: str) -> None: ...
    def conclude(self, core: Core) -> None: ...


@final
class Loop:
    """One run's Guardian. Everything that it touches is handed in."""

    def __init__(
        self,
        opened: Callable[[], tuple[Record, Core]],
        letters: Letters,
        processes: Processes,
        desk: Desk,
        clock: Clock,
    ) -> None:
        self._opened = opened
        self._letters = letters
        self._processes = processes
        self._desk = desk
        self._clock = clock
        self._starts: dict[str, deque[float]] = {}
        self._watched: set[str] = set()
        self._failing_since: float | None = None
        self._shown = -1
        self._ahead = False
        self._record, self.core = opened()

    @property
    def story(self) -> Story:
        """The run so far."""
        return self.core.story

    def run(self) -> None:
        """Guard the run until it has ended."""
        folders = [self._letters.folder, self._processes.folder]
        with Watch(folders, slow_seconds=SLOW_SECONDS, clock=self._clock) as watch:
            while not self.patient_step():
                watch.wait(self.sleep_seconds(), also=self._processes.fds())

    def patient_step(self) -> bool:
        """Do one round; a tool or a disk that fails in passing is tried again, for some minutes."""
        try:
            ended = self.step()
        except (StorageError, ToolError):
            now = self._clock.monotonic()
            if self._failing_since is None:
                self._failing_since = now
            if now - self._failing_since > _FAILING_SECONDS:
                raise
            return False
        self._failing_since = None
        return ended

    def step(self) -> bool:
        """Do one round; say whether the run has ended, and all that follows was done."""
        if self._ahead:
            self._record, self.core = self._opened()
            self._ahead, self._shown = False, -1
        heard = self._letters.heard()
        results = self._processes.results(self.story.tasks)
        self._decide([each for _, each in heard], results)
        self._append()
        while self.core.stale:
            # The graph has grown: what follows is decided on the new one, or on none.
            self._ahead = True
            self._record, self.core = self._opened()
            self._ahead, self._shown = False, -1
            self._decide([], [])
            self._append()
        self._letters.acknowledge([name for name, _ in heard])
        for each in results:
            self._processes.consume(each.name)
        self._act()
        return self.story.ended is not None

    def _decide(self, heard: Sequence[Heard], results: Sequence[Result]) -> None:
        core = self.core
        core.now = self._clock.wall_ns() / _NANOSECONDS
        core.short = self._desk.short()
        for signal in heard:
            hear(core, signal)
        for each in results:
            answer(core, each.name, each.said)
        for node in self._lost_runners():
            self._desk.end_session(node)
            lost(core, node, "its Runner died again and again")
        advance(core)

    def _append(self) -> None:
        entries = self.core.take()
        if entries:
            # What was taken is applied already: until it is on the disk, no decision may stand
            # on it, and where it cannot be written the core is made anew from what is.
            self._ahead = True
            self._record.append_all(entries)
            self._ahead = False

    # What follows

    def _act(self) -> None:
        core = self.core
        wants = core.wants()
        self._see_to_tasks(wants.tasks)
        for node, attempt in wants.runners.items():
            self._desk.assign(core, node, attempt)
        if core.story.ended is not None:
            self._desk.conclude(core)
        self._letters.send(core.story.orders, core.story.notices, core.story.core.seq)
        self._see_to_runners(wants.runners)
        if self._shown != core.moves:
            self._desk.show(core.story.core.statuses)
            self._shown = core.moves
        self._desk.tell(core)

    def _see_to_tasks(self, tasks: Sequence[Task]) -> None:
        wanted = {each.id: each for each in tasks}
        for name in self._processes.running():
            if name in wanted:
                continue
            if name in self.story.tasks:
                self._processes.end(name)
            else:
                # Nobody looks for its answer any more, if there is one by now.
                self._processes.consume(name)
        for name, task in wanted.items():
            if not self._processes.runs(name):
                said = specs.spec(self.core, task)
                self._processes.start(name, said, specs.seconds(self.core, task))

    def _see_to_runners(self, wanted: Mapping[str, int]) -> None:
        for node in wanted:
            if not self._processes.runner_lives(node):
                self._note_start(node)
                self._processes.start_runner(node)
        for node in self._watched - wanted.keys():
            self._starts.pop(node, None)
            self._processes.forget_runner(node)
        self._watched = set(wanted)

    def _note_start(self, node: str) -> None:
        self._starts.setdefault(node, deque(maxlen=_MOST_STARTS)).append(self._clock.monotonic())

    def _lost_runners(self) -> list[str]:
        """Return the nodes whose Runner was started too often, and is gone again."""
        now = self._clock.monotonic()
        return [
            node
            for node, starts in self._starts.items()
            if len(starts) == _MOST_STARTS
            and now - starts[0] < _STARTS_SECONDS
            and node in self.core.story.open_attempts
            and not self._processes.runner_lives(node)
        ]

    def sleep_seconds(self) -> float:
        """Return how long nothing is due by the clock."""
        if self._failing_since is not None:
            return _RETRY_SECONDS
        waits = [SLOW_SECONDS]
        if due := self.core.next_at():
            waits.append(due - self._clock.wall_ns() / _NANOSECONDS)
        if (left := self._processes.seconds_left()) is not None:
            waits.append(left)
        return max(_LEAST_SLEEP, min(waits))
