"""What the facts about a session mean: a table of rules, the first of which that fits counts.

Pure: no clock, no disk, no process; the same facts give the same decision. Total: the last rule
always fits. The order is the order of evidence: what is proved comes before what hooks and git
say, that before what the session says of itself, and a model's opinion is last. In particular

* a session is dead only on proof, and stuck only on evidence that nothing moves;
* what a session says of itself is never enough: a review is asked for only with new commits, a
  clean worktree, no red checks, no open promise, nothing running behind, and no word of being
  stuck, and where one more signal speaks for it: a claim, green checks, or a model's opinion.

`docs/concepts/supervision.md` shows the same table; a test compares them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from runner import wording
from runner.case import Case
from runner.facts import Checks, Facts, Opinion, Process, Turn
from runner.ratelimit import Limit

# The kinds of StopFailure that no waiting and no asking again will mend.
NEEDS_PERSON: Final = frozenset(
    {
        "account_on_hold",
        "authentication_failed",
        "billing_error",
        "cloud_credential_error",
        "model_not_found",
        "oauth_org_not_allowed",
        "verification_required",
    }
)


@final
class Kind(enum.Enum):
    """What a session is doing, or needs."""

    WORKING = "working"
    STARTING = "starting"
    BACKGROUND = "background"  # the turn ended, its background work goes on
    WAITING = "waiting"  # rightly idle: for a verdict, an answer, its checks
    TURN_ENDED = "turn ended"  # without a conclusion; the decision's text is what to say next
    RUN_CHECKS = "run checks"  # a fact is missing
    ASK_MODEL = "ask model"  # the facts do not decide
    NEEDS_REVIEW = "needs review"
    NEEDS_INPUT = "needs input"
    VIOLATION = "violation"
    RATE_LIMITED = "rate limited"
    STUCK = "stuck"
    CRASHED = "crashed"


@final
class Rung(enum.Enum):
    """The rungs of the ladder, from the foot."""

    ASK = "ask"
    INTERRUPT = "interrupt"
    RESTART = "restart"
    HAND_BACK = "hand back"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table."""

    name: str
    kind: Kind
    when: Callable[[Case], bool]
    why: str
    """The sentence that the page shows."""
    because: Callable[[Case], str] | None = None
    """The same for the case at hand, with its numbers and names."""
    text: Callable[[Case], str] = wording.nothing
    least: Rung = Rung.ASK
    refusal: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the facts mean."""

    kind: Kind
    rule: str
    why: str
    """For people, and in signals."""
    text: str = ""
    """What to say to the session, what it asks, or what it says it has done."""
    least: Rung = Rung.ASK
    """The lowest rung of the ladder that can help, where the session is stuck or has crashed."""
    refusal: bool = False
    """Whether it contradicts a claim of completion."""


def decide(facts: Facts) -> Decision:
    """Return what the first rule that fits makes of the facts."""
    case = Case(facts)
    rule = next(rule for rule in RULES if rule.when(case))
    return Decision(
        kind=rule.kind,
        rule=rule.name,
        why=rule.because(case) if rule.because else rule.why,
        text=rule.text(case),
        least=rule.least,
        refusal=rule.refusal,
    )


def next_look(facts: Facts) -> float | None:
    """Return when time alone may change the decision; None if it cannot, or did already."""
    case = Case(facts)
    if facts.turn is Turn.STARTING:
        moment = facts.launched_at + facts.limits.start_within
    elif case.idle and not facts.answered:
        moment = max(case.moved_at, facts.said_at) + facts.limits.stuck_after
    elif facts.turn is Turn.BUSY or facts.background > 0:
        moment = case.moved_at + case.patience
    else:
        return None
    return moment if moment > facts.now else None


def _ended(when: Callable[[Case], bool]) -> Callable[[Case], bool]:
    return lambda case: case.facts.turn is Turn.ENDED and when(case)


def _complete(case: Case) -> bool:
    """Return whether nothing speaks against a review, but for checks that did not run yet."""
    return case.facts.turn is Turn.ENDED and not case.contradicted


def _opinion(opinion: Opinion) -> Callable[[Case], bool]:
    # It is asked for where there are commits and no checks, and counts nowhere else.
    return lambda case: _complete(case) and case.facts.opinion is opinion


def _claims(case: Case) -> bool:
    return case.facts.turn is Turn.ENDED and case.said.done


# In the order of evidence. Each `why` is the sentence that the page shows.
_PROOF: Final = (
    Rule(
        name="exited",
        kind=Kind.CRASHED,
        when=lambda case: case.facts.process is Process.EXITED,
        why="The session's process has ended; that is proved, not guessed.",
        because=wording.crashed,
        least=Rung.RESTART,
    ),
    Rule(
        name="violation",
        kind=Kind.VIOLATION,
        when=lambda case: bool(case.facts.violation),
        why="The orchestrator did what only workers may do, and the Guardian does not know yet.",
        text=lambda case: case.facts.violation,
    ),
    Rule(
        name="too many violations",
        kind=Kind.STUCK,
        when=lambda case: (
            case.facts.violations >= case.facts.limits.max_violations
            and case.facts.waiting != "guidance"
        ),
        why="There were `max_violations` of them: the session does not heed its role.",
        because=wording.violations,
        least=Rung.HAND_BACK,
    ),
)
_OURS: Final = (
    Rule(
        name="dialog reported",
        kind=Kind.WAITING,
        when=lambda case: bool(case.facts.dialog) and case.facts.waiting in ("input", "guidance"),
        why="A dialog is open, and the Guardian knows it.",
    ),
    Rule(
        name="dialog",
        kind=Kind.NEEDS_INPUT,
        when=lambda case: bool(case.facts.dialog),
        why="A dialog or a request for permission is open, and nobody in the session answers it.",
        text=wording.dialog,
    ),
    Rule(
        name="delivering",
        kind=Kind.WAITING,
        when=lambda case: case.idle and case.facts.delivering,
        why="Something was typed, and its receipt is not here yet.",
    ),
    Rule(
        name="no reaction",
        kind=Kind.STUCK,
        when=lambda case: (
            case.idle
            and not case.facts.answered
            and case.facts.waiting != "guidance"
            and case.unheard >= case.facts.limits.stuck_after
        ),
        why="The turn is over, and for `stuck_after` there was no reaction to what we said.",
        because=wording.unanswered,
        least=Rung.INTERRUPT,
    ),
    Rule(
        name="said something",
        kind=Kind.WAITING,
        when=lambda case: case.idle and not case.facts.answered,
        why="We said something after the turn ended; the reaction counts now, not the old words.",
    ),
    Rule(
        name="waits rightly",
        kind=Kind.WAITING,
        when=lambda case: case.idle and bool(case.facts.waiting),
        why="The session waits for a verdict, an answer or guidance, and that is not its fault.",
    ),
)
_FAILURES: Final = (
    Rule(
        name="api needs a person",
        kind=Kind.STUCK,
        when=lambda case: (
            case.facts.turn is Turn.FAILED
            and (case.facts.failure in NEEDS_PERSON or case.limit is Limit.PERSON)
        ),
        why="The model's API refuses, and only a person can mend that: a login, money, a name.",
        because=wording.failed,
        least=Rung.HAND_BACK,
    ),
    Rule(
        name="rate limit",
        kind=Kind.RATE_LIMITED,
        when=lambda case: case.facts.turn is Turn.FAILED and case.limit is Limit.WAIT,
        why="The model's API refuses for now: a rate limit, a usage limit, or too much load.",
        because=wording.failed,
    ),
    Rule(
        name="api failure",
        kind=Kind.TURN_ENDED,
        when=lambda case: case.facts.turn is Turn.FAILED,
        why="The model's API failed in another way: asked to go on, until the breaker opens.",
        text=wording.api_failed,
    ),
    Rule(
        name="interrupted",
        kind=Kind.TURN_ENDED,
        when=lambda case: case.facts.turn is Turn.INTERRUPTED,
        why="We ended the turn, and nothing that we said is left to wait for.",
        text=wording.interrupted,
    ),
)
_RUNNING: Final = (
    Rule(
        name="never started",
        kind=Kind.STUCK,
        when=lambda case: (
            case.facts.turn is Turn.STARTING and case.starting >= case.facts.limits.start_within
        ),
        why="For `start_within` after the launch no hook has spoken.",
        because=wording.never_started,
        least=Rung.RESTART,
    ),
    Rule(
        name="starting",
        kind=Kind.STARTING,
        when=lambda case: case.facts.turn is Turn.STARTING,
        why="It was launched, and has time left to speak.",
    ),
    Rule(
        name="nothing moves",
        kind=Kind.STUCK,
        when=lambda case: case.facts.turn is Turn.BUSY and case.quiet >= case.patience,
        why="A turn is under way, and for `stuck_after` (`tool_stuck_after` while a tool runs) "
        "there was no event, no commit and no changed file.",
        because=wording.silent,
    ),
    Rule(
        name="busy",
        kind=Kind.WORKING,
        when=lambda case: case.facts.turn is Turn.BUSY,
        why="A turn is under way.",
    ),
)
_WORDS: Final = (
    Rule(
        name="question",
        kind=Kind.NEEDS_INPUT,
        when=_ended(lambda case: bool(case.said.question)),
        why="The message ends with a `<question>`.",
        text=lambda case: case.said.question,
    ),
    Rule(
        name="says stuck",
        kind=Kind.STUCK,
        when=_ended(lambda case: bool(case.said.stuck)),
        why="The message ends with `<stuck>`, whatever else it claims.",
        because=wording.says_stuck,
    ),
    Rule(
        name="background is silent",
        kind=Kind.STUCK,
        when=_ended(lambda case: case.facts.background > 0 and case.quiet >= case.patience),
        why="Background work is said to run, and for `tool_stuck_after` nothing moved.",
        because=wording.silent,
    ),
    Rule(
        name="background",
        kind=Kind.BACKGROUND,
        when=_ended(lambda case: case.facts.background > 0),
        why="The turn ended, its background work goes on, and wakes the session when it is done.",
    ),
    Rule(
        name="sounds stuck",
        kind=Kind.STUCK,
        when=_ended(lambda case: bool(case.said.phrase)),
        why="A stuck phrase stands near the end of the message, whatever else it claims.",
        because=wording.says_stuck,
    ),
)
_COMPLETION: Final = (
    Rule(
        name="claims too often",
        kind=Kind.STUCK,
        when=lambda case: (
            _claims(case)
            and bool(case.contradicted)
            and case.facts.refusals >= case.facts.limits.max_refusals
        ),
        why="The facts contradicted `max_refusals` claims of completion, and here is another.",
        because=wording.overclaimed,
        least=Rung.HAND_BACK,
    ),
    Rule(
        name="claim contradicted",
        kind=Kind.TURN_ENDED,
        when=lambda case: _claims(case) and bool(case.contradicted),
        why="Completion is claimed, but there is no new commit, or something is not committed, or "
        "the session's promise is open, or the checks are red.",
        text=wording.refusal,
        refusal=True,
    ),
    Rule(
        name="unfinished",
        kind=Kind.TURN_ENDED,
        when=_ended(
            lambda case: (
                bool(case.contradicted) and (case.worked or case.facts.dirty or case.facts.astray)
            )
        ),
        why="There is work, and one of these things is missing; nobody claimed anything.",
        text=wording.unfinished,
    ),
    Rule(
        name="checks due",
        kind=Kind.RUN_CHECKS,
        when=lambda case: _complete(case) and case.facts.checks is Checks.DUE,
        why="There are new commits, and the node's checks did not run on the newest.",
    ),
    Rule(
        name="checks run",
        kind=Kind.WAITING,
        when=lambda case: _complete(case) and case.facts.checks is Checks.RUNNING,
        why="The node's checks are running.",
    ),
    Rule(
        name="claimed and corroborated",
        kind=Kind.NEEDS_REVIEW,
        when=lambda case: _complete(case) and _claims(case),
        why="Completion is claimed, there are new commits, and the checks, if there are any, are "
        "green.",
        text=wording.summary,
    ),
    Rule(
        name="green",
        kind=Kind.NEEDS_REVIEW,
        when=lambda case: _complete(case) and case.facts.checks is Checks.GREEN,
        why="Nothing is claimed, but there are new commits, and the checks are green.",
        text=wording.summary,
    ),
)
_OPINIONS: Final = (
    Rule(
        name="ask",
        kind=Kind.ASK_MODEL,
        when=_opinion(Opinion.NOT_ASKED),
        why="There are new commits, but neither a claim nor checks: a model is asked, once a turn.",
    ),
    Rule(
        name="asked",
        kind=Kind.WAITING,
        when=_opinion(Opinion.ASKED),
        why="The model has not answered yet.",
    ),
    Rule(
        name="opinion: done",
        kind=Kind.NEEDS_REVIEW,
        when=_opinion(Opinion.DONE),
        why="The model takes it for done, and there are new commits.",
        text=wording.summary,
    ),
    Rule(
        name="opinion: needs input",
        kind=Kind.NEEDS_INPUT,
        when=_opinion(Opinion.NEEDS_INPUT),
        why="The model reads a question.",
        text=wording.asked,
    ),
    Rule(
        name="opinion: stuck",
        kind=Kind.STUCK,
        when=_opinion(Opinion.STUCK),
        why="The model takes it for stuck.",
        because=wording.seems_stuck,
    ),
    Rule(
        name="no conclusion",
        kind=Kind.TURN_ENDED,
        when=lambda _: True,
        why="The turn ended, and nothing else fits: the session is asked to go on or to conclude.",
        text=wording.inconclusive,
    ),
)
RULES: Final[tuple[Rule, ...]] = (
    *_PROOF,
    *_OURS,
    *_FAILURES,
    *_RUNNING,
    *_WORDS,
    *_COMPLETION,
    *_OPINIONS,
)
