"""The example pipelines: they lint, Graphviz draws them, and their rubrics are whole."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from attractor.pipeline.facts import gather
from attractor.pipeline.lint import lint
from attractor.pipeline.load import load
from attractor.pipeline.rules_harness import VALIDATION_METHODS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "pipelines").glob("*.dot"))
DIALECTS = sorted((ROOT / "pipelines" / "dialects").glob("*.dot"))
RUBRICS = sorted((ROOT / "acceptance-tests").glob("*/manifest.yaml"))
NOT_GRAPHVIZ = {"strongdm.dot"}  # dotted names and bare durations


def name(path: Path) -> str:
    return path.parent.name if path.name == "manifest.yaml" else path.name


def test_the_promised_examples_are_there() -> None:
    assert [path.name for path in EXAMPLES] == [
        "auth.dot",
        "diamond.dot",
        "hello.dot",
        "release.dot",
    ]
    assert [path.stem for path in DIALECTS] == ["graphviz", "harness", "strongdm"]


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_an_example_has_no_finding_at_all(path: Path) -> None:
    document, graph = load(path)
    facts = gather(str(path), graph, files=True)
    assert graph.dialect == "harness"
    assert set(facts.manifests) == {graph.attrs["prd_ref"]}
    assert lint(graph, document.warnings, facts, strict=True) == []
    assert (path.parent / "prd" / f"{graph.attrs['prd_ref']}.md").is_file()


@pytest.mark.parametrize("path", DIALECTS, ids=name)
def test_every_dialect_lints_without_errors(path: Path) -> None:
    document, graph = load(path)
    assert graph.dialect == path.stem
    found = lint(graph, document.warnings, gather(str(path), graph, files=True))
    assert {one.rule for one in found} == ({"missing_comma"} if path.stem == "harness" else set())


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("path", [*EXAMPLES, *DIALECTS], ids=name)
def test_graphviz_draws_what_is_legal_graphviz(path: Path) -> None:
    done = subprocess.run(["dot", "-Tsvg", str(path)], capture_output=True, timeout=30, check=False)
    assert (done.returncode == 0) is (path.name not in NOT_GRAPHVIZ)


def test_the_named_nodes_are_there() -> None:
    graph = load(ROOT / "pipelines" / "auth.dot")[1]
    assert {"impl_jwt", "impl_login", "impl_session"} <= set(graph.nodes)
    graph = load(ROOT / "pipelines" / "diamond.dot")[1]
    assert len(graph.nodes) == 6
    graph = load(ROOT / "pipelines" / "release.dot")[1]
    assert [graph.handler(node) for node in graph.nodes.values()] == [
        "start",
        "tool",
        "wait.human",
        "exit",
    ]


@pytest.mark.parametrize("path", RUBRICS, ids=name)
def test_a_rubric_is_whole(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text("utf-8"))
    assert manifest["prd_id"] == path.parent.name
    assert set(manifest) >= {"title", "created", "guardian_session", "thresholds", "features"}
    assert manifest["thresholds"] == {"accept": 0.6, "investigate": 0.4, "reject": 0.0}
    features = manifest["features"]
    assert sum(one["weight"] for one in features) == pytest.approx(1.0)
    assert all(one["validation_method"] in VALIDATION_METHODS for one in features)
    assert all(one["title"] and one["rationale"] for one in features)
    files = {one["file"] for one in features}
    assert files == {file.name for file in path.parent.glob("*.feature")}
    for one in features:
        check_feature((path.parent / one["file"]).read_text("utf-8"), one)


def check_feature(text: str, entry: dict[str, object]) -> None:
    assert text.startswith(f"Feature: {entry['id']} {entry['title']}\n")
    assert f"\n  Weight: {entry['weight']:.2f}\n" in text
    assert re.search(r"^  Scenario(?: Outline)?: \S", text, re.MULTILINE)
    heads = ["# Scoring Guide", "# Evidence to Check", "# Red Flags"]
    assert [line.strip() for line in text.splitlines() if line.strip() in heads] == heads
    assert re.search(r"^  #   1\.0: ", text, re.MULTILINE)
    assert re.search(r"^  #   0\.0: ", text, re.MULTILINE)
