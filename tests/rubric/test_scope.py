"""Each feature counts where it is said, where its criteria are promised, or at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rubric import manifest
from attractor.rubric.model import Feature, Rubric
from attractor.rubric.scope import scope

Make = Callable[[str], Graph]
NODES = """
    start [shape=Mdiamond]; finish [shape=Msquare];
    a [shape=box, promise_ac="AC-1", acceptance="A holds."];
    b [shape=box, promise_ac="AC-2", prompt="Write b."];
    unit [shape=hexagon, handler="wait.system3", gate_type=unit];
    gate [shape=hexagon, handler="wait.human", gate=technical, mode=technical];
    person [shape=hexagon, handler="wait.human", gate=business, mode=technical];
"""


def rubric(*features: Feature) -> Rubric:
    return Rubric(folder="/r", prd_id="PRD-X", features=features)


def feature(name: str, *criteria: str, nodes: tuple[str, ...] = ()) -> Feature:
    return Feature(id=name, title=name, weight=1, criteria=criteria, nodes=nodes)


def test_the_examples_are_judged_as_their_papers_say(root: Path) -> None:
    expected = {
        "hello": {"impl_hello": "F1", "judge_hello": "F1 F2 F3"},
        "diamond": {
            "impl_left": "F1",
            "impl_right": "F2",
            "check_both": "F1 F2 F3",
            "judge_both": "F1 F2 F3",
        },
        "auth": {
            "impl_jwt": "F1",
            "impl_login": "F2",
            "impl_session": "F3",
            "check_auth": "F1 F2 F3 F4",
        },
        "release": {},
    }
    for name, nodes in expected.items():
        _, graph = load(str(root / "pipelines" / f"{name}.dot"))
        folder = root / "acceptance-tests" / graph.attrs["prd_ref"]
        found = scope(graph, manifest.load(str(folder)))
        assert {node: " ".join(ids) for node, ids in found.features.items()} == nodes
        assert found.acceptance == {}


def test_a_feature_counts_where_it_names_a_node_and_not_where_its_criteria_are(
    graph_of: Make,
) -> None:
    graph = graph_of(NODES + "start -> a -> b -> finish")
    found = scope(graph, rubric(feature("F1", "AC-1", nodes=("b",)), feature("F2", "AC-1")))
    assert found.features == {"a": ["F2"], "b": ["F1"]}


def test_a_feature_that_names_only_strangers_counts_by_its_criteria(graph_of: Make) -> None:
    graph = graph_of(NODES + "start -> a -> b -> finish")
    found = scope(graph, rubric(feature("F1", "AC-1", nodes=("nowhere",))))
    assert found.features == {"a": ["F1"]}


def test_work_without_a_feature_is_judged_by_its_acceptance_else_its_prompt(
    graph_of: Make,
) -> None:
    graph = graph_of(NODES + r'c [label="\N"]; start -> a -> b -> c -> gate -> finish')
    found = scope(graph, rubric(feature("F1", "AC-2")))
    assert found.features == {"b": ["F1"], "gate": ["F1"]}
    assert found.acceptance == {"a": "A holds.", "c": "c"}


def test_without_a_rubric_a_gate_is_judged_by_what_stands_before_it(graph_of: Make) -> None:
    graph = graph_of(NODES + "start -> a -> b -> gate -> finish")
    found = scope(graph, None)
    assert found.features == {}
    assert found.acceptance == {"a": "A holds.", "b": "Write b.", "gate": "A holds.\nWrite b."}


def test_gates_of_checks_and_of_persons_are_not_judged(graph_of: Make) -> None:
    graph = graph_of(
        NODES + "ran [shape=hexagon, handler=tool, command=true, gate=technical];"
        "start -> a -> unit -> person -> ran -> finish"
    )
    found = scope(graph, rubric(feature("F1", "AC-1")))
    assert not {"unit", "person", "ran"} & {*found.features, *found.acceptance}


def test_a_gate_does_not_judge_what_comes_after_it(graph_of: Make) -> None:
    graph = graph_of(NODES + "start -> a -> gate -> b -> finish")
    found = scope(graph, rubric(feature("F1", "AC-1"), feature("F2", "AC-2")))
    assert found.features == {"a": ["F1"], "b": ["F2"], "gate": ["F1"]}


@pytest.mark.parametrize("back", ["decide -> a [condition=fail]", "decide -> start", "b -> a"])
def test_an_arrow_that_leads_back_makes_nothing_stand_before_the_gate(
    graph_of: Make, back: str
) -> None:
    graph = graph_of(
        NODES + "decide [shape=diamond]; decide -> finish [condition=pass];"
        f"{back}; start -> a -> gate -> b -> decide;"
    )
    found = scope(graph, rubric(feature("F1", "AC-1"), feature("F2", "AC-2")))
    assert found.features["gate"] == ["F1"]


def test_a_feature_about_the_whole_counts_where_all_work_is_done(graph_of: Make) -> None:
    graph = graph_of(
        NODES + "early [shape=hexagon, gate=e2e]; start -> a -> early -> b -> gate -> finish"
    )
    found = scope(graph, rubric(feature("F1", "AC-1"), feature("F9", "AC-9")))
    assert found.features == {"a": ["F1"], "early": ["F1"], "gate": ["F1", "F9"]}


def test_without_such_a_gate_it_counts_at_the_gates_after_which_no_work_comes(
    graph_of: Make,
) -> None:
    graph = graph_of(
        NODES + "other [shape=hexagon, handler=wait.system3, gate_type=contract];"
        "start -> a -> gate -> finish; start -> b -> other -> finish"
    )
    found = scope(graph, rubric(feature("F9")))
    assert found.features == {"gate": ["F9"], "other": ["F9"]}


def test_without_any_gate_it_counts_at_the_last_work(graph_of: Make) -> None:
    graph = graph_of(NODES + "start -> a -> gate -> b -> finish")
    whole = rubric(feature("F1", "AC-1"), feature("F9"))
    assert scope(graph, whole).features == {"a": ["F1"], "b": ["F9"], "gate": ["F1"]}


def test_what_counts_nowhere_is_known(graph_of: Make) -> None:
    whole = rubric(feature("F1", "AC-1"))
    assert scope(graph_of("start -> person; person [shape=hexagon]"), whole).unjudged(whole) == [
        "F1"
    ]
    assert scope(graph_of(NODES + "start -> a"), whole).unjudged(whole) == []


def test_a_circle_without_a_beginning_ends(graph_of: Make) -> None:
    found = scope(graph_of("a -> b -> a"), rubric(feature("F1", nodes=("a",))))
    assert found.features == {"a": ["F1"]}
