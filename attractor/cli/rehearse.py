"""`attractor rehearse serve SCRIPT`: the scripted model alone, for people who write scripts."""

from __future__ import annotations

import signal as posix_signals
from typing import Final

import click

from attractor.cli.output import dump, json_option, say
from attractor.cli.rehearse_node import node

_STOPS: Final = (posix_signals.SIGINT, posix_signals.SIGTERM)


@click.group()
def rehearse() -> None:
    """Rehearse one node, or serve the scripted model alone.

    A whole run: attractor run PIPELINE --rehearse.
    """


@rehearse.command()
@click.argument("script")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="The port on 127.0.0.1; 0 takes one that is free.",
)
@click.option("--log", metavar="FILE", help="Append each request to FILE, one JSON object a line.")
@json_option
def serve(script: str, *, port: int, log: str | None, as_json: bool) -> None:
    """Answer Claude Code from the file SCRIPT, until interrupted.

    The first line that is printed is the address for ANTHROPIC_BASE_URL.
    """
    from attractor.rehearsal.script import load
    from attractor.rehearsal.server import ScriptedServer

    loaded = load(script)
    # Before the server's threads start: they must not take the signals that are waited for here.
    before = posix_signals.pthread_sigmask(posix_signals.SIG_BLOCK, _STOPS)
    try:
        with ScriptedServer(loaded, port=port, log=log) as server:
            url = server.base_url
            say(dump({"status": "ok", "base_url": url}) if as_json else url)
            posix_signals.sigwait(_STOPS)
    finally:
        posix_signals.pthread_sigmask(posix_signals.SIG_SETMASK, before)


rehearse.add_command(node)
