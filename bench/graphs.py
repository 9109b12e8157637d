"""Generated pipelines, the same for every run."""

from __future__ import annotations

import random


def pipeline_text(nodes: int, *, seed: int = 7) -> str:
    """Return a pipeline with ten attributes per node and about 1.2 edges per node."""
    dice = random.Random(seed)
    lines = [
        "digraph big {",
        '    graph [label="Big", prd_ref="PRD-BIG-001", promise_id="promise-0badcafe"];',
        '    start [shape=Mdiamond, handler="start", status="validated", label="Start"];',
    ]
    lines += [
        f'    n{i} [shape=box, handler="codergen", label="Node {i}", bead_id="B-{i}", '
        f'worker_type="backend-solutions-engineer", acceptance="It works, say {i} people", '
        f'prd_ref="PRD-BIG-001", promise_ac="AC-{i}", timeout="900", status="pending"];'
        for i in range(nodes)
    ]
    lines += [
        '    gate [shape=hexagon, handler="wait.human", gate="technical", mode="technical"];',
        '    exit [shape=Msquare, handler="exit", label="Exit"];',
        "    start -> n0;",
    ]
    lines += [f"    n{i} -> n{i + 1};" for i in range(nodes - 1)]
    for _ in range(nodes // 5):
        low, high = sorted(dice.sample(range(nodes), 2))
        lines.append(f'    n{low} -> n{high} [label="needs"];')
    lines += [f"    n{nodes - 1} -> gate;", "    gate -> exit;", "}"]
    return "\n".join(lines) + "\n"


def fan_text(nodes: int) -> str:
    """Return a pipeline of chains of ten, side by side: many ready nodes, few edges each."""
    lines = ["digraph fan {", "    start [shape=Mdiamond];"]
    for i in range(nodes):
        lines.append(f"    n{i} [shape=box];")
        lines.append(f"    start -> n{i};" if i % 10 == 0 else f"    n{i - 1} -> n{i};")
    lines += ["    exit [shape=Msquare];"]
    lines += [f"    n{i} -> exit;" for i in range(9, nodes, 10)]
    return "\n".join([*lines, "}"]) + "\n"
