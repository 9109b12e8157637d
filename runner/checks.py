"""Runs a node's checks: `python -I -m runner.checks SPEC.json`, a child of the Runner.

The commands run one after another in the judged tree, behind the session's fence and with its
environment, until one fails or the time is up. What is guaranteed: exactly one answer, written
atomically, that says green only when every command ended with 0; on SIGTERM none, and nothing that
a command started is left (without a sandbox: as far as `runner.processes` can find it).

    {"commands": [lines of shell], "cwd": folder, "timeout": seconds for all, "head": commit,
     "env": the whole environment, "fence": {"argv": [...], "options": [...]}, "out": file}

The answer: {"head", "status": "green" | "red" | "error", "command", "exit", "tail", "seconds"}; of
a command that was stopped `exit` is null. "error" means that the checks could not be run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

from attractor.spawn import run_shell
from runner import launcher
from runner.processes import MARKER, kill_marked
from signals import atomic
from signals.clock import Clock, SystemClock

_TAIL_CHARACTERS: Final = 4_000
_GRACE_SECONDS: Final = 0.5
_ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@final
class Answer(NamedTuple):
    """How the checks ended, and of which command that is said."""

    status: str
    command: str = ""
    exit: int | None = None
    tail: str = ""


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Run the commands and return what is to be written."""
    began = clock.monotonic()
    answer = _all(spec, began + float(spec["timeout"]), clock)
    seconds = round(clock.monotonic() - began, 3)
    return {"head": spec["head"], **answer._asdict(), "seconds": seconds}


def _all(spec: Mapping[str, Any], deadline: float, clock: Clock) -> Answer:
    if not os.path.isdir(spec["cwd"]):
        return Answer("error", tail=f"the folder {spec['cwd']} is not in the tree")
    for command in spec["commands"]:
        answer = _one(spec, command, max(0.0, deadline - clock.monotonic()), clock)
        if answer.status != "green":
            return answer
    return Answer("green")


def _one(spec: Mapping[str, Any], command: str, seconds: float, clock: Clock) -> Answer:
    """Run one command to its end or its deadline, and then whatever it left behind."""
    marker = f"check-{os.getpid()}-{os.urandom(4).hex()}"
    base = spec["out"].removesuffix(".json")
    report = f"{base}.report"
    launch = {
        "mode": "exec",
        "argv": [*spec["fence"]["argv"], "/bin/sh", "-c", command],
        "options": spec["fence"]["options"],
        "report": report if "{report}" in spec["fence"]["argv"] else "",
        "env": {**spec["env"], MARKER: marker},
        "cwd": spec["cwd"],
    }
    atomic.replace(f"{base}.launch", json.dumps(launch).encode())
    words = [sys.executable, "-I", "-S", os.path.abspath(launcher.__file__), f"{base}.launch"]
    try:
        ran = run_shell(
            f"exec {shlex.join(words)}",
            timeout_seconds=seconds,
            cwd="/",
            tail_characters=_TAIL_CHARACTERS,
        )
    finally:
        kill_marked(marker, grace_seconds=_GRACE_SECONDS, clock=clock)
    tail = _ESCAPES.sub("", ran.tail)
    if ran.status is None:
        late = f"the checks did not end within {spec['timeout']:g} seconds and were stopped"
        return Answer("red", command, None, f"{tail}\n{late}".lstrip())
    if launch["report"] and not _was_run(report):
        return Answer("error", command, ran.status, tail)
    return Answer("red" if ran.status else "green", command, ran.status, tail)


def _was_run(report: str) -> bool:
    """Say whether bwrap came to the command at all: then it reports that command's exit status."""
    try:
        with open(report, "rb") as file:
            return b'"exit-code"' in file.read()
    except OSError:
        return False


def main(path: str) -> None:
    """Answer the question in a file."""
    with open(path, "rb") as file:
        spec = json.load(file)
    try:
        said = run(spec, SystemClock())
    except (OSError, KeyError, TypeError, ValueError) as error:
        said = {"head": spec["head"], **Answer("error", tail=str(error))._asdict(), "seconds": 0.0}
    atomic.replace(spec["out"], json.dumps(said).encode())
    base = spec["out"].removesuffix(".json")
    for name in (f"{base}.launch", f"{base}.report"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


if __name__ == "__main__":
    main(sys.argv[1])
