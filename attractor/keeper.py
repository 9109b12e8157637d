"""Layer 0 of a run: `python -I -m attractor.keeper RUN_ROOT` starts the Guardian, and again.

It outlives the terminal, decides nothing. The Guardian is started again when
it dies of anything but an orderly end, as is the scripted model in a rehearsal; more than five
times within a minute are a mistake of ours: it gives up, and says so in the terminal's mailbox. A
Guardian that a dead keeper left alive is waited for, not doubled; a model that one left is ended
first, as it has the port. Whoever has the lock is the run's only keeper; the kernel gives it back.

Ends with 0 when the run has ended or it was told to end, 1 when it gave up, 2 when called wrongly,
75 when the run has a keeper already. It sleeps until a child ends or a signal comes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal as posix_signals
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, Self, final

from attractor.process import pidfd
from attractor.run import keeping, request
from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.run.request import Request
from attractor.run.tail import ended_with
from attractor.spawn import OwnModule, OwnProcess, TimeoutExpired, start_own
from signals.atomic import replace, storage_errors
from signals.clock import Clock, SystemClock, iso
from signals.errors import AttractorError, BusyError
from signals.owner import Liveness, Owner, liveness, owner_of

ENDED: Final = 0
"""The Guardian's exit status when the run has ended."""
BUSY: Final = os.EX_TEMPFAIL
"""The Guardian's when another one has the run, and ours when another keeper has it."""
MOST_RESTARTS: Final = 5
WITHIN_SECONDS: Final = 60.0
GUARDIAN: Final[OwnModule] = "guardian"
MODEL: Final[OwnModule] = "attractor.rehearsal"
_USAGE: Final = "usage: python -I -m attractor.keeper RUN_ROOT\n"
_END_SECONDS: Final = 60.0
_TELL_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 1.0
_SAID_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02
_STOPS: Final = (posix_signals.SIGTERM, posix_signals.SIGINT, posix_signals.SIGHUP)


class Start(Protocol):
    """What starts one of the run's processes."""

    def __call__(self, module: OwnModule) -> OwnProcess: ...


def may_start_again(restarts: Sequence[float], now: float) -> bool:
    """Say whether what was started again at these times may be started again now."""
    return sum(now - at < WITHIN_SECONDS for at in restarts) < MOST_RESTARTS


@final
class Record:
    """What the keeper says of itself and its children, for the next keeper and for people."""

    def __init__(self, layout: RunLayout, clock: Clock) -> None:
        self._path = layout.keeper
        before = Owner.from_json(read_object(self._path).get(MODEL))
        self.left_model = before if liveness(before) is Liveness.ALIVE else None
        """The scripted model of a keeper that died, if it is alive."""
        self._said: dict[str, Any] = Owner.current().as_json() | {"since": iso(clock.wall_ns())}
        self._write()

    def child(self, module: OwnModule, pid: int) -> None:
        """Say who a child is; a full disk is no reason to end a run."""
        owner = owner_of(pid)
        self._said[module] = owner.as_json() if owner else None
        with contextlib.suppress(AttractorError):
            self._write()

    def remove(self) -> None:
        """There is no keeper any more."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _write(self) -> None:
        replace(self._path, json.dumps(self._said).encode() + b"\n")


@contextlib.contextmanager
def hold(layout: RunLayout, clock: Clock) -> Iterator[Record]:
    """Be the run's one keeper; BusyError says who is."""
    with storage_errors("take the lease", layout.keeper_lock):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(layout.keeper_lock, flags, 0o600)
    try:
        if not _locked(fd, layout, clock):
            pid = read_object(layout.keeper).get("pid", "unknown")
            fix = "nothing is to be done: it looks after the run"
            problem = f"the run has a keeper already, process {pid}"
            raise BusyError(problem, where=layout.root, fix=fix)
        record = Record(layout, clock)
        yield record
        # While we still hold it: after that it would be the next keeper's.
        record.remove()
    finally:
        os.close(fd)


def _locked(fd: int, layout: RunLayout, clock: Clock) -> bool:
    """Take the lock; False where a keeper has it that is on the record.

    A keeper takes the lock before it says so, and gives it back after it has taken that back. In
    between it is waited for: it comes, or goes and leaves the run to us.
    """
    deadline = clock.monotonic() + _SAID_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if keeping.keeper(layout)[1] is Liveness.ALIVE or clock.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_SECONDS)


