"""`attractor config`: which settings count, and where each came from.

Reads the two files of settings, and the pipeline if one is named; nothing is written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from attractor.cli.output import dump, json_option, printable, say
from attractor.errors import InputError
from attractor.run.config import (
    SETTINGS,
    Settings,
    Value,
    find_project,
    load,
    project_file,
    resolve,
    shown,
    user_file,
    variable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.group()
def config() -> None:
    """Show the settings."""


@config.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--pipeline", metavar="FILE", help="With the attributes of this pipeline.")
@click.option("--node", metavar="NODE", help="With the attributes of this node of it.")
@click.option(
    "--set", "words", multiple=True, metavar="NAME=VALUE", help="As if it were set. Repeatable."
)
@json_option
def show(
    names: tuple[str, ...],
    pipeline: str | None,
    node: str | None,
    words: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what each setting is, and where that came from.

    The first of these counts: command line, environment, node attribute, graph attribute,
    .attractor.yaml of the project, the user's config.yaml, default.
    """
    for name in names:
        if name not in SETTINGS:
            fix = f"the settings are {', '.join(SETTINGS)}"
            raise InputError(f"there is no setting {name!r:.60}", fix=fix)
    project = find_project(os.getcwd())
    given = load(project, os.environ, words)
    node_attrs, graph_attrs = _attributes(pipeline, node)
    settings = resolve(node_attrs, graph_attrs, given)
    wanted = names or tuple(SETTINGS)
    files = [user_file(os.environ)] + ([project_file(project)] if project else [])
    if as_json:
        say(dump(_document(settings, wanted, files)))
        return
    for line in _table(settings, wanted):
        say(line)
    if not names:
        say("")
        for path in files:
            there = "" if os.path.exists(path) else " (not there)"
            say(f"{printable(path)}{there}")


def _attributes(
    pipeline: str | None, node: str | None
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if pipeline is None:
        if node is not None:
            raise InputError("--node names a node of a pipeline", fix="add --pipeline FILE")
        return {}, {}
    from attractor.pipeline.graph import NodeId
    from attractor.pipeline.load import load as load_pipeline

    _, graph = load_pipeline(pipeline)
    if node is None:
        return {}, graph.attrs
    found = graph.nodes.get(NodeId(node))
    if found is None:
        fix = f"`attractor node {pipeline} list` names them"
        raise InputError(f"there is no node {node!r:.80}", where=pipeline, fix=fix)
    return found.attrs, graph.attrs


def _document(settings: Settings, names: tuple[str, ...], files: list[str]) -> dict[str, Any]:
    return {
        "settings": [
            {
                "name": name,
                "value": settings.values[name].value,
                "text": shown(name, settings.values[name].value),
                "source": settings.values[name].source.value,
                "where": settings.values[name].where,
                "variable": variable(name),
                "about": SETTINGS[name].about,
            }
            for name in names
        ],
        "files": [{"path": path, "exists": os.path.exists(path)} for path in files],
    }


def _table(settings: Settings, names: tuple[str, ...]) -> list[str]:
    rows = [
        (name, _line(name, settings.values[name]), _origin(settings.values[name])) for name in names
    ]
    first = max(len(name) for name, _, _ in rows)
    second = max(len(text) for _, text, _ in rows)
    return [f"{name:<{first}}  {text:<{second}}  {origin}" for name, text, origin in rows]


def _line(name: str, value: Value) -> str:
    return printable(shown(name, value.value)) or "-"


def _origin(value: Value) -> str:
    return f"{value.source.value} ({printable(value.where)})" if value.where else value.source.value
