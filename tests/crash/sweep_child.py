"""The child side of the crash sweep (see the fixture `sweep` in conftest.py).

Run as `python -I sweep_child.py PROGRAM.py`: executes the program's module body once, then forks
one process for each line on stdin, which calls one function of the program and, if asked, kills
itself with SIGKILL just before (or, for a write, in the middle of) its k-th file operation.
It has one thread and no open files when it forks, so a fork is a clean start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal as posix_signals
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

# event -> the places of (path, dir_fd) among its arguments; dir_fd -1 means that it has none.
_CHANGES = {
    "open": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.link": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, -1),),
    "os.utime": ((0, 3),),
}
# Calls that change a file and raise no audit event: the place of the file descriptor.
_SILENT = ("fsync", "fdatasync", "pwrite", "writev", "sendfile", "copy_file_range")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_write = os.write


class _Sweep:
    """The counter of one child; unarmed in the parent, so that nothing there is counted."""

    armed = False
    root = ""
    kill_at = 0
    count = 0
    log = -1


def _log(kind: str, value: Any) -> None:
    _write(_Sweep.log, json.dumps([kind, value]).encode() + b"\n")


def tell(value: Any) -> None:
    """For programs: record a JSON value outside the state folder; survives the kill."""
    _log("told", value)


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """For programs: nothing that is done within is a kill point."""
    before, _Sweep.armed = _Sweep.armed, False
    try:
        yield
    finally:
        _Sweep.armed = before


def _die(what: str) -> NoReturn:
    _log("killed", what)
    os.kill(os.getpid(), posix_signals.SIGKILL)
    raise AssertionError("unreachable")


def _reach(what: str, just_before: Callable[[], Any] | None = None) -> None:
    _Sweep.count += 1
    if _Sweep.count == _Sweep.kill_at:
        if just_before is not None:
            just_before()
        _die(what)


def _path_of(fd: int) -> str:
    try:
        if sys.platform == "darwin":
            import fcntl

            return os.fsdecode(fcntl.fcntl(fd, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _inside(path: Any, dir_fd: Any = None) -> str:
    """Return the path relative to the state folder, or "" if it lies elsewhere."""
    if isinstance(path, int):
        full = _path_of(path)
    else:
        start = _path_of(dir_fd) if isinstance(dir_fd, int) and dir_fd >= 0 else os.getcwd()
        full = os.path.normpath(os.path.join(start, os.fsdecode(path)))
    return full[len(_Sweep.root) + 1 :] if full.startswith(_Sweep.root + os.sep) else ""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _Sweep.armed or event not in _CHANGES:
        return
    if event == "open" and (isinstance(arguments[0], int) or not arguments[2] & _WRITING):
        return
    places = _CHANGES[event]
    named = [_inside(arguments[p], arguments[d] if d >= 0 else None) for p, d in places]
    if any(named):
        _reach(f"before {event} {' '.join(named)}")


def _counting_write(fd: int, data: Any, /) -> int:
    name = _inside(fd) if _Sweep.armed else ""
    if name:
        view = memoryview(data).cast("B")
        _reach(f"before os.write {name}")
        if len(view) > 1:
            half = view[: len(view) // 2]
            _reach(f"in the middle of os.write {name}", lambda: _write(fd, half))
    return _write(fd, data)


def _counting(name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(*arguments: Any, **named: Any) -> Any:
        # copy_file_range names its target second, all others first.
        fd = arguments[1] if name == "copy_file_range" else arguments[0]
        place = _inside(fd if isinstance(fd, int) else fd.fileno()) if _Sweep.armed else ""
        if place:
            _reach(f"before os.{name} {place}")
        return real(*arguments, **named)

    return call


def _wrap() -> None:
    os.write = _counting_write
    for name in _SILENT:
        if hasattr(os, name):
            setattr(os, name, _counting(name))
    sys.addaudithook(_hook)


def _run(program: dict[str, Any], order: dict[str, Any]) -> NoReturn:
    """In the forked child: call the function, and leave without any clean-up of the parent's."""
    status = 0
    try:
        _Sweep.log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        _Sweep.root = os.path.realpath(order["state"])
        _Sweep.kill_at = order["kill_at"]
        os.chdir(order["state"])
        function = program[order["entry"]]
        _Sweep.armed = True
        function(_Sweep.root, *order["arguments"])
        _Sweep.armed = False
        _log("count", _Sweep.count)
    except BaseException:  # noqa: BLE001  # the parent reports whatever it was
        _Sweep.armed = False
        _log("error", traceback.format_exc())
        status = 1
    os._exit(status)


def main() -> None:
    """Serve orders until stdin ends: one line in, one wait status out."""
    path = sys.argv[1]
    replies = os.dup(1)
    os.dup2(2, 1)
    _wrap()
    with open(path, encoding="utf-8") as file:
        source = file.read()
    program: dict[str, Any] = {
        "__name__": "program",
        "__file__": path,
        "tell": tell,
        "uncounted": uncounted,
    }
    exec(compile(source, path, "exec"), program)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.close(replies)
            _run(program, json.loads(line))
        _, status = os.waitpid(child, 0)
        _write(replies, f"{status}\n".encode())


if __name__ == "__main__":
    main()
