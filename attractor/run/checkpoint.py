"""Checkpoints: the states of a pipeline at one moment, as a file that can be gone back to.

**Saving** publishes the file first, whole and without overwriting, and records `CheckpointSaved`
after that. Killed between the two it leaves a complete checkpoint that the journal does not
mention, which is harmless; the other order could leave a record of a file that is not there.

**Restoring** goes through the journal, as any move does: `CheckpointRestored` with the statuses,
then the DOT file is rewritten. Killed between the two it is a missed rewrite, and is repaired like
one. Only statuses and outcomes are restored: attributes and edges stay, attempts never go back.

What is restored is verified: it must be what the journal said at the entry that it names. One that
cannot be (of the original harness, of another journal, or without the keys that would tell) is
refused, unless the caller takes it `unverified`.

Limits: `latest` is the greatest name, so by wall time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import AttractorError, DamageError, InputError
from attractor.pipeline.graph import Graph, NodeId
from attractor.run.checkpoint_format import Checkpoint, compose, load, unverified
from attractor.run.fold import RunEvent
from attractor.run.held import Held, hold
from attractor.run.journal import Entry
from attractor.run.journal import read as read_journal
from attractor.run.layout import layout_of
from attractor.run.plain import is_own_folder
from attractor.run.states import NodeState
from signals.atomic import fsync_folder, publish, storage_errors
from signals.clock import Clock, iso, stamp

LATEST: Final = "latest"
TIMEOUT_SECONDS: Final = 30.0

_SUFFIX: Final = ".json"


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """One file of the folder: a checkpoint, or what is wrong with it."""

    name: str
    checkpoint: Checkpoint | None
    problem: str


@final
@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `note` says why the checkpoint could not be verified, if so."""

    checkpoint: Checkpoint
    seq: int
    changed: dict[NodeId, tuple[NodeState, NodeState]]
    note: str


def save(
    path: str, clock: Clock, *, verify: bool = False, timeout_seconds: float = TIMEOUT_SECONDS
) -> Checkpoint:
    """Save where every node stands; when this returns, the checkpoint is durable and recorded."""
    with hold(path, clock, timeout_seconds=timeout_seconds) as held:
        held.settle()
        last = held.introduce()
        body = compose(
            held.document,
            held.graph,
            held.statuses(),
            held.state.outcomes,
            after=last,
            source_file=os.path.abspath(held.layout.dot),
            created_at=iso(clock.wall_ns()),
        )
        saved = _publish(held, json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n")
        checkpoint = load(saved)
        if verify and (problem := unverified(checkpoint, held.entries)):
            raise DamageError(f"the new checkpoint is wrong: {problem}", where=saved)
        record = {"checkpoint": checkpoint.name, "hash": body["hash"], "taken_at": last.seq}
        held.record((RunEvent.CHECKPOINT_SAVED, record))
        return checkpoint


def listing(path: str, *, verify: bool = False) -> list[Listed]:
    """Return the checkpoints of a DOT file, newest first; needs no lease and changes nothing."""
    layout = layout_of(os.path.realpath(path))
    if not os.path.exists(layout.dot):
        raise InputError("there is no such file", where=path, fix="check the path")
    entries = read_journal(layout.journal).entries if verify else None
    return [_listed(layout.checkpoints, name, entries) for name in _names(layout.checkpoints)]


def restore(
    path: str,
    which: str,
    clock: Clock,
    *,
    accept_unverified: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Restored:
    """Go back to a checkpoint, given by name, by path, or as `latest`."""
    with hold(path, clock, timeout_seconds=timeout_seconds) as held:
        checkpoint = load(_find(held, which))
        _check_same_nodes(held.graph, checkpoint)
        note = unverified(checkpoint, held.entries)
        if note and not accept_unverified:
            raise DamageError(
                f"the checkpoint cannot be verified: {note}",
                where=checkpoint.path,
                fix="nothing was changed; if you know where it comes from, repeat with "
                "--unverified, which restores it all the same",
            )
        held.settle()
        before = held.statuses()
        changed = {n: (before[n], to) for n, to in checkpoint.statuses.items() if before[n] != to}
        entry = held.record(
            (
                RunEvent.CHECKPOINT_RESTORED,
                {
                    "checkpoint": checkpoint.name,
                    "statuses": {node: to.value for node, to in checkpoint.statuses.items()},
                    "outcomes": checkpoint.outcomes,
                },
            )
        )
        held.show_recorded()
        return Restored(checkpoint, entry.seq, changed, note)


def _publish(held: Held, data: bytes) -> str:
    folder = held.layout.checkpoints
    there = is_own_folder(folder)
    with storage_errors("create the folder of the checkpoints", folder):
        if not there:
            os.mkdir(folder)
        fsync_folder(os.path.dirname(os.path.abspath(folder)))
    at = held.clock.wall_ns()
    while True:
        with contextlib.suppress(FileExistsError):
            return publish(folder, f"{stamp(at)}{_SUFFIX}", data, tmp=folder)
        at += 1000  # one step of the stamp


def _names(folder: str) -> list[str]:
    if not is_own_folder(folder):
        return []
    with storage_errors("list the checkpoints", folder):
        names = os.listdir(folder)
    ours = (name for name in names if name.endswith(_SUFFIX) and not name.startswith("."))
    return sorted(ours, reverse=True)


def _listed(folder: str, name: str, entries: Sequence[Entry] | None) -> Listed:
    try:
        checkpoint = load(os.path.join(folder, name))
    except AttractorError as error:
        return Listed(name, None, error.problem)
    problem = "" if entries is None else unverified(checkpoint, entries)
    return Listed(name, checkpoint, problem)


def _find(held: Held, which: str) -> str:
    folder = held.layout.checkpoints
    names = _names(folder)
    if which == LATEST and names:
        return os.path.join(folder, names[0])
    for name in (which, which + _SUFFIX):
        if name in names:
            return os.path.join(folder, name)
    if which != LATEST and os.path.isfile(which):
        return os.path.realpath(which)
    raise InputError(
        f"there is no checkpoint {which!r}" if names else "there are no checkpoints yet",
        where=held.path,
        fix=f"`attractor checkpoint {'list' if names else 'save'} {held.path}`",
    )


def _check_same_nodes(graph: Graph, checkpoint: Checkpoint) -> None:
    gone = [node for node in checkpoint.statuses if node not in graph.nodes]
    new = [node for node in graph.nodes if node not in checkpoint.statuses]
    said = [f"{', '.join(gone)} only in the checkpoint"] if gone else []
    said += [f"{', '.join(new)} only in the graph"] if new else []
    if said:
        raise InputError(
            f"the checkpoint has other nodes than the graph: {'; '.join(said)}",
            where=checkpoint.path,
            fix="nothing was changed; give the graph the same nodes, or choose another checkpoint",
            only_in_checkpoint=gone,
            only_in_graph=new,
        )
