"""`attractor node`: the nodes of a pipeline's file, listed, added, removed and modified."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import click

from attractor.cli.dialect import revise_in_dialect
from attractor.cli.output import dump, json_option, say
from attractor.cli.revise import (
    FileFirstGroup,
    Tolerance,
    checked_key,
    checked_state,
    checked_text,
    edit_options,
    report,
    set_option,
    settings_of,
)
from attractor.cli.tables import table
from attractor.errors import InputError
from attractor.pipeline.document import Document
from attractor.pipeline.dot import KEYWORDS, parse
from attractor.pipeline.edit import add_edge, add_node, remove_attrs, remove_node, set_attrs
from attractor.pipeline.finding import Finding
from attractor.pipeline.graph import Graph, Node, NodeId, build
from attractor.pipeline.load import load
from attractor.pipeline.rules_harness import SHAPES
from attractor.pipeline.rules_spec import KNOWN_HANDLERS
from attractor.run.layout import layout_of
from attractor.run.states import NodeState

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.group(cls=FileFirstGroup)
def node() -> None:
    """List, add, remove and modify the nodes of a pipeline.

    An edit changes only what it must: comments, order and layout stay. One that would bring a
    lint error is refused unless --force is given. `attractor node FILE list` works as well.
    """


@node.command("list")
@click.argument("file", type=click.Path())
@json_option
def list_nodes(file: str, as_json: bool) -> None:
    """List the nodes with their handlers and states."""
    _, graph = load(file)
    if as_json:
        say(dump([{"id": each.id, "attrs": each.attrs} for each in graph.nodes.values()]))
        return
    rows = [
        (each.id, graph.handler(each), each.attrs.get("status", "pending"), _label(each.attrs))
        for each in graph.nodes.values()
    ]
    for line in table([("NODE", "HANDLER", "STATUS", "LABEL"), *rows]):
        say(line)


def _label(attrs: Mapping[str, str]) -> str:
    return attrs.get("label", "")


@node.command()
@click.argument("file", type=click.Path())
@click.argument("node_id", metavar="ID")
@click.option("--handler", default="codergen", show_default=True, help="What carries it out.")
@click.option("--label", help="Its title. Default: its id.")
@click.option("--status", "state", default="pending", show_default=True, help="Its first state.")
@set_option
@click.option("--after", multiple=True, metavar="NODE", help="Lead an edge from there to it.")
@click.option("--before", multiple=True, metavar="NODE", help="Lead an edge from it to there.")
@click.option("--no-at-pair", is_flag=True, hidden=True, help="What happens anyway.")
@edit_options
@json_option
def add(  # noqa: PLR0913 - an option each
    file: str,
    node_id: str,
    *,
    handler: str,
    label: str | None,
    state: str,
    settings: Sequence[str],
    after: Sequence[str],
    before: Sequence[str],
    no_at_pair: bool,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Add a node, and with --after and --before its edges.

    Just this node is added: a codergen node gets no validation gate of its own accord. lint tells
    when one is missing.
    """
    del no_at_pair
    own = {"label": node_id if label is None else checked_text(label), "status": state}
    own |= settings_of(settings)
    _check_new(node_id, handler, own, force=force)

    def change(document: Document, graph: Graph) -> str:
        _refuse_known(graph, node_id)
        if own["status"] != NodeState.PENDING.value:
            _check_journal(file, node_id)
        ends = [(each, node_id) for each in after] + [(node_id, each) for each in before]
        text = add_node(document, node_id, _attributes(graph, node_id, handler, own))
        for begin, end in ends:
            text = add_edge(parse(text, document.source.name), begin, end, {})
        return text

    def accepts(finding: Finding) -> bool:
        # Its edges come next, so that it has none yet is news, not a fault.
        return force or (finding.rule == "reachability" and finding.node == node_id)

    entry = {
        "command": "node add",
        "node_id": node_id,
        "handler": handler,
        "label": own["label"],
        "status": own["status"],
    }
    done = revise_in_dialect(file, change, entry, Tolerance(accepts), dry_run=dry_run)
    report(done, file, entry, f"added node {node_id}", dry_run=dry_run, as_json=as_json)


def _check_new(node_id: str, handler: str, attrs: Mapping[str, str], *, force: bool) -> None:
    if not _ID.fullmatch(node_id) or node_id.lower() in KEYWORDS:
        raise InputError(
            f"{node_id!r} cannot be the id of a node",
            fix="use letters, digits and underscores, but no word of DOT; put the title in --label",
        )
    if handler not in KNOWN_HANDLERS and not force:
        raise InputError(
            f"{handler!r} is not a handler that we know",
            fix=f"use one of {', '.join(sorted(KNOWN_HANDLERS))}; or repeat with --force",
        )
    checked_state(attrs["status"])


def _refuse_known(graph: Graph, node_id: str) -> None:
    known = graph.nodes.get(NodeId(node_id))
    if known is not None and known.declared:
        raise InputError(
            f"there is a node {node_id!r} already",
            where=graph.source.where(known.offset),
            fix="choose another id, or change that node with `attractor node modify`",
        )


