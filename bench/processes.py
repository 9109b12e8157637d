"""What a process has used, told by the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final, NamedTuple

SLEEPING: Final = "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"


class Spent(NamedTuple):
    """What a process, and what it has reaped, have used since they began."""

    seconds: float
    wakes: int

    def since(self, before: Spent) -> Spent:
        """Return what was used since then."""
        return Spent(self.seconds - before.seconds, self.wakes - before.wakes)


def spent(pid: int) -> Spent:
    """Return the seconds of processor time and the wake-ups of a process and what it reaped."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    ticks = sum(int(each) for each in fields[11:15])
    wakes = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            wakes += sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return Spent(ticks / os.sysconf("SC_CLK_TCK"), wakes)


def memory(pid: int, key: str = "VmRSS") -> int:
    """Return the resident memory of a process in KiB; `VmHWM` is the most that it ever was."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))


def bare_memory() -> int:
    """Return the resident memory of an isolated interpreter that does nothing."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-c", SLEEPING], stdin=pipe, stdout=pipe) as bare:
        assert bare.stdout
        bare.stdout.read(1)
        found = memory(bare.pid)
        assert bare.stdin
        bare.stdin.close()
    return found


def megabytes(kibibytes: int) -> str:
    """Return an amount of memory as it is printed."""
    return f"{kibibytes / 1024:.1f} MB"
