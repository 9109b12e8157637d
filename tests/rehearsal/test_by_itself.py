"""An orchestrator without workers does what theirs would do."""

from __future__ import annotations

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.rehearsal.by_itself import by_itself
from attractor.rehearsal.default import scenario_for
from attractor.rehearsal.faults import apply
from attractor.rehearsal.faults import parse as faults
from attractor.rehearsal.turn import JUDGE, ORCHESTRATOR, NodeScript, Text, ToolCall, Turn

GRAPH = build(parse('digraph g { a [shape=box, handler="codergen", label="A", files="a.py"]; }'))


def tools(turns: list[Turn]) -> list[str]:
    return [block.name for turn in turns for block in turn.blocks if isinstance(block, ToolCall)]


def test_what_a_worker_would_do_is_done_and_the_rest_stays() -> None:
    own = scenario_for(GRAPH).nodes["a"]
    alone = by_itself(own)
    assert tools(list(own.roles[ORCHESTRATOR])) == ["Agent"]
    assert tools(list(alone.roles[ORCHESTRATOR])) == ["Bash"]
    assert alone.roles[JUDGE] == own.roles[JUDGE]
    (last,) = alone.roles[ORCHESTRATOR][-1].blocks
    assert isinstance(last, Text)
    assert "NODE_COMPLETE" in last.text


def test_what_goes_wrong_before_a_worker_is_started_still_does() -> None:
    script = apply(scenario_for(GRAPH), faults(["ratelimit@a", "reject@a"], ["a"]))
    alone = by_itself(script.nodes["a"])
    first, *_ = alone.attempts[1][ORCHESTRATOR]
    assert first.failures
    assert tools(list(alone.attempts[1][ORCHESTRATOR])) == ["Bash", "Bash"]


def test_turns_without_workers_are_left_alone() -> None:
    own = NodeScript({ORCHESTRATOR: [Turn((Text("Nothing is left to do."),))]})
    assert by_itself(own) == own
