"""How a run is shown while it goes on: a table on a terminal, lines elsewhere, JSON for scripts.

Only shows; what to show is `attractor.run.progress`. rich is imported for the table alone. Nothing
that a session wrote can steer the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, final

from attractor.cli.output import dump, printable, say
from attractor.run.progress import Card, News, Row, View, count, duration
from attractor.run.states import NodeState

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_STYLES: Final = {
    NodeState.PENDING.value: "dim",
    NodeState.ACTIVE.value: "cyan",
    NodeState.IMPL_COMPLETE.value: "blue",
    NodeState.VALIDATED.value: "green",
    NodeState.ACCEPTED.value: "green",
    NodeState.FAILED.value: "red",
}
_HEADINGS: Final = ("NODE", "STATE", "TRY", "TIME", "TOKENS", "COST", "LAST")
_AROUND: Final = 8  # lines that a table needs beside its rows
_LEAST_ROWS: Final = 3


class Screen(Protocol):
    """What shows a run."""

    @property
    def is_live(self) -> bool:
        """Whether somebody watches, so that times are to move and a question may wait."""
        ...

    def before(self, view: View) -> None:
        """Show where the run stood when somebody began to watch; its news are not told."""
        ...

    def told(self, news: Sequence[News]) -> None:
        """Show what has happened."""
        ...

    def show(self, view: View) -> None:
        """Show where the run stands."""
        ...

    def close(self) -> None:
        """Show nothing more, and give the terminal back."""
        ...


def screen(*, as_json: bool) -> Screen:
    """Return what shows a run here."""
    if as_json:
        return JsonLines()
    return Drawn() if sys.stdout is not None and os.isatty(1) else Lines()


@final
class JsonLines:
    """An object a line."""

    is_live = False

    def before(self, view: View) -> None:
        """Nothing: scripts are told everything."""

    def told(self, news: Sequence[News]) -> None:
        for each in news:
            say(dump(each.as_json(), indent=None), more=True)

    def show(self, view: View) -> None:
        """Nothing: the news say it."""

    def close(self) -> None:
        """Nothing is held."""


@final
class Lines:
    """A line for each change."""

    is_live = False

    def __init__(self) -> None:
        self._of_run: set[str] = set()

    def before(self, view: View) -> None:
        say(printable(f"so far  {so_far(view)}"), more=True)

    def told(self, news: Sequence[News]) -> None:
        for each in news:
            if not each.node and (not each.what or each.what in self._of_run):
                continue  # what is done for no node is done again and again
            who = f"{each.node}  {each.state}" if each.node else "run"
            if not each.node:
                self._of_run.add(each.what)
            tries = f" (attempt {each.attempt})" if each.attempt > 1 else ""
            what = _in_one_line(each.what or each.event)
            say(printable(f"{each.at[11:19]}  {who}  {what}{tries}"), more=True)

    def show(self, view: View) -> None:
        """Nothing: the news say it."""

    def close(self) -> None:
        """Nothing is held."""


@final
class Drawn:
    """A table that is drawn again whenever something has changed."""

    is_live = True

    def __init__(self) -> None:
        self._live: Live | None = None

    def before(self, view: View) -> None:
        """Nothing: the table says it."""

    def told(self, news: Sequence[News]) -> None:
        """Nothing: the table says it."""

    def show(self, view: View) -> None:
        if self._live is None:
            self._live = _begun()
        height = self._live.console.size.height
        self._live.update(table(view, height), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._live = None


def table(view: View, height: int) -> Table:
    """Return the table of a run, of at most so many lines where that is possible."""
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=None, pad_edge=False, title_justify="left", caption_justify="left", expand=True
    )
    made.title = Text(printable(_title(view)), style="bold")
    made.caption = Text("\n".join(map(printable, _caption(view))))
    for heading in _HEADINGS:
        right = heading in ("TRY", "TIME", "TOKENS", "COST")
        # What happened last has the room that the others leave.
        ratio = 1 if heading == _HEADINGS[-1] else None
        justify: Literal["right", "left"] = "right" if right else "left"
        made.add_column(heading, justify=justify, no_wrap=True, ratio=ratio)
    most = max(height - _AROUND - 2 * len(view.cards), _LEAST_ROWS)
    rows, left_out = fitting(view.rows, most)
    for row in rows:
        cells = [Text(printable(cell)) for cell in _cells(row)]
        cells[1].stylize(_STYLES.get(row.shown, ""))
        made.add_row(*cells)
    if left_out:
        made.add_row(Text(f"... and {left_out} more", style="dim"))
    return made


def fitting(rows: Sequence[Row], most: int) -> tuple[list[Row], int]:
    """Return the rows for which there is room, in their order, and how many were left out.

    What is under way has failed or has not ended comes before what is settled or waits.
    """
    if len(rows) <= most:
        return [*rows], 0
    urgent = (NodeState.ACTIVE.value, NodeState.IMPL_COMPLETE.value, NodeState.FAILED.value)
    ranked = sorted(range(len(rows)), key=lambda at: (rows[at].state not in urgent, at))
    kept = sorted(ranked[: most - 1])
    return [rows[at] for at in kept], len(rows) - len(kept)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.node,
        row.shown,
        str(row.attempt) if row.attempt else "",
        duration(row.seconds),
        count(row.tokens) if row.tokens else "",
        f"${row.cost:.2f}" if row.cost else "",
        _in_one_line(row.last),
    )


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _title(view: View) -> str:
    doing = f": {view.doing}" if view.doing else ""
    return f"{view.run_id}{doing}"


def _caption(view: View) -> list[str]:
    return ["", total(view), *(line for card in view.cards for line in card_lines(card))]


def total(view: View) -> str:
    """Return one line about the whole run."""
    counts = ", ".join(f"{number} {state}" for state, number in view.shown.items())
    amount = f"${view.cost:.2f}"
    cost = f", which would have cost {amount}" if view.rehearsed else f", {amount}"
    cost = cost if view.cost else ""
    return f"{duration(view.seconds)}  {counts}  {count(view.tokens)} tokens{cost}"


def so_far(view: View) -> str:
    """Return one line about what was: how many nodes stood how, and how it had ended."""
    counts = ", ".join(f"{number} {state}" for state, number in view.shown.items())
    if view.ended is None:
        return counts
    reason = f": {view.ended['reason']}" if view.ended.get("reason") else ""
    return _in_one_line(f"{counts}; it had ended {view.ended.get('result')}{reason}")


def card_lines(card: Card) -> list[str]:
    """Return what is asked, and how it is answered."""
    where = f"{card.node}: " if card.node else ""
    chosen = f" ({' | '.join(card.options)})" if card.options else ""
    default = f"; {card.default} at {card.deadline[:19]}" if card.deadline else ""
    return [f"{where}{card.question}{chosen}{default}", f"  {card.command}"]


def _begun() -> Live:
    from rich.console import Console
    from rich.live import Live

    made: Any = Live(
        console=Console(),
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="ellipsis",
    )
    made.start()
    live: Live = made
    return live
