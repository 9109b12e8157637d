"""`attractor status`: where every node stands, as the pipeline's file shows it, or a run's journal.

Reads only. A run is shown by `status_run`; all that follows is about a file. Where a journal lies
beside it and says otherwise, one line on stderr tells. What may start now (`--deps-met`) is no view
but a decision, so there the journal's states count; the file's are used where there is no journal,
and for nodes that it does not know.

Start-up is part of what this verb promises (bench/), so it imports little, and the journal and
the plan only when they are there or asked for.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import click

from attractor.cli.output import dump, json_option, note, printable, say
from attractor.cli.tables import in_line, table
from attractor.errors import AttractorError, InputError
from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.pipeline.load import load
from attractor.run.layout import layout_of
from attractor.run.states import NodeState

if TYPE_CHECKING:
    from attractor.run.fold import RunState

_HEADINGS = ("NODE", "HANDLER", "STATUS", "BEAD", "WORKER", "LABEL")


@click.command()
@click.argument("file", type=click.Path(), metavar="[FILE|RUN]", required=False)
@click.option("--filter", "wanted", metavar="STATE", help="Only the nodes in this state.")
@click.option("--deps-met", is_flag=True, help="Only the pending nodes that may start now.")
@click.option("--summary", is_flag=True, help="Only the number of nodes in each state.")
@click.option("--watch", is_flag=True, help="Of a run: again and again, until it has ended.")
@json_option
def status(
    file: str | None,
    *,
    wanted: str | None,
    deps_met: bool,
    summary: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """Show how the nodes of a pipeline's FILE stand, or those of a RUN.

    RUN is a run's name or folder; without it the current one. The options before --watch are for
    files.

    The totals count the whole file, whatever the filters. With --deps-met the states are those of
    the journal, where there is one.
    """
    if file is None or _names_run(file):
        if wanted is not None or deps_met or summary:
            problem = "--filter, --deps-met and --summary are for files"
            raise click.UsageError(problem, click.get_current_context())
        from attractor.cli.status_run import show  # only for a run

        show(file, watch=watch, as_json=as_json)
        return
    if watch:
        raise click.UsageError("--watch is for runs", click.get_current_context())
    if wanted is not None:
        _check_state(wanted)
    _show_file(file, wanted, deps_met=deps_met, summary=summary, as_json=as_json)


def _show_file(
    file: str, wanted: str | None, *, deps_met: bool, summary: bool, as_json: bool
) -> None:
    _, graph = load(file)
    recorded = _recorded(file, must_be_whole=deps_met)
    statuses = _statuses(graph, recorded) if deps_met else None
    rows = [_row(graph, node) for node in graph.nodes.values()]
    if statuses is not None:
        rows = [row | {"status": statuses[NodeId(row["node_id"])].value} for row in rows]
    counts = _in_order(Counter(row["status"] for row in rows))
    shown = rows if wanted is None else [row for row in rows if row["status"] == wanted]
    if statuses is not None:
        ready = _ready(graph, statuses, recorded)
        shown = [row for row in shown if row["node_id"] in ready]
    if as_json:
        result = {
            "graph_name": graph.name,
            "prd_ref": graph.attrs.get("prd_ref", ""),
            "total_nodes": len(rows),
            "summary": counts,
        }
        if deps_met:
            result["deps_met_filter"] = True
        say(dump(result if summary else {**result, "nodes": shown}))
    else:
        _print(graph, [] if summary else shown, counts, summary=summary)
    _note_differences(file, graph, recorded)


def _names_run(given: str) -> bool:
    if os.path.isdir(given):
        return True
    return not (os.sep in given or given == "-" or given.endswith(".dot") or os.path.exists(given))


def _check_state(wanted: str) -> None:
    states = [state.value for state in NodeState]
    if wanted not in states:
        raise InputError(f"{wanted!r} is not a state", fix=f"the states are {', '.join(states)}")


def _row(graph: Graph, node: Node) -> dict[str, str]:
    attrs = node.attrs
    return {
        "node_id": node.id,
        "handler": graph.handler(node),
        "status": attrs.get("status", NodeState.PENDING.value),
        "bead_id": attrs.get("bead_id", ""),
        "worker_type": attrs.get("worker_type", ""),
        "label": attrs.get("label", "").replace("\n", " "),
    }


def _in_order(counts: Counter[str]) -> dict[str, int]:
    """Return the counts in the order of a node's life, then what is no state at all."""
    known = [state.value for state in NodeState]
    order = [*known, *sorted(counts.keys() - set(known))]
    return {each: counts[each] for each in order if counts[each]}


def _print(
    graph: Graph, rows: list[dict[str, str]], counts: dict[str, int], *, summary: bool
) -> None:
    prd = graph.attrs.get("prd_ref", "")
    total = sum(counts.values())
    title = in_line([graph.name or "(no name)", *([f"({prd})"] if prd else [])])
    say(f"{title}: {total} node{'s' * (total != 1)}")
    if summary:
        width = max(map(len, counts), default=0)
        for state, count in counts.items():
            say(f"  {in_line([state]).ljust(width)}  {count}")
        return
    say("")
    if rows:
        for line in table([_HEADINGS, *(tuple(row.values()) for row in rows)]):
            say(line)
    else:
        say("(no node matches)")
    say("")
    say(", ".join(f"{in_line([state])} {count}" for state, count in counts.items()))


def _recorded(file: str, *, must_be_whole: bool) -> RunState | None:
    """Return what the journal beside the file says; None without one, or when it is unreadable."""
    path = layout_of(os.path.realpath(file)).journal
    if not os.path.lexists(path):
        return None
    from attractor.run.fold import fold  # only beside a journal
    from attractor.run.journal import read

    try:
        return fold(read(path).entries, path)
    except AttractorError as error:
        if must_be_whole:
            raise
        note(f"note: the journal is not used: {error}")
        return None


def _statuses(graph: Graph, recorded: RunState | None) -> dict[NodeId, NodeState]:
    from attractor.run.reconcile import shown_state  # only for --deps-met

    known = recorded.statuses if recorded else {}
    return {node: known.get(node) or shown_state(graph, node) for node in graph.nodes}


def _ready(
    graph: Graph, statuses: dict[NodeId, NodeState], recorded: RunState | None
) -> set[NodeId]:
    from attractor.run.plan import Plan  # only for --deps-met

    return set(Plan(graph, statuses, recorded.outcomes if recorded else {}).ready())


def _note_differences(file: str, graph: Graph, recorded: RunState | None) -> None:
    if recorded is None:
        return
    from attractor.run.reconcile import compare  # only beside a journal

    try:
        found = compare(graph, recorded)
    except InputError as error:
        note(printable(f"note: {error.where}: {error.problem}"))
        return
    if differing := [*found.missed, *found.edited]:
        first = differing[0]
        more = f", and {len(differing) - 1} more differ" if len(differing) > 1 else ""
        note(
            printable(
                f"note: {file}: node {first.node!r} is {first.file} in the file, but "
                f"{first.journal.value} in its journal{more}; the journal counts"
            )
        )
