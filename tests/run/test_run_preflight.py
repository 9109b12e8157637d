"""What a whole run would do, and what forbids it, beyond what one node needs."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.run import config
from attractor.run.preflight import Finding, Plan
from attractor.run.request import Request
from attractor.run.run_preflight import plan_of_run, unknown_agents

WHOLE = """
digraph p {{
    start [shape=Mdiamond];
    a [shape=box, prompt="Do it.", acceptance="It is done." {a}];
    check [shape=hexagon, gate="technical"];
    done [shape=Msquare];
    {more}
    start -> a -> check -> done;
}}
"""


def planned(a: str = "", more: str = "", *, words: tuple[str, ...] = (), **asked: Any) -> Plan:
    document = parse(WHOLE.format(a=f", {a}" if a else "", more=more), "p.dot")
    request = Request(
        run_id="r1",
        project="/p",
        run_root="/p/.claude/attractor/runs/r1",
        pipeline="p.dot",
        base_commit="0" * 40,
        **asked,
    )
    return plan_of_run(document, build(document), request, config.load(None, {}, words))


def problem(plan: Plan) -> Finding:
    (found,) = plan.mistakes
    assert found.fatal
    assert found.where
    assert found.fix
    return found


def test_a_good_pipeline_is_planned_without_a_word() -> None:
    plan = planned()
    assert plan.mistakes == ()
    assert plan.branches == ("attractor/r1/integration", "attractor/r1/a")
    assert plan.agents == {"claude", "claude-headless"}
    assert (plan.sandbox, plan.project) == ("auto", "/p")


@pytest.mark.parametrize(
    ("handler", "shape"), [("stack.manager_loop", "house"), ("acceptance-test-writer", "component")]
)
def test_what_no_guardian_carries_out_is_refused_with_what_to_do(handler: str, shape: str) -> None:
    plan = planned(more=f'm [shape={shape}, handler="{handler}"]; a -> m -> check;')
    found = [each for each in plan.mistakes if "no run carries out" in each.problem]
    assert len(found) == 1
    assert found[0].where.startswith("p.dot:")
    assert found[0].fix.startswith("remove the node")


def test_what_lint_refuses_is_refused_with_its_place() -> None:
    plan = planned(more="lost [shape=box];")
    assert any(each.where.startswith("p.dot:7") for each in plan.mistakes)
    assert all(each.fatal for each in plan.mistakes)


@pytest.mark.parametrize(
    ("a", "says"),
    [
        ('stuck_after="soon"', "stuck_after"),
        ('agent="command"', "says none"),
        ('agent="claude-headless", workers="team"', "cannot have a team"),
        ('target_dir="../.."', "leads out of the repository"),
    ],
)
def test_each_mistake_in_what_a_node_is_told_is_found(a: str, says: str) -> None:
    assert says in problem(planned(a)).problem


def test_all_mistakes_are_found_at_once() -> None:
    more = 'b [shape=box, prompt="x", acceptance="y", agent="command"]; '
    plan = planned('agent="command"', f"{more} start -> b -> check;")
    assert {each.where for each in plan.mistakes} == {"node a", "node b"}


@pytest.mark.parametrize(
    ("a", "asked", "sandbox"),
    [
        ('sandbox="off"', {}, "off"),
        ('sandbox="required"', {}, "required"),
        ('sandbox="off"', {"sandbox": "required"}, "required"),
        ("", {}, "auto"),
    ],
)
def test_the_strictest_wall_that_is_asked_for_must_be_there(
    a: str, asked: dict[str, Any], sandbox: str
) -> None:
    assert planned(a, **asked).sandbox == sandbox


def test_a_command_line_counts_for_every_node() -> None:
    plan = planned(words=("agent=claude-headless",))
    assert plan.agents == {"claude-headless"}


@pytest.mark.parametrize(
    ("node", "writes_rubric", "agents"),
    [
        ('shape=hexagon, gate="technical"', False, {"claude-headless"}),
        ('shape=hexagon, gate="e2e"', False, {"claude-headless"}),
        ('shape=hexagon, gate="unit"', False, set()),
        ('shape=hexagon, gate="business"', False, set()),
        ('shape=hexagon, gate="unit"', True, {"claude-headless"}),
        ('shape=box, agent="command", command="make"', False, {"command", "claude-headless"}),
    ],
)
def test_what_is_judged_or_written_by_a_model_needs_the_model_without_a_terminal(
    node: str, writes_rubric: bool, agents: set[str]
) -> None:
    text = f"digraph g {{ s [shape=Mdiamond]; n [{node}]; e [shape=Msquare]; s -> n -> e }}"
    document = parse(text, "g.dot")
    request = Request(
        run_id="r1", project="/p", run_root="/p/r", pipeline="g.dot", base_commit="0" * 40
    )
    known = config.load(None, {})
    graph = build(document)
    assert (
        plan_of_run(document, graph, request, known, writes_rubric=writes_rubric).agents == agents
    )


@pytest.mark.parametrize("agent", ["codex", "gemini", "opencode", "claude"])
@pytest.mark.parametrize(
    ("a", "asked"),
    [
        ("", {"budget_usd": 5.0}),
        ("", {"budget_usd_per_hour": 5.0}),
        ("", {"node_budget_usd": 5.0}),
        (', budget_usd="5"', {}),
        ("", {"budget_tokens": 5}),
        ("", {}),
    ],
)
def test_a_budget_in_money_that_does_not_see_an_agent_is_noted(
    agent: str, a: str, asked: dict[str, Any]
) -> None:
    found = planned(f'agent="{agent}"{a}', **asked).mistakes
    unseen = agent in ("codex", "gemini") and bool(a or "usd" in str(asked))
    assert [(each.fatal, each.where) for each in found] == [(False, "p.dot:4:5")] * unseen
    for each in found:
        assert each.problem.startswith(f"{agent} names no cost")
        assert "tokens" in each.fix


def test_a_pipeline_without_agents_needs_none() -> None:
    text = (
        'digraph t { start [shape=Mdiamond]; t [shape=parallelogram, handler="tool", '
        'command="true"]; done [shape=Msquare]; start -> t -> done }'
    )
    document = parse(text, "t.dot")
    request = Request(
        run_id="r1", project="/p", run_root="/p/r", pipeline="t.dot", base_commit="0" * 40
    )
    plan = plan_of_run(document, build(document), request, config.load(None, {}))
    assert plan.agents == frozenset()
    assert plan.sandbox == "off"
    assert plan.branches == ("attractor/r1/integration",)


def test_there_must_be_room_on_the_disk_also_for_a_rehearsal() -> None:
    assert planned(rehearsed=True).disk
    assert planned().disk


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ('deadline="soon", default="approve"', "deadline cannot be 'soon'"),
        ('timeout="1 fortnight"', "timeout cannot be '1 fortnight'"),
        ('default="maybe"', "the default 'maybe' is none of the options"),
    ],
)
def test_what_a_guardian_could_not_read_is_found_before_it_comes_there(
    attributes: str, says: str
) -> None:
    gate = 'shape=hexagon, handler="wait.human", gate="business", mode="business"'
    more = f"g [{gate}, {attributes}]; a -> g"
    assert says in [each.problem for each in planned("", more).mistakes]


@pytest.mark.parametrize("folder", ["..", "../p2", "/elsewhere"])
def test_a_command_that_would_leave_its_tree_is_refused(folder: str) -> None:
    tool = 't [shape=box, handler="tool", command="true", target_dir="{}"]; a -> t -> check;'
    for plan in (planned(more=tool.format(folder)), planned(target_dir=folder)):
        assert any("leads out of the repository" in each.problem for each in plan.mistakes)


def test_a_folder_of_the_project_may_be_named_from_the_root() -> None:
    assert planned(target_dir="/p/sub").mistakes == ()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ('review="self,gemin"', ["gemin"]),
        ('review="self,gemini"', []),
        ('judge_agent="clod"', ["clod"]),
        ("", []),
    ],
)
def test_a_reviewer_or_judge_that_no_agent_is_is_refused(said: str, named: list[str]) -> None:
    graph = build(parse(f'digraph g {{ {said}; a [shape=box, handler="codergen"]; }}'))
    known = config.load(None, {})
    found = [*unknown_agents(graph, known, ["claude", "gemini"])]
    assert [each.problem for each in found] == [f"there is no agent {name!r}" for name in named]
    assert all(each.fatal and "gemini" in each.fix for each in found)
