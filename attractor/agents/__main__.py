"""The asking process: `python -I -m attractor.agents QUESTION.json ANSWER.json`.

Whatever happens with the question, an answer is written, in one step; then the exit status is 0.
It is 1 when the answer cannot be written, 2 when called wrongly, and 143 after a SIGTERM, with no
answer. Nothing of the agent's program is left in any case, not even when this process is SIGKILLed.
"""

from __future__ import annotations

import sys
import traceback
from typing import Final

from attractor.agents import answer as answers
from attractor.agents import question as questions
from attractor.agents.answer import Answer, ErrorClass, NotInstalledError
from attractor.errors import AttractorError, InputError
from signals import atomic
from signals.clock import SystemClock

_ARGUMENTS: Final = 2
_TAIL_CHARACTERS: Final = 4_000


def main(arguments: list[str]) -> int:
    """Answer one question."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write("usage: python -I -m attractor.agents QUESTION.json ANSWER.json\n")
        return 2
    try:
        atomic.replace(arguments[1], answers.dump(_answer(arguments[0])))
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _answer(path: str) -> Answer:
    from attractor.agents.registry import find

    try:
        question = questions.load(path)
        return find(question.agent)(question, SystemClock())
    except NotInstalledError as error:
        return Answer(error_class=ErrorClass.NOT_INSTALLED, error=str(error))
    except InputError as error:
        return Answer(error_class=ErrorClass.MALFORMED, error=str(error))
    except AttractorError as error:
        return Answer(error_class=ErrorClass.CRASHED, error=str(error))
    except Exception as error:  # noqa: BLE001 - an agent is a plugin, and its failure is an answer
        said = f"{type(error).__name__}: {error}"
        tail = traceback.format_exc()[-_TAIL_CHARACTERS:]
        return Answer(error_class=ErrorClass.CRASHED, error=f"the agent failed: {said}", tail=tail)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
