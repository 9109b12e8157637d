"""How an engine's process talks with the benchmark: one JSON object a line, asked and answered.

Runs in the engine's own environment, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version


def serve(
    packages: Sequence[str],
    run: Callable[[list[int]], object],
    prepare: Callable[[list[int]], object] = list,
) -> None:
    """Say who we are, then carry out shapes until nobody asks any more.

    What `prepare` does before is not measured.
    """
    # What the engine itself prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**said: object) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    say(version=", ".join(f"{each} {version(each)}" for each in packages))
    for line in sys.stdin:
        asked = json.loads(line)
        if "widths" in asked:
            prepare(asked["widths"])
            start, used = time.perf_counter(), time.process_time()
            run(asked["widths"])
            taken = time.perf_counter() - start
            say(seconds=taken, processor=time.process_time() - used)
        else:
            say(memory=_memory())


def _memory() -> dict[str, int]:
    """Return the resident memory of this process and of its children."""
    me = os.getpid()
    found = {"itself": _resident(me)}
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{each}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
            if parent == me:
                found["its server"] = found.get("its server", 0) + _resident(int(each))
        except (OSError, ValueError):
            continue
    return found


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
