"""What happened to one node of a run: its attempts, and what was said of them.

Values only; `attractor.run.story` fills them in from the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, final

REPLAN: Final = "replan"
RETROSPECT: Final = "retrospect"
"""Why the graph of a run grows."""


@final
@dataclass(slots=True)
class Attempt:
    """One attempt of a node."""

    number: int
    began: str
    base: str = ""
    ended: str = ""
    how: str = ""
    """What ended it; empty while it goes on."""
    free: bool = False
    """It ended for a cause of ours, and does not count."""
    closed: bool = False
    """Nothing of it is left: its Runner has ended."""
    stopped: bool = False
    """The run was being ended when that happened."""
    feedback: str = ""
    """What was wrong with the work before it."""
    commit: str = ""
    """What was handed in last."""
    session_id: str = ""
    blindness: str = ""
    rejections: int = 0
    violations: int = 0
    violation: str = ""
    """The last of them."""
    stuck: int = 0
    handed_back: int = 0
    """How often its Runner had done what it could."""
    guided: int = 0
    crashes: int = 0
    """How often its session died."""
    returned: list[tuple[str, str]] = field(default_factory=list)
    """When its work was given back, and why."""
    usage: dict[str, Any] = field(default_factory=dict)
    reserved: int = 0
    """The tokens that were set aside for it when it began."""
    wrote: bool | None = None
    """Whether anything was written; None where nobody knows."""


@final
@dataclass(slots=True)
class NodeStory:
    """What happened to one node."""

    attempts: list[Attempt] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    """Each as its task gave it (outcome, score, round, commit, scenarios), with attempt and at."""
    forgiven: int = 0
    """How many attempts there were when its turn came again."""
    since: int = 0
    """How many verdicts there were when the work was handed in that is judged now."""
    reviews: list[dict[str, Any]] = field(default_factory=list)
    """Each as its task gave it (reviewer, outcome, findings, why), with commit, attempt and at."""
    reviews_since: int = 0
    """How many of them there were when the work was handed in that is reviewed now."""
    replanned: int = 0
    """How often it was planned again."""
    remembered: int = 0
    """How many verdicts and reviews were told to the memory."""
    judging: dict[str, float] = field(default_factory=dict)
    """What judging it has used."""
    merged: str = ""
    feedback: str = ""
    """What the judge said last."""
    reason: str = ""
    """Why it failed, where it did."""
    no_verdicts: int = 0
    """How many tasks in a row gave no result."""
    free_tries: int = 0
    """How many of late could not: they reached nobody, or were killed."""
    retry_at: float = 0.0
    """Wall seconds; before that no task of it is begun again."""
    retry_from: str = ""
    """When that was said."""
    retry_why: str = ""
    """And why."""
    output: str = ""
    """The last that a tool said."""
    last: str = ""
    """The last that happened to it, for a screen."""
    last_at: str = ""

    def hear(self, attempt: Attempt | None, what: str, when: str) -> None:
        """Keep it for screens; what is said of an attempt that is over does not matter there."""
        if attempt is None or not attempt.ended:
            self.last, self.last_at = what, when

    @property
    def attempt(self) -> Attempt | None:
        """Return the newest."""
        return self.attempts[-1] if self.attempts else None

    def said(self) -> None:
        """Take in that somebody gave a result: tries are counted from the beginning."""
        self.no_verdicts = self.free_tries = 0

    @property
    def charged(self) -> int:
        """Return how many attempts count."""
        return sum(not each.free for each in self.attempts[self.forgiven :])

    @property
    def lessons(self) -> int:
        """Return how many verdicts and reviews there were to learn from."""
        judged = [each for each in self.verdicts if each.get("outcome") != "investigate"]
        return len(judged) + len([each for each in self.reviews if each["outcome"] == "findings"])

    def used(self, key: str) -> float:
        """Return how much of something all its attempts and judges have used."""
        own = sum(float(each.usage.get(key) or 0) for each in self.attempts)
        return own + self.judging.get(key, 0.0)
