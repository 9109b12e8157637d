"""One private tmux server with one pane: where a person may watch a session, and type.

Guaranteed: every call ends within its deadline; the pane stays, with its last lines, when its
program has ended; nothing of the user's tmux (settings, environment, sockets) is read or touched.
That there is no server, no socket or no pane any more is an answer (`None`, "", False), never an
error; a server that does not answer, or says what we do not understand, is a ToolError.

The program is started in two steps, so that one that dies at once is still seen: a pane that only
waits, then `respawn-pane` with the program in it. When the program ends, tmux itself writes an
event into the given folder, so nobody has to ask. But tmux can miss that end until `pane` makes it
look: who must know at once waits for the pid as well. Of a flood at its very end the last lines can
be lost. Paths never stand in a tmux command, where `#(` would be run: the program is our launcher,
which reads the rest from a file, and the folder travels in the server's environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal as posix_signals
import socket as sockets
import stat
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, final

from attractor.digest import sha256
from attractor.errors import InputError, ToolError
from attractor.spawn import run_tool

WIDTH: Final = 200
HEIGHT: Final = 50
MINIMUM: Final = (3, 2)
_HISTORY_LINES: Final = 2_000
_TIMEOUT_SECONDS: Final = 10.0
_MOST_BYTES: Final = 16 * 1024 * 1024
_LONGEST_SOCKET: Final = 100
_NAME: Final = "attractor"
_PANE: Final = "%0"  # the first of a server, and of ours the only one
_BUFFER: Final = "attractor"
_GONE: Final = re.compile(
    r"no server running|error connecting to|lost server|server exited"
    r"|can't find (session|window|pane)|no current (session|target)|target pane has exited"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK: Final = re.compile(r"\n(?:[ \t]*\n){2,}")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
_OPTIONS: Final = (
    ("default-shell", "/bin/sh"),
    ("default-terminal", "screen-256color"),
    ("history-limit", str(_HISTORY_LINES)),
    ("remain-on-exit", "on"),
    ("set-clipboard", "off"),
    ("status", "off"),
    ("update-environment", ""),
)
_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_PANE_DIED: Final = os.path.join(_HERE, "pane_died.py")
# tmux hands this to /bin/sh; the values come from the server's environment, never from here.
_WHEN_IT_DIES: Final = (
    "run-shell -b '"
    'exec "$ATTRACTOR_PYTHON" -I -S "$ATTRACTOR_PANE_DIED" "$ATTRACTOR_EVENTS" >/dev/null 2>&1'
    "'"
)


@final
class Pane(NamedTuple):
    """What tmux knows about the program in the pane."""

    dead: bool
    status: int | None
    """Its exit status; None while it runs, when a signal ended it, or when tmux does not say."""
    signal: int | None
    pid: int


class Terminal(Protocol):
    """A place where a program runs and is seen; tmux, or what stands for it in a test."""

    def start(self, argv: Sequence[str], *, events: str) -> None:
        """Run a program in the pane, whatever runs there; make server and pane where missing.

        When it ends, an event of the kind `attractor:pane-died` appears in the folder `events`.
        """

    def pane(self) -> Pane | None:
        """Say how the program is; None when there is no server or no pane."""

    def capture(self, lines: int = 100) -> str:
        """Return the last lines that the pane shows or has shown; "" when there is none."""

    def paste(self, text: str) -> bool:
        """Type a text in one piece, without Enter; False when there is nobody to read it."""

    def keys(self, *names: str) -> bool:
        """Press keys, such as `Enter` or `Escape`; False when there is nobody to read them."""

    def kill(self) -> None:
        """End the server; what runs in the pane is hung up on. Done twice is no error."""

    def attach(self, *, write: bool = False) -> list[str]:
        """Return the argv with which a person watches, or watches and types."""


@final
class Tmux:
    """The real one."""

    def __init__(
        self, socket: str, *, program: str = "tmux", timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self.socket = socket
        self._program = program
        self._timeout = timeout_seconds

    def start(self, argv: Sequence[str], *, events: str) -> None:
        """Run a program in the pane, whatever runs there; make server and pane where missing."""
        if self.pane() is None:
            self.kill()  # one whose pane somebody closed, or a socket that a dead one left
            self._make(events)
        respawn = ["respawn-pane", "-k", "-t", _PANE, "-c", "/", *map(_escaped, argv)]
        clear = ["clear-history", "-t", _PANE]
        # With a pipe tmux reads to the end what an ended program has said; else it may not.
        drain = ["pipe-pane", "-t", _PANE, "exec cat >/dev/null"]
        self._call(*respawn, ";", *clear, ";", *drain)

    def _make(self, events: str) -> None:
        words = ["start-server"]
        for name, value in _OPTIONS:
            words += [";", "set-option", "-g", name, value]
        words += [";", "set-hook", "-g", "pane-died", _WHEN_IT_DIES]
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        words += [";", "new-session", "-d", "-s", _NAME, "-c", "/", *size, "cat"]
        environment = {
            "ATTRACTOR_EVENTS": events,
            "ATTRACTOR_PANE_DIED": _PANE_DIED,
            "ATTRACTOR_PYTHON": sys.executable,
        }
        self._call(*words, environment=environment)

    def pane(self) -> Pane | None:
        pane = self._look()
        if pane and pane.dead and pane.status is None and pane.signal is None:
            # tmux loses SIGCHLD at times (3.3a: up to every fourth), and then waits for the next.
            if pid := self.server_pid():
                os.kill(pid, posix_signals.SIGCHLD)
            pane = self._look()
        return pane

    def _look(self) -> Pane | None:
        form = "#{pane_id} #{pane_pid} #{pane_dead},#{pane_dead_status},#{pane_dead_signal}"
        said = self._ask("list-panes", "-t", _PANE, "-F", form)
        for line in (said or "").splitlines():
            name, pid, end = line.split(" ", 2)
            if name == _PANE:
                dead, status, number = (int(word) if word else None for word in end.split(","))
                return Pane(bool(dead), status, number or None, int(pid))
        return None

    def capture(self, lines: int = 100) -> str:
        said = self._ask("capture-pane", "-p", "-t", _PANE, "-S", str(-_HISTORY_LINES))
        return "\n".join(_BLANK.sub("\n\n", (said or "").strip("\n ")).split("\n")[-lines:])

    def paste(self, text: str) -> bool:
        load = ["load-buffer", "-b", _BUFFER, "-"]
        paste = ["paste-buffer", "-p", "-r", "-d", "-b", _BUFFER, "-t", _PANE]
        return self._type(*load, ";", *paste, stdin=printable(text).encode("utf-8", "replace"))

    def keys(self, *names: str) -> bool:
        return self._type("send-keys", "-t", _PANE, *map(_escaped, names))

    def _type(self, *words: str, stdin: bytes = b"") -> bool:
        pane = self.pane()
        return pane is not None and not pane.dead and self._ask(*words, stdin=stdin) is not None

    def kill(self) -> None:
        with contextlib.suppress(ToolError):  # one that does not answer is killed below
            self._ask("kill-server")
        if pid := self.server_pid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, posix_signals.SIGKILL)
        with contextlib.suppress(OSError):
            os.unlink(self.socket)

    def attach(self, *, write: bool = False) -> list[str]:
        words = ["attach-session", "-t", f"={_NAME}"]
        return [
            self._program,
            "-S",
            self.socket,
            "-f",
            os.devnull,
            *words,
            *([] if write else ["-r"]),
        ]

    def server_pid(self) -> int | None:
        """Return the pid of the server behind the socket, even of one that does not answer."""
        return _peer(self.socket)

    def _ask(self, *words: str, stdin: bytes = b"") -> str | None:
        """Call tmux; None when there is nobody that the call is about."""
        try:
            return self._call(*words, stdin=stdin)
        except ToolError as error:
            if _GONE.search(error.problem):
                return None
            raise

    def _call(
        self, *words: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> str:
        base = {"HOME": "/", "LANG": "C.UTF-8", "SHELL": "/bin/sh", "TERM": "screen-256color"}
        path = os.environ.get("PATH", os.defpath)
        said = run_tool(
            [self._program, "-u", "-S", self.socket, "-f", os.devnull, *words],
            timeout_seconds=self._timeout,
            stdin=stdin,
            cwd="/",
            env={**base, "PATH": path, **(environment or {})},
            max_output_bytes=_MOST_BYTES,
        )
        return said.decode("utf-8", "replace")


def _escaped(word: str) -> str:
    """Return a word as tmux takes it for a word: one that ends in `;` would end the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def printable(text: str) -> str:
    """Return the text without control characters but tab and newline.

    ESC would end the paste, and what follows it would be keys.
    """
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def version(program: str = "tmux") -> tuple[int, int]:
    """Return the version of tmux; ToolError when there is none or it is too old."""
    said = run_tool([program, "-V"], timeout_seconds=_TIMEOUT_SECONDS).decode("utf-8", "replace")
    found = _VERSION.search(said)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    if number < MINIMUM:
        wanted = ".".join(map(str, MINIMUM))
        raise ToolError(
            f"tmux {wanted} or later is needed, this is {said.strip()!r}", fix="update it"
        )
    return number


