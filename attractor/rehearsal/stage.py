"""One node on a stage: a real Runner and a real session, with a scripted model and no Guardian.

`with Stage(play) as stage:` checks everything that can be checked, makes a private run, serves the
script, and starts the Runner; whoever stands before the stage hears its signals and answers them in
the Guardian's place. Afterwards nothing is left but files, and in a repository of the stage's own
not even these: no Runner, no session, no tmux server, no model. What a session commits in a project
of the user's stays there, on a branch of the run's own.

Not guaranteed after a SIGKILL of this process: then the Runner and its session go on, until
`attractor stop` ends them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from typing import Any, Final, Self, final

from attractor.errors import AttractorError, InputError
from attractor.rehearsal import project
from attractor.rehearsal.play import Play, ReadPlay
from attractor.rehearsal.server import ScriptedServer
from attractor.run import watched
from attractor.run.assign import Dispatch
from attractor.run.assignment import Assignment, dump
from attractor.run.layout import RunLayout, run_layout
from attractor.run.locate import Found
from attractor.run.preflight import Finding
from attractor.run.timeline import Piece, Reader
from attractor.spawn import OwnProcess, run_tool, start_own
from signals import atomic, sign
from signals.clock import Clock, SystemClock, stamp
from signals.kinds import Signal, compose, payload_of
from signals.mailbox import Mailbox
from signals.watch import Watch

EXITED: Final = "RUNNER_EXITED"
_END_SECONDS: Final = 30.0
_TMUX_SECONDS: Final = 10.0
_LONGEST_RUNTIME: Final = 55  # what a socket's path leaves for the folder
_TAIL: Final = 20
_RUNNER_ENV: Final = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"),
        # where tools are, and what a sandbox hides
        *("CARGO_HOME", "GNUPGHOME", "GOPATH", "VIRTUAL_ENV"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    }
)


@final
class NotHeardError(AttractorError):
    """What was waited for did not come in time, or cannot come any more."""

    code = "timeout"


@final
class Stage:
    """See the module. Everything is public for those who stand before it."""

    def __init__(self, play: Play, *, clock: Clock | None = None) -> None:
        self._play = play
        self._clock = clock or SystemClock()
        self._held = contextlib.ExitStack()
        self._waiting: list[Signal] = []
        self.heard: list[Signal] = []
        """Every signal so far, oldest first."""
        self.runner: OwnProcess | None = None
        self.secret = f"rubric-{os.urandom(8).hex()}"
        """A word of the rubric, which no session may ever see."""
        self.notes: list[Finding] = []
        """What was found beforehand, and forbids nothing."""
        self.failed = False
        """Whether what is left is kept to be looked at."""
        self.folder: str
        self.assignment: Assignment
        self.layout: RunLayout
        self.server: ScriptedServer

    @property
    def node_id(self) -> str:
        """The node that is on stage."""
        return self.assignment.node_id

    @property
    def seconds(self) -> float:
        """How long the curtain is up."""
        return self._clock.monotonic() - self._began

    @property
    def own_project(self) -> bool:
        """Whether the repository was made for this."""
        return not self._play.project

    @property
    def kept(self) -> bool:
        """Whether anything is left afterwards."""
        return self._play.keep or self.failed or not self.own_project

    @property
    def leaked(self) -> bool:
        """Whether a word of the rubric has reached the model: blindness is broken then."""
        with open(self.layout.requests, encoding="utf-8") as file:
            return any(self.secret in line for line in file)

    @property
    def found(self) -> Found:
        """The node, as people's commands know it."""
        key = sign.read_key(self.layout.key)
        return Found(self.layout, self.node_id, key, self.assignment.run_id, self.node_id)

    def __enter__(self) -> Self:
        read = ReadPlay(self._play)
        with contextlib.ExitStack() as held:
            # Removed last, when nothing writes there any more.
            self.folder = os.path.realpath(tempfile.mkdtemp(prefix="attractor-"))
            held.callback(self._strike)
            self._runtime = _runtime(self.folder)
            held.callback(shutil.rmtree, self._runtime, ignore_errors=True)
            held.callback(self._end_servers)
            self._set(read, held)
            held.callback(self._end)
            self._mailbox = Mailbox(
                self.layout.guardian_mailbox,
                key=sign.read_key(self.layout.key),
                clock=self._clock,
            )
            self._watch = held.enter_context(Watch([self.layout.guardian_mailbox]))
            self._began = self._clock.monotonic()
            self.start_runner()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    # The Runner

    def start_runner(self) -> None:
        """Start the Runner; once more, after it was killed."""
        kept = {name: value for name, value in os.environ.items() if _goes_along(name)}
        self.runner = start_own(
            "runner",
            self.layout.assignment(self.node_id),
            log=self.layout.runner_log(self.node_id),
            cwd="/",
            env={**kept, "XDG_RUNTIME_DIR": self._runtime},
        )

    def kill_runner(self) -> None:
        """Kill the Runner with SIGKILL, and see it gone; its session is left alone."""
        if self.runner is not None:
            self.runner.kill()
            self.runner.wait(_END_SECONDS)

    def await_runner(self, seconds: float) -> int:
        """Return the Runner's exit status; NotHeardError if it does not end."""
        assert self.runner is not None
        try:
            return self.runner.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self._not_heard(f"the Runner has not ended within {seconds:g} seconds") from None

    # Signals

    def next(self, seconds: float) -> Signal | None:
        """Return the next signal; None if none came in time, or none can come any more."""
        deadline = self._clock.monotonic() + seconds
        while not self._waiting:
            over = self.runner is None or self.runner.poll() is not None
            for delivery in self._mailbox.drain():
                self._mailbox.acknowledge(delivery.name)
                self._waiting.append(delivery.signal)
            left = deadline - self._clock.monotonic()
            if not self._waiting and (over or left <= 0):
                return None
            if not self._waiting:
                self._watch.wait(min(left, 1.0))
        self.heard.append(self._waiting.pop(0))
        return self.heard[-1]

    def expect(self, signal_type: str, seconds: float) -> Signal:
        """Return the next signal of this type; others before it are heard and passed by."""
        deadline = self._clock.monotonic() + seconds
        while (signal := self.next(max(deadline - self._clock.monotonic(), 0.0))) is not None:
            if signal.signal_type == signal_type:
                return signal
        raise self._not_heard(f"no {signal_type} came within {seconds:g} seconds")

    def answer(self, signal_type: str, *, source: str = "guardian", **payload: Any) -> str:
        """Send a signal to the Runner, and return its file."""
        folder = self.layout.runner_mailbox(self.node_id)
        mailbox = Mailbox(folder, key=sign.read_key(self.layout.key), clock=self._clock)
        said = payload_of(signal_type, {"node_id": self.node_id, **payload})
        run_id, attempt = self.assignment.run_id, self.assignment.attempt
        return mailbox.send(compose(source, "runner", said, run_id=run_id, attempt=attempt))

    # What can be seen

    def timeline(self) -> list[Piece]:
        """Return what happened so far."""
        paths = self.layout.timeline(self.node_id), self.layout.pane_log(self.node_id)
        with Reader(*paths) as reader:
            return reader.new()

    def tmux(self, *words: str) -> str:
        """Ask the session's tmux server."""
        reached = watched.session(self.found)
        if reached is None or not reached.socket:
            raise InputError("this session has no terminal", where=self.node_id)
        argv = ["tmux", "-S", reached.socket, "-f", os.devnull, *words]
        return run_tool(argv, timeout_seconds=_TMUX_SECONDS).decode("utf-8", "replace")

    def last_words(self) -> str:
        """Return the last that the Runner said on its standard streams: mistakes of ours."""
        try:
            with open(
                self.layout.runner_log(self.node_id), encoding="utf-8", errors="replace"
            ) as file:
                return "\n  ".join(file.read().splitlines()[-_TAIL:])
        except OSError:
            return ""

    def _not_heard(self, problem: str) -> NotHeardError:
        heard = ", ".join(signal.signal_type for signal in self.heard) or "nothing"
        status = self.runner.poll() if self.runner else None
        ended = "" if status is None else f"; the Runner has ended with {status}"
        last = "\n  ".join(f"{each.kind} {each.what}" for each in self.timeline()[-_TAIL:])
        fix = "\n  ".join(part for part in (last, self.last_words()) if part)
        return NotHeardError(f"{problem}; heard so far: {heard}{ended}", fix=fix)

    # Setting and striking the stage

    def _set(self, read: ReadPlay, held: contextlib.ExitStack) -> None:
        """Make the project and the run, serve the script, and write the assignment."""
        play = self._play
        home = play.project and os.path.realpath(play.project)
        if not home:
            where = os.path.join(self.folder, "project")
            home = project.make_project(where, play.pipeline, read.text, read.graph)
        rubric = project.make_rubric(os.path.join(self.folder, "rubric"), self.secret)
        run_id = f"rehearsal-{re.sub('[T.]', '-', stamp(self._clock.wall_ns())[:-1])}"
        self.layout = run_layout(home, run_id)
        place = Dispatch(
            run_id=run_id,
            run_root=self.layout.root,
            project=home,
            base_commit=project.head(home),
            attempt=play.attempt,
        )
        planned = read.assignment(place, [rubric])
        self.notes = read.notes
        self._make_run(read.text, planned.node_id)
        self.server = held.enter_context(
            ScriptedServer(read.script([rubric]), log=self.layout.requests)
        )
        self.assignment = replace(planned, base_url=self.server.base_url)
        atomic.replace(self.layout.assignment(planned.node_id), dump(self.assignment))

    def _make_run(self, text: str, node_id: str) -> None:
        layout = self.layout
        with atomic.storage_errors("make the run", layout.root):
            os.makedirs(layout.node(node_id), mode=0o700)
        atomic.replace(layout.dot, text.encode())
        sign.write_key(layout.key, sign.new_key())
        for folder in (
            layout.guardian_mailbox,
            layout.terminal_mailbox,
            layout.runner_mailbox(node_id),
        ):
            Mailbox(folder, clock=self._clock).create()

    def _end(self) -> None:
        """End the Runner and its session, in order if that is possible."""
        if self.runner is None:
            return
        if watched.state(self.found).get("phase") != watched.ENDED:
            with contextlib.suppress(AttractorError):
                self.answer("KILL_ORCHESTRATOR", reason="the rehearsal is over")
            if self.runner.poll() is not None and os.path.exists(self.layout.session(self.node_id)):
                self.start_runner()  # it knows best how its session is ended
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.runner.wait(_END_SECONDS)
        self.kill_runner()
        reached = watched.session(self.found)
        if reached is not None and watched.lives(reached):
            watched.end_session(reached, self._clock)

    def _end_servers(self) -> None:
        """End what tmux servers are left, also one that was started and not written down."""
        folder = os.path.join(self._runtime, "attractor")
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            argv = ["tmux", "-S", os.path.join(folder, name), "-f", os.devnull, "kill-server"]
            with contextlib.suppress(AttractorError):
                run_tool(argv, timeout_seconds=_TMUX_SECONDS)

    def _strike(self) -> None:
        # With a project of the user's there is only the rubric here, which nobody needs any more.
        if not (self.own_project and self.kept):
            shutil.rmtree(self.folder, ignore_errors=True)


def _runtime(folder: str) -> str:
    """Return a new folder for sockets, whose paths must be short."""
    short = len(os.fsencode(folder)) <= _LONGEST_RUNTIME
    made = tempfile.mkdtemp(prefix="atr-", dir=folder if short else "/tmp")  # noqa: S108  # mkdtemp makes it ours alone
    return os.path.realpath(made)


def _goes_along(name: str) -> bool:
    return name in _RUNNER_ENV or name.startswith("LC_")
