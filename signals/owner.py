"""Who a process is, and the proof that it is dead.

An Owner is a pid with the start time of its process and the boot that it belongs to, so a pid that
was given to somebody else is never taken for the one we knew. `liveness` says DEAD only on proof:
the machine was booted since, no such pid exists, or the pid has another start time. Everything
that cannot be read or understood is UNKNOWN, and nobody may act on UNKNOWN as if it were DEAD.

A zombie is DEAD: its memory, files and locks are gone and it runs no more; only its exit status
waits for its parent. A stopped process (SIGSTOP) is ALIVE.

Limits: the record must be read on the machine that wrote it (another machine looks like another
boot). Another pid namespace of the same boot, such as a container, is noticed and gives UNKNOWN.
On macOS a start time has a resolution of one second.
"""

from __future__ import annotations

import enum
import os
import sys
from typing import Any, Final, NamedTuple

from signals.errors import AttractorError

_TOOL_SECONDS: Final = 5.0
_MAX_PID: Final = 2**31 - 1


class Liveness(enum.Enum):
    """What is known about a process; only DEAD is a proof."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Owner(NamedTuple):
    """One process, for all time. Two are equal only if they are the same process."""

    pid: int
    start: str
    """When it started; opaque, comparable only with others of the same boot."""
    boot: str
    """Which boot it belongs to, and on Linux which pid namespace: `BOOT-ID:NAMESPACE`."""

    @classmethod
    def current(cls) -> Owner:
        """Return the identity of this process. Ask again after a fork."""
        found = owner_of(os.getpid())
        if found is None:
            raise AttractorError(
                "this process cannot find out its own start time",
                where=f"pid {os.getpid()}",
                fix="mount /proc (Linux), or make `ps` and `sysctl` available (macOS)",
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the record that owner.json holds."""
        return self._asdict()

    @classmethod
    def from_json(cls, record: object) -> Owner | None:
        """Read such a record, other keys allowed. Malformed gives None, whose liveness is UNKNOWN.

        An owner.json may lie where others can write: whatever is odd about it must not raise.
        """
        if not isinstance(record, dict):
            return None
        pid, start, boot = (record.get(key) for key in cls._fields)
        # A bool is an int to isinstance; True is nobody's pid.
        if type(pid) is not int or not 0 < pid <= _MAX_PID:
            return None
        if not (isinstance(start, str) and start and isinstance(boot, str) and boot):
            return None
        return cls(pid, start, boot)


class _Process(NamedTuple):
    start: str
    ended: bool


def owner_of(pid: int) -> Owner | None:
    """Return the identity of a running process; None if it ended or cannot be read."""
    found, boot = _process(pid), _boot()
    if found is None or found.ended or not boot:
        return None
    return Owner(pid, found.start, boot)


def liveness(owner: Owner | None) -> Liveness:
    """Say whether this very process runs. DEAD is a proof; UNKNOWN is anything short of one."""
    here = _boot()
    if owner is None or not here:
        return Liveness.UNKNOWN
    boot, _, space = owner.boot.partition(":")
    boot_here, _, space_here = here.partition(":")
    if boot != boot_here:
        return Liveness.DEAD
    if space != space_here:
        return Liveness.UNKNOWN
    # kill, not /proc, proves that a pid is free: /proc may hide other users' processes.
    if not _pid_exists(owner.pid):
        return Liveness.DEAD
    found = _process(owner.pid)
    if found is None:
        return Liveness.UNKNOWN
    same = found.start == owner.start and not found.ended
    return Liveness.ALIVE if same else Liveness.DEAD


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _linux_process(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
        # The second field is the program's name in parentheses, and may hold both kinds itself.
        fields = stat[stat.rindex(b")") + 2 :].split()
        state, threads, start = fields[0], int(fields[17]), fields[19]
    except (OSError, ValueError, IndexError):
        return None
    # A main thread that left by itself shows as a zombie too, while its other threads run on.
    return _Process(start.decode(), state in b"ZXx" and threads <= 1)


def _linux_boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        space = os.readlink("/proc/self/ns/pid")
    except (OSError, ValueError):
        return ""
    return f"{boot}:{space.strip('pid:[]')}" if boot else ""


def _ask(*argv: str) -> str:
    """Run one of the system's own tools; "" if it fails, for nothing follows from that."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: TID251  # signals is below attractor.spawn; only on macOS
            argv,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TOOL_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _darwin_process(pid: int) -> _Process | None:
    state, _, start = _ask("ps", "-o", "state=,lstart=", "-p", str(pid)).partition(" ")
    if not start:
        return None
    return _Process(" ".join(start.split()), state.startswith("Z"))


def _darwin_boot() -> str:
    # Not kern.boottime: that one moves when the clock is set, and everybody would look dead.
    return _ask("sysctl", "-n", "kern.bootsessionuuid")


def _process(pid: int) -> _Process | None:
    return _darwin_process(pid) if sys.platform == "darwin" else _linux_process(pid)


def _boot() -> str:
    return _darwin_boot() if sys.platform == "darwin" else _linux_boot()
