"""The one way to start processes: our own isolated, outside tools with a deadline.

Our own always run as `[sys.executable, "-I", "-m", NAME, ...]`: a Runner's working directory is a
tree written by the agent being judged, and without `-I` Python would import from it. Module names
appear as strings here only, so that `attractor.cli` never imports `guardian` or `runner`.

A tool gets a session of its own, so it cannot ask on our terminal, and its whole process group is
killed when we stop waiting for it, for whatever reason. What it says is bounded. Not guaranteed:
a descendant that left the group on purpose lives on, and so does a tool whose parent was SIGKILLed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import shutil
import signal as posix_signals
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Literal, final

from attractor.errors import ToolError
from signals.clock import Clock, SystemClock

OwnModule = Literal["attractor", "guardian", "runner"]

_TAIL_BYTES = 2_000
_CHUNK_BYTES = 65_536
_COMMAND_CHARACTERS = 500
_REAP_SECONDS = 5.0
_INSTALL = {"dot": "graphviz", "bwrap": "bubblewrap"}


def own_command(module: OwnModule, *arguments: str) -> list[str]:
    """Return the argv that starts one of our own processes, safe from the working directory."""
    return [sys.executable, "-I", "-m", module, *arguments]


def install_hint(tool: str) -> str:
    """Return the one command that installs a tool on this system."""
    package = _INSTALL.get(tool, tool)
    if sys.platform == "darwin":
        return f"brew install {package}"
    return f"sudo apt-get install -y {package}"


def run_tool(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    max_output_bytes: int = 64 * 1024 * 1024,
) -> bytes:
    """Run an outside program and return its stdout.

    Missing, not startable, late, talking without end, or failed is a ToolError that says which.
    """
    child = _start(argv, cwd, env)
    try:
        talk = _Talk(child, stdin, max_output_bytes)
        ended = talk.until(timeout_seconds, SystemClock())
    except BaseException:
        _stop(child)
        raise
    if talk.overflowed or not ended:
        _stop(child)
        said = f"wrote more than {max_output_bytes} bytes"
        late = f"did not end within {timeout_seconds:g} seconds"
        raise _failure(argv, f"{said if talk.overflowed else late} and was stopped")
    if child.returncode != 0:
        tail = talk.stderr.decode("utf-8", "replace").strip()
        raise _failure(argv, f"ended with status {child.returncode}: {tail or 'it said nothing'}")
    return bytes(talk.stdout)


def _failure(argv: Sequence[str], problem: str) -> ToolError:
    command = shlex.join(argv)
    if len(command) > _COMMAND_CHARACTERS:
        command = command[:_COMMAND_CHARACTERS] + " ..."
    return ToolError(f"{argv[0]} {problem}", fix=f"the command was: {command}")


def _find(tool: str, env: Mapping[str, str] | None) -> str:
    # An empty or relative entry of PATH would take the program from the working directory.
    folders = (os.environ if env is None else env).get("PATH", os.defpath).split(os.pathsep)
    path = shutil.which(tool, path=os.pathsep.join(filter(os.path.isabs, folders)))
    if path is None:
        raise ToolError(f"{tool} is not installed", fix=f"install it: {install_hint(tool)}")
    return path


def _start(
    argv: Sequence[str], cwd: str | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            [_find(argv[0], env), *argv[1:]],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=cwd,
            env=env,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _failure(argv, f"could not be started: {error.strerror}{where}") from error


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group, and reap the child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Safe also after the child's end: its pid stays the group's id while a member lives,
        # and an unreaped or just reaped child's id cannot have become a group of somebody else's.
        os.killpg(child.pid, posix_signals.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_REAP_SECONDS)


@final
class _Talk:
    """Feeds a child's stdin and collects what it says, at the same time, so that none blocks."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes, limit: int) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.overflowed = False
        self._child = child
        self._unsent = memoryview(stdin)
        self._limit = limit

    def until(self, timeout_seconds: float, clock: Clock) -> bool:
        """Return whether the child closed its streams and ended before the deadline."""
        deadline = clock.monotonic() + timeout_seconds
        with self._child, selectors.DefaultSelector() as streams:
            self._open(streams)
            while streams.get_map() and not self.overflowed:
                left = deadline - clock.monotonic()
                if left <= 0:
                    break
                for key, _ in streams.select(left):
                    self._serve(streams, key)
            ...
        return True

    def _open(self, streams: selectors.BaseSelector) -> None: ...
