"""The files of a run that follow from its story: assignments, the view, and the last report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, final

from attractor.apart import apart
from attractor.errors import AttractorError, StorageError
from attractor.pipeline.graph import NodeId
from attractor.run import assignment, report, room, watched
from attractor.run.layout import RunLayout
from attractor.run.locate import Found, read_object
from attractor.run.states import NodeState
from guardian.core import Core
from guardian.view import View
from signals import atomic
from signals.clock import Clock
from signals.sign import read_key

_MEMORY_TOKENS: Final = 1_500
_SECONDS: Final = 20.0
_PROGRESS_SECONDS: Final = 5.0


@final
class Paper:
    """One run's files."""

    def __init__(
        self,
        layout: RunLayout,
        run_id: str,
        make_mailbox: Callable[[str], None],
        clock: Clock,
        needed: int = room.FLOOR,
    ) -> None:
        self._layout = layout
        self._run_id = run_id
        self._make_mailbox = make_mailbox
        self._clock = clock
        self._needed = needed
        """How much of the disk must be free for anything to begin."""
        self._view = View(layout.dot)
        self._assigned: dict[str, int] = {}
        self._progress = -1
        self._progress_at = 0.0

    def assign(self, core: Core, node: str, attempt: int) -> None:
        """Write what the Runner of an attempt is told, unless it was written."""
        if self._assigned.get(node) == attempt:
            return
        path = self._layout.assignment(node)
        if read_object(path).get("attempt") != attempt:
            given = core.story.attempt(node, attempt)
            terms = core.terms[node].assignment
            assert given is not None
            assert terms is not None
            made = replace(
                terms,
                attempt=attempt,
                base_commit=given.base,
                feedback=given.feedback,
                model=core.model(node, attempt),
                memory=self._known(core, node, attempt),
                base_url=core.request.base_url,
                hidden=_hidden(core),
            )
            with atomic.storage_errors("make", self._layout.node(node)):
                os.makedirs(self._layout.node(node), mode=0o700, exist_ok=True)
            self._make_mailbox(node)
            atomic.replace(path, assignment.dump(made))
        self._assigned[node] = attempt

    def _known(self, core: Core, node: str, attempt: int) -> str:
        """Return what earlier work has taught about a node; it never keeps one from starting."""
        terms, asked = core.terms[node], core.request
        if not terms.memory or terms.assignment is None:
            return ""
        own = terms.assignment
        query = "\n".join((own.label, own.prompt, own.acceptance, *own.files))

        def recall() -> str:
            from attractor.memory.brief import brief
            from attractor.memory.places import home

            return brief(
                home(asked.project, rehearsed=asked.rehearsed),
                query,
                tokens=_MEMORY_TOKENS,
                role="orchestrator",
                run=asked.run_id,
                node=node,
                attempt=attempt,
                clock=self._clock,
            )

        try:
            return str(apart(recall, self._clock, _SECONDS))
        except AttractorError:
            return ""

    def short(self) -> str:
        """Return what is to be said of the disk, where it has no room for what would begin."""
        return room.shortage(self._layout.root, self._needed)

    def show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        """Show the statuses in the run's own DOT file."""
        self._view.show(statuses)

    def tell(self, core: Core) -> None:
        """Write how far the run is; while it goes on, not all the time."""
        story, now = core.story, self._clock.monotonic()
        often = story.ended is None and now - self._progress_at < _PROGRESS_SECONDS
        if story.core.seq == self._progress or (often and self._progress >= 0):
            return
        from attractor.run.progress_file import markdown

        with contextlib.suppress(StorageError):  # a view: the next round writes it
            atomic.replace(self._layout.progress, markdown(story).encode())
            self._progress, self._progress_at = story.core.seq, now

    def end_session(self, node: str) -> None:
        """End the session of a Runner that cannot be kept alive."""
        found = Found(self._layout, node, read_key(self._layout.key), self._run_id, node)
        reached = watched.session(found)
        if reached is not None:
            watched.end_session(reached, self._clock)

    def conclude(self, core: Core) -> None:
        """Write the result of the run, once."""
        if not os.path.exists(self._layout.final):
            report.write(self._layout, report.final(core.story, core.graph, core.now))

    def reopen(self) -> None:
        """Take away the result of a run that goes on."""
        for path in (self._layout.final, self._layout.success):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue


def _hidden(core: Core) -> tuple[str, ...]:
    """Return the folder of the rubric, where there is one; what is not there cannot be hidden."""
    folder = str((core.story.rubric or {}).get("folder") or "")
    return (folder,) if folder and os.path.isdir(folder) else ()
