"""`attractor logs NODE`: what happened to a node's session, and what was decided about it.

Reads only. What the session, or anybody else, put into the files cannot steer the terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import click

from attractor.cli.node_options import node_argument
from attractor.cli.output import check_stdout, dump, json_option, note, printable, say
from attractor.run import watched
from attractor.run.following import Following
from attractor.run.locate import Found
from attractor.run.timeline import PANE, Piece, Reader
from signals.clock import SystemClock
from signals.owner import Liveness

_EXITED: Final = "RUNNER_EXITED"
_LAST_WORDS_SECONDS: Final = 10.0
_NARROWEST: Final = 40
_DAY: Final = 10
_MARGIN: Final = "              | "


@click.command()
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the Runner ends; Ctrl-C ends it.")
@click.option("--pane", is_flag=True, help="Show all that the pane showed, not its last line.")
@click.option("-n", "last", type=click.IntRange(min=1), metavar="N", help="Begin with the last N.")
@json_option
def logs(found: Found, *, follow: bool, pane: bool, last: int | None, as_json: bool) -> None:
    """Show what happened to the session of NODE: events, decisions, signals and its pane.

    Times are UTC. With --json one object a line.
    """
    check_stdout()
    printer = _Printer(pane=pane, as_json=as_json)
    at, pane_log = found.layout.timeline(found.node_id), found.layout.pane_log(found.node_id)
    with Reader(at, pane_log) as reader:
        if not follow:
            printer.show(_newest(reader.new(), last))
            printer.finish()
            return
        names = {
            f"{os.path.basename(path)}{tail}" for path in (at, pane_log) for tail in ("", ".1")
        }
        try:
            with Following(found.layout.node(found.node_id), names) as following:
                if following.degraded:
                    note(f"note: {following.degraded}")
                # Before anything is shown: who dies after that, dies while we follow.
                _, known = watched.runner(found)
                printer.show(_newest(reader.new(), last))
                _follow(found, reader, following, printer, known)
        except KeyboardInterrupt:
            return


def _follow(
    found: Found, reader: Reader, following: Following, printer: _Printer, known: Liveness
) -> None:
    if known is Liveness.DEAD:
        if watched.state(found).get("phase") == watched.ENDED:
            note("the Runner has ended")
            return
        note("no Runner is alive for this node; this goes on when one is started")
    while True:
        following.wait()
        pieces = reader.new()
        printer.show(pieces)
        owner, alive = watched.runner(found)
        if any(piece.kind == "signal" and piece.what == _EXITED for piece in pieces):
            break
        if (known, alive) == (Liveness.ALIVE, Liveness.DEAD):
            note("the Runner died without a word; this goes on when it is started again")
        known = alive
    if owner is not None:
        watched.ended(owner, _LAST_WORDS_SECONDS, SystemClock())
    printer.show(reader.new())
    note("the Runner has ended")


def _newest(pieces: list[Piece], last: int | None) -> list[Piece]:
    return pieces if last is None else pieces[-last:]


class _Printer:
    """Prints pieces as they come, for a person or a script."""

    def __init__(self, *, pane: bool, as_json: bool) -> None:
        self._pane = pane
        self._as_json = as_json
        self._day = ""
        self._width = 0
        if os.isatty(1):
            self._width = max(_NARROWEST, shutil.get_terminal_size().columns)

    def show(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if self._as_json:
                say(dump(piece.as_json(), indent=None), more=True)
                continue
            for line in self._lines(piece):
                say(_cut(printable(line), self._width), more=True)

    def finish(self) -> None:
        """Say so where there was nothing at all."""
        if not self._day and not self._as_json:
            say("nothing has happened yet")

    def _lines(self, piece: Piece) -> Iterator[str]:
        day, _, time = piece.at.partition("T")
        if day != self._day and len(day) == _DAY:
            self._day = day
            yield day
        head = f"{time[:12]:<12}  {piece.kind:<8}  {piece.what}"
        if piece.kind != PANE:
            words = (f"{key}={_word(value)}" for key, value in piece.detail.items())
            yield " ".join((head, *words)).rstrip()
            return
        shown = [line.rstrip() for line in piece.text.split("\n")]
        if self._pane:
            yield head
            yield from (f"{_MARGIN}{line}" for line in shown)
        else:
            last = next((line for line in reversed(shown) if line.strip()), "")
            yield f"{head} | {last.strip()}"


def _word(value: object) -> str:
    is_word = isinstance(value, str) and value.isprintable() and value and " " not in value
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


def _cut(line: str, width: int) -> str:
    """Return as much of a line as a terminal shows without wrapping; 0 is no limit."""
    if not width or (line.isascii() and len(line) <= width):
        return line
    room = width
    for at, each in enumerate(line):
        room -= _columns(each)
        if room < 0 or (room == 0 and at + 1 < len(line)):
            return f"{line[:at]}…"
    return line


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
