"""What holds for each node of a run: its limits and checks, and the model that works and judges.

Resolved once, in a child, since reading settings costs memory; what the Guardian keeps is plain.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

from attractor import tools
from attractor.apart import apart
from attractor.pipeline.graph import Graph
from attractor.run import assignment as assignments
from attractor.run.assignment import Assignment
from attractor.run.limits import Limits
from attractor.run.request import Request
from attractor.run.roles import Role, role
from signals.clock import Clock

if TYPE_CHECKING:
    from attractor.run.config import Settings

_SECONDS: Final = 60.0
_NO_COMMIT: Final = "0" * 40


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One node's."""

    role: Role
    checks: tuple[str, ...] = ()
    model: str = ""
    """The one that judges."""
    second_model: str = ""
    """The one that looks again, where the first was not sure."""
    sandbox: str = "auto"
    limits: Limits = field(default_factory=Limits)
    assignment: Assignment | None = None
    """For work: all that its Runner is told, but for the attempt."""


def terms_of(graph: Graph, request: Request, clock: Clock) -> dict[str, Terms]:
    """Return the terms of every node; InputError where one's settings cannot be."""
    said: dict[str, Any] = apart(lambda: _resolved(graph, request), clock, _SECONDS)
    found = {}
    for node in graph.nodes.values():
        own = said[node.id]
        given = own["assignment"]
        found[str(node.id)] = Terms(
            role=role(graph, node),
            checks=tuple(own["checks"]),
            model=own["model"],
            second_model=own["second_model"],
            sandbox=own["sandbox"],
            limits=Limits.from_json(own["limits"]),
            assignment=assignments.from_json(given, node.id) if given else None,
        )
    return found


def _resolved(graph: Graph, request: Request) -> dict[str, Any]:
    """Run in the child."""
    from dataclasses import asdict

    from attractor.run import config
    from attractor.run.assign import Dispatch, assign

    known = config.load(request.project, os.environ, request.settings)
    place = Dispatch(
        run_id=request.run_id,
        run_root=request.run_root,
        project=request.project,
        base_commit=_NO_COMMIT,
    )
    found = {}
    for node in graph.nodes.values():
        settings = config.resolve(node.attrs, graph.attrs, known)
        judge = settings.word("judge_model") or settings.word("model")
        limits = config.rehearsed(settings) if request.rehearsed else settings.limits
        made = None
        if role(graph, node) is Role.WORK:
            assigned = assign(graph, node, settings, place)
            made = replace(
                assigned,
                limits=limits,
                target_dir=(
                    assigned.target_dir
                    if node.attrs.get("target_dir")
                    else assignments.inside(request.target_dir, request.project, node.id)
                ),
                base_url=request.base_url,
                sandbox=request.sandbox or assigned.sandbox,
                claude=_program(request, settings),
                hidden=(request.rubric,) if request.rubric else (),
            ).as_json()
        found[str(node.id)] = {
            "checks": list(settings.words("checks")),
            "model": judge,
            "second_model": settings.word("second_model") or judge,
            "sandbox": request.sandbox or settings.word("sandbox"),
            "limits": asdict(limits),
            "assignment": made,
        }
    return found


def _program(request: Request, settings: Settings) -> str:
    """Return the node's Claude Code; the request's has been chosen by all that is not its own."""
    from attractor.run.config import Source

    own = settings.word("claude")
    if own and settings.values["claude"].source is Source.NODE:
        return own
    return request.claude or own or ((tools.find_claude() or "") if request.rehearsed else "")
