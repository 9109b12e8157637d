"""What a watched session costs while nothing happens: the Runner beside the Claude Code it watches.

A real session hands in its work and waits for a verdict that does not come. Both processes are
watched for the same half minute; a wake-up is a voluntary switch of context.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from measure import Line
from processes import bare_memory, megabytes, memory, spent

from attractor.rehearsal.play import Play
from attractor.rehearsal.stage import Stage

HERE = os.path.dirname(os.path.abspath(__file__))
HELLO = os.path.join(os.path.dirname(HERE), "pipelines", "hello.dot")
SECONDS = 30.0


def rows() -> Iterator[Line]:
    """Yield the rows of this file."""
    with Stage(Play(pipeline=HELLO, node="impl_hello")) as stage:
        stage.expect("NEEDS_REVIEW", seconds=120)
        assert stage.runner
        runner, claude = stage.runner.pid, _claude(stage.layout.launch("impl_hello"))
        time.sleep(5)  # the last writes of the turn
        before = [spent(runner), spent(claude)]
        time.sleep(SECONDS)
        after = [spent(runner), spent(claude)]
        resident = memory(runner)
    (ours, our_wakes), (theirs, their_wakes) = (
        now.since(then) for then, now in zip(before, after, strict=True)
    )
    minute = 60 / SECONDS
    yield Line(
        "Runner of an idle session, processor time",
        f"{ours * minute * 1e3:.0f} ms/min",
        "the idle Claude Code itself",
        f"{theirs * minute * 1e3:.0f} ms/min",
    )
    yield Line(
        "Runner of an idle session, wake-ups",
        f"{our_wakes * minute:.0f}/min",
        "the idle Claude Code itself",
        f"{their_wakes * minute:.0f}/min",
    )
    yield Line(
        "Runner, memory (resident)",
        megabytes(resident),
        "python -I, doing nothing",
        megabytes(bare_memory()),
        "<= 20 MB",
    )


def _claude(launch: str) -> int:
    """Return the pid of the session's Claude Code: the one whose node this is."""
    node = os.path.dirname(launch).encode()
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{each}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/claude") and any(word.startswith(node) for word in words):
            return int(each)
    raise LookupError("the session's Claude Code is not there")
