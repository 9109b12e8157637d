"""`attractor checkpoint`: save where every node stands, list what was saved, go back to it."""

from __future__ import annotations

import sys
from typing import Any

import click

from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, printable, say
from attractor.run.checkpoint import LATEST, TIMEOUT_SECONDS, Listed, listing
from attractor.run.checkpoint import restore as restore_checkpoint
from attractor.run.checkpoint import save as save_checkpoint
from attractor.run.checkpoint_format import Checkpoint
from signals.clock import SystemClock

_FILE = click.argument("file", type=click.Path(path_type=str))
_TIMEOUT = click.option(
    "--timeout",
    type=SECONDS,
    default=TIMEOUT_SECONDS,
    show_default=True,
    help="How many seconds to wait for another command on the same file.",
)
_VERIFY = click.option(
    "--verify", is_flag=True, help="Check it against the journal too, and refuse a mismatch."
)


@click.group()
def checkpoint() -> None:
    """Save, list and restore the states of a pipeline."""


@checkpoint.command()
@_FILE
@_VERIFY
@_TIMEOUT
@json_option
def save(file: str, verify: bool, timeout: float, as_json: bool) -> None:
    """Save where every node of the pipeline FILE stands."""
    saved = save_checkpoint(file, SystemClock(), verify=verify, timeout_seconds=timeout)
    if as_json:
        verified = {"verified": True} if verify else {}
        say(dump({"status": "ok", **_as_json(saved), "path": saved.path, **verified}))
        return
    say(f"saved {saved.name}: {_counts(saved)}{', verified' if verify else ''}")


@checkpoint.command("list")
@_FILE
@_VERIFY
@json_option
def list_(file: str, verify: bool, as_json: bool) -> None:
    """List the checkpoints of the pipeline FILE, newest first."""
    found = listing(file, verify=verify)
    if as_json:
        say(dump({"status": "ok", "checkpoints": [_listed_as_json(each) for each in found]}))
    else:
        say("\n".join(map(_line, found)) or f"{printable(file)}: there are no checkpoints yet")
    if verify and any(each.problem for each in found):
        sys.exit(1)


@checkpoint.command()
@_FILE
@click.argument("checkpoint", metavar="[CHECKPOINT]", default=LATEST)
@click.option("--verify", is_flag=True, hidden=True, help="What happens anyway.")
@click.option(
    "--unverified", is_flag=True, help="Also when it cannot be checked against the journal."
)
@_TIMEOUT
@json_option
def restore(
    file: str, checkpoint: str, verify: bool, unverified: bool, timeout: float, as_json: bool
) -> None:
    """Go back to CHECKPOINT of the pipeline FILE: a name, a path, or the latest.

    It is checked against the journal first. One of the original harness, or of another journal,
    cannot be, and needs --unverified.
    """
    if verify and unverified:
        raise click.UsageError("--verify and --unverified exclude each other")
    done = restore_checkpoint(
        file, checkpoint, SystemClock(), accept_unverified=unverified, timeout_seconds=timeout
    )
    if as_json:
        changed = [
            {"node": node, "from": was.value, "to": now.value}
            for node, (was, now) in done.changed.items()
        ]
        said = {"status": "ok", "checkpoint": done.checkpoint.name, "restored_as": done.seq}
        say(dump(said | {"changed": changed, "verified": not done.note, "note": done.note}))
        return
    say(printable(f"restored {done.checkpoint.name}: {_counts(done.checkpoint)}"))
    for node, (was, now) in done.changed.items():
        say(printable(f"  {node}: {was.value} -> {now.value}"))
    if done.note:
        say(f"  not verified: {done.note}")


def _counts(saved: Checkpoint) -> str:
    return ", ".join(f"{count} {state}" for state, count in saved.counts().items())


def _line(each: Listed) -> str:
    if each.checkpoint is None:
        return printable(f"{each.name}  DAMAGED: {each.problem}")
    of = f"entry {each.checkpoint.seq}" if each.checkpoint.seq else "no entry"
    doubt = f"  NOT VERIFIED: {each.problem}" if each.problem else ""
    counts = _counts(each.checkpoint)
    return printable(f"{each.name}  {each.checkpoint.created_at}  {of}  {counts}{doubt}")


def _as_json(saved: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": saved.name,
        "created_at": saved.created_at,
        "seq": saved.seq,
        "counts": saved.counts(),
    }


def _listed_as_json(each: Listed) -> dict[str, Any]:
    if each.checkpoint is None:
        return {"checkpoint": each.name, "valid": False, "problem": each.problem}
    return {**_as_json(each.checkpoint), "valid": not each.problem, "problem": each.problem}
