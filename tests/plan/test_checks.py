"""Every rule about a plan, by properties: a legal plan has no fault, each mutation has its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attractor.plan.checks import FIRST, RULES, check, levels, order
from attractor.plan.model import Criterion, Fault, Plan, PlannedNode, Prd, Scope
from attractor.plan.sizes import MOST_ITEMS, SIZES
from attractor.project.model import Command, Component, Project

PROJECT = Project("/project")
MONO = Project("/project", components=(Component("api", "packages/api", "npm"),))
EXAMPLES = 25
RUN = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])

Draw = Callable[[st.SearchStrategy[Any]], Any]
Mutation = Callable[[Plan, Draw, Scope], Plan]
HOSTILE = st.text(st.characters(exclude_categories=()), max_size=12)


def of_node(change: Callable[[PlannedNode, Draw, Scope], PlannedNode]) -> Mutation:
    """Change one node, whichever."""

    def mutate(plan: Plan, draw: Draw, scope: Scope) -> Plan:
        at = draw(st.integers(0, len(plan.nodes) - 1))
        nodes = [*plan.nodes]
        nodes[at] = change(nodes[at], draw, scope)
        return replace(plan, nodes=tuple(nodes))

    return mutate


def node_with(**said: st.SearchStrategy[Any]) -> Mutation:
    def change(node: PlannedNode, draw: Draw, scope: Scope) -> PlannedNode:
        return replace(node, **{key: draw(value) for key, value in said.items()})

    return of_node(change)


def node_and(key: str, more: st.SearchStrategy[str]) -> Mutation:
    def change(node: PlannedNode, draw: Draw, scope: Scope) -> PlannedNode:
        return replace(node, **{key: (*getattr(node, key)[1:], draw(more))})

    return of_node(change)


def renamed(plan: Plan, old: str, new: str) -> Plan:
    nodes = tuple(
        replace(
            node,
            id=new if node.id == old else node.id,
            after=tuple(new if each == old else each for each in node.after),
        )
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def another_id(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    bad = ["start", "Exit", "FINISH", "node", "graph", "R01", "r7", "9lives", "a-b", "ä", "x" * 41]
    first = plan.nodes[0].id
    if len(plan.nodes) > 1 and draw(st.booleans()):
        return renamed(plan, plan.nodes[1].id, f"{first}_2")
    return renamed(plan, first, draw(st.sampled_from([*bad, "", "a b", 'a"b'])))


def twin(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    first = plan.nodes[0]
    other = replace(first, id=first.id.upper(), label="Another", files=("other.md",))
    return replace(plan, nodes=(*plan.nodes[: SIZES[scope].nodes - 1], other))


def beside(plan: Plan, *files: str, label: str = "Another") -> Plan:
    """Keep one node, with all criteria that are left, and put another one beside it."""
    prd = replace(plan.prd, criteria=plan.prd.criteria[:1])
    first = replace(plan.nodes[0], after=(), criteria=(prd.criteria[0].id,))
    other = replace(first, id="another", label=label, files=files)
    return replace(plan, prd=prd, nodes=(first, other))


def one_label(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    label = plan.nodes[0].label
    return beside(plan, "other.md", label=draw(st.sampled_from([label, f" {label.upper()} "])))


def circle(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    turn = order(plan)
    last = turn[draw(st.integers(0, len(turn) - 1))]
    nodes = tuple(
        replace(node, after=(*node.after, last))
        if node.id == turn[0]
        else replace(node, after=(*node.after, turn[0]))
        if node.id == last
        else node
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def both_write(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    path = plan.nodes[0].files[0]
    folder = path.rpartition("/")[0]
    same = [path, f"./{path}", f"{folder}/", folder, f"{folder}/*.py", "**/0.py", path.upper()]
    return beside(plan, draw(st.sampled_from(same)))


def too_many_nodes(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    if draw(st.booleans()):
        return replace(plan, nodes=(), prd=replace(plan.prd, criteria=()))
    count = SIZES[scope].nodes + 1 - len(plan.nodes)
    more = tuple(
        replace(plan.nodes[0], id=f"more{n}", label=f"More {n}", files=(f"more{n}.md",))
        for n in range(count)
    )
    return replace(plan, nodes=(*plan.nodes, *more))


def too_long(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    which = draw(st.sampled_from(["title", "summary", "goal", "steps", "nodes", "check"]))
    first = plan.nodes[0]
    changed = {
        "goal": replace(first, goal="word " * 1000),
        "steps": replace(first, steps=("step",) * (MOST_ITEMS + 1)),
        "check": replace(first, checks=("pytest " + "x" * 500,)),
    }
    if which == "title":
        return replace(plan, title="t" * 1001)
    if which == "summary":
        return replace(plan, prd=replace(plan.prd, summary="s" * 4001))
    if which == "nodes":
        return replace(plan, nodes=(first,) * (MOST_ITEMS + 1))
    return replace(plan, nodes=(changed[which], *plan.nodes[1:]))


def unfit_text(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    bad = draw(st.sampled_from(["\0", "\x1b", "\x7f", "\ud800"]))
    if draw(st.booleans()):
        return replace(plan, title=f"List{bad} users")
    return of_node(lambda node, *_: replace(node, outline=bad))(plan, draw, scope)


def with_prd(change: Callable[[Prd, Draw], Prd]) -> Mutation:
    return lambda plan, draw, _: replace(plan, prd=change(plan.prd, draw))


def no_prd(prd: Prd, draw: Draw) -> Prd:
    if draw(st.booleans()):
        return replace(prd, summary=draw(st.sampled_from(["", "  ", "users"])))
    return replace(prd, requirements=draw(st.sampled_from([(), ("",)])))


def other_criterion_id(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    bad = draw(st.sampled_from(["AC1", "ac-1", "AC-0", "AC-01", "AC-", "1", "", "AC-12345", "R-1"]))
    old = plan.prd.criteria[0]
    criteria = (replace(old, id=bad), *plan.prd.criteria[1:])
    nodes = tuple(
        replace(node, criteria=tuple(bad if each == old.id else each for each in node.criteria))
        for node in plan.nodes
    )
    return replace(plan, prd=replace(plan.prd, criteria=criteria), nodes=nodes)


def dropped(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    gone = draw(st.sampled_from([each.id for each in plan.prd.criteria]))
    nodes = tuple(
        replace(node, criteria=tuple(each for each in node.criteria if each != gone))
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def bare_criterion(prd: Prd, draw: Draw) -> Prd:
    text = draw(st.sampled_from(["", "  ", "works"]))
    return replace(prd, criteria=(replace(prd.criteria[0], text=text), *prd.criteria[1:]))


def too_many(key: str, make: Callable[[int, PlannedNode], str]) -> Mutation:
    def change(node: PlannedNode, draw: Draw, scope: Scope) -> PlannedNode:
        count = getattr(SIZES[scope], key) + draw(st.integers(1, 3))
        return replace(node, **{key: tuple(make(n, node) for n in range(count))})

    return of_node(change)


def too_many_files(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    if draw(st.booleans()):
        return too_many("files", lambda n, node: f"src/{node.id}/{n}.py")(plan, draw, scope)
    count = SIZES[scope].files // 3 + 1
    return of_node(
        lambda node, *_: replace(node, files=tuple(f"src/{node.id}/{n}/" for n in range(count)))
    )(plan, draw, scope)


def too_many_parts(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    count = SIZES[scope].surfaces + 1
    return of_node(
        lambda node, *_: replace(node, files=tuple(f"part{n}/{node.id}.py" for n in range(count)))
    )(plan, draw, scope)


def too_many_criteria(plan: Plan, draw: Draw, scope: Scope) -> Plan:
    ids = tuple(f"AC-{n + 1}" for n in range(SIZES[scope].criteria + 1))
    criteria = tuple(Criterion(each, "It can be seen") for each in ids)
    nodes = (
        replace(plan.nodes[0], criteria=ids),
        *(replace(n, criteria=()) for n in plan.nodes[1:]),
    )
    return replace(plan, nodes=nodes, prd=replace(plan.prd, criteria=criteria))


NO_PATHS = ["", " ", ".", "./", "*", "**", "**/*", "a\\b", "src/{a,b}.py", "a\nb"]
OUTSIDE = ["/etc/passwd", "../other", "src/../../x", "~/notes", "~root/x", "C:/x", "a/../b"]
RESERVED = [".git/config", ".claude/settings.json", "x/.git/hooks/y", ".Git/x", ".attractor/memory"]
VACUOUS = ["true", ":", "exit 0", "echo ok", "pytest || true", "pytest; echo done", "# pytest"]
NO_LINES = ["pytest 'tests", "pytest\nmypy", 'npm test "', "a\u2028b"]
ONLY_PRAISE = ["", "done", "It works", "It works as expected.", "All tests pass", "The tests pass."]

MUTATIONS: dict[str, Mutation] = {
    "too-long": too_long,
    "text": unfit_text,
    "name": lambda plan, draw, _: draw(
        st.one_of(
            st.sampled_from(["", "9", "a b", "../x", "a/b", "x" * 49, "é"]).map(
                lambda bad: replace(plan, name=bad)
            ),
            st.sampled_from(["", "  ", "a\nb"]).map(lambda bad: replace(plan, title=bad)),
        )
    ),
    "prd": with_prd(no_prd),
    "criterion-id": other_criterion_id,
    "criterion-twice": with_prd(lambda prd, _: replace(prd, criteria=prd.criteria * 2)),
    "criterion-text": with_prd(bare_criterion),
    "criterion-carried": dropped,
    "criterion-known": of_node(lambda node, *_: replace(node, criteria=("AC-999",))),
    "plan-size": too_many_nodes,
    "node-id": another_id,
    "node-twice": twin,
    "label": node_with(label=st.sampled_from(["", " ", "a\nb"])),
    "label-twice": one_label,
    "goal": node_with(goal=st.sampled_from(["", "users", "\n"])),
    "acceptance": node_with(acceptance=st.sampled_from(ONLY_PRAISE)),
    "steps": node_with(steps=st.sampled_from([(), ("",), (" ", "")])),
    "files": node_with(files=st.just(())),
    "path": node_and("files", st.sampled_from(NO_PATHS)),
    "path-outside": node_and("files", st.sampled_from(OUTSIDE)),
    "path-reserved": node_and("files", st.sampled_from([*RESERVED, "acceptance-tests/x/m.yaml"])),
    "checks": node_with(checks=st.sampled_from([(), ("",), (" ",)])),
    "check-line": node_and("checks", st.sampled_from(NO_LINES)),
    "check-vacuous": node_and("checks", st.sampled_from(VACUOUS)),
    "after-known": of_node(lambda node, *_: replace(node, after=(*node.after, "nobody"))),
    "cycle": circle,
    "node-files": too_many_files,
    "node-surfaces": too_many_parts,
    "node-steps": too_many("steps", lambda n, _: f"step {n}"),
    "node-criteria": too_many_criteria,
    "same-file": both_write,
}
ALSO: dict[str, set[str]] = {
    "check-line": {"check-vacuous"},
    "criterion-known": {"criterion-carried"},
    "plan-size": {"prd"},
    "path": {"node-files", "same-file"},
    "path-outside": {"node-files", "node-surfaces", "same-file"},
    "path-reserved": {"node-files", "node-surfaces", "same-file"},
    "node-twice": {"criterion-carried", "after-known"},
}
"""What comes along with a mutation, where one thing cannot be wrong alone."""


def rules(faults: list[Fault]) -> set[str]:
    return {each.rule for each in faults}


def test_every_rule_is_broken_by_a_mutation() -> None:
    assert set(MUTATIONS) == {*RULES, *FIRST}


@pytest.mark.parametrize("scope", Scope)
@given(data=st.data())
@RUN
def test_a_legal_plan_has_no_fault(
    plans: SimpleNamespace, scope: Scope, data: st.DataObject
) -> None:
    plan = data.draw(plans.legal(scope))
    assert check(plan, scope, PROJECT) == []
    assert check(plan, scope, MONO) == []


@pytest.mark.parametrize("rule", MUTATIONS)
@given(data=st.data(), scope=st.sampled_from(Scope))
@RUN
def test_a_mutation_of_a_legal_plan_is_told_by_its_rule(
    plans: SimpleNamespace, rule: str, data: st.DataObject, scope: Scope
) -> None:
    plan = MUTATIONS[rule](data.draw(plans.legal(scope)), data.draw, scope)
    faults = check(plan, scope, PROJECT)
    assert rule in rules(faults), (plan, faults)
    assert rules(faults) <= {rule, *ALSO.get(rule, ())}, faults


@st.composite
def garbage(draw: st.DrawFn) -> Plan:
    """Anything of the right shape."""
    word = st.one_of(
        HOSTILE, st.sampled_from(["a", "b", "AC-1", "src/*", "[", "**", "true", "| &&"])
    )
    words = st.lists(word, max_size=4).map(tuple)
    node = st.builds(PlannedNode, word, word, word, word, word, *[words] * 5, word, words, word)
    criteria = st.lists(st.builds(Criterion, word, word), max_size=3).map(tuple)
    prd = st.builds(Prd, word, words, criteria, words, words)
    nodes = st.lists(node, max_size=5).map(tuple)
    return draw(st.builds(Plan, word, word, word, prd, nodes))


@given(plan=garbage(), scope=st.sampled_from(Scope))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_no_plan_is_too_odd_to_be_checked(plan: Plan, scope: Scope) -> None:
    faults = check(plan, scope, MONO)
    assert faults
    assert faults == check(plan, scope, MONO)
    for each in faults:
        assert each.rule in {*RULES, *FIRST}
        assert each.problem
        assert each.fix
        assert each.problem.isprintable()
        assert len(each.problem) < 800


@given(plan=garbage())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_every_node_of_any_plan_has_one_place_in_the_order(plan: Plan) -> None:
    assert sorted(order(plan)) == sorted({each.id for each in plan.nodes})
    assert set(levels(plan)) == set(order(plan))


@pytest.mark.parametrize("scope", Scope)
@given(data=st.data())
@RUN
def test_the_order_of_a_legal_plan_respects_every_after(
    plans: SimpleNamespace, scope: Scope, data: st.DataObject
) -> None:
    plan = data.draw(plans.legal(scope))
    place = {each: number for number, each in enumerate(order(plan))}
    level = levels(plan)
    for node in plan.nodes:
        for each in node.after:
            assert place[each] < place[node.id]
            assert level[each] < level[node.id]


def test_nodes_one_after_another_may_write_the_same_file(plans: SimpleNamespace) -> None:
    plan = plans.plain(3)
    same = tuple(replace(each, files=("src/app.py",)) for each in plan.nodes)
    assert check(replace(plan, nodes=same), Scope.SIMPLE, PROJECT) == []


def test_a_fault_names_both_nodes_and_the_file(plans: SimpleNamespace) -> None:
    plan = plans.plain(2)
    apart = tuple(replace(each, files=("src/app.py",), after=()) for each in plan.nodes)
    (fault,) = check(replace(plan, nodes=apart), Scope.SIMPLE, PROJECT)
    assert fault.rule == "same-file"
    assert all(each in fault.problem for each in ("parse_dates", "store_users", "src/app.py"))


def test_a_missing_check_is_told_with_the_tests_that_the_project_has(
    plans: SimpleNamespace,
) -> None:
    plan = plans.plain(1)
    project = Project("/project", commands=(Command("test", "pytest"), Command("lint", "ruff")))
    bare = replace(plan, nodes=(replace(plan.nodes[0], checks=()),))
    (fault,) = check(bare, Scope.SIMPLE, project)
    assert "'pytest'" in fault.fix
    assert "ruff" not in fault.fix


def test_a_component_is_one_part_whatever_its_folders(plans: SimpleNamespace) -> None:
    plan = plans.plain(1)
    files = ("packages/api/src/a.ts", "packages/api/lib/b.ts", "packages/api/tests/c.ts")
    inside = replace(plan, nodes=(replace(plan.nodes[0], files=files),))
    assert check(inside, Scope.SIMPLE, MONO) == []
    two = (*files, "packages/web/a.ts")
    outside = replace(plan, nodes=(replace(plan.nodes[0], files=two),))
    assert rules(check(outside, Scope.SIMPLE, MONO)) == {"node-surfaces"}


def test_what_a_simple_node_may_not_have_a_complex_one_may(plans: SimpleNamespace) -> None:
    plan = plans.plain(1)
    files = tuple(f"src/{n}.py" for n in range(20))
    large = replace(plan, nodes=(replace(plan.nodes[0], files=files, steps=("s",) * 12),))
    assert rules(check(large, Scope.SIMPLE, PROJECT)) == {"node-files", "node-steps"}
    assert check(large, Scope.COMPLEX, PROJECT) == []
