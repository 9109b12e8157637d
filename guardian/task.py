"""One piece of the Guardian's long work: `python -I -m guardian.task SPEC.json OUT.json`.

Whatever happens with it, an answer is written, in one step, that says so; then the exit status is
0. It is 1 when the answer cannot be written, 2 when called wrongly. After a SIGTERM there is none.
"""

from __future__ import annotations

import importlib
import json
import signal as posix_signals
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Final

from attractor.errors import AttractorError
from signals import atomic
from signals.clock import SystemClock

KINDS: Final = (
    "answer",
    "books",
    "hook",
    "merge",
    "remember",
    "replan",
    "retrospect",
    "review",
    "rubric",
    "tool",
    "validate",
)
_ARGUMENTS: Final = 2
_TAIL_CHARACTERS: Final = 4_000


def main(arguments: list[str]) -> int:
    """Do what the file says, and answer."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write("usage: python -I -m guardian.task SPEC.json OUT.json\n")
        return 2
    posix_signals.signal(posix_signals.SIGTERM, _leave)
    try:
        atomic.replace(arguments[1], json.dumps(_answer(arguments[0])).encode())
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def _answer(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            spec: Mapping[str, Any] = json.load(file)
        kind = spec["kind"]
        if kind not in KINDS:
            return {"error": f"there is no task {kind!r:.60}"}
        module = importlib.import_module(f"guardian.tasks.{kind}")
        answer: dict[str, Any] = module.run(spec, SystemClock())
    except AttractorError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - a task's failure is an answer; nobody reads its log
        tail = traceback.format_exc()[-_TAIL_CHARACTERS:]
        return {"error": f"{type(error).__name__}: {error}", "tail": tail}
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
