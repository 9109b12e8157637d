"""`attractor render`: a pipeline as a picture, in the colours of its states."""

from __future__ import annotations

import os

import click

from attractor.cli.output import dump, json_option, say
from attractor.errors import InputError, UsageError
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.pipeline.render import coloured_dot, svg


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
    if os.path.isdir(target):
        fix = f"name a file, for example {os.path.join(target, 'pipeline.svg')}"
        raise InputError("this is a folder", where=target, fix=fix)
    if os.path.realpath(target) == os.path.realpath(file):
        fix = "choose another name with -o"
        raise InputError("the picture would overwrite its pipeline", where=target, fix=fix)


def _write(target: str, picture: bytes) -> None:
    from signals.atomic import replace  # only when there is something to write

    replace(target, picture)


def _report(graph: Graph, file: str, target: str, kind: str, *, as_json: bool) -> None:
    if as_json:
        counts = {"nodes": len(graph.nodes), "edges": len(graph.edges)}
        say(dump({"status": "ok", "file": file, "output": target, "format": kind, **counts}))
    else:
        say(f"wrote {target}")
