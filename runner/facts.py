"""What is known about a session at one moment: values without opinion.

`observe` gathers them, `decide` judges them. Nothing here reads anything. Times are wall clock
seconds, because they outlive the process that took them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final

from attractor.run.limits import Limits


@final
class Process(enum.Enum):
    """What is proved about the session's process."""

    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"  # nobody can be asked at the moment; never a reason to call it dead


@final
class Turn(enum.Enum):
    """Where the session's conversation stands, by its hooks."""

    STARTING = "starting"  # launched; no hook has spoken yet
    BUSY = "busy"  # a prompt was submitted, its turn has not ended
    ENDED = "ended"  # the turn ended by itself
    FAILED = "failed"  # the turn ended with an error of the model's API
    INTERRUPTED = "interrupted"  # we ended the turn


@final
class Checks(enum.Enum):
    """What the node's own checks say about the newest commit."""

    NONE = "none"  # the node has none
    DUE = "due"  # not run on this commit
    RUNNING = "running"
    GREEN = "green"
    RED = "red"


@final
class Promise(enum.Enum):
    """What the session's own completion promise says."""

    NONE = "none"
    OPEN = "open"
    KEPT = "kept"


@final
class Opinion(enum.Enum):
    """What a model said about a turn that facts did not decide."""

    NOT_ASKED = "not asked"
    ASKED = "asked"
    DONE = "done"
    WORKING = "working"
    NEEDS_INPUT = "needs input"
    STUCK = "stuck"
    NONE = "none"  # asked, and no usable answer came


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One moment of one session."""

    now: float
    limits: Limits
    process: Process = Process.RUNNING
    exit_status: int | None = None
    last_lines: str = ""  # what the pane showed last
    turn: Turn = Turn.BUSY
    launched_at: float = 0.0
    last_event_at: float = 0.0  # of any hook
    progress_at: float = 0.0  # a tool that ended, a commit, a changed file
    turn_ended_at: float = 0.0
    tool_since: float | None = None  # a tool call is under way since then
    background: int = 0  # tasks that run on behind an ended turn
    dialog: str = ""  # a dialog or permission request that nobody answers
    message: str = ""  # the last message of the main thread
    failure: str = ""  # the kind of the API's error
    failure_text: str = ""
    retry_at: float | None = None  # the provider's own word on when to come back
    violation: str = ""  # one that was not signalled yet
    violations: int = 0  # all of this session
    commits: int = 0  # on top of the base
    new_commits: bool = False  # since the last review was asked for
    dirty: bool = False  # changes that are not committed
    astray: bool = False  # the worktree is gone, or not on its own branch
    checks: Checks = Checks.NONE
    promise: Promise = Promise.NONE
    refusals: int = 0  # claims of completion in this session that the facts contradicted
    delivering: bool = False  # something was typed and its receipt has not come
    answered: bool = True  # nothing that we said is still without a reaction
    said_at: float = 0.0  # the last thing that we said
    waiting: str = ""  # what an ended turn rightly waits for: "verdict", "input", "guidance"
    opinion: Opinion = Opinion.NOT_ASKED
    question: str = ""  # what the model says the session asks
