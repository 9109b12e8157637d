"""What every kind of session stands on: its folders, branch, environment, fence and launcher.

`prepare` makes all that a session needs before it is started, and may be called again. `command`
writes down what is to be started where the session cannot read it, and returns the command that
starts it. `sweep` leaves no process behind that carries the session's mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, final

from attractor.errors import ToolError
from attractor.run.assignment import Assignment
from attractor.spawn import run_tool
from runner import environment, launcher, processes, refs, sandbox
from runner.fence import Fence, GitFolders
from runner.git import Worktree
from runner.sandbox import Level
from runner.sessions import record
from runner.sessions.record import Record
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

_LAUNCHER: Final = os.path.abspath(launcher.__file__)
_START_SECONDS: Final = 20.0


@final
class Stage:
    """One node's."""

    def __init__(
        self,
        assignment: Assignment,
        worktree: Worktree,
        level: Level,
        clock: Clock,
        environ: Mapping[str, str],
    ) -> None:
        self.assignment = assignment
        self.level = level
        self.clock = clock
        self.environ = environ
        self.layout = assignment.layout
        self.node = assignment.node_id
        self.turns = self.layout.turns(self.node)
        self._worktree = worktree
        self._path = self.layout.session(self.node)

    @property
    def fenced(self) -> bool:
        """Whether a sandbox hides what is not the session's."""
        return self.level.name != sandbox.POLICY

    @property
    def config(self) -> str:
        """Where the session's Claude Code keeps its transcripts, seen from here."""
        if self.assignment.rehearsed or self.level.name == sandbox.BWRAP:
            return self.layout.config(self.node)
        home = self.environ.get("HOME", "")
        return self.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")

    @property
    def record(self) -> Record | None:
        """What was started last."""
        return record.load(self._path)

    def keep(self, started: Record) -> None:
        """Write down what was started."""
        record.save(self._path, started)

    def ended(self) -> None:
        """Write down that of what was started nothing is left, so that it can be started again."""
        if (known := self.record) is not None and known.launch:
            self.keep(replace(known, launch=0))

    def prepare(self) -> dict[str, str]:
        """Make everything that a session needs; return its environment."""
        sandbox.prepare(self.assignment, self.environ)
        with storage_errors("make", self.turns):
            os.makedirs(self.turns, mode=0o700, exist_ok=True)
        if self.assignment.rehearsed:
            self._seed()
        private = self.level.name == sandbox.BWRAP
        refs.prepare_refs(self._worktree, self.clock, fenced=private)
        return environment.for_session(self.assignment, sandbox.git_environment(), self.environ)

    def _seed(self) -> None:
        from attractor.rehearsal.environment import seed_config

        folder = self.layout.config(self.node)
        if not os.path.lexists(os.path.join(folder, ".claude.json")):
            seed_config(folder, self.assignment.project)

    def command(self, argv: Sequence[str], env: Mapping[str, str], **how: Any) -> list[str]:
        """Return the command that starts a program behind the fence; `how` is the launcher's."""
        folder = self.assignment.work_folder
        fence = self._fence() if self.fenced else Fence()
        wrapped = sandbox.wrap(self.level, fence, argv, folder, report="report" in how)
        launch = {"argv": wrapped.argv, "options": wrapped.options, "env": dict(env), "cwd": folder}
        path = self.layout.launch(self.node)
        # It holds the environment, which holds logins.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with storage_errors("write", path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        atomic.replace(path, json.dumps({**launch, **how}).encode())
        return [sys.executable, "-I", "-S", _LAUNCHER, path]

    def _fence(self) -> Fence:
        git = GitFolders(self._worktree.common, self._worktree.admin)
        return sandbox.fence_of(self.assignment, git, self.environ, self.level)

    def start(self, command: Sequence[str]) -> int:
        """Run the launcher in its waiting mode; return the pid of the process that waits."""
        said = run_tool(command, timeout_seconds=_START_SECONDS, cwd="/", env={"PATH": os.defpath})
        if not said.strip().isdigit():
            raise ToolError("the launcher did not say which process waits for the program")
        return int(said)

    def sweep(self) -> None:
        """End every process that carries the session's mark; ToolError when one is left."""
        left = processes.kill_marked(
            environment.marker(self.assignment),
            grace_seconds=self.assignment.limits.kill_grace,
            clock=self.clock,
        )
        if left:
            names = ", ".join(map(str, left))
            fix = f"end them by hand: kill -9 {names.replace(',', '')}"
            raise ToolError(f"processes of the session do not end: {names}", fix=fix)
