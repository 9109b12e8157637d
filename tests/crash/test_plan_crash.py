"""Killed at each file operation, a planning leaves a whole plan or none; the next one works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.load import load
from attractor.plan import make, write

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

# All is real but the planner's agent, and what is detected of the project.
PROGRAM = """
from attractor.agents.answer import Answer, ErrorClass
from attractor.plan import make
from attractor.plan.goal import Goal
from attractor.plan.model import Project
from attractor.rehearsal.made_plan import plan_for

GOAL = "Keep notes that can be added and listed"
make.detect = lambda folder, _: Project(folder)

class Clock:
    hours = 0
    def wall_ns(self):
        return 4_000_000_000_000_000_000 + self.hours * 3_600_000_000_000
    def monotonic(self):
        return 0.0

def ask(prompt, number):
    # The first of two answers is refused, and kept aside with the reasons.
    return Answer(error_class=ErrorClass.NONE, structured=plan_for(GOAL, broken=number == 1))

def main(state):
    made = make.plan(make.Asked(project=state, goal=Goal(GOAL)), Clock(), environ={}, ask=ask)
    tell(made.name)

def again(state):
    Clock.hours = 2
    main(state)
"""


def whole(folder: Path) -> str:
    """Check that a plan is there with all that belongs to it; return its name."""
    plan = make.found_in(str(folder), "")
    _, graph = load(plan.dot)
    named = [
        node.attrs["skill_file"] for node in graph.nodes.values() if "skill_file" in node.attrs
    ]
    assert len(named) == 5
    for each in (plan.prd, *(str(folder / name) for name in named)):
        assert Path(each).read_text().strip()
    return plan.name


def test_a_killed_planning_leaves_a_whole_plan_or_none_and_the_next_one_works(
    sweep: Callable[..., Any],
) -> None:
    def check(state: Path, death: Any) -> None:
        plans = Path(write.plans_folder(str(state)))
        found = sorted(whole(each) for each in plans.iterdir())
        (last,) = death.recovered
        assert last in found
        assert {*found} == {*death.told, last} or (not death.told and len(found) == 2)
        for each in Path(write.rejected_folder(str(state))).iterdir():
            reasons = each / write.REASONS
            assert not reasons.exists() or json.loads((each / "draft.json").read_bytes())

    swept = sweep("planning", PROGRAM, check=check, recover="again")
    assert swept.points > 40
