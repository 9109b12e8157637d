"""`attractor night`: a goal in the evening; judged, reviewed and merged work in the morning.

It is `attractor plan`, and after somebody's word `attractor run --persistent` of what was planned,
and `attractor report` at the end, in one. It holds nothing of its own: killed while it plans, the
plan is made again; killed later, or with the whole machine, `attractor resume` goes on. Exits as
`attractor run` does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from attractor.cli.options import COUNT, budgets, planned_from
from attractor.cli.output import check_stdout, dump, json_lines_option, say, width
from attractor.errors import InputError

if TYPE_CHECKING:
    from attractor.cli.run_request import Asked, Prepared
    from attractor.plan.goal import Goal
    from attractor.plan.make import Planned
    from attractor.run.request import Request

_PLAN: Final = ("context", "scope", "name")


@click.command()
@planned_from
@click.option("--name", default="", metavar="NAME", help="What the plan is called.")
@click.option("--yes", is_flag=True, help="Approve the plan, and plan again, without being asked.")
@click.option("--rehearse", is_flag=True, help="The real Claude Code with a scripted model.")
@click.option("--fault", "faults", multiple=True, metavar="F@NODE", help="What goes wrong.")
@click.option("--review", default=None, metavar="WHO", help="Who reviews, such as self,gemini.")
@click.option("--free", is_flag=True, help="OpenCode with models that cost nothing.")
@click.option("--max-parallel", type=COUNT, default=4, show_default=True, metavar="N")
@click.option("--project", default="", metavar="DIR", help="The repository; default: this one.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting.")
@budgets
@click.option("--auto-approve", is_flag=True, help="Gates of a person pass at once.")
@click.option("--require-sandbox", is_flag=True, help="Nothing runs without a sandbox.")
@click.option("--allow-dirty", is_flag=True, help="Start without what is not committed.")
@click.option("--on-end", default="", metavar="CMD", help="A shell command for when it has ended.")
@click.option("--detach", is_flag=True, help="Start the work, and do not watch.")
@json_lines_option
def night(
    *,
    goal: str,
    yes: bool,
    rehearse: bool,
    project: str,
    detach: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Plan GOAL, show the plan, carry it out persistently, review it, and report it.

    The goal is also taken from where `attractor plan` takes it. Ctrl-C leaves while it works: the
    run goes on.
    """
    from attractor.cli import before_plan
    from attractor.cli import plan as planning
    from attractor.cli.run_request import ORDINARY, Asked
    from attractor.plan import make

    check_stdout()
    given: dict[str, Any] = {key: options.pop(key) for key in _PLAN}
    given |= {"goal": goal, "settings": options["settings"], "rehearse": rehearse}
    if options["faults"] and not rehearse:
        raise InputError("faults are for rehearsals", where="--fault", fix="add --rehearse")
    made = rehearse and not project
    place = "" if made else make.project_of(project or os.curdir)
    if place and planning.cannot_start(place):
        fix = "make it one (git init; git add -A; git commit), or name one with --project"
        raise InputError("this is not a git repository", where=place, fix=fix)
    rehearsal = ORDINARY if rehearse else None
    asked = Asked(**options, pipeline="", rehearse=rehearsal, project=place, persistent=True)
    before_plan.check(asked, os.environ)  # a plan costs

    def of(planned: Planned) -> Asked:
        name = os.path.basename(os.path.dirname(planned.project)) if made else ""
        return replace(asked, pipeline=planned.dot, project=planned.project, name=name)

    def command(planned: Planned) -> str:
        return of(planned).command(detach=detach)

    def where(goal: Goal) -> str:
        if rehearse:
            before_plan.check_faults(asked, goal)
        return place or _rehearsed_in()

    talk = planning.Talk(as_json=as_json, yes=yes, again="--yes", run=command, named=True)
    planned = planning.planned(where, given, talk, replan=False)
    planning.approved(planned, planned.project, talk, keep=True)
    with _plan_kept(command(planned)):
        prepared = _prepared(of(planned))
    _carry_out(prepared, detach=detach, as_json=as_json)


def _rehearsed_in() -> str:
    """Make the repository that is worked in where only a rehearsal is asked for."""
    from attractor.rehearsal.project import make_empty
    from attractor.run.begin import name_run
    from attractor.run.locate import rehearsed_project
    from signals.clock import SystemClock

    def taken(name: str) -> bool:
        return os.path.lexists(os.path.dirname(rehearsed_project(name, os.environ)))

    name = name_run("night", SystemClock(), os.urandom, taken)
    return make_empty(rehearsed_project(name, os.environ))


def _prepared(asked: Asked) -> Prepared:
    from attractor.cli.run_request import prepare
    from attractor.run import preflight
    from signals.clock import SystemClock

    prepared = prepare(asked, os.environ, SystemClock(), os.urandom)
    preflight.refuse(prepared.findings)
    return prepared


def _carry_out(prepared: Prepared, *, detach: bool, as_json: bool) -> None:
    from attractor.cli.run import start
    from attractor.cli.watch_run import begun, follow
    from signals.clock import SystemClock

    request, started = start(prepared, SystemClock())
    begin = {"event": "begun", "run": request.run_id, "root": request.run_root}
    say(dump(begin, indent=None) if as_json else begun(request), more=not detach)
    if not detach:
        status = follow(request.run_id, request.layout, started, as_json=as_json)
        _report(request, as_json=as_json)
        sys.exit(status)


@contextlib.contextmanager
def _plan_kept(command: str) -> Iterator[None]:
    """Where something forbids the work, say that the plan stays, and need not be made again."""
    try:
        yield
    except InputError as error:
        error.fix = "; ".join(filter(None, (error.fix, f"the plan is kept: {command}")))
        raise


def _report(request: Request, *, as_json: bool) -> None:
    """Tell how it went, as `attractor report` does."""
    from attractor.cli.report import now_of
    from attractor.run import report, report_text
    from attractor.run.recount import recount

    if as_json:  # the last event has said where it is
        return
    document = report.final(*now_of(recount(request.layout)))
    say("\n" + report_text.plain(document, width()).removesuffix("\n"))
