"""The scripted model of one run: `python -I -m attractor.rehearsal RUN_ROOT`.

It serves what the run's request asks for, on the port that it names, and logs each request in the
run's folder. SIGTERM ends it with 0, and so does, within a second, the end of whoever started it:
unless the run's Guardian is alive, whose agents go on asking. A mistake, and a port that stays
taken, end it with 1 and one line. Killed and started again, it goes on: what happened already does
not happen again. Lost is only what was being answered, and Claude Code asks for that again.
"""

from __future__ import annotations

import os
import select
import signal as posix_signals
import sys
from typing import Final
from urllib.parse import urlsplit

from attractor import tripwire
from attractor.errors import AttractorError, InputError
from attractor.rehearsal import whole
from attractor.rehearsal.listener import LOOPBACK
from attractor.rehearsal.server import ScriptedServer
from attractor.rehearsal.turn import Script
from attractor.run import keeping
from attractor.run import request as requests
from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.run.request import Request
from signals.clock import SystemClock
from signals.owner import Liveness, Owner

_USAGE: Final = "usage: python -I -m attractor.rehearsal RUN_ROOT\n"
_LOOK_SECONDS: Final = 0.5
_PORT_SECONDS: Final = 3.0
_PORT_LOOK_SECONDS: Final = 0.05
_STOPS: Final = (posix_signals.SIGTERM, posix_signals.SIGINT, posix_signals.SIGHUP)


def main(arguments: list[str], parent: int) -> int:
    """Serve until it is told to end; `parent` is the process that started this one."""
    if len(arguments) != 1:
        sys.stderr.write(_USAGE)
        return 2
    reader, writer = os.pipe()
    for number in _STOPS:
        posix_signals.signal(number, lambda *_: os.write(writer, b"."))
    try:
        _serve(RunLayout(os.path.abspath(arguments[0])), reader, parent)
    except AttractorError as error:
        where = f"{error.where}: " if error.where else ""
        sys.stderr.write(f"rehearsal: {where}{error.problem}; {error.fix}\n")
        return 1
    return 0


def _serve(layout: RunLayout, told: int, parent: int) -> None:
    tripwire.check_start()
    request = requests.load(layout.request)
    port, script = _port(request), whole.script_of(request)
    # Its record is written before it starts us. Another one's means that ours has died meanwhile.
    keeper = Owner.from_json(read_object(layout.keeper))
    if keeper is not None and keeper.pid != parent:
        if not _goes_on(layout, told, keeper.pid, 0):
            fix = "the run's keeper starts it"
            raise InputError(f"process {keeper.pid} keeps this run, not {parent}", fix=fix)
        parent = keeper.pid
    clock = SystemClock()
    deadline = clock.monotonic() + _PORT_SECONDS
    while (server := _server(script, port, layout, clock.monotonic() > deadline)) is None:
        # Of a model that is ending: its keeper has just died, or has killed it.
        if not _goes_on(layout, told, parent, _PORT_LOOK_SECONDS):
            return
    with server:
        sys.stdout.write(f"rehearsal: the scripted model is at {server.base_url}\n")
        sys.stdout.flush()
        while _goes_on(layout, told, parent, _LOOK_SECONDS):
            pass


def _goes_on(layout: RunLayout, told: int, parent: int, seconds: float) -> bool:
    """Wait, and say whether nobody has ended us, and somebody is there to be answered."""
    if select.select([told], [], [], seconds)[0]:
        return False
    if os.getppid() == parent:
        return True
    # Another keeper starts another model.
    alone = keeping.keeper(layout)[1] is not Liveness.ALIVE
    return alone and keeping.guardian(layout)[1] is Liveness.ALIVE


def _server(script: Script, port: int, layout: RunLayout, at_last: bool) -> ScriptedServer | None:
    try:
        return ScriptedServer(script, port=port, log=layout.requests, again=True)
    except InputError:
        if at_last:
            raise
        return None


def _port(request: Request) -> int:
    parts = urlsplit(request.base_url)
    try:
        port = parts.port if request.rehearsed and parts.hostname == LOOPBACK else None
    except ValueError:
        port = None
    if not port:
        fix = "only a rehearsed run has a scripted model, at http://127.0.0.1:PORT"
        raise InputError(f"there is no port in {request.base_url!r:.80}", fix=fix)
    return port


if __name__ == "__main__":
    # First of all: what follows takes a while.
    parent = os.getppid()
    sys.exit(main(sys.argv[1:], parent))
