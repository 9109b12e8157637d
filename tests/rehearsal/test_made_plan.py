"""The plan that is made of a goal fits its form, passes the checks, and can be worked on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.agents.schema import Schema
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.plan import question
from attractor.plan.checks import check
from attractor.plan.draft import plan_of
from attractor.plan.model import Scope
from attractor.plan.pipeline_text import Names, pipeline
from attractor.project.model import Project
from attractor.rehearsal.default import scenario_for
from attractor.rehearsal.made_plan import plan_for
from attractor.rehearsal.turn import ToolCall

GOAL = "Add a login with JWT and rate limiting to the API"
FORM = Schema(question.SCHEMA)
SOMEWHERE = Project("/nowhere")
SECONDS = 60


def rules(said: dict[str, Any], scope: Scope = Scope.SIMPLE) -> list[str]:
    return [fault.rule for fault in check(plan_of(said), scope, SOMEWHERE)]


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_the_goal_its_plan_passes_the_checks_and_a_broken_one_does_not(
    goal: str, context: str
) -> None:
    good, bad = plan_for(goal, context), plan_for(goal, context, broken=True)
    assert (FORM.misfit(good), FORM.misfit(bad)) == ("", "")
    for scope in Scope:
        assert rules(good, scope) == []
        assert rules(bad, scope) == ["same-file"]


def test_the_nodes_are_named_by_the_goal_and_stand_one_three_one() -> None:
    said = plan_for(GOAL)
    assert {node["id"]: node["after"] for node in said["nodes"]} == {
        "impl_login": [],
        "impl_jwt": ["impl_login"],
        "impl_rate": ["impl_login"],
        "impl_limiting": ["impl_login"],
        "impl_api": ["impl_jwt", "impl_rate", "impl_limiting"],
    }
    assert [node["criteria"] for node in said["nodes"]] == [[f"AC-{n}"] for n in range(1, 6)]
    assert said["name"] == "login-jwt"
    assert plan_for(GOAL) == said


@pytest.mark.parametrize("goal", ["", "Do it", "増やす", "And the new one"])
def test_a_goal_without_words_is_named_by_its_context_or_else_by_plain_ones(goal: str) -> None:
    ids = [node["id"] for node in plan_for(goal)["nodes"]]
    assert ids == [
        f"impl_{each}" for each in ("model", "service", "interface", "storage", "overview")
    ]
    ids = [node["id"] for node in plan_for(goal, "Export invoices as CSV")["nodes"]]
    assert ids[:3] == ["impl_export", "impl_invoices", "impl_csv"]


def test_its_checks_are_red_before_the_made_work_and_green_after_it(tmp_path: Path) -> None:
    plan = plan_of(plan_for(GOAL))
    names = Names(plan.name, "PRD-1", "", "B", {node.id: node.id for node in plan.nodes})
    graph = build(parse(pipeline(plan, names)))
    script = scenario_for(graph)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def shell(line: str) -> int:
        argv = ["bash", "-c", line]
        return subprocess.run(
            argv, cwd=tmp_path, env=env, capture_output=True, timeout=SECONDS, check=False
        ).returncode

    assert shell("git init -q") == 0
    for node in plan.nodes:
        (green,) = node.checks
        (call,) = script.turns("orchestrator", node.id, 1)[0].blocks
        assert isinstance(call, ToolCall)
        assert call.turns
        (work,) = call.turns[0].blocks
        assert isinstance(work, ToolCall)
        assert shell(green) == 1
        assert shell(work.input["command"]) == 0
        assert shell(green) == 0
