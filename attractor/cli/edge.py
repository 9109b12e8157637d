"""`attractor edge`: the edges of a pipeline's file, listed, added and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from attractor.cli.dialect import revise_in_dialect
from attractor.cli.output import dump, json_option, say
from attractor.cli.revise import (
    FileFirstGroup,
    Tolerance,
    checked_text,
    edit_options,
    report,
    set_option,
    settings_of,
)
from attractor.cli.tables import table
from attractor.errors import InputError
from attractor.pipeline.document import Document
from attractor.pipeline.dot import parse
from attractor.pipeline.edit import add_edge, remove_edge
from attractor.pipeline.finding import Finding
from attractor.pipeline.graph import Edge, Graph, build
from attractor.pipeline.load import load

_CYCLE = "unguarded_cycle"


@click.group(cls=FileFirstGroup)
def edge() -> None:
    """List, add and remove the edges of a pipeline.

    An edit changes only what it must: comments, order and layout stay. One that would bring a
    lint error is refused unless --force is given. `attractor edge FILE list` works as well.
    """


@edge.command("list")
@click.argument("file", type=click.Path())
@json_option
def list_edges(file: str, as_json: bool) -> None:
    """List the edges with their labels and conditions."""
    _, graph = load(file)
    if as_json:
        edges = [
            {"src": each.source, "dst": each.target, "attrs": each.attrs} for each in graph.edges
        ]
        say(dump(edges))
        return
    rows = [
        (each.source, each.target, each.attrs.get("condition", ""), each.attrs.get("label", ""))
        for each in graph.edges
    ]
    for line in table([("FROM", "TO", "CONDITION", "LABEL"), *rows]):
        say(line)


@edge.command()
@click.argument("file", type=click.Path())
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--condition", help="When it is taken: pass, fail, partial, or an expression.")
@click.option("--label", help="What is written at it.")
@set_option
@click.option("--allow-cycle", is_flag=True, help="Also when it closes a loop without a condition.")
@edit_options
@json_option
def add(  # noqa: PLR0913 - an option each
    file: str,
    source: str,
    target: str,
    *,
    condition: str | None,
    label: str | None,
    settings: Sequence[str],
    allow_cycle: bool,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Add an edge between two nodes."""
    attrs = settings_of(settings)
    attrs |= {} if condition is None else {"condition": checked_text(condition)}
    attrs |= {} if label is None else {"label": checked_text(label)}

    def change(document: Document, graph: Graph) -> str:
        text = _added(document, source, target, attrs)
        _refuse_twin(graph, text)
        return text

    def accepts(finding: Finding) -> bool:
        return force or (allow_cycle and finding.rule == _CYCLE)

    tolerance = Tolerance(accepts, {_CYCLE: "--allow-cycle"})
    entry = {
        "command": "edge add",
        "src": source,
        "dst": target,
        "label": attrs.get("label", ""),
        "condition": attrs.get("condition", ""),
    }
    done = revise_in_dialect(file, change, entry, tolerance, dry_run=dry_run)
    report(done, file, entry, f"added edge {source} -> {target}", dry_run=dry_run, as_json=as_json)


def _added(document: Document, source: str, target: str, attrs: Mapping[str, str]) -> str:
    """Return the text with the edge; an empty condition is written only to undo a default."""
    said = {key: value for key, value in attrs.items() if key != "condition" or value.strip()}
    text = add_edge(document, source, target, said)
    if len(said) < len(attrs) and "condition" in build(parse(text)).edges[-1].attrs:
        text = add_edge(document, source, target, attrs)
    return text


def _refuse_twin(graph: Graph, text: str) -> None:
    """Refuse an edge that means, defaults applied, exactly what one that stands there means."""
    new = build(parse(text)).edges[-1]
    for each in graph.outgoing[new.source]:
        if each.target == new.target and _meaning(each) == _meaning(new):
            raise InputError(
                f"there is an edge {new.source} -> {new.target} exactly like this one",
                where=graph.source.where(each.offset),
                fix="nothing needs to be added; a second edge needs another condition or label",
            )


def _meaning(edge: Edge) -> dict[str, str]:
    empty = {key for key in ("condition", "label") if not edge.attrs.get(key, "").strip()}
    return {key: value for key, value in edge.attrs.items() if key not in empty}


@edge.command(short_help="Remove an edge.")
@click.argument("file", type=click.Path())
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--condition", help="Only the edge with this condition.")
@edit_options
@json_option
def remove(
    file: str,
    source: str,
    target: str,
    *,
    condition: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Remove an edge; of several between two nodes the one with the condition."""

    def change(document: Document, graph: Graph) -> str:
        del graph
        return remove_edge(document, source, target, condition=condition)

    entry = {
        "command": "edge remove",
        "src": source,
        "dst": target,
        "condition": condition or "",
        "count": 1,
    }
    done = revise_in_dialect(file, change, entry, Tolerance(lambda _: force), dry_run=dry_run)
    said = f"removed edge {source} -> {target}"
    report(done, file, entry, said, dry_run=dry_run, as_json=as_json)
