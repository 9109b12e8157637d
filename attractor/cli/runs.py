"""`attractor runs`: the runs of this project, and those that were rehearsed without one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from attractor.cli.output import dump, json_option, say
from attractor.cli.tables import table
from attractor.errors import AttractorError, InputError
from attractor.run.layout import RunLayout, state_folder
from attractor.run.locate import project_above, rehearsals, runs_of
from attractor.run.progress import Live, count, duration, resting_of, with_live
from attractor.run.recount import done, state_of, story_of, until
from attractor.run.rests import Rest
from attractor.run.story import Story
from attractor.run.times import seconds_of
from signals.clock import SystemClock

_NANOSECONDS = 1_000_000_000
_RUNNING = "running"
_KEYS = (
    "run",
    "root",
    "state",
    "pipeline",
    "project",
    "rehearsed",
    "began",
    "ended",
    "seconds",
    "done",
    "total",
    "tokens",
    "cost_usd",
    "rests",
    "problem",
)
_HEADINGS = ("RUN", "PIPELINE", "STATE", "BEGAN", "TOOK", "NODES", "TOKENS", "COST", "")


@click.command()
@json_option
def runs(*, as_json: bool) -> None:
    """List the runs of this project and the rehearsals without one, the newest at the end.

    A run whose files cannot be read is listed as that.
    """
    now = SystemClock().wall_ns() / _NANOSECONDS
    found = [_run(layout, now) for layout in _layouts()]
    found.sort(key=lambda each: str(each["began"] or ""))
    if as_json:
        say(dump({"status": "ok", "runs": found}))
        return
    if not found:
        say("no runs; `attractor run PIPELINE` begins one")
        return
    for line in table([_HEADINGS, *(_cells(each) for each in found)]):
        say(line)


def _layouts() -> Iterator[RunLayout]:
    project = ""
    with contextlib.suppress(InputError):
        project = project_above(os.getcwd())
        yield from _of(project)
    folder = rehearsals(os.environ)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        rehearsed = os.path.join(folder, name, "project")
        if os.path.realpath(rehearsed) != project:
            # One that is being made, or was removed by hand, has no runs.
            with contextlib.suppress(OSError):
                yield from _of(rehearsed)


def _of(project: str) -> Iterator[RunLayout]:
    """Yield the runs of a project; a node that was rehearsed alone is none."""
    for name in runs_of(project):
        layout = RunLayout(os.path.join(state_folder(project), "runs", name))
        if os.path.isfile(layout.request):
            yield layout


def _run(layout: RunLayout, now: float) -> dict[str, Any]:
    try:
        story = story_of(layout)
        return _told(layout, story, now)
    except AttractorError as error:
        name = os.path.basename(layout.root)
        return _row(run=name, root=layout.root, state="unreadable", problem=error.problem)


def _told(layout: RunLayout, story: Story, now: float) -> dict[str, Any]:
    asked, began = story.request, seconds_of(story.began_at)
    finished, total = done(story)
    state = state_of(layout, story)
    now = until(story, state, now)
    over = seconds_of(story.ended_at) or now
    fresh = _fresh(layout, story)
    resting = resting_of(story, fresh, int(now * _NANOSECONDS))
    story = with_live(story, fresh)
    return _row(
        run=asked["run_id"],
        root=layout.root,
        state=state,
        pipeline=asked["pipeline"],
        project=asked["project"],
        rehearsed=asked["rehearsed"],
        began=story.began_at or None,
        ended=story.ended_at or None,
        seconds=round(max(over - began, 0.0), 3) if began else None,
        done=finished,
        total=total,
        tokens=story.tokens,
        cost_usd=round(story.used("cost_usd"), 6),
        rests=[each.as_json() for each in resting],
    )


def _fresh(layout: RunLayout, story: Story) -> Mapping[str, Live]:
    if story.ended is not None:
        return {}
    from attractor.run.live import of_running  # only for runs that have not ended

    return of_running(layout, story)


def _row(**known: Any) -> dict[str, Any]:
    return {key: known.get(key) for key in _KEYS}


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["problem"]:
        return (row["run"], "", row["state"], "", "", "", "", "", row["problem"])
    return (
        row["run"],
        os.path.basename(row["pipeline"]),
        _state(row),
        (row["began"] or "")[:19].replace("T", " "),
        duration(row["seconds"]),
        f"{row['done']}/{row['total']}" if row["total"] else "",
        count(row["tokens"]),
        f"${row['cost_usd']:.2f}",
        "; ".join([*(["rehearsal"] if row["rehearsed"] else []), *map(_words, row["rests"])]),
    )


def _state(row: Mapping[str, Any]) -> str:
    """Return where a run stands; one in which nothing new begins for a while does not run."""
    whole = any(not each["node"] for each in row["rests"])
    return "resting" if whole and row["state"] == _RUNNING else str(row["state"])


def _words(rest: Mapping[str, str]) -> str:
    words = Rest(**rest).words
    return f"{rest['node']} {words}" if rest["node"] else words
