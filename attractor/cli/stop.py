"""`attractor stop NAME`: end a run, or one node's session and its Runner; no work is removed.

A run of that name comes before a node of the current run. The run's Guardian is asked, and one is
started if none is alive; with `--kill` all its processes are ended from here, at once. A node's
Runner is asked, and ends its session and itself in order. `--now` is for a session whose Runner is
gone: it is ended from here, and the order waits in the mailbox, so that a Runner that is started
later does not begin anew.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any, Final, final

import click

from attractor.cli.nudge import send_order
from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, printable, say
from attractor.errors import AttractorError, InputError
from attractor.run import assignment, watched
from attractor.run.layout import RunLayout
from attractor.run.locate import Found, find, run_called
from signals.clock import SystemClock
from signals.owner import Liveness

_SECONDS: Final = 30.0
_RUN_SECONDS: Final = 180.0
_KILLED: Final = 4


@final
class NotEndedError(AttractorError):
    """What was to end is still there."""

    code = "timeout"


@click.command()
@click.argument("name", metavar="RUN|NODE")
@click.option("--run", metavar="RUN", help="The run that NODE is of.")
@click.option("--reason", default="stopped by a person", metavar="TEXT", help="For the record.")
@click.option(
    "--timeout",
    type=SECONDS,
    metavar="SECONDS",
    help="How long to wait for the end: 30 for a node, 180 for a run.",
)
@click.option("--kill", "at_once", is_flag=True, help="End all processes of a run from here.")
@click.option("--now", is_flag=True, help="End a session that has no Runner from here.")
@json_option
def stop(
    name: str,
    run: str | None,
    *,
    reason: str,
    timeout: float | None,
    at_once: bool,
    now: bool,
    as_json: bool,
) -> None:
    """End a RUN, or the session of a NODE and its Runner. Worktrees and branches stay as they are.

    A run that was stopped or killed goes on with `attractor resume`. After --kill the exit is 4.
    """
    layout = None if run is not None or now else run_called(name, os.getcwd())
    if layout is not None:
        seconds = _RUN_SECONDS if timeout is None else timeout
        _stop_run(layout, reason, seconds, at_once=at_once, as_json=as_json)
        return
    if at_once:
        fix = "for one node: attractor stop NODE --now"
        raise InputError(f"there is no run {name!r:.80} to kill", where="--kill", fix=fix)
    try:
        found = find(name, run, os.getcwd())
    except InputError as error:
        raise _without_session(name, run, error) from None
    seconds = _SECONDS if timeout is None else timeout
    _stop_node(found, reason, seconds, now=now, as_json=as_json)


def _stop_run(
    layout: RunLayout, reason: str, seconds: float, *, at_once: bool, as_json: bool
) -> None:
    from attractor.run import ending, request

    wanted, clock = request.load(layout.request), SystemClock()
    if at_once:
        left = ending.kill(layout, clock)
        if left:
            fix = "try again; what stays then hangs in the kernel, or is not ours to end"
            problem = f"still alive: {', '.join(left)}"
            raise NotEndedError(problem, where=wanted.run_id, fix=fix)
        words = "all its processes were ended; go on with: attractor resume"
        _say_run(wanted.run_id, layout, f"{words} {wanted.run_id}", as_json=as_json)
        sys.exit(_KILLED)
    if ending.is_over(layout):
        _say_run(wanted.run_id, layout, "it has ended already", as_json=as_json)
        return
    started = ending.ask(wanted, reason, os.environ, clock)
    if not ending.awaited(layout, started, seconds, clock):
        fix = (
            f"the order stays in its mailbox: wait longer with --timeout, see {layout.log}, or "
            f"end it at once: attractor stop {wanted.run_id} --kill"
        )
        problem = f"it has not ended within {seconds:g} seconds"
        raise NotEndedError(problem, where=wanted.run_id, fix=fix)
    words = f"it has ended; go on with: attractor resume {wanted.run_id}"
    _say_run(wanted.run_id, layout, words, as_json=as_json)


def _say_run(run_id: str, layout: RunLayout, words: str, *, as_json: bool) -> None:
    if as_json:
        say(dump({"status": "ok", "run": run_id, "root": layout.root, "message": words}))
    else:
        say(f"{run_id}: {words}")


def _without_session(name: str, run: str | None, error: InputError) -> InputError:
    """Return why nothing of this name can be stopped: more than that it has no folder."""
    from attractor.pipeline.load import load
    from attractor.run import request
    from attractor.run.roles import Role, role

    problem = f"there is no run and no node {name!r:.80}" if run is None else error.problem
    layout = run_called(run, os.getcwd())
    if layout is None:
        # Where the run itself was named, that is what is wrong.
        fix = f"`attractor runs` lists the runs; {error.fix}"
        return error if run is not None else InputError(problem, where=error.where, fix=fix)
    run_id, (_, graph) = request.load(layout.request).run_id, load(layout.dot)
    node = next((each for each in graph.nodes.values() if each.id == name), None)
    if node is None:
        fix = f"`attractor runs` lists the runs, `attractor status {run_id}` the nodes of this one"
        return InputError(problem, where=run_id, fix=fix)
    whole = f"to stop the whole run: attractor stop {shlex.quote(run_id)}"
    if role(graph, node) is Role.WORK:
        return InputError("no session was started for it yet", where=name, fix=whole)
    problem = f"it has no session: its handler is {graph.handler(node)}, which is no agent's"
    return InputError(problem, where=name, fix=whole)


def _stop_node(found: Found, reason: str, timeout: float, *, now: bool, as_json: bool) -> None:
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
