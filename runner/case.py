"""What follows from the facts of one moment, before any rule is asked.

Pure. Ages are never negative: a clock that was set back makes a session young, not stuck.
"""

from __future__ import annotations

from functools import cached_property
from typing import final

from runner.facts import Checks, Facts, Promise, Turn
from runner.phrases import Said, read
from runner.ratelimit import Limit, recognise


@final
class Case:
    """Facts, and what they add up to."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @cached_property
    def said(self) -> Said:
        """What the last message says at its end."""
        return read(self.facts.message)

    @cached_property
    def limit(self) -> Limit:
        """What the API's failure is, as far as limits go."""
        return recognise(self.facts.failure, self.facts.failure_text)

    @property
    def idle(self) -> bool:
        """Whether the session waits for somebody to say something."""
        return self.facts.turn not in (Turn.STARTING, Turn.BUSY)

    @property
    def moved_at(self) -> float:
        """When something moved last: a hook, a tool, a commit, a file."""
        return max(self.facts.launched_at, self.facts.last_event_at, self.facts.progress_at)

    @property
    def quiet(self) -> float:
        """How long nothing moved."""
        return max(0.0, self.facts.now - self.moved_at)

    @property
    def unheard(self) -> float:
        """How long nothing moved after what we said."""
        return max(0.0, self.facts.now - max(self.moved_at, self.facts.said_at))

    @property
    def starting(self) -> float:
        """How long ago the session was launched."""
        return max(0.0, self.facts.now - self.facts.launched_at)

    @property
    def patience(self) -> float:
        """How long nothing may move before the session is stuck."""
        limits = self.facts.limits
        behind = self.facts.tool_since is not None or (self.idle and self.facts.background > 0)
        return limits.tool_stuck_after if behind else limits.stuck_after

    @property
    def worked(self) -> bool:
        """Whether there is something new to be judged."""
        return self.facts.commits > 0 and self.facts.new_commits

    @property
    def contradicted(self) -> str:
        """Why what there is cannot be complete; empty if nothing speaks against it."""
        facts = self.facts
        if facts.astray:
            return "the worktree is not on its own branch (`git status` shows where it is)"
        if facts.dirty:
            return "there are changes that are not committed"
        if not self.worked:
            return "there is no new commit" if facts.commits else "there is no commit"
        if facts.promise is Promise.OPEN:
            return "criteria of your completion promise are open (`cs-promise --mine`)"
        if facts.checks is Checks.RED:
            return "the checks are red"
        return ""
