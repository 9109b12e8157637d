"""What forbids a night, as far as it is known before there is a plan.

Looks only, and asks nobody: nothing is made, and nothing is paid. What depends on the pipeline is
looked at when there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attractor.agents import registry
from attractor.cli.run_request import Asked, claude_of, settings_of
from attractor.plan.goal import Goal
from attractor.rehearsal import faults
from attractor.rehearsal.made_plan import plan_for
from attractor.run import config, preflight
from attractor.run.preflight import Plan
from attractor.run.run_preflight import unknown_names

_ASKED: Final = "claude-headless"
"""What plans and judges."""


def check(asked: Asked, environ: Mapping[str, str]) -> None:
    """Raise one InputError that lists all that forbids it; without a project one gets made."""
    faults.check_form(asked.faults)
    rehearsed = asked.rehearse is not None
    known = config.load(asked.project or None, environ, settings_of(asked))
    settings = config.resolve({}, {}, known)
    plan = Plan(
        project=asked.project,
        agents=frozenset({settings.word("agent"), _ASKED}),
        sandbox="required" if asked.require_sandbox else settings.word("sandbox"),
        rehearsed=rehearsed,
        claude=claude_of(settings, rehearsed=rehearsed),
        dirty_allowed=asked.allow_dirty,
        mistakes=tuple(unknown_names([settings], registry.names())),
    )
    preflight.refuse(preflight.examine(plan, environ))


def check_faults(asked: Asked, goal: Goal) -> None:
    """Raise InputError where the plan that a rehearsal makes of this goal has no such node."""
    if asked.faults:
        context = "\n\n".join(each.text for each in goal.documents)
        nodes = plan_for(goal.text, context)["nodes"]
        faults.parse(asked.faults, [str(each["id"]) for each in nodes])
