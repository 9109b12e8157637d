"""`attractor render`: a pipeline as a picture, in the colours of its states."""

from __future__ import annotations

import errno
import os
import selectors
import stat
from typing import Final

import click

from attractor.cli.output import dump, json_option, say
from attractor.errors import InputError, UsageError
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.pipeline.render import coloured_dot, svg
from signals.errors import StorageError

_NOBODY: Final = frozenset({errno.ENXIO, errno.EPIPE})
_READER_SECONDS: Final = 10.0  # without taking a byte


@click.command()
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="Where to write; `-` is stdout.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["svg", "dot"]),
    default="svg",
    show_default=True,
    help="dot needs no Graphviz.",
)
@json_option
def render(file: str, output: str | None, kind: str, as_json: bool) -> None:
    """Draw a pipeline as SVG, in the colours of its states.

    Without -o, SVG goes beside FILE (`work.dot` becomes `work.svg`), and DOT goes to stdout.
    """
    target = output or _default_output(file, kind)
    if target == "-" and as_json:
        raise UsageError("the picture and --json both want stdout", fix="add -o OUT")
    _, graph = load(file)
    _check_output(file, target)
    picture = coloured_dot(graph).encode()
    if kind == "svg":
        picture = svg(picture)
    if target == "-":
        click.echo(picture, nl=False)
        return
    _write(target, picture)
    _report(graph, file, target, kind, as_json=as_json)


def _default_output(file: str, kind: str) -> str:
    if kind == "dot" or file == "-":
        return "-"
    return f"{os.path.splitext(file)[0]}.svg"


def _check_output(file: str, target: str) -> None:
    if target == "-":
        return
    if os.path.realpath(target) == os.path.realpath(file):
        fix = "choose another name with -o"
        raise InputError("the picture would overwrite its pipeline", where=target, fix=fix)
    kind = _kind_of(target)
    if stat.S_ISDIR(kind):
        fix = f"name a file, for example {os.path.join(target, 'pipeline.svg')}"
        raise InputError("this is a folder", where=target, fix=fix)
    if kind and not stat.S_ISREG(kind) and not _is_stream(kind):
        fix = "name a file, or write to stdout with -o -"
        raise InputError("this is no file that a picture can be written to", where=target, fix=fix)


def _kind_of(target: str) -> int:
    """Return the type of what is there, links followed; 0 when there is nothing to be found."""
    try:
        return stat.S_IFMT(os.stat(target).st_mode)
    except OSError:
        return 0  # what is wrong with the path, writing it will say


def _is_stream(kind: int) -> bool:
    return stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)


def _write(target: str, picture: bytes) -> None:
    from signals.atomic import replace  # only when there is something to write

    if _is_stream(_kind_of(target)):
        _write_into(target, picture)
    else:
        replace(target, picture)


def _write_into(target: str, picture: bytes) -> None:
    """Write into a device or a named pipe, which stays what it is; never wait without end."""
    from signals.atomic import storage_errors

    try:
        with storage_errors("write", target):
            fd = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                _feed(fd, target, picture)
            finally:
                os.close(fd)
    except StorageError as error:
        cause = error.__cause__
        pipe = stat.S_ISFIFO(_kind_of(target))
        if pipe and isinstance(cause, OSError) and cause.errno in _NOBODY:
            raise _unread("nobody reads this pipe", target) from None
        raise


def _feed(fd: int, target: str, picture: bytes) -> None:
    if not _is_stream(os.fstat(fd).st_mode):
        fix = "try again, or name another file with -o"
        raise InputError("this was replaced while the picture was drawn", where=target, fix=fix)
    with selectors.DefaultSelector() as streams:
        left = memoryview(picture)
        while left:
            try:
                left = left[os.write(fd, left) :]
            except BlockingIOError:
                if not streams.get_map():
                    streams.register(fd, selectors.EVENT_WRITE)
                if not streams.select(_READER_SECONDS):
                    raise _unread("the reader of this takes nothing more", target) from None


def _unread(problem: str, target: str) -> InputError:
    fix = "start its reader first, or write to stdout with -o -"
    return InputError(problem, where=target, fix=fix)


def _report(graph: Graph, file: str, target: str, kind: str, *, as_json: bool) -> None:
    if as_json:
        counts = {"nodes": len(graph.nodes), "edges": len(graph.edges)}
        say(dump({"status": "ok", "file": file, "output": target, "format": kind, **counts}))
    else:
        say(f"wrote {target}")
