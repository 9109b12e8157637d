"""From an answer to files: the pipeline lints clean, and each document says what the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import NodeId, build
from attractor.pipeline.lint import lint
from attractor.plan import books, documents
from attractor.plan.draft import draft, files, plan_of
from attractor.plan.model import Project, Scope
from attractor.plan.pipeline_text import Names, pipeline
from attractor.rehearsal.made_plan import plan_for
from attractor.rubric import prd
from attractor.run.assign import worked_on
from attractor.run.config import load, resolve
from attractor.run.roles import Role, role

GOAL = "A command that greets people by name"


@pytest.fixture
def said() -> dict[str, Any]:
    return plan_for(GOAL)


@pytest.fixture
def names(said: dict[str, Any], tmp_path: Path) -> Names:
    return books.names(str(tmp_path), said["name"], [each["id"] for each in said["nodes"]])


def test_a_good_answer_has_no_faults(said: dict[str, Any], names: Names) -> None:
    found = draft(said, names, Scope.STANDARD, Project("x"))
    assert found.faults == ()
    assert {f"{names.plan}.dot", f"{names.prd}.md"} < {*found.files}


def test_two_nodes_side_by_side_that_write_one_file_are_a_fault(names: Names) -> None:
    found = draft(plan_for(GOAL, broken=True), names, Scope.STANDARD, Project("x"))
    assert [each.rule for each in found.faults] == ["same-file"]
    assert found.files == {}


def test_a_criterion_that_only_a_risk_names_is_a_fault(said: dict[str, Any], names: Names) -> None:
    said["prd"]["risks"] = ["AC-77 may be hard."]
    found = draft(said, names, Scope.STANDARD, Project("x"))
    assert [each.problem for each in found.faults] == ["the requirements name AC-77, which is none"]


def test_what_no_dot_file_can_hold_is_a_fault_and_no_crash(
    said: dict[str, Any], names: Names
) -> None:
    said["nodes"][0]["goal"] = "a \ud800 half"
    assert draft(said, names, Scope.STANDARD, Project("x")).faults


def test_the_pipeline_says_of_each_node_all_that_a_run_needs(
    said: dict[str, Any], names: Names
) -> None:
    plan = plan_of(said)
    graph = build(parse(pipeline(plan, names), "p"))
    assert worked_on(graph) == [each.id for each in plan.nodes]
    assert graph.attrs["prd_ref"] == names.prd
    assert graph.attrs["promise_id"] == names.promise
    for node in plan.nodes:
        own = graph.nodes[NodeId(node.id)].attrs
        assert own["skill_file"] == f"skills/{node.id}/SKILL.md"
        assert own["bead_id"] == names.beads[node.id]
        assert own["promise_ac"].split(",") == list(node.criteria)
        assert own["files"].split(",") == list(node.files)
        settings = resolve(own, graph.attrs, load(None, {}))
        assert settings.words("checks") == node.checks
        above = [str(edge.source) for edge in graph.incoming[NodeId(node.id)]]
        assert above == list(node.after or ("start",))


def test_before_the_exit_all_is_checked_and_judged_and_nobody_is_asked(
    said: dict[str, Any], names: Names
) -> None:
    graph = build(parse(pipeline(plan_of(said), names), "p"))
    roles = [role(graph, graph.nodes[NodeId(each)]) for each in ("check_all", "judge_all")]
    assert roles == [Role.CHECK, Role.JUDGE]
    checks = graph.nodes[NodeId("check_all")].attrs["checks"].splitlines()
    assert checks == [each for node in said["nodes"] for each in node["checks"]]
    assert Role.PERSON not in {role(graph, each) for each in graph.nodes.values()}
    assert graph.nodes[NodeId("judge_all")].attrs["promise_ac"] == "AC-1,AC-2,AC-3,AC-4,AC-5"


def test_a_node_may_be_called_as_a_gate_is(said: dict[str, Any], names: Names) -> None:
    text = "\n".join(files(plan_of(said), names).values())
    old = said["nodes"][-1]["id"]
    assert old in text
    said["nodes"][-1]["id"] = "check_all"
    beads = {**names.beads, "check_all": "x-1"}
    graph = build(parse(pipeline(plan_of(said), names._replace(beads=beads)), "p"))
    assert "check_all_" in graph.nodes
    assert [each.rule for each in lint(graph, (), strict=True)] == []


def test_quotes_ends_of_lines_and_markup_reach_the_graph_as_they_are(
    said: dict[str, Any], names: Names
) -> None:
    told = 'Say "hi" \\n <b>\nand\tmore // no comment'
    said["nodes"][0]["goal"] = told
    said["title"] = "A title\n} digraph evil {"
    graph = build(parse(pipeline(plan_of(said), names), "p"))
    assert graph.nodes[NodeId(said["nodes"][0]["id"])].attrs["prompt"] == told


def test_the_requirements_have_the_criteria_and_no_other(
    said: dict[str, Any], names: Names, tmp_path: Path
) -> None:
    said["prd"]["criteria"][0]["text"] = "It prints\n## AC and more"
    path = tmp_path / "PRD.md"
    path.write_text(documents.requirements(plan_of(said)))
    found = prd.read(str(path))
    assert found.criteria == ("AC-1", "AC-2", "AC-3", "AC-4", "AC-5")
    assert "- AC-1: It prints ## AC and more\n" in found.text


def test_instructions_have_the_parts_of_a_skill(said: dict[str, Any]) -> None:
    plan = plan_of(said)
    text = documents.skill(plan, plan.nodes[0])
    assert text.startswith(f'---\nname: "{plan.nodes[0].id.replace("_", "-")}"\ndescription: "')
    headings = [each for each in text.splitlines() if each.startswith("## ")]
    wanted = ["Goal", "What it is part of", "Criteria", "Reference style", "Outline", "Steps"]
    assert headings == [f"## {each}" for each in [*wanted, "Files", "Checks", "Privacy and safety"]]
    assert "- [ ] No secrets" in text
    assert "1. Write" in text
