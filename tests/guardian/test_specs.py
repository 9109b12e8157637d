"""What a task is told: from which commit on the work is judged."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.run.node_story import Attempt
from attractor.run.records import Task
from attractor.run.story import Story
from guardian import specs
from guardian.assemble import _iso
from guardian.core import Core

GRAPH = (
    "digraph g { start [shape=Mdiamond]; w [shape=box]; g [shape=hexagon, gate=unit];"
    "finish [shape=Msquare]; start -> w -> g -> finish; }"
)


@pytest.mark.parametrize(
    ("node", "attempt", "base"),
    [("w", 1, "first"), ("w", 2, "second"), ("w", 3, "base"), ("g", 1, "base")],
)
def test_work_is_judged_from_where_its_attempt_began_and_a_gate_from_where_the_run_did(
    house: type[Any], node: str, attempt: int, base: str
) -> None:
    made, story = house(GRAPH), Story()
    for name in ("w", "g"):
        story.node(name).attempts += [
            Attempt(1, "", "first"),
            Attempt(2, "", "second"),
            Attempt(3, ""),
        ]
    core = Core(made.graph, made.terms, made.request, story, _iso)
    task = Task("t", "validate", node, attempt, {"commit": "c", "round": 0}, "")
    assert specs.spec(core, task)["base"] == base
