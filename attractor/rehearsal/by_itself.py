"""The turns of an orchestrator that has no workers: it does itself what theirs would do.

Pure. For agents that cannot delegate; a worker's last words are left out, since they are said to
nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from attractor.rehearsal.turn import ORCHESTRATOR, NodeScript, ToolCall, Turn


def by_itself(own: NodeScript) -> NodeScript:
    """Return what is scripted for a node, with an orchestrator that works alone."""
    return NodeScript(
        _roles(own.roles), {number: _roles(roles) for number, roles in own.attempts.items()}
    )


def _roles(roles: Mapping[str, Sequence[Turn]]) -> dict[str, Sequence[Turn]]:
    return {
        role: [each for turn in turns for each in _undelegated(turn)]
        if role == ORCHESTRATOR
        else turns
        for role, turns in roles.items()
    }


def _undelegated(turn: Turn) -> Iterator[Turn]:
    calls = [each for each in turn.blocks if isinstance(each, ToolCall) and each.turns]
    inner = [each for call in calls for each in call.turns or () if _acts(each)]
    if not inner:
        yield turn
        return
    first, *rest = inner
    yield replace(
        first, when=turn.when, sessions=turn.sessions, failures=(*turn.failures, *first.failures)
    )
    yield from rest


def _acts(turn: Turn) -> bool:
    return any(isinstance(each, ToolCall) for each in turn.blocks)
