"""One question, and the answer that counts: it is asked once more where that may help.

That is after an answer that does not count, and after a failure that may have been this once; what
any other failure means is the Guardian's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, final

from attractor.agents.answer import Answer, ErrorClass

_TRIES: Final = 2
_MAY_PASS: Final = frozenset({ErrorClass.TIMEOUT, ErrorClass.SCHEMA, ErrorClass.CRASHED})

Said = TypeVar("Said")


@final
@dataclass(slots=True)
class Asked(Generic[Said]):
    """What came of asking."""

    answers: list[Answer] = field(default_factory=list)
    said: Said | None = None
    """What the last answer comes to; None where that was a failure."""
    why: str = "it was not asked"
    """Why it does not count; empty where it does."""

    def ask(self, ask: Callable[[str], Answer], read: Callable[[Any], tuple[Said, str]]) -> None:
        """Ask until it counts.

        `ask` is told why the answer before did not, and `read` says what an answer comes to, and
        why it does not count.
        """
        refused = ""
        for _ in range(_TRIES):
            answer = ask(refused)
            self.answers.append(answer)
            if answer.ok:
                self.said, self.why = read(answer.structured)
                if not self.why:
                    return
            else:
                self.said, self.why = None, answer.error or answer.error_class.value
                if answer.error_class not in _MAY_PASS:
                    return
            refused = self.why
