"""`attractor report RUN`: how a run went, or goes; made from its journal, whatever became of it."""

from __future__ import annotations

import os

import click

from attractor.cli.output import dump, json_option, say, width
from attractor.pipeline.graph import Graph
from attractor.run import report as reports
from attractor.run import report_text
from attractor.run.live import of_running
from attractor.run.locate import whole_run
from attractor.run.progress import with_live
from attractor.run.recount import Recounted, recount, until
from attractor.run.story import Story
from signals.clock import SystemClock

_NANOSECONDS = 1_000_000_000


def now_of(found: Recounted) -> tuple[Story, Graph, float, str]:
    """Return of what the report of a run is made at this moment."""
    fresh = {} if found.story.ended is not None else of_running(found.layout, found.story)
    state = found.state
    now = until(found.story, state, SystemClock().wall_ns() / _NANOSECONDS)
    return with_live(found.story, fresh), found.graph, now, state


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
    document = reports.final(*now_of(found))
    if as_json:
        say(dump(document))
        return
    text = report_text.markdown(document) if markdown else report_text.plain(document, width())
    say(text.removesuffix("\n"))
