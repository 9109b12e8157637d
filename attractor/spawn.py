"""The one way to start processes: our own isolated, outside tools with a deadline.

Our own always run as `[sys.executable, "-I", "-m", NAME, ...]`: a Runner's working directory is a
tree written by the agent being judged, and without `-I` Python would import from it. Module names
appear as strings here only, so that `attractor.cli` never imports `guardian` or `runner`.

A tool gets a session of its own, so it cannot ask on our terminal, and what is left of its process
group is killed when it has ended or we stop waiting for it, for whatever reason; a SIGTERM that
nothing handles becomes an exit with 143 after that. What it says is bounded. Not guaranteed:
a descendant that left the group on purpose lives on, and so does a tool whose parent was SIGKILLed,
unless it was started by `run_leashed`.
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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Literal, NamedTuple, NoReturn, Self, final

from attractor.errors import ToolError
from attractor.leash import on_leash
from signals.clock import Clock, SystemClock

OwnModule = Literal[
    "attractor",
    "attractor.agents",
    "attractor.agents.claude_sdk",
    "attractor.keeper",
    "attractor.promise",
    "attractor.rehearsal",
    "guardian",
    "guardian.task",
    "runner",
    "runner.checks",
    "runner.clean",
    "runner.judged",
]

OwnProcess = subprocess.Popen[bytes]
TimeoutExpired = subprocess.TimeoutExpired

_TAIL_BYTES = 2_000
_CHUNK_BYTES = 65_536
_COMMAND_CHARACTERS = 500
_REAP_SECONDS = 5.0
_TERMINATED = 128 + posix_signals.SIGTERM
_INSTALL = {"dot": "graphviz", "bwrap": "bubblewrap"}
_BY_HAND = {"claude": "install Claude Code, or install Attractor with its extra: attractor[sdk]"}


def own_command(module: OwnModule, *arguments: str) -> list[str]:
    """Return the argv that starts one of our own processes, safe from the working directory."""
    return [sys.executable, "-I", "-m", module, *arguments]


def start_own(
    module: OwnModule, *arguments: str, log: str, cwd: str, env: Mapping[str, str]
) -> OwnProcess:
    """Start one of our own processes in a session of its own, so that it outlives this one.

    It has no input, this environment and no other, and what it says is appended to `log`.
    """
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(
            own_command(module, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    finally:
        os.close(fd)


def become(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Replace this process by an outside program, which has the terminal from then on."""
    path = _find(argv[0], env)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(path, [path, *argv[1:]], env)


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
    talk = _Talk(stdin, max_output_bytes)
    status = _run(argv, cwd, env, talk, timeout_seconds)
    if talk.overflowed:
        raise _failure(argv, f"wrote more than {max_output_bytes} bytes and was stopped")
    if status is None:
        raise _failure(argv, f"did not end within {timeout_seconds:g} seconds and was stopped")
    if status != 0:
        tail = talk.stderr.decode("utf-8", "replace").strip()
        raise _failure(argv, f"ended with status {status}: {tail or 'it said nothing'}")
    return bytes(talk.stdout)


class Ended(NamedTuple):
    """How a program ended whose failure is an answer, too."""

    status: int | None
    """Its exit status, negative for a signal; None when it was stopped."""
    stdout: bytes
    stderr: str
    """The last that it said there."""
    overflowed: bool
    """It was stopped because it said too much."""


def run_leashed(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    max_output_bytes: int = 64 * 1024 * 1024,
) -> Ended:
    """Run a program to its end or its deadline; its group never outlives this process.

    Only one that is missing or cannot be started is a ToolError.
    """
    talk = _Talk(stdin, max_output_bytes)
    return talk.ended(_run(argv, cwd, env, talk, timeout_seconds, leashed=True))


