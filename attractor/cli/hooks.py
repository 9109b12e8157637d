"""`attractor hooks`: what Claude Code is told to start, for one session instead of a project."""

from __future__ import annotations

import click

from attractor.cli.init import this_hook
from attractor.cli.output import dump, json_option, say
from attractor.promise.settings import for_session


@click.group()
def hooks() -> None:
    """Print the hooks for one session."""


@hooks.command()
@json_option
def settings(as_json: bool) -> None:
    """Print settings with the Stop hook, for `claude --settings`.

    For one session, without changing any file: claude --settings "$(attractor hooks settings)"
    """
    del as_json  # it is JSON either way
    say(dump(for_session(this_hook())))
