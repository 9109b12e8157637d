"""What a checkpoint file holds: a pipeline's state in, JSON out, and back, with its hash checked.

It is the harness's checkpoint 1.0.0 (`content_hash` included), with three keys of ours: `journal`
names the entry after which it was taken, `outcomes` the recorded outcomes, and `hash` is the
SHA-256 of the canonical JSON of everything else. One without `journal` is the original harness's,
or was robbed of it: it is read as it stands, since nothing in it can be checked, and so it is never
`verified`. The hash shows accidents; only the journal's entry tells that a checkpoint is ours.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.errors import DamageError
from attractor.pipeline.document import Defaults, Document, Subgraph, SubgraphEnd
from attractor.pipeline.graph import Graph, NodeId
from attractor.run.fold import fold
from attractor.run.journal import Entry
from attractor.run.plain import content, open_plain
from attractor.run.states import NodeState
from signals.atomic import storage_errors

VERSION: Final = "1.0.0"

_HARNESS_HASH_LENGTH: Final = 16
_NODE_KEYS: Final = ("bead_id", "worker_type", "promise_ac")


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read, whole; `seq` is 0 where it names no journal entry."""

    path: str
    created_at: str
    statuses: dict[NodeId, NodeState]
    outcomes: dict[NodeId, str]
    seq: int
    sum: str

    @property
    def name(self) -> str:
        """Return its file name."""
        return os.path.basename(self.path)

    def counts(self) -> dict[str, int]:
        """Return how many nodes are in each state, in the order of a node's life."""
        found = Counter(self.statuses.values())
        return {state.value: found[state] for state in NodeState if found[state]}


def compose(
    document: Document,
    graph: Graph,
    statuses: Mapping[NodeId, NodeState],
    outcomes: Mapping[NodeId, str],
    *,
    after: Entry,
    source_file: str,
    created_at: str,
) -> dict[str, Any]:
    """Return the checkpoint of a pipeline as it stands after an entry, its hash included."""
    body: dict[str, Any] = {
        "version": VERSION,
        "created_at": created_at,
        "source_file": source_file,
        "graph_name": graph.name,
        "graph_attrs": graph.attrs,
        "defaults": _defaults(document),
        "nodes": [_node(graph, node, statuses[node]) for node in graph.nodes],
        "edges": [{"src": e.source, "dst": e.target, "attrs": e.attrs} for e in graph.edges],
        "content_hash": _sha256(graph.source.text)[:_HARNESS_HASH_LENGTH],
        "journal": {"seq": after.seq, "sum": after.sum},
        "outcomes": {n: said for n, said in outcomes.items() if n in graph.nodes},
    }
    return body | {"hash": _hash(body)}


def _node(graph: Graph, node: NodeId, state: NodeState) -> dict[str, Any]:
    attrs = graph.nodes[node].attrs
    return {
        "id": node,
        "handler": graph.handler(graph.nodes[node]),
        "status": state.value,
        "shape": attrs.get("shape", ""),
        "label": attrs.get("label", "").replace("\n", " "),
        **{key: attrs.get(key, "") for key in _NODE_KEYS},
        "all_attrs": attrs | {"status": state.value},
    }


def _defaults(document: Document) -> dict[str, dict[str, str]]:
    """Return the `node [...]` and `edge [...]` of the graph itself, not of its subgraphs."""
    found: dict[str, dict[str, str]] = {"node": {}, "edge": {}}
    depth = 0
    for statement in document.statements:
        depth += isinstance(statement, Subgraph) - isinstance(statement, SubgraphEnd)
        if isinstance(statement, Defaults) and not depth and statement.target in found:
            found[statement.target] |= statement.attrs
    return found


def load(path: str) -> Checkpoint:
    """Read a checkpoint and check its hash; DamageError names one that is not whole."""
    body = _read(path)
    try:
        if body.get("journal") is not None and body.get("hash") != _hash(body):
            raise _damage(path, "its hash does not match its content")
        nodes = [(NodeId(_text(node["id"])), NodeState(node["status"])) for node in body["nodes"]]
        outcomes = {NodeId(node): _text(said) for node, said in body.get("outcomes", {}).items()}
        seq, total = _entry_of(body)
        version, created_at = _text(body["version"]), _text(body["created_at"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _damage(path, f"it is not a checkpoint ({error!r})") from None
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise _damage(path, f"its version is {version}, and {VERSION} is what is understood")
    return Checkpoint(path, created_at, dict(nodes), outcomes, seq, total)


def _entry_of(body: Mapping[str, Any]) -> tuple[int, str]:
    journal = body.get("journal")
    if journal is None:
        return 0, ""
    seq = journal["seq"]
    if type(seq) is not int or seq < 1:
        raise ValueError("the number of its journal entry is none")
    return seq, _text(journal["sum"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not text")
    value.encode()  # half a surrogate pair cannot be printed
    return value


def unverified(checkpoint: Checkpoint, entries: Sequence[Entry]) -> str:
    """Return why a checkpoint is not what this journal says; empty means that it is."""
    if not checkpoint.seq:
        return "it names no journal entry, as those of the original harness"
    if not 0 < checkpoint.seq <= len(entries) or entries[checkpoint.seq - 1].sum != checkpoint.sum:
        return f"entry {checkpoint.seq}, after which it was taken, is not in this journal"
    state = fold(entries[: checkpoint.seq])
    for node, status in checkpoint.statuses.items():
        if state.statuses.get(node) is not status:
            return f"node {node!r} was not {status.value} at entry {checkpoint.seq}"
        if state.outcomes.get(node) != checkpoint.outcomes.get(node):
            return f"node {node!r} had another outcome at entry {checkpoint.seq}"
    return ""


def _read(path: str) -> dict[str, Any]:
    with storage_errors("read the checkpoint", path):
        fd = open_plain(path, os.O_RDONLY)
        try:
            data = content(fd, path)
        finally:
            os.close(fd)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damage(path, f"it is not JSON ({error})") from None
    if not isinstance(body, dict):
        raise _damage(path, "it is not an object")
    return body


def _hash(body: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in body.items() if key != "hash"}
    return _sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damage(path: str, problem: str) -> DamageError:
    return DamageError(
        f"this checkpoint is damaged: {problem}",
        where=path,
        fix="nothing was changed; `attractor checkpoint list` shows the others",
    )
