"""`attractor resume [RUN]`: let a run go on, with more to spend if you like, and watch it.

What is alive is adopted, what has died is started again. Of a run that goes on it only shows the
progress, and what is changed counts when its Guardian is started the next time. One that is being
ended would heed nothing any more: its end is waited for, and then it goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from attractor.cli.options import COUNT, budgets
from attractor.cli.output import check_stdout, dump, json_lines_option, note, say

if TYPE_CHECKING:
    from attractor.run.request import Request

_VALIDATED: Final = "validated"
_END_SECONDS: Final = 180.0


@click.command()
@click.argument("run", required=False)
@budgets
@click.option("--max-parallel", type=COUNT, metavar="N", help="How many nodes at once.")
@click.option("--auto-approve", is_flag=True, help="Gates of a person pass at once.")
@click.option("--detach", is_flag=True, help="Do not watch.")
@json_lines_option
def resume(run: str | None, *, detach: bool, as_json: bool, **options: Any) -> None:
    """Let RUN go on, or the current run, and watch it.

    The end of one that is being ended is waited for first. Outside of a terminal one line says what
    was, then each line is news; --json tells everything. Exits as `attractor run` does.
    """
    check_stdout()
    changes = {key: value for key, value in options.items() if value}
    go_on(run, changes, detach=detach, as_json=as_json)


def go_on(run: str | None, changes: Mapping[str, Any], *, detach: bool, as_json: bool) -> None:
    """Let a run go on; exits unless nobody is to watch."""
    from attractor.cli.watch_run import commands, follow
    from attractor.run import keeping
    from attractor.run import request as requests
    from attractor.run.locate import whole_run
    from attractor.run.tail import length
    from attractor.tripwire import check_start
    from signals.owner import Liveness

    check_start()
    layout = whole_run(run, os.getcwd())
    wanted = requests.load(layout.request)
    _see_it_ended(wanted)
    alive = keeping.keeper(layout)[1] is Liveness.ALIVE
    known = length(layout.journal)
    _ask_again(wanted, dict(changes), alive=alive)
    started = keeping.ensure_keeper(layout, os.environ)
    if not detach:
        sys.exit(follow(wanted.run_id, layout, started, known=known, as_json=as_json))
    if as_json:
        said = {"event": "resumed", "run": wanted.run_id, "root": layout.root, "was_alive": alive}
        say(dump(said, indent=None))
    else:
        words = "goes on already" if alive else "goes on"
        say(f"{wanted.run_id} {words}\n{commands(wanted.run_id, layout)}")


def _see_it_ended(wanted: Request) -> None:
    """Wait for the end of a run that is being ended: it would not heed what is asked for now."""
    from attractor.cli.stop import NotEndedError
    from attractor.run import ending, keeping
    from attractor.run.recount import lives
    from attractor.run.tail import ending_with
    from signals.clock import SystemClock

    layout = wanted.layout
    if ending_with(layout.journal) in ("", _VALIDATED) or not lives(layout):
        return
    note(f"{wanted.run_id} is being ended; it goes on once it has, in {_END_SECONDS:g} s at most")
    started = keeping.ensure_keeper(layout, os.environ)
    if not ending.awaited(layout, started, _END_SECONDS, SystemClock()) and lives(layout):
        problem = f"it was being ended, and has not within {_END_SECONDS:g} seconds"
        fix = f"wait, and resume it then; or end it at once: attractor stop {wanted.run_id} --kill"
        raise NotEndedError(problem, where=wanted.run_id, fix=fix)


def _ask_again(wanted: Request, changes: dict[str, Any], *, alive: bool) -> None:
    """Write down what is asked for now, where that is something else than before."""
    from attractor.run import request as requests
    from attractor.run.port import free_address
    from attractor.run.tail import ending_with
    from signals import atomic

    # One that died while it was being ended would only be ended.
    result = "" if alive else ending_with(wanted.layout.journal)
    if result and result != _VALIDATED:
        changes["resumes"] = wanted.resumes + 1
        if wanted.rehearsed:  # nobody is left who knows the old one, which may be taken by now
            changes["base_url"] = free_address()
    if not changes:
        return
    assert changes.keys() <= requests.CHANGEABLE
    atomic.replace(wanted.layout.request, requests.dump(replace(wanted, **changes)))
    if alive:
        note("note: the run goes on already; what is changed counts when it is resumed next")