def socket_path(run_root: str, node_id: str, environ: Mapping[str, str]) -> str:
    """Return where the node's server listens; makes the folder, which is ours alone.

    The same for the same node, run and environment. A folder that others could write, or that is
    a link, is an InputError.
    """
    key = sha256(f"{os.path.abspath(run_root)}\0{node_id}".encode()).hexdigest()[:20]
    path = os.path.join(socket_folder(environ), key)
    if len(os.fsencode(path)) >= _LONGEST_SOCKET:
        path = os.path.join(socket_folder({}), key)
    return path


def socket_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of all our sockets, made if it is missing."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    usable = os.path.isabs(runtime) and _is_ours(runtime)
    folder = os.path.join(runtime, "attractor") if usable else f"/tmp/attractor-{os.getuid()}"  # noqa: S108  # its owner and mode are checked
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_ours(folder):
        raise InputError(
            "the folder for tmux sockets is a link, belongs to somebody else, or is open to others",
            where=folder,
            fix="remove it, or set XDG_RUNTIME_DIR to a folder of your own with mode 0700",
        )
    return folder


def _is_ours(folder: str) -> bool:
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    private = not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and private


def _peer(path: str) -> int | None:
    """Return the pid of the process that listens on this socket."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
            if sys.platform == "darwin":
                return probe.getsockopt(0, 2)  # SOL_LOCAL, LOCAL_PEERPID
            data = probe.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12)
        except OSError:
            return None
    pid: int = struct.unpack("3i", data)[0]
    return pid
