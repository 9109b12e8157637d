"""One layer of a real, rehearsed run is killed after some entry of its journal: it ends as ever.

Which layer after which entry is drawn from a seed, and all are tried where ATTRACTOR_FULL=1.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import signal as posix_signals
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run import watched
from attractor.run.locate import read_object
from attractor.run.story import StoryEvent
from signals.clock import SystemClock
from signals.owner import Owner, owner_of

pytestmark = [pytest.mark.crash, pytest.mark.timeout(500)]

PIPELINE = """digraph p {
    graph [label="Three", promise_id=""];
    start [shape=Mdiamond, label="Start", handler="start", status="pending"];
    one [shape=box, label="One", handler="codergen", worker_type="backend-solutions-engineer",
         bead_id="B-1", promise_ac="AC-1", prompt="Write one.txt.", files="one.txt",
         acceptance="There is one.txt.", status="pending"];
    finish [shape=Msquare, label="Done", handler="exit", status="pending"];
    start -> one -> finish;
}
"""
# The journal of a run in which nothing is killed has 26 entries; its session lives in some of them.
ALWAYS = itertools.product(("keeper", "guardian", "task", "model"), range(1, 27))
MEANWHILE = itertools.product(("runner", "claude", "tmux"), range(8, 24))
POINTS = [*ALWAYS, *MEANWHILE]
FULL = os.environ.get("ATTRACTOR_FULL") == "1"


def seed_of(config: pytest.Config) -> int:
    given = os.environ.get("ATTRACTOR_SEED") or config.getoption("randomly_seed", 0)
    return int(given) if str(given).isdigit() else 0


@pytest.mark.parametrize("number", range(len(POINTS) if FULL else 3))
def test_whatever_is_killed_whenever_the_run_ends_as_if_nothing_had_been(
    rehearsed: Any,
    number: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    seed = seed_of(request.config)
    drawn = POINTS if FULL else random.Random(seed).sample(POINTS, 3)
    layer, seq = drawn[number]
    run = rehearsed()
    path = run.folder / "three.dot"
    path.write_text(PIPELINE)
    run.begin(path)
    entry = run.await_entry(
        lambda each, _: each.seq >= seq or each.event == StoryEvent.RUN_ENDED.value
    )
    killed = KILLS[layer](run)
    how = "killed" if killed else "was not there"
    record_property(
        "shown", f"crash, real: {layer} {how} after entry {entry.seq} {entry.event} (seed {seed})"
    )

    status = run.status()
    if layer == "keeper" and status != 0:
        assert "attractor resume" in run.said()
        run.resume()
        status = run.status()
    assert status == 0, run.said()
    check(run, crashed=killed and layer == "claude")


def check(run: Any, *, crashed: bool) -> None:
    assert run.final()["result"] == "validated"
    moved = [each.data for each in run.entries() if each.event == "NodeMoved"]
    begun = Counter((m["node"], m["attempt"]) for m in moved if m["event"] == "dispatched")
    assert set(begun.values()) == {1}
    story = run.story()
    attempts = {name: len(story.nodes[name].attempts) for name in ("start", "one", "finish")}
    # Only the end of the agent itself is an end of its attempt.
    assert attempts in ({"start": 1, "one": 1, "finish": 1}, {"start": 1, "one": 2, "finish": 1})
    assert attempts["one"] == 1 or crashed
    assert not any(each.free for each in story.nodes["one"].attempts)
    log = run.git("log", "--merges", "--format=%s", story.integration)
    assert re.findall(r"(?m)^Merge (\w+), attempt", log) == ["one"]
    assert run.git("show", f"{story.integration}:one.txt")
    told = [each.signal_type for each in run.told(run.layout.terminal_mailbox)]
    assert told.count("PIPELINE_COMPLETE") == 1


def kill_task(run: Any) -> bool:
    names = [each for each in run.processes() if each.startswith("task ")]
    return sum(run.kill(each) for each in names) > 0


def kill_claude(run: Any) -> bool:
    """Kill the session's own Claude Code, outside of its fence."""
    node = os.path.dirname(run.layout.launch("one")).encode()
    for each in filter(str.isdigit, os.listdir("/proc")):
        owner = owner_of(int(each))
        try:
            words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/claude") and any(word.startswith(node) for word in words):
            return owner is not None and shot(owner)
    return False


def kill_tmux(run: Any) -> bool:
    socket = read_object(run.layout.session("one")).get("socket")
    if not socket:
        return False
    argv = ["tmux", "-S", str(socket), "-f", "/dev/null", "display-message", "-p", "#{pid}"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    owner = owner_of(int(said.stdout)) if said.stdout.strip().isdigit() else None
    return owner is not None and shot(owner)


def shot(owner: Owner) -> bool:
    try:
        os.kill(owner.pid, posix_signals.SIGKILL)
    except ProcessLookupError:
        return False
    assert watched.ended(owner, 60, SystemClock())
    return True


KILLS: dict[str, Callable[[Any], bool]] = {
    "keeper": lambda run: bool(run.kill("keeper")),
    "guardian": lambda run: bool(run.kill("guardian")),
    "runner": lambda run: bool(run.kill("runner one")),
    "claude": kill_claude,
    "task": kill_task,
    "model": lambda run: bool(run.kill("model")),
    "tmux": kill_tmux,
}
