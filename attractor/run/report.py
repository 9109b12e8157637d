"""How a run went: the one document of it, made from its journal.

`final` is pure. The Guardian keeps what it returns as `final.json` when the run has ended, and a
person may ask for it at any time, also while the run goes on: what is not known yet is empty then.
What a person reads (`report_text`) is made from the document alone.

`write` puts SUCCESS.md beside it where the run succeeded, and final.json last: where that is,
everything is. It may be done again, with the same result. Texts of agents are in the document as
they came, only shorter; whoever shows them makes them safe.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attractor.pipeline.graph import Graph, Node
from attractor.run import choices, going_on
from attractor.run.layout import RunLayout
from attractor.run.node_story import Attempt, NodeStory
from attractor.run.progress import is_stopped, waits_for_person
from attractor.run.records import Decision
from attractor.run.roles import Role, role
from attractor.run.states import NodeState
from attractor.run.story import BEGAN_AGAIN, Story
from attractor.run.times import seconds_of
from signals import atomic
from signals.atomic import fsync_folder, storage_errors

SCHEMA_VERSION: Final = 1
VALIDATED: Final = "validated"
RUNNING: Final = "running"
"""The result of a run that has not ended."""
WAITING: Final = "waiting"
"""The same, where nothing moves until a person decides."""
_MOST_TEXT: Final = 1_000
_MOST_NOTES: Final = 100
_TRIED: Final = frozenset({Role.WORK.value, Role.TOOL.value, Role.CHECK.value, Role.JUDGE.value})
"""Roles of nodes where something is tried."""
_COUNTS: Final = (
    "sessions",
    "turns",
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
)
# What budgets count.
_BUDGETED: Final = ("input_tokens", "output_tokens", "cache_creation_tokens")
# From the weakest to the strongest wall; a word that is not here stands after the first.
_WALLS: Final = ("policy", "", "sandbox-exec", "bwrap")


def final(story: Story, graph: Graph, now: float, state: str = "") -> dict[str, Any]:
    """Return how the run went, or goes; `now` is in seconds since 1970.

    `state` is where one stands that has not ended, by whoever knows whether its processes live.
    """
    asked, ended = story.request, story.ended or {}
    going = state or (WAITING if waits_for_person(story, graph) else RUNNING)
    result = str(ended.get("result", going))
    reason = _text(ended.get("reason") or (story.stopping or {}).get("reason"))
    run_id = str(asked.get("run_id", ""))
    began = seconds_of(story.began_at)
    until = seconds_of(story.ended_at) or now
    nodes = [_node(story, graph, each, until) for each in graph.nodes.values()]
    project, base = str(asked.get("project", "")), str(asked.get("base_commit", ""))
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "run_root": str(asked.get("run_root", "")),
        "result": result,
        "exit": ended.get("exit"),
        "reason": reason,
        "pipeline": str(asked.get("pipeline", "")),
        "name": _text(graph.attrs.get("label") or graph.name),
        "prd": str(asked.get("prd", "")),
        "project": project,
        "rehearsed": asked.get("rehearsed") is True,
        "began": story.began_at,
        "ended": story.ended_at,
        "interrupted": story.told_at if result == going_on.INTERRUPTED else "",
        "seconds": round(max(until - began, 0.0), 3) if began else 0.0,
        "branch": story.integration,
        "base": base,
        "head": story.head,
        "merge": _merge(project, story.integration, base, story.head),
        "resume": going_on.command(run_id, result, reason),
        "overridden": _overridden(story),
        "blindness": weakest(
            each.blindness for node in story.nodes.values() for each in node.attempts
        ),
        "rubric": _rubric(story),
        "nodes": nodes,
        "decisions": [_decision(each, run_id) for each in story.decisions.values()],
        "changes": [_change(each) for each in story.changes],
        "looks_back": [_look_back(each) for each in story.looks_back],
        "pauses": [each._asdict() for each in story.pauses],
        "totals": _totals(story, nodes),
        "notes": [
            {"at": each.at, "what": _text(each.what), "about": each.about}
            for each in story.notes[-_MOST_NOTES:]
        ],
    }


def write(layout: RunLayout, document: Mapping[str, Any]) -> None:
    """Keep the document of a run that has ended, and its text where it succeeded."""
    if document["result"] == VALIDATED:
        from attractor.run.report_text import markdown  # only at the end

        atomic.replace(layout.success, markdown(document).encode())
    elif os.path.lexists(layout.success):
        # It succeeded once, was taken up again, and did not.
        with storage_errors("remove", layout.success):
            os.unlink(layout.success)
            fsync_folder(layout.root)
    data = json.dumps(document, indent=2, ensure_ascii=True).encode() + b"\n"
    atomic.replace(layout.final, data)


def weakest(levels: Iterable[str]) -> str:
    """Return the weakest of the walls that stood before sessions; empty where none is known."""
    known = sorted({each for each in levels if each}, key=_strength)
    return known[0] if known else ""


def _strength(level: str) -> tuple[int, str]:
    return (_WALLS.index(level) if level in _WALLS else 1), level


def _merge(project: str, branch: str, base: str, head: str) -> str:
    if not branch or not head or head == base:
        return ""
    return shlex.join(["git", "-C", project, "merge", branch])


def _rubric(story: Story) -> dict[str, Any] | None:
    if story.rubric is None:
        return None
    return {key: story.rubric[key] for key in ("by", "folder", "files")}


def _node(story: Story, graph: Graph, node: Node, until: float) -> dict[str, Any]:
    found = story.nodes.get(node.id) or NodeStory()
    attempts = [_attempt(story, str(node.id), each, until) for each in found.attempts]
    return {
        "id": str(node.id),
        "label": _text(node.attrs.get("label")),
        "handler": graph.handler(node),
        "role": role(graph, node).value,
        "state": story.state(node.id).value,
        "stopped": is_stopped(story, str(node.id)),
        "attempts": attempts,
        "verdicts": [_verdict(each) for each in found.verdicts],
        "reviews": [_review(each) for each in found.reviews],
        "replanned": found.replanned,
        "merged": found.merged,
        "seconds": round(sum(each["seconds"] for each in attempts), 3),
        "tokens": int(sum(found.used(key) for key in _BUDGETED)),
        "cost_usd": round(found.used("cost_usd"), 6),
        "reason": _text(found.reason) if story.state(node.id) is NodeState.FAILED else "",
        "feedback": _text(found.feedback),
        "output": _text(found.output),
    }


def _attempt(story: Story, node: str, attempt: Attempt, now: float) -> dict[str, Any]:
    root, usage = str(story.request.get("run_root", "")), attempt.usage
    until = seconds_of(attempt.ended) or now
    return {
        "number": attempt.number,
        "began": attempt.began,
        "ended": attempt.ended,
        "seconds": round(max(until - seconds_of(attempt.began), 0.0), 3),
        "how": _text(attempt.how),
        "free": attempt.free,
        "base": attempt.base,
        "commit": attempt.commit,
        "session_id": attempt.session_id,
        "blindness": attempt.blindness,
        "rejections": attempt.rejections,
        "returned": [{"at": at, "why": _text(why)} for at, why in attempt.returned],
        "violations": attempt.violations,
        "stuck": attempt.stuck,
        "guided": attempt.guided,
        "crashes": attempt.crashes,
        "cooldowns": int(_amount(usage, "cooldowns")),
        "cooldown_seconds": round(_amount(usage, "cooldown_seconds"), 3),
        "usage": {key: each for key, each in usage.items() if key in (*_COUNTS, "cost_usd")},
        "evidence": RunLayout(root).evidence(node, attempt.number),
    }


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    checks, scenarios = verdict.get("checks"), verdict.get("scenarios")
    judged = scenarios if isinstance(scenarios, list) else []
    return {
        "attempt": verdict.get("attempt"),
        "at": verdict.get("at", ""),
        "round": verdict.get("round", 0),
        "outcome": str(verdict.get("outcome", "")),
        "score": verdict.get("score"),
        "commit": str(verdict.get("commit", "")),
        "checks": str(checks.get("status", "")) if isinstance(checks, Mapping) else "",
        "scenarios": [
            {key: each.get(key) for key in ("feature", "scenario", "score")}
            for each in judged
            if isinstance(each, Mapping)
        ],
        "seconds": verdict.get("seconds"),
        "report": str(verdict.get("report", "")),
    }


def _review(review: Mapping[str, Any]) -> dict[str, Any]:
    findings = review.get("findings")
    return {
        "attempt": review.get("attempt"),
        "at": review.get("at", ""),
        "reviewer": str(review.get("reviewer", "")),
        "outcome": str(review.get("outcome", "")),
        "findings": len(findings) if isinstance(findings, list) else 0,
        "stood_in": str(review.get("stood_in") or ""),
        "allowed": len(review.get("allowed") or ()),
        "let_through": [
            {key: each.get(key) for key in ("file", "line", "kind")}
            for each in review.get("allowed") or ()
        ],
        "why": _text(review.get("why")),
        "commit": str(review.get("commit", "")),
        "seconds": review.get("seconds"),
    }


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": change["at"],
        "why": str(change["why"]),
        "node": str(change["node"]),
        "nodes": sorted(change["change"]["nodes"]),
        "reason": _text(change.get("reason")),
    }


def _look_back(look: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": look["at"],
        "round": look["round"],
        "outcome": str(look["outcome"]),
        "nodes": [*look["nodes"]],
        "why": _text(look.get("why")),
    }


def _overridden(story: Story) -> list[str]:
    """Return the nodes whose work a person had merged over what a review has found."""
    said = (choices.REVIEW, choices.MERGE_IT)
    asked = story.decisions.values()
    return [*dict.fromkeys(each.node for each in asked if (each.kind, each.option) == said)]


def _decision(decision: Decision, run_id: str) -> dict[str, Any]:
    return {
        "id": decision.id,
        "node": decision.node,
        "attempt": decision.attempt,
        "kind": decision.kind,
        "question": _text(decision.question),
        "context": _text(decision.context),
        "options": [*decision.options],
        "answers": [
            {
                "option": each,
                "effect": choices.effect(decision.kind, decision.options, each),
                "command": choices.command(decision.id, each, run_id),
            }
            for each in (decision.options or (choices.ANY_TEXT,))
        ],
        "asked": decision.asked_at,
        "option": _text(decision.option),
        "note": _text(decision.note),
        "by": decision.by,
        "answered": decision.answered_at,
    }


def _totals(story: Story, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    tried = [node for node in nodes if node["role"] in _TRIED]
    attempts = [each for node in tried for each in node["attempts"]]
    states = [node["state"] for node in nodes]
    return {
        "nodes": {each.value: n for each in NodeState if (n := states.count(each.value))},
        "attempts": len(attempts),
        "retries": sum(max(len(node["attempts"]) - 1, 0) for node in tried),
        "crashes": sum(each["crashes"] for each in attempts),
        "rejections": sum(each["rejections"] for each in attempts),
        "violations": sum(each["violations"] for each in attempts),
        "stuck": sum(each["stuck"] for each in attempts),
        "cooldowns": sum(each["cooldowns"] for each in attempts),
        "cooldown_seconds": round(sum(each["cooldown_seconds"] for each in attempts), 3),
        "began_again": sum(each.what.startswith(BEGAN_AGAIN) for each in story.notes),
        "resumed": story.resumed,
        "tokens": story.tokens,
        **{key: int(story.used(key)) for key in _COUNTS},
        "cost_usd": round(story.used("cost_usd"), 6),
    }


def _amount(usage: Mapping[str, Any], key: str) -> float:
    value = usage.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _text(value: object) -> str:
    """Return a text, or the beginning of one that is too long."""
    text = value if isinstance(value, str) else ""
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..."
