"""How every verb speaks: people on one side, scripts on the other.

With `--json`, stdout carries exactly one JSON document (or one a line, where a verb streams), also
for an error; stderr carries the same error in words. Without it, results go to stdout, errors to
stderr. Exit 1 is the user's mistake or a refused operation, 2 is wrong usage. No traceback.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from attractor.errors import AttractorError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Give a verb its `--json` flag (argument `as_json`)."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def dump(value: object) -> str:
    """Return JSON as all our verbs print it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def say(text: str) -> None:
    """Print a result for a person (or a finished JSON document) to stdout."""
    click.echo(text)


def fail(error: AttractorError) -> NoReturn:
    """End the command with this error, in words and, under `--json`, as an object too."""
    click.echo(f"error: {error}", err=True)
    if _wants_json():
        click.echo(dump(error.as_json()))
    sys.exit(error.exit_status)


def _wants_json() -> bool:
    # Asked of argv, not of click: a usage error happens before the flag was parsed.
    words = sys.argv[1:]
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def guard(run: Callable[[], object]) -> None:
    """Run the command line to its end, and answer every foreseeable failure in words."""
    try:
        run()
    except AttractorError as error:
        fail(error)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else ""
        fix = f"see `{where} --help`" if where else "see `attractor --help`"
        fail(UsageError(error.format_message(), where=where, fix=fix))
    except click.ClickException as error:
        fail(UsageError(error.format_message()))
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, say) has gone: not an error, but stdout must not be flushed again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
