"""`attractor status RUN`: where every node of a run stands, once or again and again.

Between two entries of the journal the nodes' own files say what is newest. With --watch it is shown
again whenever the journal has grown, and in a terminal every few seconds, until the run has ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final

import click

from attractor.cli.output import dump, printable, say
from attractor.cli.tables import table
from attractor.pipeline.graph import Graph
from attractor.run.following import Following
from attractor.run.layout import RunLayout
from attractor.run.live import of_running
from attractor.run.locate import whole_run
from attractor.run.progress import Row, View, count, duration, view
from attractor.run.recount import recount, state_of, until
from attractor.run.story import Story
from attractor.run.tail import Tail
from signals.clock import Clock, SystemClock

_HEADINGS: Final = ("NODE", "HANDLER", "STATE", "ATTEMPT", "TIME", "TOKENS", "COST", "LAST")
_WIDEST: Final = 60
_NANOSECONDS: Final = 1_000_000_000
_REDRAW_SECONDS: Final = 1.0
_OFTEN: Final = 5.0


def show(run: str | None, *, watch: bool, as_json: bool) -> None:
    """Show a run; `None` stands for the current one."""
    layout, clock = whole_run(run, os.getcwd()), SystemClock()
    found = recount(layout)  # verifies the journal
    if watch:
        _follow(layout, found.graph, clock, as_json=as_json)
        return
    _print(layout, found.story, found.graph, clock, as_json=as_json)


def _follow(layout: RunLayout, graph: Graph, clock: Clock, *, as_json: bool) -> None:
    story, drawn = Story(), -1
    in_terminal = not as_json and sys.stdout.isatty()
    with Tail(layout.journal) as tail, Following(layout.root, {"journal.jsonl"}) as following:
        while True:
            entries, anew = tail.new()
            story = Story() if anew else story
            for entry in entries:
                story.apply(entry)
            if in_terminal:
                click.clear()
            if in_terminal or story.core.seq != drawn:
                _print(layout, story, graph, clock, as_json=as_json, streams=True)
            drawn = story.core.seq
            if story.ended is not None:
                return
            following.wait(_REDRAW_SECONDS if in_terminal else _OFTEN)


def _print(
    layout: RunLayout,
    story: Story,
    graph: Graph,
    clock: Clock,
    *,
    as_json: bool,
    streams: bool = False,
) -> None:
    state, more = state_of(layout, story), streams and story.ended is None
    now = until(story, state, clock.wall_ns() / _NANOSECONDS)
    shown = view(story, graph, of_running(layout, story), int(now * _NANOSECONDS))
    if as_json:
        name = shown.run_id or os.path.basename(layout.root)
        said = {"status": "ok", "state": state, **shown.as_json(), "run": name}
        say(dump(said, indent=None if streams else 2), more=more)
        return
    for line in _lines(layout, shown, state):
        say(line, more=more)


def _lines(layout: RunLayout, shown: View, state: str) -> Iterator[str]:
    name = shown.run_id or os.path.basename(layout.root)
    yield printable(f"{name}: {state}, {duration(shown.seconds)}")
    yield ""
    yield from table([_HEADINGS, *(_cells(row) for row in shown.rows)])
    yield ""
    counts = ", ".join(f"{each} {number}" for each, number in shown.shown.items())
    yield f"{counts}; {count(shown.tokens)} tokens, ${shown.cost:.2f}"
    if shown.doing:
        yield printable(f"now: {shown.doing}")
    for card in shown.cards:
        yield printable(f"{card.id}  {card.node or 'the run'}: {card.question}")
        yield printable(f"    {card.command}")
    if shown.ended is not None and shown.ended.get("reason"):
        yield printable(str(shown.ended["reason"]))
    if state == "interrupted":
        yield printable(f"nothing of it is alive; to go on: attractor resume {name}")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.node,
        row.handler,
        row.shown,
        str(row.attempt or ""),
        duration(row.seconds),
        count(row.tokens) if row.tokens else "",
        f"${row.cost:.2f}" if row.cost else "",
        " ".join(row.last.split())[:_WIDEST],
    )
