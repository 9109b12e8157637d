"""What the tests of rubrics share: a small rubric that is good, and pipelines from a few lines."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build

MANIFEST = """\
prd_id: PRD-X
title: Two things
thresholds: {accept: 0.60, investigate: 0.40}
features:
  - id: F1
    title: Greets
    weight: 0.75
    validation_method: code-analysis
    criteria: [AC-1]
    file: greets.feature
  - id: F2
    title: Refuses
    weight: 0.25
    validation_method: code-analysis
    criteria: [AC-2]
    file: refuses.feature
"""
GREETS = """\
Feature: F1 Greets
  Weight: 0.75

  Scenario: A name
    When `hello Ada` is run
    Then stdout is "Hello, Ada!"

  # Scoring Guide
  #   1.0: it is exact
  # Evidence to Check
  #   hello.py
  # Red Flags
  #   a fixed name
"""


@pytest.fixture
def files() -> dict[str, bytes]:
    """The files of a rubric with which nothing is wrong."""
    refuses = GREETS.replace("F1 Greets", "F2 Refuses").replace("A name", "No name")
    return {
        "manifest.yaml": MANIFEST.encode(),
        "greets.feature": GREETS.encode(),
        "refuses.feature": refuses.encode(),
    }


@pytest.fixture
def graph_of() -> Callable[[str], Graph]:
    """`graph_of("a -> b")`: the pipeline with these statements."""

    def make(text: str) -> Graph:
        return build(parse(f"digraph g {{\n{textwrap.dedent(text)}\n}}\n"))

    return make
