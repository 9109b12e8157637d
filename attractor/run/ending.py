"""A whole run, ended by a person: in order, through its Guardian, or at once, from here.

`ask` puts the order into the Guardian's mailbox, where it survives everything; a keeper is started
if none is alive, so that somebody reads it. `kill` ends every process of the run that is recorded
and proved to be that one, or was told of the run on its command line, and tells nothing to anybody:
the journal stays as it is, no work is touched, and the run can be resumed. Where command lines of
others cannot be read (macOS), what was started at that very moment is missed; a second `kill` finds
it.
"""

from __future__ import annotations

import contextlib
import os
import signal as posix_signals
from collections.abc import Iterator, Mapping
from typing import Final

from attractor.run import keeping, watched
from attractor.run.following import Following
from attractor.run.layout import RunLayout
from attractor.run.locate import Found, nodes_of, read_object
from attractor.run.request import Request
from attractor.run.tail import ended_with
from attractor.spawn import OwnModule, OwnProcess
from signals.clock import Clock
from signals.mailbox import Mailbox
from signals.owner import Liveness, Owner, liveness, owner_of
from signals.sign import read_key

_GONE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_ROUNDS: Final = 20
_PROC: Final = "/proc"
_OF_A_RUN: Final[frozenset[OwnModule]] = frozenset(
    {
        *("attractor.keeper", "attractor.rehearsal", "guardian", "guardian.task"),
        *("runner", "runner.checks", "runner.judged", "attractor.agents"),
    }
)


def ask(
    request: Request, reason: str, environ: Mapping[str, str], clock: Clock
) -> OwnProcess | None:
    """Let the Guardian end its run; returns the keeper, where one had to be started."""
    from signals import kinds

    layout = request.layout
    mailbox = Mailbox(layout.guardian_mailbox, key=read_key(layout.key), clock=clock)
    said = kinds.payload_of("STOP_RUN", {"reason": reason})
    mailbox.send(kinds.compose("terminal", "guardian", said, run_id=request.run_id))
    return keeping.ensure_keeper(layout, environ)


def is_over(layout: RunLayout) -> bool:
    """Say whether a run has ended, and nobody looks after it any more."""
    kept = keeping.keeper(layout)[1] is not Liveness.DEAD
    return not kept and bool(ended_with(layout.journal))


def awaited(layout: RunLayout, started: OwnProcess | None, seconds: float, clock: Clock) -> bool:
    """Wait until a run has ended and its processes with it; False if that takes too long."""
    deadline = clock.monotonic() + seconds
    names = [os.path.basename(path) for path in (layout.journal, layout.keeper)]
    with Following(layout.root, names) as following:
        while True:
            coming = started is not None and started.poll() is None
            if not coming and is_over(layout):
                return True
            kept = coming or keeping.keeper(layout)[1] is not Liveness.DEAD
            left = deadline - clock.monotonic()
            if left <= 0 or not kept:
                return is_over(layout)
            following.wait(min(left, _LOOK_SECONDS))


def kill(layout: RunLayout, clock: Clock) -> list[str]:
    """End every process of a run at once; returns what could not be ended."""
    left = _recorded(layout, clock)
    for _ in range(_ROUNDS):
        # What was started a moment ago has no record yet, and starts others.
        found = _unrecorded(layout.root)
        if not found:
            return left
        for owner in found:
            _ended(owner, clock)
        left = _recorded(layout, clock)
    return [*left, "what is started again and again"]


def _recorded(layout: RunLayout, clock: Clock) -> list[str]:
    kept = read_object(layout.keeper)
    # Whoever would start another again comes before that other.
    above = [
        ("the keeper", Owner.from_json(kept)),
        ("the Guardian", Owner.from_json(kept.get("guardian"))),
        ("the Guardian", Owner.from_json(read_object(layout.owner))),
    ]
    left = [name for name, owner in above if not _ended(owner, clock)]
    left += [name for name, owner in _tasks(layout) if not _ended(owner, clock)]
    for node in nodes_of(layout):
        if not _ended(Owner.from_json(read_object(layout.runner_owner(node))), clock):
            left.append(f"the Runner of {node}")
        found = Found(layout, node, b"", os.path.basename(layout.root), node)
        reached = watched.session(found)
        if reached is not None and not watched.end_session(reached, clock):
            left.append(f"the session of {node}")
    if not _ended(Owner.from_json(kept.get("attractor.rehearsal")), clock):
        left.append("the scripted model")
    return left


def _unrecorded(root: str) -> list[Owner]:
    """Return our own processes that were told of this run on their command line."""
    names = filter(str.isdigit, os.listdir(_PROC)) if os.path.isdir(_PROC) else ()
    found = [owner_of(int(name)) for name in names if _is_of(f"{_PROC}/{name}", root)]
    return [each for each in found if each is not None]


def _is_of(process: str, root: str) -> bool:
    try:
        with open(os.path.join(process, "cmdline"), "rb") as file:
            words = [os.fsdecode(word) for word in file.read().split(b"\0")]
    except OSError:
        return False
    if words[1:3] != ["-I", "-m"] or not _OF_A_RUN.intersection(words[3:4]):
        return False
    return any(each == root or each.startswith(f"{root}{os.sep}") for each in words[4:])


def _tasks(layout: RunLayout) -> Iterator[tuple[str, Owner | None]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(layout.tasks) as entries:
        for entry in entries:
            if entry.name.endswith(".owner"):
                name = entry.name.removesuffix(".owner")
                yield f"the task {name}", Owner.from_json(read_object(entry.path))


def _ended(owner: Owner | None, clock: Clock) -> bool:
    """Kill a process with its group, and see it gone; one that is not proved alive is left."""
    if owner is None or liveness(owner) is not Liveness.ALIVE:
        return True
    for end in (os.killpg, os.kill):
        # No group has the id of a process that does not lead one.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(owner.pid, posix_signals.SIGKILL)
    return watched.ended(owner, _GONE_SECONDS, clock)
