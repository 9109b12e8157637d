"""What a watched session costs while nothing happens: the Runner beside the Claude Code it watches.

A real session hands in its work and waits for a verdict that does not come. Both processes are
watched for the same half minute; a wake-up is a voluntary switch of context.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from attractor.rehearsal.play import Play
from attractor.rehearsal.stage import Stage

HERE = os.path.dirname(os.path.abspath(__file__))
HELLO = os.path.join(os.path.dirname(HERE), "pipelines", "hello.dot")
SECONDS = 30.0
SLEEPING = "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"


@dataclass(frozen=True)
class Line:
    """A row that is no ratio of two durations."""

    what: str
    ours: str
    against: str
    theirs: str
    budget: str = ""

    def line(self) -> str:
        """Return the row as it is printed."""
        text = f"{self.what:<52} {self.ours:>10}  {self.against:<38} {self.theirs:>10}"
        return f"{text}  {'budget ' + self.budget if self.budget else ''}".rstrip()


def rows() -> Iterator[Line]:
    """Yield the rows of this file."""
    with Stage(Play(pipeline=HELLO, node="impl_hello")) as stage:
        stage.expect("NEEDS_REVIEW", seconds=120)
        assert stage.runner
        runner, claude = stage.runner.pid, _claude(stage.layout.launch("impl_hello"))
        time.sleep(5)  # the last writes of the turn
        before = [_spent(runner), _spent(claude)]
        time.sleep(SECONDS)
        after = [_spent(runner), _spent(claude)]
        memory = _memory(runner)
    (ours, our_wakes), (theirs, their_wakes) = (
        (now[0] - then[0], now[1] - then[1]) for then, now in zip(before, after, strict=True)
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
        f"{memory / 1024:.1f} MB",
        "python -I, doing nothing",
        f"{_bare() / 1024:.1f} MB",
        "<= 20 MB",
    )


def _spent(pid: int) -> tuple[float, int]:
    """Return the seconds of processor time and the wake-ups of a process and what it reaped."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    ticks = sum(int(each) for each in fields[11:15])
    wakes = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            wakes += sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return ticks / os.sysconf("SC_CLK_TCK"), wakes


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def _bare() -> int:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-c", SLEEPING], stdin=pipe, stdout=pipe) as bare:
        assert bare.stdout
        bare.stdout.read(1)
        memory = _memory(bare.pid)
        assert bare.stdin
        bare.stdin.close()
    return memory


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
