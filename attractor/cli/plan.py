"""`attractor plan`: a goal in, a plan out that a person has looked at.

An agent reads the project and writes the plan; code checks it; then it is shown and waits for a
person's word, or for `--yes`. Exits with 0 when it is approved, 1 when there is no plan or nobody
wants it, 2 when something must be asked and nobody is there.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from attractor.cli.options import planned_from
from attractor.cli.output import check_stdout, dump, json_option, note, printable, say, width
from attractor.errors import InputError, UsageError

if TYPE_CHECKING:
    from attractor.plan.again import Earlier
    from attractor.plan.goal import Goal
    from attractor.plan.make import Planned


@click.command()
@planned_from
@click.option("--yes", is_flag=True, help="Approve the plan, and plan again, without being asked.")
@click.option("--replan", is_flag=True, help="Plan again, whatever was run of a plan before.")
@click.option("--approve", default="", metavar="NAME", help="Show a plan that is there again.")
@click.option("--name", default="", metavar="NAME", help="What the plan is called.")
@click.option("--project", default="", metavar="DIR", help="The repository; default: this one.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting.")
@click.option("--rehearse", is_flag=True, help="Ask a scripted model; it costs nothing.")
@click.option("--fault", type=click.Choice(("rejected",)), help="No answer passes the checks.")
@json_option
def plan(*, yes: bool, replan: bool, approve: str, as_json: bool, **options: Any) -> None:
    """Have a plan made of a goal: requirements, instructions for each node, a pipeline.

    Without --goal it is $ATTRACTOR_GOAL, or what stands below `## Goal`, `## Objective` or
    `## Requirements` in a document; without --context it is $ATTRACTOR_CONTEXT. Nothing of yours
    is touched, and no plan is overwritten. Of a rehearsal without --project no beads and no promise
    are made.
    """
    from attractor.plan import make, write

    check_stdout()
    named = bool(options["project"])
    talk = Talk(as_json=as_json, yes=yes, run=partial(_run, named=named), named=named)
    around = write.project_of_plan(approve) if os.sep in approve else ""
    project = make.project_of(options["project"] or around or os.curdir)
    if options["fault"] and not options["rehearse"]:
        raise InputError("faults are for rehearsals", where="--fault", fix="add --rehearse")
    if approve:
        _check_alone(options, replan=replan)
        found = make.found(project, approve)
        talk.notes(cannot_start(project))
    else:
        found = planned(project, options, talk, replan=replan)
    keep = not found.rehearsed or bool(options["project"])
    talk.end(found, approved(found, project, talk, keep=keep))


def _check_alone(options: dict[str, Any], *, replan: bool) -> None:
    given = [each for each in ("goal", "context", "name", "rehearse") if options[each]]
    given += ["replan"] if replan else []
    if given:
        fix = "leave it out, or leave out --approve to have a new plan made"
        raise UsageError(
            f"--approve shows a plan that is there, so --{given[0]} says nothing", fix=fix
        )


class Approval(NamedTuple):
    """What came of a plan that is approved."""

    drawn: str
    """The path of its picture; empty for none."""
    notes: list[str]


def approved(found: Planned, project: str, talk: Talk, *, keep: bool) -> Approval:
    """Show a plan and have it approved; an error says what keeps it.

    With `keep` beads, promise and memory are told of it.
    """
    from attractor.plan import books, make, show
    from signals.clock import SystemClock

    drawn, no_picture = show.picture(found.dot)
    talk.show(found, drawn, no_picture)
    talk.approval(found)
    if make.found_in(found.folder, project) != found:
        fix = f"look at it again: {talk.approve(found)}"
        raise InputError("the plan was changed while it was shown", where=found.dot, fix=fix)
    notes = books.approve(found.folder, project, SystemClock(), by=talk.by, keep=keep)
    talk.notes(notes)
    every = [*cannot_start(project), no_picture, *notes]
    return Approval(drawn, [each for each in every if each])


def cannot_start(project: str) -> list[str]:
    """Say what keeps a run from starting in a folder; empty where it is a repository."""
    from attractor.run import config

    if config.find_project(project) is not None:
        return []
    problem = f"no run can start in {project}: it is not a git repository"
    here = "name the one that is meant with --project"
    return [f"{problem}; {here}, or make it one (git init; git add -A; git commit)"]


def planned(
    where: str | Callable[[Goal], str], options: dict[str, Any], talk: Talk, *, replan: bool
) -> Planned:
    """Have a plan made of what the options say: goal, context, scope, name, settings, rehearse.

    A project that is made for it is made when the goal is known.
    """
    from attractor.plan import again, goal, make
    from attractor.plan.model import Scope
    from attractor.tripwire import check_start
    from signals.clock import SystemClock

    check_start()
    wanted = goal.read(options["goal"], options["context"], os.environ, talk.asks)
    project = where if isinstance(where, str) else where(wanted)
    if not replan:
        talk.again(again.earlier(project))
    talk.of_goal(wanted)
    talk.notes(cannot_start(project))
    asked = make.Asked(
        project=project,
        goal=wanted,
        scope=Scope(options["scope"]),
        name=options["name"],
        settings=options["settings"],
        rehearsed=options["rehearse"],
        broken=make.ROUNDS if options.get("fault") else 0,
    )
    return make.plan(asked, SystemClock(), tell=lambda text: note(printable(text)))


class Talk:
    """What is said to a person, or a script, and asked of a person."""

    def __init__(
        self,
        *,
        as_json: bool,
        yes: bool,
        run: Callable[[Planned], str],
        named: bool,
        again: str = "--replan",
    ) -> None:
        self._as_json = as_json
        self._yes = yes
        self._again = again
        self._run = run
        self._named = named
        self._is_there = not as_json and sys.stdin is not None and sys.stdin.isatty()

    @property
    def by(self) -> str:
        """Who approves."""
        return "--yes" if self._yes else "a person"

    @property
    def asks(self) -> Any:  # noqa: ANN401 - what `goal.read` takes
        """What asks a person; None where nobody is there."""
        return _ask if self._is_there else None

    def of_goal(self, goal: Goal) -> None:
        """Say what of the context counts."""
        for each in goal.notes:
            note(printable(f"note: {each}"))

    def again(self, earlier: Sequence[Earlier]) -> None:
        """Ask before a project is planned again of which plans were run."""
        if not earlier or self._yes:
            return
        last = earlier[-1]
        problem = f"the run {last.run} of the plan {last.plan} {last.state}"
        if self._is_there and _confirm(f"{problem}. Plan again?"):
            return
        if self._is_there:
            raise InputError("not planned again", fix=_way_on(last))
        raise UsageError(problem, fix=f"{_way_on(last)}; to plan again, add {self._again}")

    def show(self, planned: Planned, drawn: str, no_picture: str) -> None:
        """Show the plan."""
        if self._as_json:
            return
        for each in _page(planned, drawn, no_picture):
            say(printable(each), more=True)

    def approval(self, planned: Planned) -> None:
        """Return if the plan is approved; else an error names what keeps it."""
        if self._yes:
            return
        if self._is_there and _confirm("Is this the plan?"):
            return
        run = f"it is kept; to run it: {self._run(planned)}"
        said = {"folder": planned.folder, "pipeline": planned.dot}
        if self._is_there:
            raise InputError("the plan is not approved", where=planned.folder, fix=run, **said)
        fix = f"{run}; to approve it first: {self.approve(planned)} --yes"
        problem = "nobody is here to approve the plan"
        raise UsageError(problem, where=planned.folder, fix=fix, **said)

    def approve(self, planned: Planned) -> str:
        """Return the command that shows the plan again, from any folder, for the same books."""
        named = [planned.name, "--project", planned.project]
        words = named if self._named else [planned.folder]
        return shlex.join(["attractor", "plan", "--approve", *words])

    def notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know, beside the result."""
        for each in notes:
            note(printable(f"note: {each}"))

    def end(self, planned: Planned, approval: Approval) -> None:
        """Say what there is now."""
        run = self._run(planned)
        if self._as_json:
            say(dump(_as_object(planned, approval, run)))
            return
        say(f"approved; to run it: {printable(run)}")


