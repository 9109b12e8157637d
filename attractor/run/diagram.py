"""The life of a node as a picture: the table of states, drawn as DOT.

Pure: the table in, text out. `docs/node-states.dot` is that text, and a test keeps the two alike.
"""

from __future__ import annotations

from typing import Final

from attractor.pipeline.render import STATUS_COLOURS
from attractor.run.states import TABLE, TERMINAL, Move, NodeEvent, NodeState

_ORDER: Final = list(NodeState)


def node_states_dot() -> str:
    """Return the table of states as a DOT graph."""
    lines = [
        "// Written by attractor/run/diagram.py from the table in attractor/run/states.py.",
        "// Write it again with: python -I -m attractor.run.diagram > docs/node-states.dot",
        "digraph node_states {",
        '    label="The life of a node"',
        "    rankdir=LR",
        "    node [shape=ellipse, style=filled]",
        "",
        '    start [shape=Mdiamond, label="start"]',
    ]
    lines += [_node(each) for each in NodeState]
    lines += ['    end [shape=Msquare, label="end"]', "", f"    start -> {NodeState.PENDING.value}"]
    lines += [
        _edge(state, event, answer)
        for (state, event), answer in TABLE.items()
        if isinstance(answer, Move)
    ]
    lines += [f"    {each.value} -> end" for each in NodeState if each in TERMINAL]
    return "\n".join([*lines, "}", ""])


def _node(state: NodeState) -> str:
    name = state.value
    return f'    {name} [label="{name}", fillcolor={STATUS_COLOURS[name]}]'


def _edge(state: NodeState, event: NodeEvent, move: Move) -> str:
    effects = "".join(f"\\n{each.value}" for each in move.effects)
    attrs = f'label="{event.value}{effects}"'
    if _ORDER.index(move.to) < _ORDER.index(state):
        # Without a condition, an arrow back would be an endless loop.
        attrs += ", condition=fail, style=dashed"
    return f"    {state.value} -> {move.to.value} [{attrs}]"


if __name__ == "__main__":
    print(node_states_dot(), end="")  # noqa: T201 - this is how the file is written
