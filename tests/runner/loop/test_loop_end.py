"""The end of a node: what is told of it, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from attractor.agents.usage import Usage
from runner.state import State
from signals import kinds

DONE = "All done.\n\n<promise>NODE_COMPLETE</promise>"


@pytest.mark.parametrize(
    "order",
    [
        kinds.ValidationPassed(node_id="build"),
        kinds.KillOrchestrator(node_id="build", reason="the budget is used"),
    ],
)
def test_what_a_session_says_it_has_cost_when_it_ends_is_told(
    night: Any, monkeypatch: pytest.MonkeyPatch, order: Any
) -> None:
    one = night()

    def usage(state: State) -> State:
        ended = one.session.words()[-1:] == ["end"]
        return replace(state, usage=Usage(cost_usd=0.5)) if ended else state

    monkeypatch.setattr(one.loop, "_usage", usage)
    one.commit()
    one.turn(DONE)
    assert one.signals[-1].payload.usage.cost_usd is None
    assert one.order(order) == ["AGENT_TERMINATED", "RUNNER_EXITED"]
    assert one.signals[-1].payload.usage.cost_usd == 0.5
