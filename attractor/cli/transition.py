"""`attractor transition`: move a node by hand, and settle what was edited by hand."""

from __future__ import annotations

from typing import Any, get_args

import click

from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, printable, say
from attractor.run.reconcile import Difference
from attractor.run.states import NodeState
from attractor.run.transition import (
    TIMEOUT_SECONDS,
    Moved,
    Outcome,
    Request,
    adopt,
    sync,
    transition_node,
)
from signals.clock import SystemClock

_STATES = ", ".join(state.value for state in NodeState)


@click.command(epilog=f"States: {_STATES}.")
@click.argument("file", type=click.Path(path_type=str))
@click.argument("words", nargs=-1, metavar="[NODE STATE]")
@click.option("--reason", default="", help="Why, for the journal.")
@click.option(
    "--outcome",
    type=click.Choice(get_args(Outcome)),
    help="How the node ended, for the edges with a condition.",
)
@click.option(
    "--adopt",
    "adopts",
    is_flag=True,
    help="Take statuses edited by hand into the journal (of the named nodes, or all).",
)
@click.option("--sync", "syncs", is_flag=True, help="Rebuild the file's statuses from the journal.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=TIMEOUT_SECONDS,
    show_default=True,
    help="How many seconds to wait for another command on the same file.",
)
@json_option
def transition(  # noqa: PLR0913, PLR0917 - an option each
    file: str,
    words: tuple[str, ...],
    reason: str,
    outcome: Outcome | None,
    adopts: bool,
    syncs: bool,
    dry_run: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Move NODE of the pipeline FILE to STATE, on the record.

    \b
    attractor transition FILE NODE STATE
    attractor transition FILE --adopt [NODE...]
    attractor transition FILE --sync
    """  # noqa: D301 - click wants the character, not the two that spell it
    clock = SystemClock()
    if adopts or syncs:
        _check_alone(adopts, syncs, words, reason, outcome)
        if adopts:
            taken = adopt(file, words, clock, dry_run=dry_run, timeout_seconds=timeout)
        else:
            taken = sync(file, clock, dry_run=dry_run, timeout_seconds=timeout)
        _tell_settled(file, taken, adopts, dry_run, as_json)
        return
    if len(words) != 2:  # noqa: PLR2004 - NODE and STATE
        raise click.UsageError("give NODE and STATE, or --adopt, or --sync")
    request = Request(words[0], _state(words[1]), outcome, reason)
    moved = transition_node(file, request, clock, dry_run=dry_run, timeout_seconds=timeout)
    _tell_moved(moved, dry_run, as_json)


def _state(word: str) -> NodeState:
    try:
        return NodeState(word)
    except ValueError:
        raise _unknown_state(word) from None


def _unknown_state(word: str) -> Exception:
    import difflib  # only for a typing error

    from attractor.errors import InputError

    near = difflib.get_close_matches(word, [state.value for state in NodeState], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return InputError(f"there is no state {word!r}", fix=f"{hint}The states are {_STATES}")


def _check_alone(
    adopts: bool, syncs: bool, words: tuple[str, ...], reason: str, outcome: Outcome | None
) -> None:
    if adopts and syncs:
        raise click.UsageError("--adopt and --sync exclude each other")
    if syncs and words:
        raise click.UsageError("--sync is for the whole file and takes no NODE")
    if reason or outcome:
        raise click.UsageError("--reason and --outcome belong to NODE and STATE")


def _tell_moved(moved: Moved, dry_run: bool, as_json: bool) -> None:
    if as_json:
        said: dict[str, Any] = {
            "status": "ok",
            "node": moved.node,
            "from": moved.source.value,
            "to": moved.target.value,
            "event": moved.event.value,
            "seq": moved.seq,
            "ready": moved.ready,
        }
        say(dump(said | {"dry_run": True} if dry_run else said))
        return
    would = "would move " if dry_run else ""
    say(printable(f"{would}{moved.node}: {moved.source.value} -> {moved.target.value}"))
    if moved.ready:
        say(printable(f"ready now: {', '.join(moved.ready)}"))


def _tell_settled(
    file: str, taken: list[Difference], adopts: bool, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        nodes = [
            {"node": each.node, "journal": each.journal.value, "file": each.file} for each in taken
        ]
        said: dict[str, Any] = {"status": "ok", "adopted" if adopts else "restored": nodes}
        say(dump(said | {"dry_run": True} if dry_run else said))
        return
    if not taken:
        say(printable(f"{file}: the file shows what its journal says"))
    would = "would be " if dry_run else ""
    for each in taken:
        old, new = each.journal.value, each.file
        if not adopts:
            old, new = new, old
        done = "adopted" if adopts else "put back"
        say(printable(f"{would}{done}: {each.node}: {old} -> {new}"))
