"""What beads and the promise are to say of a run, told from its story. Pure.

Only what the run itself has moved is told: a bead whose nodes were never dispatched is left alone.
A criterion is met when every node that names it is done; the promise may be verified, and the bead
above the others closed, when the run ended validated. Whether the store agrees (unknown beads, a
promise of somebody else) is for `guardian.tasks.books`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.run.layout import RunLayout
from attractor.run.node_story import NodeStory
from attractor.run.states import DONE, NodeState
from attractor.run.story import Story

OPEN: Final = "open"
IN_PROGRESS: Final = "in_progress"
CLOSED: Final = "closed"
_SEPARATORS: Final = re.compile(r"[,;\s]+")
_MOST_TEXT: Final = 500
_COMMIT_CHARACTERS: Final = 12
_NOTHING: Final = NodeStory()


def owner(run_id: str) -> str:
    """Return the session as which a run works on beads and promises."""
    plain = "".join(each if each.isascii() and each.isalnum() else "-" for each in run_id)
    return f"attractor-{plain[:100]}"


def wanted(story: Story, graph: Graph, result: str = "") -> dict[str, Any]:
    """Return `beads`, `epic` and `promise`, which are empty for none.

    `result` is that of a run which is about to end, as its journal will say. `epic` is said of the
    bead above the others, where there is one of a plan.
    """
    ended = story.ended or ({"result": result} if result else {})
    done = ended.get("result") == "validated"
    return {
        "beads": _beads(story, graph, ended),
        "epic": {"status": CLOSED, "reason": "validated, as all its beads are"} if done else {},
        "promise": _promise(story, graph, ended),
    }


def _beads(story: Story, graph: Graph, ended: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    by_bead: dict[str, list[NodeId]] = {}
    for node in graph.nodes.values():
        if bead := node.attrs.get("bead_id", "").strip():
            by_bead.setdefault(bead, []).append(node.id)
    found = ((bead, _bead(story, nodes, ended)) for bead, nodes in by_bead.items())
    return {bead: said for bead, said in found if said is not None}


def _bead(story: Story, nodes: list[NodeId], ended: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what is said of a bead; one that several nodes name waits for all of them."""
    begun = [node for node in nodes if _story(story, node).attempts]
    if not begun:
        return None
    for node in begun:
        if reason := _failure(story, node):
            return {"status": OPEN, "reason": reason[:_MOST_TEXT]}
    if all(_state(story, node) in DONE for node in nodes):
        return {"status": CLOSED, "reason": _closing(story, begun)}
    if ended:
        said = str(ended.get("reason") or "")
        reason = f"the run has ended ({ended['result']}): {said}".removesuffix(": ")
        return {"status": OPEN, "reason": reason[:_MOST_TEXT]}
    return {"status": IN_PROGRESS, "reason": ""}


def _failure(story: Story, node: NodeId) -> str:
    """Return why a node has failed for good; only then does its failure have an outcome."""
    if _state(story, node) is not NodeState.FAILED or node not in story.core.outcomes:
        return ""
    return f"{node} has failed: {_story(story, node).reason or 'no reason is known'}"


def _closing(story: Story, nodes: Iterable[NodeId]) -> str:
    words = ["validated"]
    if (score := _score(story, nodes)) is not None:
        words.append(f"score {score:.2f}")
    if commit := next(
        (c for c in (_story(story, n).merged for n in _latest(story, nodes)) if c), ""
    ):
        words.append(f"merged as {commit[:_COMMIT_CHARACTERS]}")
    return ", ".join(words)


def _latest(story: Story, nodes: Iterable[NodeId]) -> list[NodeId]:
    """Return nodes, the one that was done last first."""

    def ended(node: NodeId) -> str:
        attempt = _story(story, node).attempt
        return attempt.ended if attempt is not None else ""

    return sorted(nodes, key=ended, reverse=True)


def _score(story: Story, nodes: Iterable[NodeId]) -> float | None:
    """Return the lowest score that counted; None where nothing was scored."""
    scores = [_passed(story, node).get("score") for node in nodes]
    return min((float(each) for each in scores if isinstance(each, int | float)), default=None)


def _passed(story: Story, node: NodeId) -> Mapping[str, Any]:
    """Return the verdict that let a node pass; empty for a node that needs none."""
    verdicts = reversed(_story(story, node).verdicts)
    return next((each for each in verdicts if each.get("outcome") == "passed"), {})


def _promise(story: Story, graph: Graph, ended: Mapping[str, Any]) -> dict[str, Any]:
    name = graph.attrs.get("promise_id", "").strip()
    if not name:
        return {}
    by_criterion: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        for criterion in filter(None, _SEPARATORS.split(node.attrs.get("promise_ac", ""))):
            by_criterion.setdefault(criterion, []).append(node)
    result = ended.get("result")
    return {
        "id": name,
        "title": (graph.attrs.get("label") or graph.name or name)[:_MOST_TEXT],
        "criteria": {ac: _criterion(story, nodes) for ac, nodes in by_criterion.items()},
        "verify": result == "validated",
        "release": result not in (None, "validated"),
    }


def _criterion(story: Story, nodes: list[Node]) -> dict[str, Any]:
    texts = dict.fromkeys(_descriptions(nodes))
    said: dict[str, Any] = {"description": "; ".join(texts)[:_MOST_TEXT]}
    ids = [node.id for node in nodes]
    if not all(_state(story, each) in DONE for each in ids):
        return said | {"met_by": "", "evidence": "", "score": None}
    last = _latest(story, ids)[0]
    evidence = _evidence(story, last)
    return said | {"met_by": str(last), "evidence": evidence, "score": _score(story, ids)}


def _descriptions(nodes: Iterable[Node]) -> Iterator[str]:
    # What work must fulfil says more than that somebody looks at it.
    told = [node.attrs["acceptance"].strip() for node in nodes if node.attrs.get("acceptance")]
    if told:
        yield from told
        return
    for node in nodes:
        yield node.attrs.get("label", "").strip() or str(node.id)


def _evidence(story: Story, node: NodeId) -> str:
    """Return the report of the verdict, or the folder with what was found."""
    if report := _passed(story, node).get("report"):
        return str(report)
    attempt = _story(story, node).attempt
    root = story.request.get("run_root")
    if attempt is None or not isinstance(root, str):
        return ""
    return RunLayout(root).evidence(str(node), attempt.number)


def _story(story: Story, node: NodeId) -> NodeStory:
    return story.nodes.get(str(node), _NOTHING)


def _state(story: Story, node: NodeId) -> NodeState:
    return story.core.statuses.get(node, NodeState.PENDING)
