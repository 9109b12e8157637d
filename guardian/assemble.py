"""Puts one Guardian together, from the run's folder; and where the run was left, takes it up."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.apart import apart
from attractor.errors import InputError
from attractor.pipeline.facts import MANIFEST
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import check_unchanged, load
from attractor.run import request as requests
from attractor.run import room
from attractor.run.branch import integration_branch
from attractor.run.fold import RunEvent
from attractor.run.growth import Change, grown
from attractor.run.journal import Entry, Journal
from attractor.run.layout import RunLayout
from attractor.run.locate import nodes_of
from attractor.run.plain import sweep
from attractor.run.reconcile import shown_state
from attractor.run.request import CHANGEABLE, Request
from attractor.run.story import BEGAN_AGAIN, Story, StoryEvent, read
from guardian.children import Children
from guardian.core import Core, Event
from guardian.desk import Paper
from guardian.ending import give_again
from guardian.hook import run_hook
from guardian.loop import Loop
from guardian.post import SENT, Post
from guardian.terms import Terms, terms_of
from signals import atomic
from signals.clock import Clock, iso
from signals.owner import Owner

_NANOSECONDS: Final = 1_000_000_000
_SECONDS: Final = 60.0
# What could lead a rehearsal to somebody's account.
_REAL: Final = ("ANTHROPIC_", "CLAUDE_", "AWS_", "GOOGLE_", "VERTEX_")


@final
@dataclass(frozen=True)
class Guarding:
    """A loop, and what ends with it."""

    loop: Loop
    children: Children
    request: Request

    def end(self) -> None:
        """Do what is due when the run has ended."""
        self.children.end_all()
        if self.request.on_end:
            run_hook(self.request, self.loop.story)


def assemble(layout: RunLayout, clock: Clock) -> Guarding:
    """Return the Guardian of a run; the caller holds its lease."""
    me = Owner.current()
    record = {**me.as_json(), "since": iso(clock.wall_ns())}
    _sweep(layout)
    atomic.replace(layout.owner, json.dumps(record).encode())
    asked = requests.load(layout.request)
    post = Post(layout, asked.run_id, clock)
    needed = int(apart(lambda: room.needed(asked.project), clock, _SECONDS))
    paper = Paper(layout, asked.run_id, post.create, clock, needed)
    journals: list[Journal] = []
    grown_graph = _Grown(layout, asked, clock)

    def opened() -> tuple[_Writer, Core]:
        first = not journals
        while journals:
            journals.pop().close()
        journal = Journal.open(layout.journal, clock)
        journals.append(journal)
        story = read(journal.entries)
        graph, terms = grown_graph.of(story)

        def add(events: list[Event]) -> None:
            for entry in journal.append_all(events):
                story.apply(entry)

        add(_introduction(graph, layout, asked, story))
        if asked.as_json() != story.request:
            _refuse_changes(story.request, asked)
            core = Core(graph, terms, asked, story, _iso)
            core.now = clock.wall_ns() / _NANOSECONDS
            give_again(core)
            journal.append_all(core.take())
            add([(StoryEvent.RUN_RESUMED.value, {"request": asked.as_json(), "pid": me.pid})])
        elif first and story.ended is None and story.tasks_begun:
            what = f"{BEGAN_AGAIN}, as process {me.pid}"
            add([(StoryEvent.NOTED.value, {"what": what})])
        if story.ended is None:
            paper.reopen()
        writes = story.rubric is None and _writes_rubric(asked)
        return _Writer(journal), Core(graph, terms, asked, story, _iso, writes_rubric=writes)

    children = Children(layout, _environment(asked), clock)
    return Guarding(Loop(opened, post, children, paper, clock), children, asked)


@final
class _Writer:
    """The journal while it grows: all is in the story, and the chain needs the last entry only."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        del journal.entries[:-1]

    def append_all(self, batch: Iterable[Event]) -> list[Entry]:
        """Append, as the journal does."""
        added = self._journal.append_all(batch)
        del self._journal.entries[:-1]
        return added


@final
class _Grown:
    """The run's graph as its journal has it, and its terms; made anew where it has grown."""

    def __init__(self, layout: RunLayout, asked: Request, clock: Clock) -> None:
        self._layout = layout
        self._asked = asked
        self._clock = clock
        self._known: tuple[int, Graph, dict[str, Terms]] | None = None

    def of(self, story: Story) -> tuple[Graph, dict[str, Terms]]:
        """Return both, after writing into the run's file what it does not show yet."""
        if self._known is None or self._known[0] != len(story.changes):
            graph = self._written(story)
            terms = terms_of(graph, self._asked, self._clock)
            self._known = len(story.changes), graph, terms
        return self._known[1:]

    def _written(self, story: Story) -> Graph:
        path = self._layout.dot
        document, graph = load(path)
        text = document.source.text
        new = grown(text, path, [Change.from_json(each["change"]) for each in story.changes])
        if new == text:
            return graph
        unchanged = functools.partial(check_unchanged, path, text)
        atomic.replace(path, new.encode(), check=unchanged)
        return load(path)[1]


def _writes_rubric(asked: Request) -> bool:
    """Say whether there is a document to write a rubric from, and no rubric yet."""
    return bool(asked.prd and asked.rubric) and not os.path.lexists(
        os.path.join(asked.rubric, MANIFEST)
    )


def _sweep(layout: RunLayout) -> None:
    """Remove what a Guardian left half-written that was killed."""
    own = (layout.owner, layout.success, layout.final, layout.progress)
    sweep(layout.root, {SENT, *map(os.path.basename, own)}.__contains__)
    for node in nodes_of(layout):
        sweep(layout.node(node), {os.path.basename(layout.assignment(node))}.__contains__)


def _iso(seconds: float) -> str:
    return iso(round(seconds * _NANOSECONDS))


def _environment(asked: Request) -> Mapping[str, str]:
    """Return the environment of everything that is started."""
    if not asked.rehearsed:
        return dict(os.environ)
    return {key: each for key, each in os.environ.items() if not key.startswith(_REAL)}


def _introduction(graph: Graph, layout: RunLayout, asked: Request, story: Story) -> list[Event]:
    """Return what the journal does not say yet: its nodes, and that the run has begun."""
    known = story.core.statuses
    new = {node: shown_state(graph, node).value for node in graph.nodes if node not in known}
    events: list[Event] = []
    if not story.core.seq:
        file = os.path.basename(layout.dot)
        events.append((RunEvent.PIPELINE_OPENED.value, {"file": file, "statuses": new}))
    elif new:
        events.append((RunEvent.NODES_ADDED.value, {"statuses": new}))
    if not story.request:
        said = {"request": asked.as_json(), "integration": integration_branch(asked.run_id)}
        events.append((StoryEvent.RUN_STARTED.value, said))
    return events


def _refuse_changes(before: Mapping[str, Any], asked: Request) -> None:
    now = asked.as_json()
    if changed := [key for key in now if now[key] != before.get(key) and key not in CHANGEABLE]:
        raise InputError(
            f"the request of the run was changed after it began: {', '.join(changed)}",
            where=asked.layout.request,
            fix="start another run",
        )
