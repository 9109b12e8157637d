"""`attractor doctor`: whether this installation is ours, and what will not work here.

One line for each check: ok, warn (something optional is missing; the line says what will not work
without it) or fail, with what to do. Looks only: no model is asked, nothing is installed, and what
the filesystem check writes is removed again.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

import click

from attractor import git, tools, tripwire
from attractor.cli import doctor_runs
from attractor.cli.doctor_check import Check, Level
from attractor.cli.output import dump, json_option, say
from attractor.errors import StorageError, ToolError
from attractor.spawn import install_hint
from signals import atomic
from signals.clock import Clock, SystemClock, iso

_TOOL_SECONDS: Final = 20.0
_OLDEST_PYTHON: Final = (3, 11)
_EARLIEST_WALL_NS: Final = 1_767_225_600 * 10**9  # 2026: before it, the clock was never set
_MAX_SKEW_SECONDS: Final = 5.0
_FEW_INOTIFY_INSTANCES: Final = 16
_PROC_INOTIFY: Final = "/proc/sys/fs/inotify/max_user_instances"
_STATE_FOLDER: Final = os.path.join(".claude", "attractor")


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this installation, the tools that it needs, and this project.

    Exits with 0 when nothing failed; a warning is not a failure.
    """
    checks = [check for examine in _EXAMINATIONS for check in examine()]
    failed = any(check.level is Level.FAIL for check in checks)
    if as_json:
        status = "fail" if failed else "ok"
        say(dump({"status": status, "checks": [check.as_json() for check in checks]}))
    else:
        for check in checks:
            say(str(check))
    sys.exit(1 if failed else 0)


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        fix = "install Attractor with Python 3.11 or newer"
        yield Check("python", Level.FAIL, f"{version} is too old", fix)
    else:
        yield Check("python", Level.OK, f"{version} at {sys.executable}")


def _installation() -> Iterator[Check]:
    problems = tripwire.examine()
    for problem in problems:
        yield Check("installation", Level.FAIL, problem.problem, problem.fix)
    if not problems:
        folder = os.path.dirname(os.path.dirname(tripwire.origins()[tripwire.DISTRIBUTION] or ""))
        names = ", ".join(tripwire.NAMES)
        yield Check("installation", Level.OK, f"{names} are ours alone, in {folder}")
        yield Check("isolation", Level.OK, "processes started with `python -I` find the same files")


def _tool(
    name: str, without: str, *argv: str, stdin: bytes = b"", oldest: tuple[int, ...] = ()
) -> Callable[[], Iterator[Check]]:
    def examine() -> Iterator[Check]:
        try:
            version = tools.version(name, *argv, stdin=stdin, seconds=_TOOL_SECONDS)
        except ToolError as error:
            message = f"{error.problem}; without it {without}"
            yield Check(name, Level.WARN, message, error.fix)
            return
        if tools.older(version, oldest):
            message = f"{version} is older than {tools.written(oldest)}; without that {without}"
            yield Check(name, Level.WARN, message, f"update it: {install_hint(name)}")
            return
        yield Check(name, Level.OK, version or "works")

    return examine


def _sandbox() -> Iterator[Check]:
    name = "sandbox-exec" if sys.platform == "darwin" else "bwrap"
    try:
        yield Check(name, Level.OK, tools.try_sandbox(_TOOL_SECONDS) or "works")
    except ToolError as error:
        message = f"{error.problem}; without it an agent is kept from the rubric by rules and hooks"
        yield Check(name, Level.WARN, f"{message} only", error.fix)


def _claude() -> Iterator[Check]:
    on_path = shutil.which("claude")
    program = on_path or tools.find_claude()
    if program is None:
        message = "it is not on PATH; without it no agent can run"
        fix = "install Claude Code, or install Attractor with its extra: attractor[sdk]"
        yield Check("claude", Level.WARN, message, fix)
        return
    place = program if on_path else f"{program} (inside claude-agent-sdk)"
    try:
        version = tools.version(program, "--version", seconds=_TOOL_SECONDS)
    except ToolError as error:
        message = f"{error.problem}; without it no agent can run"
        yield Check("claude", Level.WARN, message, error.fix or "install Claude Code again")
        return
    if tools.older(version, tools.CLAUDE_OLDEST):
        oldest = tools.written(tools.CLAUDE_OLDEST)
        message = f"{version} is older than {oldest}; without that no agent can run: {place}"
        yield Check("claude", Level.WARN, message, "claude update")
        return
    yield Check("claude", Level.OK, f"{version} at {place}".removeprefix(" at "))


