"""Which kind of session a node has."""

from __future__ import annotations

import os
from collections.abc import Mapping

from attractor.run.assignment import Assignment
from runner.git import Worktree
from runner.sandbox import Level
from runner.session import Session
from runner.sessions.stage import Stage
from runner.sessions.turn_session import TurnProgram, TurnSession
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
    if (program := _turn_program(stage)) is not None:
        return TurnSession(stage, program)
    from runner.sessions.interactive import InteractiveSession

    return InteractiveSession(stage)


def _turn_program(stage: Stage) -> TurnProgram | None:
    """Return the program that has one process for each turn, if it is of that kind."""
    if stage.assignment.agent == "command":
        from runner.sessions.command import Command

        return Command(stage)
    if stage.assignment.agent == "claude-headless":
        from runner.sessions.headless import Headless

        return Headless(stage)
    if stage.assignment.alone:
        from runner.sessions.streamed import Streamed

        return Streamed(stage)
    return None
