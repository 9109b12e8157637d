"""Lint finds each way in which a rubric could not judge, and finds nothing in a good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from attractor.pipeline.load import load
from attractor.rubric import manifest, prd
from attractor.rubric.lint import lint

Files = dict[str, bytes]


def found(files: Files, fatal: bool | None = None, **known: object) -> list[str]:
    said = lint(manifest.parse(files, "/r"), **known)  # type: ignore[arg-type]
    assert all(each.where and each.fix for each in said)
    return [each.problem for each in said if fatal is None or each.fatal is fatal]


def edited(files: Files, name: str, old: str, new: str) -> Files:
    text = files[name].decode()
    assert old in text
    return {**files, name: text.replace(old, new).encode()}


def test_a_good_rubric_has_no_findings(files: Files) -> None:
    assert found(files, criteria=("AC-1", "AC-2"), nodes={"a"}, prd_id="PRD-X") == []


@pytest.mark.parametrize("name", ["hello", "auth", "diamond", "release"])
def test_the_rubrics_of_the_examples_have_no_findings(root: Path, name: str) -> None:
    pipeline = str(root / "pipelines" / f"{name}.dot")
    _, graph = load(pipeline)
    called = prd.name_of(graph)
    document = prd.read(prd.find(called, pipeline, str(root)))
    rubric = manifest.load(str(root / "acceptance-tests" / called))
    assert document.criteria
    assert all(each.criteria for each in rubric.features)
    nodes = {*map(str, graph.nodes)}
    assert lint(rubric, criteria=document.criteria, nodes=nodes, prd_id=called) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("manifest.yaml", "0.75", "0.5", "the weights sum to 0.75"),
        ("manifest.yaml", "0.75", "0", "the feature F1 weighs 0"),
        ("manifest.yaml", "0.75", "1.5", "the feature F1 weighs 1.5"),
        ("manifest.yaml", "0.60", "0.30", "the thresholds are out of order"),
        ("manifest.yaml", "0.60", "60", "the thresholds are out of order"),
        ("manifest.yaml", "id: F2", "id: F1", "the id F1 stands twice"),
        ("manifest.yaml", "refuses.feature", "gone.feature", "there is no file 'gone.feature'"),
        ("manifest.yaml", "refuses.feature", "gone.feature", "refuses.feature belongs to no"),
        ("manifest.yaml", "refuses.feature", "../x.feature", "there is no file '../x.feature'"),
        ("manifest.yaml", "refuses.feature", "manifest.yaml", "there is no file 'manifest.yaml'"),
        ("manifest.yaml", "refuses.feature", "greets.feature", "belongs to two features"),
        ("greets.feature", '    Then stdout is "Hello, Ada!"\n', "", "has no Then"),
        ("greets.feature", 'stdout is "Hello, Ada!"', "it works as expected.", "all is well"),
        ("greets.feature", "  # Evidence to Check\n  #   hello.py\n", "", "is evidence of it"),
        ("manifest.yaml", "[AC-2]", "[AC-1]", "no feature covers AC-2"),
        ("manifest.yaml", "[AC-2]", "[AC-2, AC-9]", "covers AC-9, which the PRD does not have"),
        ("manifest.yaml", "[AC-2]", "[AC-2]\n    nodes: [a, nowhere]", "names 'nowhere'"),
    ],
)
def test_each_mistake_is_fatal(files: Files, name: str, old: str, new: str, problem: str) -> None:
    said = found(edited(files, name, old, new), True, criteria=("AC-1", "AC-2"), nodes={"a"})
    assert [each for each in said if problem in each], said


def test_a_feature_without_a_scenario_is_fatal(files: Files) -> None:
    files["greets.feature"] = b"Feature: F1 Greets\n"
    assert found(files, True) == ["the feature F1 has no scenario"]


def test_a_feature_without_a_file_is_fatal(files: Files) -> None:
    files = edited(files, "manifest.yaml", "    file: refuses.feature\n", "")
    del files["refuses.feature"]
    assert found(files, True) == ["no .feature file belongs to the feature F2"]


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("greets.feature", "  # Scoring Guide\n  #   1.0: it is exact\n", "", "how it is scored"),
        ("manifest.yaml", "code-analysis", "by-magic", "no validation_method that is known"),
        ("manifest.yaml", "prd_id: PRD-X", "prd_id: PRD-Y", "this rubric is of 'PRD-Y'"),
    ],
)
def test_what_does_not_spoil_a_verdict_is_a_warning(
    files: Files, name: str, old: str, new: str, problem: str
) -> None:
    files = edited(files, name, old, new)
    assert found(files, True, prd_id="PRD-X") == []
    assert problem in found(files, False, prd_id="PRD-X")[0]


def test_a_rubric_that_lists_no_criteria_is_asked_for_those_it_does_not_even_mention(
    files: Files,
) -> None:
    files = edited(files, "manifest.yaml", "    criteria: [AC-1]\n", "    rationale: see AC-1\n")
    files = edited(files, "manifest.yaml", "    criteria: [AC-2]\n", "")
    assert found(files, True, criteria=("AC-1", "AC-2")) == []
    said = found(files, False, criteria=("AC-1", "AC-2"))
    assert said == ["no feature says that it covers AC-2 of the PRD"]


@pytest.mark.parametrize(
    "outcome",
    [
        "it works",
        "the login works as expected",
        "Everything is fine.",
        "the service should work correctly",
        "it passes",
        "the feature is implemented",
        "All is well!",
    ],
)
def test_an_outcome_that_only_says_that_all_is_well_is_vacuous(files: Files, outcome: str) -> None:
    files = edited(files, "greets.feature", 'stdout is "Hello, Ada!"', outcome)
    assert len(found(files, True)) == 1


@pytest.mark.parametrize(
    "outcome",
    [
        "the exit status is 0",
        "stdout is empty",
        "every one comes back as it was",
        "the last one is refused",
        "it raises TokenError",
        "all tests pass",
        "works.txt is written",
    ],
)
def test_an_outcome_that_can_be_observed_is_not_vacuous(files: Files, outcome: str) -> None:
    files = edited(files, "greets.feature", 'stdout is "Hello, Ada!"', outcome)
    assert found(files) == []


def test_one_observable_outcome_is_enough(files: Files) -> None:
    files = edited(files, "greets.feature", "    Then ", "    Then it works\n    And ")
    assert found(files) == []
