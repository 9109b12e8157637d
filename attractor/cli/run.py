"""`attractor run PIPELINE`: a graph of work in, judged and merged work out.

Everything is looked at before anything is made; then the run's keeper is started, which outlives
this terminal, and what it does is shown. Exits with 0 when all is validated, 1 when the run has
failed, 3 when only a person is waited for, 4 when it was stopped, 5 when the budget is used up.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from attractor.cli.options import COUNT, budgets
from attractor.cli.output import check_stdout, dump, json_lines_option, note, printable, say
from attractor.errors import UsageError

if TYPE_CHECKING:
    from attractor.cli.run_request import Prepared
    from attractor.run.request import Request
    from attractor.spawn import OwnProcess
    from signals.clock import Clock

_CURRENT: Final = "current"


@click.command()
@click.argument("pipeline", required=False, default="")
@click.option(
    "--rehearse",
    is_flag=False,
    flag_value="default",
    metavar="[SCENARIO]",
    help="The real Claude Code with a model that is scripted; default: all goes well.",
)
@click.option("--fault", "faults", multiple=True, metavar="F@NODE", help="What goes wrong.")
@click.option("--max-parallel", type=COUNT, default=4, show_default=True, metavar="N")
@click.option("--target-dir", default="", metavar="DIR", help="Where in the project to work.")
@click.option("--project", default="", metavar="DIR", help="The repository; default: this one.")
@click.option("--prd", default="", metavar="FILE", help="The document of the requirements.")
@click.option("--rubric", default="", metavar="DIR", help="The rubric, there or to be written.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting.")
@budgets
@click.option("--persistent", is_flag=True, help="Thirty attempts of a node, two looks back.")
@click.option(
    "--retrospectives",
    type=click.IntRange(0, 9),
    metavar="N",
    help="Looks back at the end; default: 1, with --persistent 2.",
)
@click.option("--review", default=None, metavar="WHO", help="Who reviews, such as self,gemini.")
@click.option("--free", is_flag=True, help="OpenCode with models that cost nothing.")
@click.option("--auto-approve", is_flag=True, help="Gates of a person pass at once.")
@click.option("--require-sandbox", is_flag=True, help="Nothing runs without a sandbox.")
@click.option("--allow-dirty", is_flag=True, help="Start without what is not committed.")
@click.option("--on-end", default="", metavar="CMD", help="A shell command for when it has ended.")
@click.option("--preflight", is_flag=True, help="Say what would forbid it, and stop.")
@click.option("--detach", is_flag=True, help="Start it, and do not watch.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_CURRENT,
    metavar="[RUN]",
    help="The same as `attractor resume`.",
)
@json_lines_option
def run(
    pipeline: str,
    resume: str | None,
    *,
    preflight: bool,
    detach: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Carry out PIPELINE in the git repository around this folder.

    Ctrl-C leaves: the run goes on. Exit 0: all validated, 1: failed, 3: waits for a person, 4:
    stopped, 5: budget.
    """
    check_stdout()
    if resume is not None:
        if pipeline:
            raise UsageError("a run that is resumed has its pipeline", fix="leave it out")
        _resume(resume, options, detach=detach, as_json=as_json)
        return
    if not pipeline and str(options["rehearse"] or "").endswith(".dot"):
        # `--rehearse P.dot`: what looks like its value is the pipeline.
        pipeline, options["rehearse"] = options["rehearse"], "default"
    if not pipeline:
        fix = "name one; `attractor new` writes a first one"
        raise UsageError("there is no pipeline to run", fix=fix)
    _run({"pipeline": pipeline, **options}, only_look=preflight, detach=detach, as_json=as_json)


def _run(options: dict[str, Any], *, only_look: bool, detach: bool, as_json: bool) -> None:
    from attractor.cli.run_request import Asked, prepare
    from attractor.cli.watch_run import begun, follow
    from attractor.run import preflight as preflights
    from attractor.tripwire import check_start
    from signals.clock import SystemClock

    check_start()
    clock = SystemClock()
    prepared = prepare(Asked(**options), os.environ, clock, os.urandom)
    if only_look:
        _say_findings(prepared.findings, as_json=as_json)
        return
    preflights.refuse(prepared.findings)
    request, started = start(prepared, clock)
    if as_json:
        begin = {"event": "begun", "run": request.run_id, "root": request.run_root}
        say(dump(begin, indent=None), more=not detach)
    elif detach:
        say(begun(request))
    else:
        say(f"{request.run_id} in {request.project}", more=True)
    if not detach:
        sys.exit(follow(request.run_id, request.layout, started, as_json=as_json))


def start(prepared: Prepared, clock: Clock) -> tuple[Request, OwnProcess | None]:
    """Begin a run that nothing forbids, after saying what is worth knowing; also its keeper."""
    from attractor.run import keeping

    for each in prepared.findings:
        note(printable(f"note: {each.where}: {each.problem}"))
        note(printable(f"  {each.fix}"))
    request = prepared.begin(clock)
    return request, keeping.ensure_keeper(request.layout, os.environ)


def _say_findings(findings: Any, *, as_json: bool) -> None:  # noqa: ANN401 - imported late
    fatal = any(each.fatal for each in findings)
    if as_json:
        told = [each.as_json() for each in findings]
        say(dump({"status": "error" if fatal else "ok", "findings": told}, indent=None))
    else:
        for each in findings:
            kind = "error" if each.fatal else "note"
            say(printable(f"{kind}: {each.where}: {each.problem}"), more=True)
            say(f"  {each.fix}", more=True)
        say("it cannot start" if fatal else "it can start")
    if fatal:
        sys.exit(1)


def _resume(name: str, options: dict[str, Any], *, detach: bool, as_json: bool) -> None:
    from attractor.cli.resume import go_on
    from attractor.run.request import BUDGETS

    kept = ("auto_approve", "on_end", *BUDGETS)
    changes = {key: options[key] for key in kept if options[key]}
    source = click.get_current_context().get_parameter_source("max_parallel")
    if source is click.core.ParameterSource.COMMANDLINE:
        changes["max_parallel"] = options["max_parallel"]
    go_on(None if name == _CURRENT else name, changes, detach=detach, as_json=as_json)