def _run(planned: Planned, *, named: bool) -> str:
    """Return the command that runs it from any folder: a rehearsal stays one, where it was."""
    rehearse = ["--rehearse"] if planned.rehearsed else []
    project = ["--project", planned.project] if named or not planned.rehearsed else []
    return shlex.join(["attractor", "run", planned.dot, *rehearse, *project])


def _way_on(last: Earlier) -> str:
    return f"attractor {'report' if last.finished else 'resume'} {shlex.quote(last.run)}"


def _ask(question: str) -> str:
    asked = printable(question)
    said = click.prompt(asked, default="", show_default=False, err=True, prompt_suffix=" ")
    return str(said)


def _confirm(question: str) -> bool:
    return click.confirm(printable(question), default=False, err=True)


def _page(planned: Planned, drawn: str, no_picture: str) -> list[str]:
    from attractor.plan import show

    plan = planned.plan
    most = width()
    counts = f"{len(plan.nodes)} nodes, {len(plan.prd.criteria)} criteria, {planned.scope.value}"
    criteria = (f"{each.id}: {each.text}" for each in plan.prd.criteria)
    return [
        f"{planned.name}: {plan.title}",
        f"  {counts}",
        "",
        *show.tree(plan, most),
        "",
        *show.gates(plan, planned.gates, most),
        "",
        *(line for each in criteria for line in show.wrapped(each, "  ", most)),
        "",
        *planned.detected.as_text().splitlines(),
        "",
        f"requirements: {planned.prd}",
        f"pipeline: {planned.dot}",
        f"picture: {drawn}" if drawn else no_picture,
    ]


def _as_object(planned: Planned, approval: Approval, run: str) -> dict[str, Any]:
    nodes = [
        {
            "id": each.id,
            "label": each.label,
            "after": list(each.after),
            "criteria": list(each.criteria),
            "files": list(each.files),
            "checks": list(each.checks),
            "bead": planned.names.beads[each.id],
        }
        for each in planned.plan.nodes
    ]
    return {
        "status": "ok",
        "name": planned.name,
        "title": planned.plan.title,
        "goal": planned.goal,
        "scope": planned.scope.value,
        "rehearsed": planned.rehearsed,
        "folder": planned.folder,
        "pipeline": planned.dot,
        "prd": planned.prd,
        "picture": approval.drawn or None,
        "criteria": {each.id: each.text for each in planned.plan.prd.criteria},
        "nodes": nodes,
        "gates": [each._asdict() for each in planned.gates],
        "detected": planned.detected.as_json(),
        "promise": planned.names.promise,
        "rounds": planned.rounds,
        "usage": dict(planned.usage),
        "notes": approval.notes,
        "run": run,
    }