def run_to_end(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    lock: int | None = None,
    stdin: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    max_output_bytes: int = 64 * 1024 * 1024,
) -> Ended:
    """Run a program to its end or its deadline; only one that cannot be started is a ToolError.

    It inherits the locked file `lock`, so where it outlives this process, the lock does, too.
    """
    talk = _Talk(stdin, max_output_bytes)
    inherited = () if lock is None else (lock,)
    return talk.ended(_run(argv, cwd, env, talk, timeout_seconds, inherited=inherited))


class Ran(NamedTuple):
    """How a shell command ended."""

    status: int | None
    """Its exit status, negative for a signal; None when it was stopped at its deadline."""
    tail: str
    """The last that it said on stdout and stderr."""


def run_shell(command: str, *, timeout_seconds: float, cwd: str, tail_characters: int) -> Ran:
    """Run a line of shell, without input, to its end or its deadline.

    It has ended when its output is closed, too: one that leaves a talking child behind is late.
    """
    talk = _Talk(b"", 4 * tail_characters, tail_only=True)
    status = _run(_shell(command), cwd, None, talk, timeout_seconds)
    return talk.ran(status, tail_characters)


def run_leashed_shell(
    command: str,
    *,
    timeout_seconds: float,
    cwd: str,
    tail_characters: int,
    env: Mapping[str, str],
    stdin: bytes = b"",
    heard: Callable[[bytes], object] | None = None,
) -> Ran:
    """Do the same with a group that never outlives this process; `heard` gets all that it says."""
    talk = _Talk(stdin, 4 * tail_characters, tail_only=True, heard=heard)
    status = _run(_shell(command), cwd, env, talk, timeout_seconds, leashed=True)
    return talk.ran(status, tail_characters)


def _shell(command: str) -> list[str]:
    # Before the command's own lines, so that what the shell says of bad syntax is heard as well.
    return ["/bin/sh", "-c", f"exec 2>&1\n{command}"]


def _run(
    argv: Sequence[str],
    cwd: str | None,
    env: Mapping[str, str] | None,
    talk: _Talk,
    timeout_seconds: float,
    *,
    leashed: bool = False,
    inherited: Sequence[int] = (),
) -> int | None:
    """Return the exit status; None for one that was stopped. Nothing of its group is left."""
    with contextlib.ExitStack() as held, _Termination() as termination:
        if leashed:
            argv, inherited = on_leash([_find(argv[0], env), *argv[1:]], held)
        child = _start(argv, cwd, env, inherited)
        try:
            try:
                termination.arm()
                ended = talk.until_end(child, timeout_seconds, SystemClock())
            finally:
                termination.disarm()
        finally:
            _end(child)
    return child.returncode if ended else None


@final
class _Termination:
    """Turns a SIGTERM that nobody handles into an exit with 143, after the child was ended."""

    def __init__(self) -> None:
        self._ours = False
        self._armed = False
        self._arrived = False

    def __enter__(self) -> Self:
        # Only the main thread may set handlers, and only it is ever interrupted by one.
        if threading.current_thread() is threading.main_thread():
            self._ours = posix_signals.getsignal(posix_signals.SIGTERM) is posix_signals.SIG_DFL
        if self._ours:
            posix_signals.signal(posix_signals.SIGTERM, self._arrive)
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            posix_signals.signal(posix_signals.SIGTERM, posix_signals.SIG_DFL)
        if self._arrived:
            raise SystemExit(_TERMINATED)

    def _arrive(self, *_: object) -> None:
        self._arrived = True
        if self._armed:
            self._armed = False
            raise SystemExit(_TERMINATED)

    def arm(self) -> None:
        """From here on a SIGTERM interrupts; one that came while the child started does now."""
        self._armed = True
        if self._arrived:
            raise SystemExit(_TERMINATED)

    def disarm(self) -> None:
        """From here on a SIGTERM waits until the child is ended."""
        self._armed = False


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
        raise _missing(tool)
    return path


