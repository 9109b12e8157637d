"""The sentences of the decisions: what a person or a signal is told, and what the session is told.

Pure. A sentence to the session ends with how it can end, so that the next turn can be understood.
"""

from __future__ import annotations

from typing import Final

from attractor.run.limits import duration
from runner.case import Case
from runner.phrases import DONE_TAG, ENDINGS

_MOST_SUMMARY: Final = 2_000
_MOST_QUOTED: Final = 600


def nothing(_: Case) -> str:
    """Return no words: nothing is to be said."""
    return ""


def crashed(case: Case) -> str:
    """Return how the session's process ended."""
    status = case.facts.exit_status
    return "The session's process ended" + ("." if status is None else f" with status {status}.")


def violations(case: Case) -> str:
    """Return how often the rules were broken."""
    return f"The orchestrator broke the rules of its role {case.facts.violations} times."


def dialog(case: Case) -> str:
    """Return which dialog waits."""
    return f"The session shows a dialog that nobody answers: {_quoted(case.facts.dialog)}"


def unanswered(case: Case) -> str:
    """Return how long there was no reaction."""
    return f"For {_time(case.unheard)} there was no reaction to what was said to the session."


def silent(case: Case) -> str:
    """Return how long nothing moved."""
    if case.facts.tool_since is not None:
        return f"A tool runs, and for {_time(case.quiet)} there was no event and no changed file."
    return f"For {_time(case.quiet)} there was no event, no commit and no changed file."


def never_started(case: Case) -> str:
    """Return how long ago the session was launched in vain."""
    return f"For {_time(case.starting)} after the launch no hook of the session has spoken."


def failed(case: Case) -> str:
    """Return what the model's API said."""
    kind, text = case.facts.failure or "unknown", _quoted(case.facts.failure_text)
    return f"The model's API refused ({kind}): {text}" if text else f"The model's API: {kind}."


def says_stuck(case: Case) -> str:
    """Return the session's own words."""
    return f"The session says that it is stuck: {_quoted(case.said.stuck or case.said.phrase)}"


def seems_stuck(_: Case) -> str:
    """Return what the model found."""
    return "A model that read the end of the turn takes the session for stuck."


def asked(case: Case) -> str:
    """Return the question that the model found, as well as it is known."""
    return case.facts.question or summary(case) or "The session seems to wait for an answer."


def overclaimed(case: Case) -> str:
    """Return what is claimed again and again."""
    claimed = f"The session claims completion, after {_refused(case.facts.refusals)},"
    if case.worked:
        return f"{claimed} although {case.contradicted}."
    return f"{claimed} with nothing done: {case.contradicted}."


def _refused(times: int) -> str:
    return "one refusal" if times == 1 else f"{times} refusals"


def api_failed(case: Case) -> str:
    """Ask for another turn after one that the API ended."""
    return (
        f"The model's API failed ({case.facts.failure or 'unknown'}), and your turn ended. Go on "
        f"where you were; if a step was too large, take smaller ones. {ENDINGS}"
    )


def interrupted(_: Case) -> str:
    """Ask for another turn after one that was interrupted."""
    return f"Your turn was interrupted. Go on where you were. {ENDINGS}"


def refusal(case: Case) -> str:
    """Contradict a claim of completion."""
    return (
        f"You say that the node is complete, but {case.contradicted}. See to that, then say it "
        f"again. {ENDINGS}"
    )


def unfinished(case: Case) -> str:
    """Say what is missing where nobody claimed anything."""
    return f"Your turn ended, but {case.contradicted}. Go on. {ENDINGS}"


def inconclusive(_: Case) -> str:
    """Ask for a conclusion."""
    return f"Your turn ended without a conclusion. Go on where you are. {ENDINGS}"


def summary(case: Case) -> str:
    """Return what the session says that it has done."""
    lines = [line for line in case.facts.message.splitlines() if line.strip() != DONE_TAG]
    return "\n".join(lines).strip()[-_MOST_SUMMARY:]


def _time(seconds: float) -> str:
    return duration(round(seconds) if seconds >= 1 else max(seconds, 0.001))


def _quoted(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MOST_QUOTED else f"{plain[: _MOST_QUOTED - 3]}..."
