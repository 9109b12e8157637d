"""`attractor clean [RUN]...`: remove what ended runs have left, and say what was kept and why.

Only what has ended, of which nothing is alive, and under the run's lease, so that nobody lets it go
on meanwhile. A run that can still be resumed must be named. What is removed is decided by
`runner.clean`, which knows worktrees; nothing here looks into one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from attractor.cli.output import check_stdout, dump, json_option, printable, say
from attractor.errors import AttractorError, InputError, ToolError, UsageError
from attractor.run.layout import RunLayout, state_folder
from attractor.run.locate import find, nodes_of, project_above, runs_of, whole_run
from signals.clock import SystemClock

_SECONDS: Final = 3600.0
_LEASE_SECONDS: Final = 5.0
_VALIDATED: Final = "validated"


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--force", is_flag=True, help="Also worktrees with work that is not safe elsewhere.")
@json_option
def clean(runs: Sequence[str], *, force: bool, as_json: bool) -> None:
    """Remove the worktrees, merged branches and private trees of ended runs.

    Without RUN, of all runs of this project that ended validated. Journal, report and evidence
    stay. What is not committed or not merged is kept, and named with the reason; then the exit is
    1 where its RUN was given. Of a run that can still be resumed the branches stay, and it must be
    named.
    """
    if force and not runs:
        raise UsageError("--force is for runs that are named", fix="attractor clean RUN --force")
    check_stdout()
    meant = [whole_run(each, os.getcwd()) for each in runs] if runs else [*_here()]
    done = [_cleaned(each, named=bool(runs), force=force) for each in meant]
    if as_json:
        say(dump({"status": "ok", "runs": done}))
    else:
        for each in done:
            _show(each)
        if not any(each["removed"] or each["kept"] for each in done):
            say("nothing to remove")
    if runs and any(each["kept"] for each in done):
        sys.exit(1)


def _here() -> Iterator[RunLayout]:
    project = project_above(os.getcwd())
    for name in runs_of(project):
        layout = RunLayout(os.path.join(state_folder(project), "runs", name))
        if os.path.isfile(layout.request):
            yield layout


def _cleaned(layout: RunLayout, *, named: bool, force: bool) -> dict[str, Any]:
    from attractor.run.alone import alone
    from attractor.run.tail import ended_with

    run, result = os.path.basename(layout.root), ""
    try:
        _refuse_living(layout, run)
        with alone(layout, SystemClock(), _LEASE_SECONDS):
            _refuse_living(layout, run)  # it may have been resumed
            result = ended_with(layout.journal)
            if not named and result != _VALIDATED:
                fix = f"when you do not want that: attractor clean {run}"
                raise InputError(f"it has ended {result}, and can be resumed", where=run, fix=fix)
            said = _asked(layout, force=force, branches=result == _VALIDATED)
    except AttractorError as error:
        if named:
            raise
        said = {"removed": [], "kept": [{"what": run, "why": error.problem, "fix": error.fix}]}
    return {"run": run, "root": layout.root, "result": result, **said}


def _refuse_living(layout: RunLayout, run: str) -> None:
    from attractor.run import recount, watched
    from attractor.run.ending import is_over
    from signals.owner import Liveness

    if not is_over(layout) or recount.lives(layout):
        fix = f"attractor stop {run}, or wait for its end: attractor resume {run}"
        raise InputError("it has not ended", where=run, fix=fix)
    for node in nodes_of(layout):
        try:
            found = find(node, layout.root, os.getcwd())
        except InputError:  # it never had a Runner
            continue
        reached = watched.session(found)
        alive = watched.runner(found)[1] is not Liveness.DEAD
        if alive or (reached is not None and watched.lives(reached)):
            fix = f"attractor stop {node} --run {run} --now"
            raise InputError(f"the session of {node} is alive", where=run, fix=fix)


def _asked(layout: RunLayout, *, force: bool, branches: bool) -> dict[str, Any]:
    from attractor.spawn import own_command, run_leashed

    flags = [name for name, given in (("--force", force), ("--branches", branches)) if given]
    argv = own_command("runner.clean", layout.root, *flags)
    ended = run_leashed(argv, timeout_seconds=_SECONDS)
    if ended.status != 0:
        problem = f"the run could not be cleaned: {ended.stderr.strip()[-2000:] or 'it was killed'}"
        raise ToolError(problem, where=layout.root, fix="put that right, and do the same again")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _show(done: dict[str, Any]) -> None:
    for each in done["removed"]:
        say(printable(f"{done['run']}: removed {each}"))
    for each in done["kept"]:
        what = "" if each["what"] == done["run"] else f" {each['what']}"
        say(printable(f"{done['run']}: kept{what}: {each['why']}"))
        if each["fix"]:
            say(printable(f"    {each['fix']}"))
    if done["removed"] and done["result"] != _VALIDATED:
        say(f"{done['run']}: it can still be resumed; its branches stay")
