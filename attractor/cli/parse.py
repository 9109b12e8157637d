"""`attractor parse FILE`: the pipeline as it is understood, with every default applied."""

from __future__ import annotations

import click

from attractor.cli.output import dump, json_option, printable, say
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load


@click.command()
@click.argument("file")
@json_option
def parse(file: str, *, as_json: bool) -> None:
    """Print the pipeline in FILE as it is understood (`-` reads standard input).

    Defaults are applied, chains taken apart and subgraphs flattened; nodes stand in the order in
    which they first appear.
    """
    _, graph = load(file)
    say(dump(as_object(graph)) if as_json else _listing(graph))


def as_object(graph: Graph) -> dict[str, object]:
    """Return the document that `parse --json` prints."""
    return {
        "name": graph.name,
        "attrs": graph.attrs,
        "nodes": [{"id": node.id, "attrs": node.attrs} for node in graph.nodes.values()],
        "edges": [
            {"from": edge.source, "to": edge.target, "attrs": edge.attrs} for edge in graph.edges
        ],
    }


def _listing(graph: Graph) -> str:
    nodes, edges = _count(len(graph.nodes), "node"), _count(len(graph.edges), "edge")
    name = graph.name or "a pipeline without a name"
    lines = [f"{name}: {nodes}, {edges} ({graph.dialect})"]
    lines += _attrs(graph.attrs)
    for node in graph.nodes.values():
        lines += ["", f"{node.id} ({graph.handler(node)})", *_attrs(node.attrs)]
    if graph.edges:
        lines.append("")
    for edge in graph.edges:
        lines += [f"{edge.source} -> {edge.target}", *_attrs(edge.attrs)]
    return "\n".join(map(printable, lines))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _attrs(attrs: dict[str, str]) -> list[str]:
    return [f"    {key} = {' '.join(value.splitlines())}" for key, value in attrs.items()]
