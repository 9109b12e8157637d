"""`attractor stop NODE`: end a node's session and its Runner; nothing of the work is removed.

The Runner is asked, and ends both in order. `--now` is for a session whose Runner is gone: it is
ended from here, and the order waits in the mailbox, so that a Runner that is started later does
not begin anew.
"""

from __future__ import annotations

from typing import Any, Final, final

import click

from attractor.cli.node_options import node_argument
from attractor.cli.nudge import send_order
from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, printable, say
from attractor.errors import AttractorError, InputError
from attractor.run import assignment, watched
from attractor.run.locate import Found
from signals.clock import SystemClock
from signals.owner import Liveness

_SECONDS: Final = 30.0


@final
class NotEndedError(AttractorError):
    """The Runner, or a session without one, is still there."""

    code = "timeout"


@click.command()
@node_argument
@click.option("--reason", default="stopped by a person", metavar="TEXT", help="For the record.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the Runner.",
)
@click.option("--now", is_flag=True, help="End a session that has no Runner from here.")
@json_option
def stop(found: Found, *, reason: str, timeout: float, now: bool, as_json: bool) -> None:
    """End the session of NODE and its Runner. Its worktree and branch stay as they are."""
    owner, alive = watched.runner(found)
    if watched.state(found).get("phase") != watched.ENDED:
        # To a dead Runner, too: one that is started later must not begin anew.
        send_order(found, "KILL_ORCHESTRATOR", {"reason": reason})
    if alive is Liveness.DEAD:
        words = _without_runner(found, now=now)
    else:
        if owner is None or not watched.ended(owner, timeout, SystemClock()):
            raise _late(found, owner.pid if owner else None, timeout)
        words = "the Runner has ended its session and itself"
    left = _left(found)
    if as_json:
        said = {"status": "ok", "run": found.run_id, "node": found.node_id, "message": words}
        say(dump(said | left))
        return
    say(f"{printable(found.node_id)}: {words}")
    for key, value in left.items():
        if value is not None:
            say(printable(f"{key}: {value}"))


def _without_runner(found: Found, *, now: bool) -> str:
    reached = watched.session(found)
    if reached is None or not watched.lives(reached):
        return "no Runner was alive, and no session is left"
    if not now:
        raise NotEndedError(
            "no Runner is alive, but its session is",
            where=found.node_id,
            fix=f"end it from here: attractor stop {found.named} --now; or start the Runner "
            "again, which then ends it",
        )
    if not watched.end_session(reached, SystemClock()):
        fix = f"see what is left: attractor attach {found.named}"
        raise NotEndedError("the session could not be ended", where=found.node_id, fix=fix)
    return "no Runner was alive; the session was ended from here"


def _late(found: Found, pid: int | None, seconds: float) -> NotEndedError:
    who = f"the Runner (pid {pid})" if pid else "the Runner"
    fix = "wait longer with --timeout; the order stays in its mailbox"
    if pid:
        fix += f"; if it hangs: kill -9 {pid}, then attractor stop {found.named} --now"
    problem = f"{who} has not ended within {seconds:g} seconds"
    return NotEndedError(problem, where=found.node_id, fix=fix)


def _left(found: Found) -> dict[str, Any]:
    """Return what is left of the node, as its files say."""
    state = watched.state(found)
    try:
        told = assignment.load(found.layout.assignment(found.node_id))
    except InputError:
        return {"worktree": None, "branch": None, "commits": None, "uncommitted": None}
    dirty = state.get("dirty")
    return {
        "worktree": told.worktree,
        "branch": told.branch,
        "commits": state.get("commits"),
        "uncommitted": "kept, in the worktree" if dirty else None,
    }
