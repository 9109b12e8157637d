"""Starts one program from a file that the program itself never sees: `launcher.py LAUNCH.json`.

Standard library only, run with `-I -S` by its path. The file is a JSON object:

    argv     the program and its arguments, an absolute path first
    env      its whole environment; only TERM is the terminal's own, where there is one
    cwd      where it starts
    options  what bwrap reads from a file descriptor, so that no command line shows it: each
             `{options}` in argv becomes the number of that descriptor
    report   where bwrap writes what it knows (`--json-status-fd`): `{report}` becomes its number
    mode     "exec": becomes the program (a terminal's pane). What goes wrong is printed, status 127
             "wait": goes into the background, prints its pid, waits there for the program
    stdin    (wait) what the program reads; nothing when empty
    stdout   (wait) what it says is appended here, stderr as well
    stderr   (wait) a file of its own for stderr
    status   (wait) written last, atomically: {"exit": n} (negative for a signal), or {"error": ...}
    most     (wait) so many bytes of output are kept; what is more is read and thrown away,
             so that the program never blocks, and `"cut": true` stands in the status
    grace    (wait) seconds between the SIGTERM that we got and passed on, and SIGKILL

Guaranteed in mode "wait": the program has a session of its own and lives on when our caller dies;
when it has ended, or we were told to end it, nothing that it started is left (on Linux not even
what left its session: this process adopts the orphans). Not guaranteed: that, when this process
itself is killed with SIGKILL; the program dies with it on Linux, what it started does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal as posix_signals
import sys
import time
from typing import Any, Final, NoReturn

_FAILED: Final = 127
_CHUNK: Final = 65_536
_MOST: Final = 64 * 1024 * 1024
_GRACE: Final = 5.0
_REAP_SECONDS: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def main(path: str) -> None:
    """Start what the file describes."""
    try:
        with open(path, "rb") as file:
            launch = json.loads(file.read())
        argv, env = _prepared(launch)
        if launch["mode"] == "exec":
            _become(launch, argv, env)
        _detach(launch, argv, env)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"attractor: cannot start the program: {error}\n")
        sys.exit(_FAILED)


def _prepared(launch: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    numbers = {}
    if options := launch.get("options"):
        numbers["{options}"] = str(_filled(options))
    if report := launch.get("report"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        fd = os.open(report, flags, 0o600)
        os.set_inheritable(fd, True)
        numbers["{report}"] = str(fd)
    argv = [numbers.get(word, word) for word in launch["argv"]]
    return argv, dict(launch["env"])


def _filled(options: list[str]) -> int:
    """Return an inheritable descriptor from which these words can be read, each ended by NUL."""
    data = b"".join(os.fsencode(word) + b"\0" for word in options)
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("options", 0)
    else:
        import tempfile  # no bwrap there, but what is asked for is done

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.set_inheritable(fd, True)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _become(launch: dict[str, Any], argv: list[str], env: dict[str, str]) -> NoReturn:
    if "TERM" in os.environ:
        env["TERM"] = os.environ["TERM"]
    os.chdir(launch["cwd"])
    for number in (posix_signals.SIGPIPE, posix_signals.SIGXFSZ):  # Python ignores these
        posix_signals.signal(number, posix_signals.SIG_DFL)
    os.execve(argv[0], argv, env)


def _detach(launch: dict[str, Any], argv: list[str], env: dict[str, str]) -> None:
    """Leave a process behind that waits for the program; print its pid when it has started."""
    ready, told = os.pipe()
    if os.fork() == 0:
        status = _FAILED
        try:
            os.close(ready)
            os.setsid()
            status = _watch(launch, argv, env, told) if os.fork() == 0 else 0
        finally:
            os._exit(status)
    os.close(told)
    os.wait()
    with open(ready, "rb") as pipe:
        said = pipe.read().decode()
    if not said.isdigit():
        raise OSError(said or "the process that was to wait for it died")
    sys.stdout.write(f"{said}\n")


def _watch(launch: dict[str, Any], argv: list[str], env: dict[str, str], told: int) -> int:
    """Start the program, tell our pid, see it through to its end and write how it was."""
    watch = _Watch(launch)
    try:
        watch.start(argv, env)
    except OSError as error:
        os.write(told, str(error).encode())
        return _FAILED
    os.write(told, str(os.getpid()).encode())
    os.close(told)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # our caller waits until nobody holds these
        os.dup2(null, fd)
    watch.until_end()
    watch.sweep()
    watch.write_status()
    return 0


class _Watch:
    """One program in the background: its output, its end, and the end of all that it started."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self._launch = launch
        self._room = int(launch.get("most") or _MOST)
        self._cut = False
        self._child = 0
        self._status: int | None = None
        self._deadline: float | None = None  # when patience with a SIGTERM ends
        self._pipes: dict[int, int] = {}  # where the program talks: into which file it goes
        self._wake, self._waker = os.pipe()

    def start(self, argv: list[str], env: dict[str, str]) -> None:
        """Fork the program; OSError with the reason when it cannot be started."""
        for fd in (self._wake, self._waker):
            os.set_blocking(fd, False)
        posix_signals.set_wakeup_fd(self._waker)
        posix_signals.signal(posix_signals.SIGCHLD, lambda *_: None)
        for number in (posix_signals.SIGTERM, posix_signals.SIGINT, posix_signals.SIGHUP):
            posix_signals.signal(number, self._told_to_end)
        _process_control(_PR_SET_CHILD_SUBREAPER, 1)
        stdin = os.open(self._launch.get("stdin") or os.devnull, os.O_RDONLY)
        out = self._pipe(self._launch.get("stdout") or os.devnull)
        err = self._pipe(self._launch["stderr"]) if self._launch.get("stderr") else out
        failed, failure = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _program(argv, env, self._launch["cwd"], (stdin, out, err), failure)
        for fd in {stdin, out, err, failure}:
            os.close(fd)
        with open(failed, "rb") as pipe:
            if reason := pipe.read():
                os.waitpid(self._child, 0)
                raise OSError(reason.decode())

    def _pipe(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        file = os.open(path, flags, 0o600)
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self._pipes[reader] = file
        return writer

    def _told_to_end(self, *_: object) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + float(self._launch.get("grace", _GRACE))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child, posix_signals.SIGTERM)

    def until_end(self) -> None:
        """Copy what the program says until it has ended, or patience has."""
        while self._status is None:
            left = None if self._deadline is None else self._deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            ready, _, _ = select.select([self._wake, *self._pipes], [], [], left)
            for fd in ready:
                if fd != self._wake:
                    self._copy(fd)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, _CHUNK)
            self._reap()

    def _copy(self, reader: int) -> bool:
        try:
            data = os.read(reader, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            os.close(self._pipes.pop(reader))
            os.close(reader)
            return False
        kept = data[: self._room]
        self._room -= len(kept)
        self._cut = self._cut or len(kept) < len(data)
        while kept:
            try:
                kept = kept[os.write(self._pipes[reader], kept) :]
            except OSError:  # a full disk must not stop the program
                self._cut = True
                break
        return True

    def _reap(self) -> bool:
        """Collect whoever has ended; return whether anybody had."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid and pid == self._child:
            self._status = os.waitstatus_to_exitcode(status)
        return pid != 0

    def sweep(self) -> None:
        """Kill what the program left behind, until nothing is, and keep its last words."""
        deadline = time.monotonic() + _REAP_SECONDS
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child, posix_signals.SIGKILL)
        while time.monotonic() < deadline:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, posix_signals.SIGKILL)
            while self._reap():
                pass
            if not _has_children():
                break
            select.select([self._wake], [], [], 0.01)
        for reader in list(self._pipes):
            # Nobody writes any more, so this ends; a survivor that does is cut off by the room.
            while reader in self._pipes and not self._cut and self._copy(reader):
                pass

    def write_status(self) -> None:
        """Say how it ended, in one step."""
        path = self._launch.get("status")
        if not path:
            return
        said: dict[str, Any] = {"exit": self._status}
        if self._cut:
            said["cut"] = True
        draft = f"{path}.{os.getpid()}.draft"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "w") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(fd)
        os.rename(draft, path)


def _program(
    argv: list[str], env: dict[str, str], cwd: str, streams: tuple[int, int, int], failure: int
) -> NoReturn:
    """Become the program, in the forked child."""
    try:
        posix_signals.set_wakeup_fd(-1)
        for number in (
            posix_signals.SIGTERM,
            posix_signals.SIGINT,
            posix_signals.SIGHUP,
            posix_signals.SIGCHLD,
            posix_signals.SIGPIPE,
            posix_signals.SIGXFSZ,
        ):
            posix_signals.signal(number, posix_signals.SIG_DFL)
        os.setsid()
        _process_control(_PR_SET_PDEATHSIG, posix_signals.SIGKILL)
        os.chdir(cwd)
        for place, fd in enumerate(streams):
            os.dup2(fd, place)
        os.execve(argv[0], argv, env)
    except BaseException as error:  # noqa: BLE001  # it is told to the parent, whatever it is
        os.write(failure, str(error).encode())
    finally:
        os._exit(_FAILED)


def _process_control(option: int, value: int) -> None:
    """Call prctl, on Linux; a system without it gives less, as the module's text says."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return []


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1])
