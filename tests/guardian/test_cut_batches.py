"""A batch that was cut by a crash, at every place: the next Guardian comes to the same end."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.run.limits import Limits
from attractor.run.states import NodeState
from guardian.hearing import Heard

RUBRIC = {"ok": True, "folder": "/r", "by": "hand", "files": {}, "scope": {}, "acceptance": {}}
BACK = """digraph g {
  start [handler="start"]; fork [handler="parallel"];
  a [handler="parallel"]; b [handler="parallel"];
  g [shape=hexagon, gate="business"]; d [shape=diamond]; finish [handler="exit"];
  start -> fork -> a -> g; fork -> b -> g; g -> d;
  d -> finish [condition="pass"]; d -> fork [condition="fail"];
}"""
WORK = 'digraph g { start [handler="start"]; w [handler="codergen"]; finish [handler="exit"]; '


def begun(house: type[Any], graph: str) -> Any:
    made = house(graph, {"": Limits(max_violations=2)})
    loop = made.guardian()
    loop.step()
    made.finish("rubric-1", RUBRIC)
    loop.step()
    return made


def ends(made: Any, killed: type[BaseException], what: Any, keep: int | None) -> Any:
    """Let something happen, cut the batch that follows from it, and let the next go on."""
    what(made)
    made.cut = lambda _: keep
    try:
        made.loop.step()
    except killed:
        made.cut = lambda _: None
        made.guardian().step()
    story = made.story()
    return {str(node): state for node, state in story.core.statuses.items()}, {
        node: [each.number for each in told.attempts] for node, told in story.nodes.items()
    }


def rejected(made: Any) -> None:
    said = '{"decision": "d1", "option": "reject", "note": "not yet"}'
    made.deliver(Heard("p1", "INPUT_RESPONSE", "terminal", "g", None, {"response": said}))


@pytest.mark.parametrize("keep", range(12))
def test_a_way_back_that_was_begun_is_gone_to_its_end(
    house: type[Any], killed: type[BaseException], keep: int
) -> None:
    whole = ends(begun(house, BACK), killed, rejected, None)
    assert whole[0]["g"] is NodeState.ACTIVE
    assert whole[0]["d"] is NodeState.PENDING
    assert whole[1]["a"] == [1, 2]
    assert ends(begun(house, BACK), killed, rejected, keep) == whole


def violated(made: Any) -> None:
    for number in range(2):
        made.deliver(Heard(f"v{number}", "VIOLATION", "runner", "w", 1, {"reason": "it wrote"}))


@pytest.mark.parametrize("keep", range(3))
def test_an_attempt_that_was_to_be_ended_is_ended(
    house: type[Any], killed: type[BaseException], keep: int
) -> None:
    graph = f"{WORK} start -> w -> finish; }}"
    whole = ends(begun(house, graph), killed, violated, None)
    assert whole[0]["w"] is NodeState.FAILED
    assert ends(begun(house, graph), killed, violated, keep) == whole