def _inotify() -> Iterator[Check]:
    try:
        with open(_PROC_INOTIFY, encoding="ascii") as file:
            limit = int(file.read())
    except (OSError, ValueError):
        return  # not Linux, or a container that hides it: nothing to say
    used = _inotify_used()
    message = f"{used} of {limit} instances of this user are taken"
    if limit - used >= _FEW_INOTIFY_INSTANCES:
        yield Check("inotify", Level.OK, message)
        return
    message += "; where none is left, signals are found by listing, up to some seconds later"
    fix = f"sudo sysctl fs.inotify.max_user_instances={max(512, limit * 2)}"
    yield Check("inotify", Level.WARN, message, fix)


def _inotify_used() -> int:
    used = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{process}/fd"
        with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
            if os.stat(folder).st_uid == os.getuid():
                used += sum(_is_inotify(f"{folder}/{fd}") for fd in os.listdir(folder))
    return used


def _is_inotify(fd: str) -> bool:
    try:
        return os.readlink(fd) == "anon_inode:inotify"
    except OSError:
        return False  # closed meanwhile


def _signals() -> Iterator[Check]:
    from attractor.cli.mailboxes import flat_folder  # costs what the mailbox costs

    folder = flat_folder(None)
    if not os.path.lexists(folder):
        yield Check("signals", Level.OK, f"{folder} will be made with the first signal")
    elif not os.path.isdir(folder):
        fix = "move it away, or set ATTRACTOR_SIGNALS_DIR to a folder"
        yield Check("signals", Level.FAIL, f"{folder} is not a folder", fix)
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        fix = "check its owner and mode, or set ATTRACTOR_SIGNALS_DIR to another folder"
        yield Check("signals", Level.FAIL, f"{folder} cannot be read and written", fix)
    else:
        yield from _quarantine(folder)


def _quarantine(folder: str) -> Iterator[Check]:
    try:
        names = os.listdir(os.path.join(folder, "quarantine"))
    except OSError:
        names = []  # none was made yet
    bad = sum(name.endswith(".json") for name in names)
    if bad:
        fix = f"see why: attractor signal list --all --dir {shlex.quote(folder)}"
        yield Check("signals", Level.WARN, f"{bad} bad signals were put aside in {folder}", fix)
    else:
        yield Check("signals", Level.OK, folder)


def _filesystem() -> Iterator[Check]:
    folder = os.path.abspath(_STATE_FOLDER if os.path.isdir(_STATE_FOLDER) else os.curdir)
    try:
        trial = tempfile.mkdtemp(prefix=".attractor-doctor-", dir=folder)
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror}), so it was not tried"
        fix = "run this in the folder that holds your pipelines"
        yield Check("filesystem", Level.WARN, message, fix)
        return
    try:
        yield from _try_files(trial, SystemClock())
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _try_files(trial: str, clock: Clock) -> Iterator[Check]:
    os.mkdir(os.path.join(trial, "tmp"))
    fix = "keep runs on a local disk; network filesystems and some shared folders cannot do this"
    try:
        path = atomic.publish(trial, "once", b"1")
        atomic.replace(path, b"2")
        atomic.publish(trial, "once", b"3")
    except FileExistsError:
        yield Check(
            "filesystem", Level.OK, f"link, rename and fsync work in {os.path.dirname(trial)}"
        )
    except StorageError as error:
        yield Check("filesystem", Level.FAIL, error.problem, error.fix or fix)
        return
    else:
        message = "a link replaced a file that existed, so two signals could overwrite each other"
        yield Check("filesystem", Level.FAIL, message, fix)
    yield _clock(clock, os.stat(path).st_mtime_ns)


def _clock(clock: Clock, written_ns: int) -> Check:
    now_ns = clock.wall_ns()
    skew = abs(now_ns - written_ns) / 1e9
    fix = "set the clock (for example: sudo timedatectl set-ntp true)"
    if now_ns < _EARLIEST_WALL_NS:
        return Check("clock", Level.FAIL, f"it says {iso(now_ns)}, which cannot be", fix)
    if skew > _MAX_SKEW_SECONDS:
        message = f"the filesystem's clock and this machine's differ by {skew:.0f} seconds"
        return Check("clock", Level.WARN, message, fix)
    return Check("clock", Level.OK, iso(now_ns))


_EXAMINATIONS: Final[tuple[Callable[[], Iterator[Check]], ...]] = (
    _python,
    _installation,
    _tool("git", "no worktree can be made for a node", "--version", oldest=git.OLDEST),
    _tool("tmux", "no orchestrator can run", "-V", oldest=tools.TMUX_OLDEST),
    _sandbox,
    # `dot -V` speaks on stderr; a drawing names its version too, and proves that dot works.
    _tool("dot", "`attractor render` cannot draw", "-Tsvg", stdin=b"digraph { a }"),
    _claude,
    doctor_runs.libraries,
    doctor_runs.login,
    _inotify,
    _signals,
    _filesystem,
    doctor_runs.disk,
    doctor_runs.project,
    doctor_runs.runs,
)
