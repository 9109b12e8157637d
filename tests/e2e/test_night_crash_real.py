"""A layer is killed while a rehearsed run reviews, remembers, plans again or looks back.

Which layer during which of these is drawn from a seed; all are tried where ATTRACTOR_FULL=1.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

NIGHT_SECONDS = 400
"""For a whole night on a machine that may be busy; no wait is meant to be waited out."""

LAYERS = ("keeper", "guardian", "task", "model")
# The kind of a task, and which of its kind: reviews are by scan, by self and by another.
MOMENTS = (
    *(("review", number) for number in range(1, 7)),
    *(("remember", number) for number in (1, 2, 3)),
    ("replan", 1),
    *(("retrospect", number) for number in (1, 2)),
)
POINTS = [*itertools.product(LAYERS, MOMENTS)]
FULL = os.environ.get("ATTRACTOR_FULL") == "1"


def seed_of(config: pytest.Config) -> int:
    given = os.environ.get("ATTRACTOR_SEED") or config.getoption("randomly_seed", 0)
    return int(given) if str(given).isdigit() else 0


@pytest.mark.parametrize("number", range(len(POINTS) if FULL else 2))
def test_whatever_is_killed_while_it_looks_again_the_run_ends_as_if_nothing_had_been(
    rehearsed: Any,
    number: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    seed = seed_of(request.config)
    drawn = POINTS if FULL else random.Random(seed).sample(POINTS, 2)
    layer, (kind, place) = drawn[number]
    futile = kind == "replan"
    faults = ("futile@one",) if futile else ("findings@one", "afterthought@one")
    run = rehearsed()
    words = [word for each in faults for word in ("--fault", each)]
    run.begin(run.one_node(), "--persistent", "--review", "self,codex", *words)
    seen = itertools.count(1)
    run.await_entry(
        lambda each, _: (
            each.event == "TaskBegun" and each.data["kind"] == kind and next(seen) == place
        ),
        NIGHT_SECONDS,
    )
    how = "killed" if kill(run, layer) else "was not there"
    record_property("shown", f"crash, real: {layer} {how} in {kind} {place} (seed {seed})")

    assert run.status_at_last(NIGHT_SECONDS, killed=layer) == 0, run.said()
    check(run, futile=futile)


def kill(run: Any, layer: str) -> bool:
    names = [each for each in run.processes() if each.partition(" ")[0] == layer]
    return sum(run.kill(each) for each in names) > 0


def check(run: Any, *, futile: bool) -> None:
    final = run.final()
    assert final["result"] == "validated"
    entries = run.entries()
    begun = Counter(each.data["task"] for each in entries if each.event == "TaskBegun")
    assert set(begun.values()) == {1}
    moved = [each.data for each in entries if each.event == "NodeMoved"]
    sent = Counter((m["node"], m["attempt"]) for m in moved if m["event"] == "dispatched")
    assert set(sent.values()) == {1}
    nodes = {each["id"]: each for each in final["nodes"]}
    # Claude Code says what it has cost when it ends; one that had to be killed says nothing.
    assert any("cost_usd" in each["usage"] for each in nodes["one"]["attempts"])
    changes = [(each["why"], each["node"], each["nodes"]) for each in final["changes"]]
    found = [each["reviewer"] for each in nodes["one"]["reviews"] if each["findings"]]
    looks = [each["outcome"] for each in final["looks_back"]]
    worked = {"one"} if futile else {"one", "R01"}
    if futile:
        assert (changes, found, looks) == ([("replan", "one", [])], [], ["silent"])
        assert nodes["one"]["replanned"] == 1
    else:
        assert changes == [("retrospect", "finish", ["R01"])]
        assert (found, looks) == (["codex"], ["added", "silent"])
    assert {*nodes} == {"start", "finish", *worked}
    log = run.git("log", "--merges", "--format=%s", run.story().integration)
    assert sorted(re.findall(r"(?m)^Merge (\w+), attempt", log)) == sorted(worked)
    told = [each.signal_type for each in run.told(run.layout.terminal_mailbox)]
    assert told.count("PIPELINE_COMPLETE") == 1
