"""`attractor attach NODE`: show a node's session in this terminal.

This process becomes the program that shows it. Read-only unless asked otherwise: what is typed
into a watched session is typed behind its Runner's back.
"""

from __future__ import annotations

import os

import click

from attractor.cli.node_options import node_argument
from attractor.cli.output import dump, json_option, note, say
from attractor.errors import InputError
from attractor.run import watched
from attractor.run.locate import Found
from attractor.run.watched import Reached
from attractor.spawn import become


@click.command()
@node_argument
@click.option("--write", is_flag=True, help="Let me type into it, too.")
@json_option
def attach(found: Found, *, write: bool, as_json: bool) -> None:
    """Show the session of NODE in this terminal; read-only unless --write is given.

    With --json the command that would show it is printed, and not run.
    """
    reached = watched.session(found)
    argv = _argv(found, reached, write=write)
    if as_json:
        said = {"status": "ok", "run": found.run_id, "node": found.node_id, "argv": argv}
        say(dump(said))
        return
    if not (os.isatty(0) and os.isatty(1)):
        raise InputError(
            "a session can only be shown in a terminal",
            where=found.node_id,
            fix=f"use a terminal, or see what happened with {_logs(found)}",
        )
    how = "what you type goes to it" if write else "read-only"
    note(f"{found.node_id}: {how}; leave with Ctrl-b d, the session goes on")
    become(argv, os.environ)


def _argv(found: Found, reached: Reached | None, *, write: bool) -> list[str]:
    if reached is None:
        raise _cannot(found, "this node has no session yet")
    argv = [*(reached.attach_write if write else reached.attach)]
    if not argv:
        raise _cannot(found, f"a session of the kind {reached.kind!r:.40} has no terminal")
    # The one program that shows sessions: nothing else that a file names is ever run here.
    if os.path.basename(argv[0]) != "tmux" or not reached.socket:
        raise _cannot(found, "it is not written down how this session is reached")
    if not watched.lives(reached):
        raise _cannot(found, "the session has ended")
    return argv


def _cannot(found: Found, problem: str) -> InputError:
    fix = f"see what happened with {_logs(found)}"
    return InputError(problem, where=found.node_id, fix=fix)


def _logs(found: Found) -> str:
    return f"`attractor logs {found.named}`"
