"""A run, watched from a terminal or a script until it has ended: only files are looked at.

Whoever watches may leave at any moment; the run goes on. It wakes when the journal grows or the
run's keeper leaves, and on a terminal once a second, for the times.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.cli.output import dump, note, printable, say
from attractor.cli.screen import Screen, card_lines, screen, total
from attractor.errors import AttractorError
from attractor.pipeline.load import load
from attractor.run import keeping
from attractor.run.fold import RunEvent
from attractor.run.following import Following
from attractor.run.layout import RunLayout
from attractor.run.live import live
from attractor.run.locate import run_called
from attractor.run.progress import WAITING, Live, News, View, news, view
from attractor.run.request import Request
from attractor.run.story import Story
from attractor.run.tail import Tail
from attractor.spawn import OwnProcess
from signals.clock import Clock, SystemClock
from signals.owner import Liveness

_TICK_SECONDS: Final = 1.0
_SLOW_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 30.0
_FAILED: Final = 1


@final
class KeeperGoneError(AttractorError):
    """Nobody looks after the run any more, and it has not ended."""

    code = "keeper"


@final
@dataclass(frozen=True)
class Seen:
    """How watching ended: the run has, or only a person is waited for."""

    status: int
    view: View


def follow(
    run_id: str,
    layout: RunLayout,
    started: OwnProcess | None = None,
    *,
    known: int = 0,
    as_json: bool = False,
) -> int:
    """Show a run until it has ended or waits for a person; returns the exit status for it.

    `started` is the keeper, where the caller started it. Of the first `known` entries of the
    journal only the sum is told, but scripts get all. After Ctrl-C the run goes on.
    """
    shown = screen(as_json=as_json)
    known = 0 if as_json else known
    try:
        with contextlib.closing(shown):
            seen = Watching(layout, shown, started, SystemClock(), known).until_over()
    except KeyboardInterrupt:
        note(f"\nthe run goes on\n{commands(run_id, layout)}")
        return 0
    _say_end(seen, layout, as_json=as_json)
    return seen.status


def begun(request: Request) -> str:
    """Return what is said of a run that has begun, and is not watched or not only watched."""
    return f"{request.run_id} has begun\n{commands(request.run_id, request.layout)}"


def commands(run_id: str, layout: RunLayout) -> str:
    """Return how a person gets back to a run, and ends it."""
    name = _called(run_id, layout)
    return (
        f"  watch it:  attractor resume {name}\n"
        f"  stop it:   attractor stop {name}\n"
        f"  its files: {layout.root}"
    )


def _called(run_id: str, layout: RunLayout) -> str:
    """Return what a run is called from here: its name, or its folder where that is not enough."""
    found = run_called(run_id, os.getcwd())
    known = found is not None and os.path.samefile(found.root, layout.root)
    return run_id if known else shlex.quote(layout.root)


@final
class Watching:
    """One watching of one run; the caller closes the screen."""

    def __init__(
        self,
        layout: RunLayout,
        shown: Screen,
        started: OwnProcess | None,
        clock: Clock,
        known: int = 0,
    ) -> None:
        self._layout = layout
        self._screen = shown
        self._started = started
        self._clock = clock
        _, self._graph = load(layout.dot)
        self._story = Story()
        self._told = self._known = known
        self._ended_since: float | None = None

    def until_over(self) -> Seen:
        """Show the run until there is nothing more to see."""
        layout = self._layout
        names = {os.path.basename(path) for path in (layout.journal, layout.keeper, layout.final)}
        with Tail(layout.journal) as tail, Following(layout.root, names) as following:
            if following.degraded:
                note(f"note: {following.degraded}")
            quiet = False
            while True:
                # Asked before the journal is read: what a keeper's end leaves behind is in it then.
                alive = self._is_kept()
                guarded = keeping.guardian(layout)[1] is not Liveness.DEAD
                fresh = self._take(tail)
                now = view(self._story, self._graph, self._live(), self._clock.wall_ns())
                self._screen.show(now)
                if (
                    status := self._status(now, alive=alive, quiet=quiet and not fresh)
                ) is not None:
                    return Seen(status, now)
                # One that is only coming may know more, and go on without the person.
                quiet = guarded and not fresh
                may_be_over = now.waiting or now.ended is not None
                following.wait(
                    _TICK_SECONDS if self._screen.is_live or may_be_over else _SLOW_SECONDS
                )

    def _take(self, tail: Tail) -> int:
        """Take in what was added to the journal, and say so; returns how much it was."""
        added = tail.new()
        if added.anew:
            self._story = Story()
        told: list[News] = []
        for entry in added.entries:
            self._story.apply(entry)
            if entry.event == RunEvent.NODES_ADDED:
                _, self._graph = load(
                    self._layout.dot
                )  # which is written before the journal says so
            if entry.seq == self._known:
                self._known = 0  # said once, also where the journal is read anew
                self._screen.before(view(self._story, self._graph, {}, self._clock.wall_ns()))
            if entry.seq > self._told:
                self._told = entry.seq
                told.append(news(self._story, entry))
        self._screen.told(told)
        return len(told)

    def _live(self) -> dict[str, Live]:
        if not self._screen.is_live:
            return {}
        return {node: live(self._layout, node) for node in self._story.open_attempts}

    def _is_kept(self) -> bool:
        if self._started is not None and self._started.poll() is None:
            return True
        return keeping.keeper(self._layout)[1] is not Liveness.DEAD

    def _is_guarded(self) -> bool:
        """Say whether a Guardian is alive, which one that lost its keeper still is."""
        return keeping.guardian(self._layout)[1] is Liveness.ALIVE

    def _status(self, now: View, *, alive: bool, quiet: bool) -> int | None:
        """Return the exit status if there is nothing more to wait for."""
        if now.ended is None:
            self._ended_since = None  # what is resumed had ended before
        else:
            # The report comes after the journal's last word, and the keeper leaves after both.
            if self._ended_since is None:
                self._ended_since = self._clock.monotonic()
            late = self._clock.monotonic() - self._ended_since > _LAST_SECONDS
            return _exit_of(now) if late or not (alive or self._is_guarded()) else None
        if not alive:
            raise self._gone()
        if now.waiting and quiet and not self._screen.is_live:
            return WAITING
        return None

    def _gone(self) -> KeeperGoneError:
        problem = "the run's processes have ended, and the run has not"
        said = keeping.log_tail(self._layout)
        name = _called(os.path.basename(self._layout.root), self._layout)
        again = f"go on with: attractor resume {name}"
        fix = f"{again}; the last words were:\n  {said}" if said else again
        return KeeperGoneError(problem, where=self._layout.root, fix=fix)


def _exit_of(now: View) -> int:
    status = (now.ended or {}).get("exit")
    return status if isinstance(status, int) else _FAILED


def _say_end(seen: Seen, layout: RunLayout, *, as_json: bool) -> None:
    now = seen.view
    ended = now.ended or {}
    result = str(ended.get("result") or "waiting")
    if as_json:
        report = layout.success if os.path.exists(layout.success) else None
        said: dict[str, Any] = {
            "event": "result",
            "status": "ok" if seen.status == 0 else result,
            "result": result,
            "exit": seen.status,
            "report": report,
            "root": layout.root,
        }
        say(dump(said | now.as_json(), indent=None))
        return
    reason = f": {ended['reason']}" if ended.get("reason") else ""
    say(printable(f"{now.run_id}: {result}{reason}"), more=True)
    say(printable(total(now)), more=True)
    if not now.ended:
        for card in now.cards:
            for line in card_lines(card):
                say(printable(line), more=True)
    report = layout.success if os.path.exists(layout.success) else layout.final
    name = _called(now.run_id, layout)
    say(printable(report if now.ended else f"watch it: attractor resume {name}"))