def _missing(tool: str) -> ToolError:
    if os.sep not in tool:
        fix = _BY_HAND.get(tool) or f"install it: {install_hint(tool)}"
        return ToolError(f"{tool} is not installed", fix=fix)
    if not os.path.isfile(tool):
        return ToolError(f"there is no program {tool}", fix="name one that is there")
    return ToolError(f"{tool} is not executable", fix=f"chmod +x {shlex.quote(tool)}")


def _start(
    argv: Sequence[str],
    cwd: str | None,
    env: Mapping[str, str] | None,
    inherited: Sequence[int] = (),
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
            pass_fds=inherited,
            start_new_session=True,
        )
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _failure(argv, f"could not be started: {error.strerror}{where}") from error


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child's group, reap the child, close what we hold of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Before the child is reaped: until then its id cannot belong to anybody else.
        os.killpg(child.pid, posix_signals.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_REAP_SECONDS)
    for stream in (child.stdin, child.stdout, child.stderr):
        assert stream is not None
        stream.close()


def _has_ended(child: subprocess.Popen[bytes], deadline: float, clock: Clock) -> bool:
    """Wait for the end of a child until the deadline, without reaping it where that is possible."""
    pause = 0.0005
    while True:
        if hasattr(os, "waitid"):
            flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
            ended = os.waitid(os.P_PID, child.pid, flags) is not None
        else:  # macOS before Python 3.13
            ended = child.poll() is not None
        left = deadline - clock.monotonic()
        if ended or left <= 0:
            return ended
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.05)


@final
class _Talk:
    """Feeds a child's stdin and collects what it says, at the same time, so that none blocks."""

    def __init__(
        self,
        stdin: bytes,
        limit: int,
        *,
        tail_only: bool = False,
        heard: Callable[[bytes], object] | None = None,
    ) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()  # its last bytes only
        self.overflowed = False
        self._unsent = memoryview(stdin)
        self._limit = limit
        self._tail_only = tail_only
        self._heard = heard

    def ended(self, status: int | None) -> Ended:
        """Return what was said, and how it ended."""
        said = self.stderr.decode("utf-8", "replace").strip()
        return Ended(status, bytes(self.stdout), said, self.overflowed)

    def ran(self, status: int | None, characters: int) -> Ran:
        """Return the last that was said, and how it ended."""
        return Ran(status, self.stdout.decode("utf-8", "replace")[-characters:])

    def until_end(
        self, child: subprocess.Popen[bytes], timeout_seconds: float, clock: Clock
    ) -> bool:
        """Return whether the child closed its streams and ended before the deadline."""
        deadline = clock.monotonic() + timeout_seconds
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        with selectors.DefaultSelector() as streams:
            streams.register(child.stdout, selectors.EVENT_READ, self.stdout)
            streams.register(child.stderr, selectors.EVENT_READ, self.stderr)
            # So that a write larger than the pipe's free space is cut short, not waited for.
            os.set_blocking(child.stdin.fileno(), False)
            streams.register(child.stdin, selectors.EVENT_WRITE)
            while streams.get_map():
                if self.overflowed or (left := deadline - clock.monotonic()) <= 0:
                    return False
                for key, _ in streams.select(left):
                    self._serve(streams, key)
        return _has_ended(child, deadline, clock)

    def _serve(self, streams: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]  # we registered files only
        if key.data is None:
            self._send(streams, stream)
            return
        chunk = os.read(key.fd, _CHUNK_BYTES)
        if not chunk:
            streams.unregister(stream)
        key.data.extend(chunk)
        if self._heard is not None and key.data is self.stdout:
            self._heard(chunk)
        del self.stderr[:-_TAIL_BYTES]
        if self._tail_only:
            del self.stdout[: -self._limit]
        self.overflowed = len(self.stdout) > self._limit

    def _send(self, streams: selectors.BaseSelector, stdin: IO[bytes]) -> None:
        try:
            sent = os.write(stdin.fileno(), self._unsent)
        except BrokenPipeError:
            sent = len(self._unsent)  # it does not want the rest; its exit status will tell
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            streams.unregister(stdin)
            stdin.close()
