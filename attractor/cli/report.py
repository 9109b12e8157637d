"""`attractor report RUN`: how a run went, or goes; made from its journal, whatever became of it."""

from __future__ import annotations

import os

import click

from attractor.cli.output import dump, json_option, say
from attractor.run import report as reports
from attractor.run import report_text
from attractor.run.locate import whole_run
from attractor.run.recount import recount
from signals.clock import SystemClock

_NANOSECONDS = 1_000_000_000


@click.command()
@click.argument("run", required=False)
@click.option("--markdown", is_flag=True, help="As Markdown, for a pull request.")
@json_option
def report(run: str | None, *, markdown: bool, as_json: bool) -> None:
    """Show how RUN went: what happened, verdicts, time, tokens, cost, and what to do next.

    RUN is a run's name or folder; without it the current one. --json prints what `final.json`
    holds when the run has ended.
    """
    found = recount(whole_run(run, os.getcwd()))
    now = SystemClock().wall_ns() / _NANOSECONDS
    document = reports.final(found.story, found.graph, now)
    if as_json:
        say(dump(document))
        return
    text = report_text.markdown(document) if markdown else report_text.plain(document)
    say(text.removesuffix("\n"))