def _attributes(graph: Graph, node_id: str, handler: str, own: dict[str, str]) -> dict[str, str]:
    """Return what the new node says; its handler by shape alone where that is the file's manner.

    A `handler` or `type` in a file without any could turn it into another dialect.
    """

    def runs_as(**attrs: str) -> str:
        return graph.handler(Node(NodeId(node_id), attrs, 0, declared=True))

    wanted = runs_as(handler=handler)
    shapes = SHAPES.get(wanted, ("box",))
    shape = next((each for each in shapes if runs_as(shape=each) == wanted), shapes[0])
    attrs = {"shape": shape, "label": own["label"]}
    key = "handler" if graph.dialect == "harness" else "type"
    customary = any(key in node.attrs for node in graph.nodes.values())
    if not own.keys() & {"handler", "type"} and (customary or runs_as(**attrs | own) != wanted):
        attrs[key] = handler
    return attrs | own


def _check_journal(file: str, node_id: str) -> None:
    """Refuse to edit a state that a journal decides; asked under the lease, so it stays so."""
    if os.path.exists(layout_of(os.path.realpath(file)).journal):
        raise InputError(
            "the states in this file are its journal's, and are not edited",
            where=file,
            fix=f"move the node with `attractor transition {file} {node_id} STATE`",
            node=node_id,
        )


@node.command()
@click.argument("file", type=click.Path())
@click.argument("node_id", metavar="ID")
@edit_options
@json_option
def remove(file: str, node_id: str, dry_run: bool, force: bool, as_json: bool) -> None:
    """Remove a node with its edges."""
    removed: list[dict[str, str]] = []

    def change(document: Document, graph: Graph) -> str:
        removed[:] = [
            {"src": each.source, "dst": each.target}
            for each in graph.edges
            if node_id in (each.source, each.target)
        ]
        entry["edges_removed"] = len(removed)
        return remove_node(document, node_id)

    entry: dict[str, object] = {"command": "node remove", "node_id": node_id}
    done = revise_in_dialect(file, change, entry, Tolerance(lambda _: force), dry_run=dry_run)
    edges = [f"{each['src']} -> {each['dst']}" for each in removed]
    said = f"removed node {node_id}"
    if edges:
        said += f" and its edge{'s' * (len(edges) > 1)} {', '.join(edges)}"
    report(done, file, {**entry, "edges": removed}, said, dry_run=dry_run, as_json=as_json)


@node.command()
@click.argument("file", type=click.Path())
@click.argument("node_id", metavar="ID")
@click.option("--label", help="Its new title.")
@click.option("--status", "state", help="Its new state; only where there is no journal.")
@set_option
@click.option("--unset", multiple=True, metavar="KEY", help="An attribute to remove.")
@edit_options
@json_option
def modify(  # noqa: PLR0913 - an option each
    file: str,
    node_id: str,
    *,
    label: str | None,
    state: str | None,
    settings: Sequence[str],
    unset: Sequence[str],
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Set and remove attributes of a node."""
    updates = settings_of(settings)
    updates |= {} if label is None else {"label": checked_text(label)}
    updates |= {} if state is None else {"status": state}
    if "handler" in updates and updates["handler"] in SHAPES:
        updates.setdefault("shape", SHAPES[updates["handler"]][0])
    unwanted = [checked_key(key) for key in unset]
    _check_updates(updates, unwanted)

    def change(document: Document, graph: Graph) -> str:
        if "status" in {*updates, *unwanted}:
            _check_journal(file, node_id)
        _check_there(graph, node_id, unwanted)
        text = set_attrs(document, {node_id: updates})
        text = remove_attrs(parse(text, document.source.name), {node_id: unwanted})
        _check_gone(text, node_id, unwanted)
        return text

    entry: dict[str, object] = {"command": "node modify", "node_id": node_id, "updates": updates}
    if unwanted:
        entry["unset"] = unwanted
    done = revise_in_dialect(file, change, entry, Tolerance(lambda _: force), dry_run=dry_run)
    said = f"modified node {node_id}" if done.changed else "nothing to change"
    report(done, file, entry, said, dry_run=dry_run, as_json=as_json)


def _check_updates(updates: Mapping[str, str], unwanted: Sequence[str]) -> None:
    if not updates and not unwanted:
        fix = "give --label, --status, --set key=value or --unset key"
        raise InputError("there is nothing to modify", fix=fix)
    if both := updates.keys() & set(unwanted):
        raise InputError(f"{min(both)!r} is both set and unset", fix="decide for one of them")
    if "status" in updates:
        checked_state(updates["status"])


def _check_there(graph: Graph, node: str, unwanted: Sequence[str]) -> None:
    if NodeId(node) not in graph.nodes:
        return  # said by the edit
    attrs = graph.nodes[NodeId(node)].attrs
    for key in unwanted:
        if key not in attrs:
            raise InputError(
                f"node {node!r} has no attribute {key!r}",
                where=graph.source.name,
                fix=f"it has {', '.join(attrs) or 'none at all'}",
            )


def _check_gone(text: str, node: str, unwanted: Sequence[str]) -> None:
    left = build(parse(text)).nodes[NodeId(node)].attrs
    for key in unwanted:
        if key in left:
            raise InputError(
                f"node {node!r} gets {key!r} from a default, which cannot be removed for one node",
                fix=f"override it with --set {key}=...",
            )
