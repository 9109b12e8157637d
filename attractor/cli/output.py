"""How every verb speaks: people on one side, scripts on the other.

With `--json`, stdout carries exactly one JSON document (or one a line, where a verb streams), also
for an error; stderr carries the same error in words. Without it, results go to stdout, errors to
stderr. Exit 1 is the user's mistake or a refused operation, 2 is wrong usage. No traceback.

What is printed cannot steer a terminal: `say`, `note` and `fail` show control characters and
overrides of the direction of text as escapes, and `dump` writes them as JSON does. Only tabs and
the ends of lines pass, so what comes from data and is to stay in its line goes through `printable`.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TextIO, TypeVar, final

import click

from attractor.errors import AttractorError, InputError, StorageError, UsageError

F = TypeVar("F", bound=Callable[..., Any])

# Control characters, ends of lines and overrides of direction, and halves of surrogate pairs.
_STEERING: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
)
_IN_TEXT: Final = re.compile(f"[{_STEERING}]")
_IN_A_LINE: Final = re.compile(rf"[\t\n{_STEERING}]")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


@final
class _Call:
    """What is known of the command that runs: its context once it is parsed, and if it answered."""

    leaf: click.Context | None = None
    answered = False


_call = _Call()


def json_option(command: F) -> F:
    """Give a verb its `--json` flag (argument `as_json`)."""
    return _json_flag("Print one JSON document.")(command)


def json_lines_option(command: F) -> F:
    """Give a verb that streams its `--json` flag (argument `as_json`)."""
    return _json_flag("Print one JSON object a line.")(command)


def _json_flag(text: str) -> Callable[[F], F]:
    return click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=_remember, help=text
    )


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    _call.leaf = ctx
    return value


def dump(value: object, *, indent: int | None = 2) -> str:
    """Return JSON as all our verbs print it; any terminal and any encoding can take it."""
    return _IN_TEXT.sub(_as_json, json.dumps(value, indent=indent, ensure_ascii=False))


def printable(text: str) -> str:
    """Return text as it can stand in one line: nothing in it moves a cursor or ends the line."""
    return _IN_A_LINE.sub(_as_escape, text)


def _as_json(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # A byte of a file name that is no text; Python keeps it as half of a surrogate pair.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else _as_json(match)  # noqa: PLR2004  # the range that PEP 383 gives


def say(text: str, *, more: bool = False) -> None:
    """Print a result for a person (or a finished JSON document) to stdout, and flush it.

    A verb that streams says that there is `more`: an error may then follow as a document too.
    StorageError when it cannot be written; BrokenPipeError when nobody reads it.
    """
    check_stdout()
    _call.answered = not more
    text = _IN_TEXT.sub(_as_escape, text)
    try:
        click.echo(_encodable(text, sys.stdout))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _cannot_print(error.strerror or str(error)) from error


def width() -> int:
    """Return how wide the terminal is to which results go; 0 where they go elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return 0


def check_stdout() -> None:
    """Refuse, before anything is done, when a result could not be printed for certain."""
    if sys.stdout is None:
        raise _cannot_print("it is closed")
    with contextlib.suppress(OSError):  # no file at all: the write will tell
        if fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise _cannot_print("it is open for reading only")


def _cannot_print(why: str) -> StorageError:
    fix = "send the output to a file or a terminal that can be written"
    return StorageError(f"cannot print the result: {why}", where="standard output", fix=fix)


def _encodable(text: str, stream: TextIO) -> str:
    try:
        text.encode(stream.encoding)
    except UnicodeEncodeError:
        return _NOT_ASCII.sub(_as_json, text)
    return text


def note(text: str) -> None:
    """Tell a person something beside the result, on stderr."""
    with contextlib.suppress(OSError):  # nobody reads it: the result is what counts
        click.echo(_IN_TEXT.sub(_as_escape, text), err=True)


def fail(error: AttractorError) -> NoReturn:
    """End the command with this error, in words and, under `--json`, as an object too."""
    words = str(error)
    if error.where:  # a path, which is to stay in its line
        words = words.replace(error.where, printable(error.where))
    note(f"error: {words}")
    if _wants_json() and not _call.answered:
        with contextlib.suppress(OSError, AttractorError):
            say(dump(error.as_json(), indent=None))
    _end(error.exit_status)


def _wants_json() -> bool:
    if _call.leaf is not None:
        given = _call.leaf.params
        return bool(given.get("as_json")) or _has_json_output(_call.leaf)
    # Wrong usage, found before the flags were parsed: all that is there are the words.
    words = sys.argv[1:]
    words = words[: words.index("--")] if "--" in words else words
    pairs = itertools.pairwise(words)
    return "--json" in words or "--output=json" in words or ("--output", "json") in pairs


def _has_json_output(leaf: click.Context) -> bool:
    # The harness's spelling; an `--output` that is no choice names a file.
    return leaf.params.get("output") == "json" and any(
        option.name == "output" and isinstance(option.type, click.Choice)
        for option in leaf.command.params
    )


def _end(status: int) -> NoReturn:
    """Exit with this status, also where the standard streams are gone or full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _abandon(stream)
    sys.exit(status)


def _abandon(stream: TextIO) -> None:
    # What is left in its buffer is flushed again at the end: to nowhere, without a word.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def guard(run: Callable[[], object]) -> None:
    """Run the command line to its end, and answer every foreseeable failure in words."""
    _call.leaf, _call.answered = None, False
    try:
        run()
    except AttractorError as error:
        fail(error)
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        _end(error.exit_code)
    except click.ClickException as error:
        fail(_usage(error))
    except (click.Abort, KeyboardInterrupt):
        note("\nstopped")
        _end(130)
    except BrokenPipeError:
        _end(0)  # the reader (`head`, say) has gone: not an error
    except OSError as error:
        fail(_unforeseen(error))


def _usage(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = context.command_path if context else ""
    fix = f"see `{where or 'attractor'} --help`"
    return UsageError(error.format_message(), where=where, fix=fix)


def _unforeseen(error: OSError) -> AttractorError:
    try:
        os.getcwd()
    except FileNotFoundError:
        fix = "change to a folder that exists"
        return InputError("the working directory was deleted", fix=fix)
    where = error.filename if isinstance(error.filename, str) else ""
    return StorageError(f"the system refused: {error.strerror or error}", where=where)
