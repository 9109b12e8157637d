"""Claude Code as a person would use it, in a terminal of its own that a person can look into.

The terminal (a private tmux server) lives on when its Runner dies, and the next Runner finds it
under the same name. Everything that is typed goes in as one paste, so no key of it acts, and is
followed by Enter. Whether it was taken, the session's own hooks say.

Limits: what a person types at the same time is sent together with what we paste. A dialog that
waits for a key is recognised by the words at the foot of the screen, and not answered.
"""

from __future__ import annotations

import os
import re
import time
from typing import Final, final

from attractor.errors import ToolError
from attractor.process import Process, fenced_program
from runner.session import Launch, Look, last_lines
from runner.sessions import claude
from runner.sessions.record import Record
from runner.sessions.stage import Stage
from runner.tmux import Pane, Terminal, Tmux, socket_path
from signals.owner import Owner, owner_of

KIND: Final = "claude"
_SCREEN_LINES: Final = 200
_FOOT_LINES: Final = 3
_BOX_LINES: Final = 15  # teammates are listed below the input box
_DIALOG_LINES: Final = 20
_MOST_DIALOG: Final = 1_000
_MOST_CHARACTERS: Final = 20_000
# Each clears a line, or joins it with the one above; of ours only short ones stand there as lines.
_CLEAR: Final = ("C-u",) * 8
_INPUT_BOX: Final = "bypass permissions on"  # below it; a dialog takes the place of both
_DIALOG: Final = re.compile(r"Enter to (?:confirm|select|continue|submit)|Esc to (?:cancel|exit)")
_FIRST_RUN: Final = re.compile(r"Choose the text style|Select login method|Press Enter to continue")
_BUSY: Final = "esc to interrupt"  # while a turn is under way
_ESCAPES: Final = 2
_REST_SECONDS: Final = 2.0
_TICK_SECONDS: Final = 0.05
_RULE: Final = re.compile(r"[\u2500\u254c\s]*")


@final
class InteractiveSession:
    """One node's."""

    def __init__(self, stage: Stage, terminal: Terminal | None = None) -> None:
        self._stage = stage
        self._socket = socket_path(stage.assignment.run_root, stage.node, stage.environ)
        self._terminal = terminal or Tmux(self._socket)
        self._process = self._found()

    def start(self, launch: Launch) -> None:
        self.end()
        env = self._stage.prepare()
        argv = claude.command_line(self._stage, launch, env)
        how = {"report": self._report(launch.number)} if self._stage.fenced else {}
        command = self._stage.command(argv, env, mode="exec", **how)
        self._terminal.start(command, events=self._stage.layout.events(self._stage.node))
        pane = self._terminal.pane()
        self._stage.keep(
            Record(
                kind=KIND,
                session_id=launch.session_id,
                worktree=self._stage.assignment.worktree,
                level=self._stage.level.name,
                launch=launch.number,
                owner=_owner(pane),
                socket=self._socket,
                attach=tuple(self._terminal.attach()),
                attach_write=tuple(self._terminal.attach(write=True)),
            )
        )
        self._process = Process(_owner(pane))

    def _found(self) -> Process:
        if owner := _owner(self._terminal.pane()):
            return Process(owner)
        known = self._stage.record
        return Process(known.owner if known is not None and known.kind == KIND else None)

    def look(self) -> Look:
        pane = self._settled()
        screen = self.screen()
        if pane is None:
            # A process without its terminal is about to be hung up on.
            alive = False if self._process.alive is False else None
            return Look(alive=alive, lost=alive is False)
        last = last_lines(screen)
        if pane.dead:
            return Look(alive=False, exit_status=_status(pane), last_lines=last)
        return Look(alive=True, last_lines=last, dialog=dialog(screen))

    def _settled(self) -> Pane | None:
        """Return the pane; of a process that has ended, when the terminal knows that as well."""
        deadline = self._stage.clock.monotonic() + _REST_SECONDS
        while True:
            pane = self._terminal.pane()
            known = pane is None or pane.dead or self._process.alive is not False
            if known or self._stage.clock.monotonic() >= deadline:
                return pane
            time.sleep(_TICK_SECONDS)

    def screen(self) -> str:
        return self._terminal.capture(_SCREEN_LINES)[-_MOST_CHARACTERS:]

    def deliver(self, text: str) -> None:
        if found := dialog(self.screen()):
            fix = f"answer it: attractor attach {self._stage.node} --write"
            raise ToolError(f"a dialog is open in the session: {found}", fix=fix)
        self._terminal.keys(*_CLEAR)
        if not self._terminal.paste(text):
            raise ToolError("the session's terminal is gone, so nothing can be typed")
        self.submit()

    def submit(self) -> None:
        if not dialog(self.screen()):
            self._terminal.keys("Enter")

    def interrupt(self) -> None:
        for _ in range(_ESCAPES):
            self._terminal.keys("Escape")
            if self._rests():
                return

    def _rests(self) -> bool:
        """Wait until no turn is under way, for a while; say whether none is.

        What is typed right behind an Escape would be taken for one key with it.
        """
        deadline = self._stage.clock.monotonic() + _REST_SECONDS
        while True:
            time.sleep(_TICK_SECONDS)
            if not any(_BUSY in line for line in _lines(self.screen())[-_BOX_LINES:]):
                return True
            if self._stage.clock.monotonic() >= deadline:
                return False

    def end(self) -> None:
        # First the program: killed at once, it would lose what it has not written yet.
        self._process.end(self._program(), self._stage.assignment.limits.kill_grace)
        self._process.close()
        self._terminal.kill()
        self._stage.sweep()
        self._stage.ended()

    def _program(self) -> int:
        known, owner = self._stage.record, self._process.owner
        if self._stage.fenced and known is not None:
            return fenced_program(self._report(known.launch))
        return owner.pid if owner else 0

    def _report(self, number: int) -> str:
        return os.path.join(self._stage.turns, f"{number}.report")

    def attach(self, *, write: bool) -> list[str]:
        return self._terminal.attach(write=write)

    def fds(self) -> tuple[int, ...]:
        return self._process.fds()


def dialog(screen: str) -> str:
    """Return what a dialog on the screen asks; empty if none is open."""
    lines = _lines(screen)
    if any(_INPUT_BOX in line for line in lines[-_BOX_LINES:]):
        return ""
    foot = "\n".join(lines[-_FOOT_LINES:])
    if not (_DIALOG.search(foot) or _FIRST_RUN.search("\n".join(lines))):
        return ""
    return "\n".join(lines[-_DIALOG_LINES:])[:_MOST_DIALOG]


def _lines(screen: str) -> list[str]:
    """Return the lines with something on them."""
    return [" ".join(line.split()) for line in screen.splitlines() if not _RULE.fullmatch(line)]


def _owner(pane: Pane | None) -> Owner | None:
    return owner_of(pane.pid) if pane is not None and not pane.dead else None


def _status(pane: Pane) -> int | None:
    return -pane.signal if pane.signal else pane.status
