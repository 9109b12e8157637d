"""One Runner: `python -I -m runner ASSIGNMENT.json`.

Ends with 0 when the node's outcome was told to the Guardian, whatever it is; with 1 when it could
not begin or go on, and says why on stderr and, where there is a mailbox, in RUNNER_EXITED; with 2
when called wrongly. It may be killed at any moment and started again with the same assignment.
"""

from __future__ import annotations

import sys
import traceback

from attractor import tripwire
from attractor.run import assignment as assignments
from attractor.run.assignment import Assignment
from signals.clock import SystemClock
from signals.errors import AttractorError, BusyError

_FAILED = "FAILED"
_USAGE = "usage: python -I -m runner ASSIGNMENT.json\n"
_PREFLIGHT_SECONDS = 120.0


def main(arguments: list[str]) -> int:
    """Run one Runner to its end."""
    helped = arguments in (["--help"], ["-h"])
    if helped or len(arguments) != 1:
        (sys.stdout if helped else sys.stderr).write(_USAGE)
        return 0 if helped else 2
    try:
        tripwire.check_start()
        assignment = assignments.load(arguments[0])
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        _run(assignment)
    except BusyError as error:
        # Another Runner has the node: it is that one's to speak for it.
        sys.stderr.write(f"{error}\n")
        return 1
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        _tell(assignment, str(error))
        return 1
    except Exception as error:  # noqa: BLE001  # the reason must reach the Guardian, whatever it is
        traceback.print_exc()
        _tell(assignment, f"a mistake in the Runner: {type(error).__name__}: {error}")
        return 1
    return 0


def _run(assignment: Assignment) -> None:
    import os

    from attractor.apart import apart
    from runner import sandbox
    from runner.assemble import assemble
    from runner.hold import hold

    clock = SystemClock()
    layout, node = assignment.layout, assignment.node_id
    with hold(layout.runner_lock(node), layout.runner_owner(node), clock):
        if not os.path.exists(layout.runner_state(node)):
            # Before anything starts; what was started is watched, whatever has changed since.
            apart(lambda: _check(assignment), clock, _PREFLIGHT_SECONDS)
        level = sandbox.check_level(sandbox.probe(os.environ), assignment.sandbox)
        assemble(assignment, level, clock).run()


def _check(assignment: Assignment) -> None:
    import os

    from attractor.run import preflight

    preflight.refuse(preflight.examine(preflight.plan_of(assignment), os.environ))


def _tell(assignment: Assignment, reason: str) -> None:
    """Tell the Guardian that the Runner could not go on; what is wrong may forbid that, too."""
    from runner.effects import Signal
    from runner.post import Post

    payload = {"node_id": assignment.node_id, "mode": _FAILED, "reason": reason}
    try:
        # A number that no signal of the loop has: this one is told each time it happens.
        number = -SystemClock().wall_ns()
        Post(assignment, SystemClock()).send(
            Signal(type="RUNNER_EXITED", payload=payload, number=number)
        )
    except AttractorError as error:
        sys.stderr.write(f"the Guardian could not be told: {error}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
