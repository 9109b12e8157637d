"""Who answers a Runner in a rehearsal without a Guardian: says yes, unless told otherwise.

Pure. Work that is handed in passes, or as it was asked for; a question is answered with a word that
fits any; a session that is handed back gets advice once, and is ended the second time. So every
node comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, final

from attractor.errors import InputError
from signals.kinds import NeedsInput, NeedsReview, OrchestratorStuck, Signal

GOOD: Final = "pass"
BAD: Final = "fail="
FEEDBACK: Final = "The work does not do what was asked. Do it again, and commit it."
INPUT: Final = "Decide that yourself, as you think best, and go on."
ADVICE: Final = "Take the smallest step that brings the work forward, and then the next one."
_HAND_BACK: Final = "hand back"


class Answer(NamedTuple):
    """A signal to the Runner."""

    signal_type: str
    payload: Mapping[str, Any]


@final
class StandIn:
    """Answers the signals of one node, in their order."""

    def __init__(self, verdicts: Iterable[str] = ()) -> None:
        self._verdicts = [_verdict(each) for each in verdicts]
        self._handed_back = 0

    def answer(self, signal: Signal) -> Answer | None:
        """Return what is to be said to a signal; None: nothing."""
        payload = signal.payload
        if isinstance(payload, NeedsReview):
            passed = Answer("VALIDATION_PASSED", {"new_status": "validated"})
            return self._verdicts.pop(0) if self._verdicts else passed
        if isinstance(payload, NeedsInput):
            return Answer("INPUT_RESPONSE", {"response": INPUT})
        if isinstance(payload, OrchestratorStuck) and payload.rung == _HAND_BACK:
            self._handed_back += 1
            if self._handed_back == 1:
                return Answer("GUIDANCE", {"message": ADVICE})
            reason = "the session was handed back twice"
            return Answer("KILL_ORCHESTRATOR", {"reason": reason})
        return None


def _verdict(text: str) -> Answer:
    if text == GOOD:
        return Answer("VALIDATION_PASSED", {"new_status": "validated"})
    feedback = text.removeprefix(BAD)
    if feedback == text or not feedback.strip():
        fix = f"write {GOOD}, or {BAD}TEXT with what is wrong"
        raise InputError(f"{text!r:.60} is no verdict", fix=fix)
    return Answer("VALIDATION_FAILED", {"feedback": feedback})
