"""`attractor nudge NODE TEXT`: say something to a node's session, through its Runner.

The Runner delivers it: when the session's turn ends, or at once where it is idle. When this
returns, the message survives power loss; whether the session has it yet is another question.
"""

from __future__ import annotations

import os
import sys
from typing import Final, final

import click

from attractor.cli.mailboxes import put_away
from attractor.cli.node_options import node_argument
from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, note, say
from attractor.errors import AttractorError, InputError, ProtocolError
from attractor.run import watched
from attractor.run.locate import Found
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.owner import Liveness

_MOST_BYTES: Final = 512 * 1024


@final
class NotTakenError(AttractorError):
    """Nobody read it in time; it waits."""

    code = "timeout"


@click.command()
@node_argument
@click.argument("text")
@click.option(
    "--wait", "seconds", type=SECONDS, metavar="SECONDS", help="Wait until the Runner has it."
)
@json_option
def nudge(found: Found, *, text: str, seconds: float | None, as_json: bool) -> None:
    """Give the session of NODE a piece of advice; `-` reads TEXT from standard input."""
    mailbox, path, alive = send_order(found, "GUIDANCE", {"message": _text(text)})
    taken = None if seconds is None else _taken(mailbox, os.path.basename(path), seconds)
    if as_json:
        said = {"status": "ok", "signal_file": path, "runner": alive.value}
        say(dump(said | ({} if taken is None else {"taken": taken})))
    else:
        say(f"sent GUIDANCE to the Runner of {found.node_id}: {path}")
        if taken:
            say("the Runner has it")
        elif alive is Liveness.DEAD:
            note("note: no Runner is alive for this node; it is read when one is started")


def send_order(
    found: Found, signal_type: str, payload: dict[str, str]
) -> tuple[Mailbox, str, Liveness]:
    """Send a person's signal to the node's Runner; return mailbox, file, and if one is alive."""
    from signals import kinds

    folder = found.layout.runner_mailbox(found.node_id)
    if not os.path.isdir(folder):
        fix = "it is made when the node is dispatched"
        raise InputError("this node's Runner has no mailbox", where=folder, fix=fix)
    mailbox = Mailbox(folder, key=found.key, clock=SystemClock())
    try:
        said = kinds.payload_of(signal_type, {"node_id": found.node_id, **payload})
        order = kinds.compose("terminal", "runner", said, run_id=found.run_id)
        path = mailbox.send(order)
    except ProtocolError as bad:
        raise InputError(bad.problem, fix=bad.fix) from bad
    return mailbox, path, watched.runner(found)[1]


def _text(given: str) -> str:
    text = given
    if given == "-":
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            problem = f"byte {error.start} is not UTF-8"
            raise InputError(problem, where="standard input", fix="send text") from None
    if len(text.encode("utf-8", "replace")) > _MOST_BYTES:
        fix = "put it into a file that the session can read, and say where that is"
        raise InputError(f"the message is longer than {_MOST_BYTES} bytes", fix=fix)
    if not text.strip():
        raise InputError("there is nothing to say", fix="give the message as one argument, or -")
    return text


def _taken(mailbox: Mailbox, name: str, seconds: float) -> bool:
    """Wait until a signal was acknowledged; NotTakenError when it was not in time."""
    if put_away(mailbox, name, seconds, reader="the Runner"):
        return True
    fix = "it waits in the mailbox; a Runner that is started reads it first"
    problem = f"no Runner has taken it within {seconds:g} seconds"
    raise NotTakenError(problem, where=mailbox.folder, fix=fix)
