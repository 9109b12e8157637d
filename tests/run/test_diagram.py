from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.lint import lint
from attractor.pipeline.load import load
from attractor.run.diagram import node_states_dot
from attractor.run.states import TABLE, Move, NodeState

DRAWN = "docs/node-states.dot"


def test_the_drawn_diagram_is_what_the_table_says(root: Path) -> None:
    assert (root / DRAWN).read_text() == node_states_dot()


def test_the_diagram_holds_every_state_and_every_move(root: Path) -> None:
    _, graph = load(root / DRAWN)
    assert set(graph.nodes) == {"start", "end"} | {each.value for each in NodeState}
    drawn = {
        (each.source, each.target, each.attrs["label"].split("\n")[0])
        for each in graph.edges
        if "label" in each.attrs
    }
    assert drawn == {
        (state.value, move.to.value, event.value)
        for (state, event), move in TABLE.items()
        if isinstance(move, Move)
    }


def test_our_own_linter_has_nothing_to_say_about_it(root: Path) -> None:
    document, graph = load(root / DRAWN)
    assert lint(graph, document.warnings) == []


def test_the_lint_command_accepts_it(cli: Callable[..., Any], root: Path) -> None:
    assert cli("lint", root / DRAWN).status == 0


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_it(root: Path) -> None:
    done = subprocess.run(
        ["dot", "-Tsvg", root / DRAWN], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(each.value in done.stdout for each in NodeState)