@final
class Keeper:
    """The loop, and the children; the caller holds the lock."""

    def __init__(
        self, layout: RunLayout, modules: Sequence[OwnModule], start: Start, clock: Clock
    ) -> None:
        self._layout = layout
        # In the order of starting; they are ended in the other one.
        self._modules = modules
        self._start = start
        self._clock = clock
        self._children: dict[OwnModule, OwnProcess] = {}
        self._restarts: dict[OwnModule, list[float]] = {}
        self.given_up = ""
        """Why, where it was."""

    def run(self, record: Record) -> int:
        """Keep the run until it has ended, or cannot be kept; returns our exit status."""
        if record.left_model is not None:
            _signal(record.left_model, posix_signals.SIGKILL)
        with _Wake() as wake:
            try:
                while self._all_begun(record):
                    wake.wait()
                    ended = self._ended()
                    if wake.stopped or ended.get(GUARDIAN) == ENDED:
                        return 0
                    if ended.get(GUARDIAN) == BUSY and self._other_ended(wake):
                        return 0
                return 1
            finally:
                self._end_all()

    def _all_begun(self, record: Record) -> bool:
        for module in self._modules:
            if module not in self._children and not self._begun(module, record):
                return False
        return True

    def _begun(self, module: OwnModule, record: Record) -> bool:
        now, before = self._clock.monotonic(), self._restarts.get(module)
        if before is not None and not may_start_again(before, now):
            self.given_up = (
                f"{module} was started again {MOST_RESTARTS} times within {WITHIN_SECONDS:g} "
                "seconds, and died each time"
            )
            return False
        self._restarts[module] = [] if before is None else [*before[1 - MOST_RESTARTS :], now]
        try:
            child = self._children[module] = self._start(module)
        except OSError as error:
            self.given_up = f"{module} could not be started: {error.strerror or error}"
            return False
        record.child(module, child.pid)
        return True

    def _ended(self) -> dict[OwnModule, int]:
        """Return the exit statuses of the children that have ended since."""
        found = {}
        for module, child in [*self._children.items()]:
            if (status := child.poll()) is not None:
                found[module] = status
                del self._children[module]
                self._say(f"{module} (pid {child.pid}) has ended with {status}")
        return found

    def _other_ended(self, wake: _Wake) -> bool:
        """Wait for the end of a Guardian that is not our child; say whether nothing is left."""
        owner, alive = keeping.guardian(self._layout)
        if owner is None or alive is not Liveness.ALIVE:
            return False
        self._say(f"a Guardian is alive already (pid {owner.pid}), and waited for")
        with contextlib.ExitStack() as held:
            fd = pidfd(owner.pid)
            if fd >= 0:
                held.callback(os.close, fd)
            while liveness(owner) is not Liveness.DEAD:
                wake.wait(fd)
                if wake.stopped:
                    _signal(owner, posix_signals.SIGTERM)
                    return True
        self._restarts.pop(GUARDIAN, None)
        # It was somebody else's child: only what it wrote says how it ended.
        return bool(ended_with(self._layout.journal))

    def _end_all(self) -> None:
        """End the children, what was started last at first."""
        for module in reversed(self._modules):
            if (child := self._children.pop(module, None)) is None:
                continue
            child.terminate()
            try:
                child.wait(_END_SECONDS)
            except TimeoutExpired:
                child.kill()
                child.wait(_END_SECONDS)
            self._say(f"{module} (pid {child.pid}) was ended: {child.returncode}")

    def _say(self, what: str) -> None:
        sys.stderr.write(f"{iso(self._clock.wall_ns())} keeper: {what}\n")
        sys.stderr.flush()


@final
class _Wake:
    """Sleep until a signal comes; the end of a child is one, too."""

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self.stopped = False
        """We were told to end."""
        self._before = posix_signals.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {
            number: posix_signals.signal(number, self._heard)
            for number in (*_STOPS, posix_signals.SIGCHLD)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            posix_signals.signal(number, handler)
        posix_signals.set_wakeup_fd(self._before)
        os.close(self._reader)
        os.close(self._writer)

    def _heard(self, number: int, _: object) -> None:
        self.stopped = self.stopped or number in _STOPS

    def wait(self, also: int | None = None) -> None:
        """Sleep; `also` wakes when it becomes readable, and -1 stands for looking each second."""
        watched = [self._reader] if also is None or also < 0 else [self._reader, also]
        if self._reader in select.select(watched, [], [], _TICK_SECONDS if also == -1 else None)[0]:
            os.read(self._reader, 65_536)


def _signal(owner: Owner, number: posix_signals.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(owner.pid, number)


def tell(wanted: Request, problem: str, clock: Clock) -> None:
    """Put GUARDIAN_ERROR into the terminal's mailbox; what that imports is gone afterwards."""
    from attractor.apart import apart

    apart(lambda: _send(wanted, problem, clock), clock, _TELL_SECONDS)


def _send(wanted: Request, problem: str, clock: Clock) -> str:
    from signals import kinds, sign
    from signals.mailbox import Mailbox

    layout = wanted.layout
    mailbox = Mailbox(layout.terminal_mailbox, key=sign.read_key(layout.key), clock=clock)
    said = {"pipeline_id": wanted.run_id, "error": problem}
    signal = kinds.compose(
        "guardian", "terminal", kinds.payload_of("GUARDIAN_ERROR", said), run_id=wanted.run_id
    )
    return mailbox.send(signal)


def main(arguments: list[str]) -> int:
    """Keep one run."""
    if len(arguments) != 1:
        sys.stderr.write(_USAGE)
        return 2
    from attractor import tripwire

    layout, clock = RunLayout(arguments[0]), SystemClock()
    try:
        tripwire.check_start()
        wanted = request.load(layout.request)

        def start(module: OwnModule) -> OwnProcess:
            return start_own(module, layout.root, log=layout.log, cwd="/", env=os.environ)

        modules: list[OwnModule] = [MODEL, GUARDIAN] if wanted.rehearsed else [GUARDIAN]
        with hold(layout, clock) as record:
            kept = Keeper(layout, modules, start, clock)
            status = kept.run(record)
            if kept.given_up:
                problem = f"{kept.given_up}; what it said is in {layout.log}"
                sys.stderr.write(f"{problem}\n")
                tell(wanted, problem, clock)
    except BusyError as error:
        sys.stderr.write(f"{error}\n")
        return BUSY
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
