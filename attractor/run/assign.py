"""From a node of a pipeline to the assignment of its Runner.

Pure. What the node says counts before what the graph says. Nothing is looked up: files and folders
that are named may not exist; only a `target_dir` that leads out of the repository is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import final

from attractor.pipeline.graph import Graph, Node
from attractor.run.assignment import Assignment, inside
from attractor.run.branch import node_branch
from attractor.run.config import Settings
from attractor.run.layout import escape
from attractor.run.roles import Role, role


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Where an attempt is made."""

    run_id: str
    run_root: str
    project: str
    base_commit: str
    attempt: int = 1


def worked_on(graph: Graph) -> list[str]:
    """Return the nodes that an agent works on, in the order of the source."""
    return [node.id for node in graph.nodes.values() if role(graph, node) is Role.WORK]


def assign(graph: Graph, node: Node, settings: Settings, dispatch: Dispatch) -> Assignment:
    """Return the assignment of one attempt."""
    own, project = node.attrs, dispatch.project
    return Assignment(
        run_id=dispatch.run_id,
        node_id=node.id,
        attempt=dispatch.attempt,
        project=project,
        run_root=dispatch.run_root,
        base_commit=dispatch.base_commit,
        branch=node_branch(dispatch.run_id, node.id),
        worktree=os.path.join(project, ".claude", "worktrees", _folder(dispatch, node)),
        target_dir=inside(_said(node, graph, "target_dir"), project, f"node {node.id}"),
        label=own.get("label", ""),
        prompt=own.get("prompt", ""),
        acceptance=own.get("acceptance", ""),
        prd_ref=_said(node, graph, "prd_ref"),
        sd_path=own.get("sd_path") or own.get("solution_design", ""),
        files=tuple(
            each.strip() for each in re.split(r"[,;\n]", own.get("files", "")) if each.strip()
        ),
        worker_type=own.get("worker_type", ""),
        agent=settings.word("agent"),
        command=own.get("command", ""),
        workers=settings.word("workers"),
        model=settings.word("model"),
        worker_model=settings.word("worker_model"),
        skills=settings.words("skills"),
        checks=settings.words("checks"),
        sandbox=settings.word("sandbox"),
        limits=settings.limits,
        claude=settings.word("claude"),
    )


def _folder(dispatch: Dispatch, node: Node) -> str:
    """Return a folder that no other run has: what an earlier one made is not touched, nor lost."""
    return escape(f"{dispatch.run_id}-{node.id}")


def _said(node: Node, graph: Graph, key: str) -> str:
    return node.attrs.get(key) or graph.attrs.get(key, "")
