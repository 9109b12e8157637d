"""What holds for each node of a run: its limits and checks, and the model that works and judges.

Resolved once, in a child, since reading settings costs memory; what the Guardian keeps is plain.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

from attractor import tools
from attractor.apart import apart
from attractor.errors import InputError
from attractor.pipeline.graph import Graph
from attractor.run import assignment as assignments
from attractor.run.assignment import Assignment
from attractor.run.growth import LATER
from attractor.run.limits import Limits
from attractor.run.request import Request
from attractor.run.reviews import reviewers
from attractor.run.roles import Role, role
from guardian.budget import Own
from signals.clock import Clock

if TYPE_CHECKING:
    from attractor.run.config import Settings

_SECONDS: Final = 60.0
_OWN: Final = "claude"
_NO_COMMIT: Final = "0" * 40
PERSISTENT_ATTEMPTS: Final = 30
_MOST_SKILL: Final = 64 * 1024
_MOST_BUDGET: Final = 1e12


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One node's."""

    role: Role
    checks: tuple[str, ...] = ()
    model: str = ""
    """The one that judges."""
    later: bool = False
    """Whether somebody who looked back has added it."""
    second_model: str = ""
    """The one that looks again, where the first was not sure."""
    review_model: str = ""
    judge_agent: str = "claude"
    plan_model: str = ""
    retry_models: tuple[str, ...] = ()
    """Those of the second and the third attempt."""
    review: tuple[str, ...] = ()
    """Who reviews what was judged good; nobody where this is empty."""
    memory: bool = False
    replan: bool = False
    budget: Own = field(default_factory=Own)
    sandbox: str = "auto"
    limits: Limits = field(default_factory=Limits)
    assignment: Assignment | None = None
    """For work: all that its Runner is told, but for the attempt."""

    @property
    def models(self) -> int:
        """Return how many models there are to try."""
        return 1 + sum(bool(each) for each in self.retry_models)

    def model_of(self, attempt: int) -> str:
        """Return the model of an attempt, which are counted from 1; empty for the usual one."""
        own = self.assignment.model if self.assignment else ""
        known = [own]
        for each in self.retry_models:
            known.append(each or known[-1])
        return known[min(attempt, len(known)) - 1]


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
            later=bool(node.attrs.get(LATER)),
            model=own["model"],
            second_model=own["second_model"],
            review_model=own["review_model"],
            judge_agent=own["judge_agent"],
            plan_model=own["plan_model"],
            retry_models=tuple(own["retry_models"]),
            review=tuple(own["review"]),
            memory=own["memory"],
            replan=own["replan"],
            budget=Own(*own["budget"]),
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
        judge, review = _asked_models(settings)
        limits = _limits(request, settings)
        made = None
        if role(graph, node) is Role.WORK:
            assigned = assign(graph, node, settings, place)
            made = replace(
                assigned,
                limits=limits,
                skill=_skill(request, node.id) if node.attrs.get("skill_file") else "",
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
            "review_model": review,
            "judge_agent": settings.word("judge_agent"),
            "plan_model": settings.word("plan_model"),
            "retry_models": [settings.word("retry_model_2"), settings.word("retry_model_3")],
            "review": reviewers(settings.word("review")) if made else (),
            "memory": settings.word("memory") == "on",
            "replan": settings.word("replan") == "on",
            "budget": _budget(node.attrs, node.id),
            "sandbox": request.sandbox or settings.word("sandbox"),
            "limits": asdict(limits),
            "assignment": made,
        }
    return found


def _asked_models(settings: Settings) -> tuple[str, str]:
    """Return the models that judge and review; one of another vendor's agent is none of theirs."""
    whose = {_vendor(settings.word("agent")): settings.word("model")}
    judge = settings.word("judge_model") or whose.get(_vendor(settings.word("judge_agent")), "")
    whose[_vendor(settings.word("judge_agent"))] = judge
    return judge, settings.word("review_model") or whose.get(_OWN, "")


def _vendor(agent: str) -> str:
    return _OWN if agent.startswith(_OWN) else agent


def _limits(request: Request, settings: Settings) -> Limits:
    from attractor.run import config

    limits = config.rehearsed(settings) if request.rehearsed else settings.limits
    if request.persistent and settings.values["max_attempts"].source is config.Source.DEFAULT:
        return replace(limits, max_attempts=PERSISTENT_ATTEMPTS)
    return limits


def _skill(request: Request, node: str) -> str:
    """Return how the plan says that the work is to be done, where there is one."""
    try:
        with open(request.layout.skill(node), encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_SKILL)
    except FileNotFoundError:
        return ""


def _budget(attrs: Mapping[str, str], node: str) -> tuple[int | None, float | None]:
    """Return what a node may use, as it says itself."""
    tokens, usd = attrs.get("budget_tokens", "").strip(), attrs.get("budget_usd", "").strip()
    try:
        found = int(tokens) if tokens else None, float(usd) if usd else None
    except ValueError:
        found = -1, None
    if any(each is not None and not 0 < each < _MOST_BUDGET for each in found):
        problem = f"budget_tokens={tokens!r:.40} budget_usd={usd!r:.40} is no budget"
        raise InputError(problem, where=f"node {node}", fix="write numbers above 0")
    return found


def _program(request: Request, settings: Settings) -> str:
    """Return the node's Claude Code; the request's has been chosen by all that is not its own."""
    from attractor.run.config import Source

    own = settings.word("claude")
    if own and settings.values["claude"].source is Source.NODE:
        return own
    return request.claude or own or ((tools.find_claude() or "") if request.rehearsed else "")
