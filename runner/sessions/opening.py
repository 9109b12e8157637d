"""Which kind of session a node has."""

from __future__ import annotations

import os
from collections.abc import Mapping

from attractor.run.assignment import Assignment
from runner.git import Worktree
from runner.sandbox import Level
from runner.session import Session
from runner.sessions.stage import Stage
from signals.clock import Clock


def open_session(
    assignment: Assignment,
    worktree: Worktree,
    level: Level,
    clock: Clock,
    environ: Mapping[str, str] | None = None,
) -> Session:
    """Return the node's session, running or not."""
    known = os.environ if environ is None else environ
    stage = Stage(assignment, worktree, level, clock, known)
    if assignment.agent == "command":
        from runner.sessions.command import CommandSession

        return CommandSession(stage)
    if assignment.agent == "claude-headless":
        from runner.sessions.headless import HeadlessSession

        return HeadlessSession(stage)
    if assignment.alone:
        from runner.sessions.streamed import StreamedSession

        return StreamedSession(stage)
    from runner.sessions.interactive import InteractiveSession

    return InteractiveSession(stage)
