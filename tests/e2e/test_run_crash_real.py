"""One layer of a real, rehearsed run is killed after some entry of its journal: it ends as ever.

Which layer after which entry is drawn from a seed, and all are tried where ATTRACTOR_FULL=1.
"""

from __future__ import annotations

import itertools
import os
import signal as posix_signals
import subprocess
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

# The journal of a run in which nothing is killed has 26 entries; its session lives in some of them.
ALWAYS = itertools.product(("keeper", "guardian", "task", "model"), range(1, 27))
MEANWHILE = itertools.product(("runner", "claude", "tmux"), range(8, 24))
POINTS = [*ALWAYS, *MEANWHILE]
FULL, FEW = os.environ.get("ATTRACTOR_FULL") == "1", 3


@pytest.mark.parametrize("number", range(len(POINTS) if FULL else FEW))
def test_whatever_is_killed_whenever_the_run_ends_as_if_nothing_had_been(
    rehearsed: Any,
    number: int,
    drawn: Callable[..., tuple[Any, int]],
    record_property: Callable[[str, object], None],
) -> None:
    (layer, seq), seed = drawn(POINTS, FEW, number)
    run = rehearsed()
    run.begin(run.one_node())
    entry = run.await_entry(
        lambda each, _: each.seq >= seq or each.event == StoryEvent.RUN_ENDED.value
    )
    killed = KILLS[layer](run)
    how = "killed" if killed else "was not there"
    record_property(
        "shown", f"crash, real: {layer} {how} after entry {entry.seq} {entry.event} (seed {seed})"
    )

    assert run.status_at_last(killed=layer) == 0, run.said()
    check(run, crashed=killed and layer == "claude")


def check(run: Any, *, crashed: bool) -> None:
    assert run.final()["result"] == "validated"
    assert set(run.dispatched().values()) == {1}
    story = run.story()
    attempts = {name: len(story.nodes[name].attempts) for name in ("start", "one", "finish")}
    # Only the end of the agent itself is an end of its attempt.
    assert attempts in ({"start": 1, "one": 1, "finish": 1}, {"start": 1, "one": 2, "finish": 1})
    assert attempts["one"] == 1 or crashed
    assert not any(each.free for each in story.nodes["one"].attempts)
    assert run.merged() == ["one"]
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


def test_a_keeper_that_is_killed_while_the_rubric_is_written_is_missed_by_nobody(
    rehearsed: Any,
) -> None:
    run = rehearsed()
    document = run.folder / "PRD-ONE.md"
    document.write_text("# One\n\n* **AC-1** There is one.txt.\n")
    run.begin(run.one_node(), "--prd", str(document))
    run.await_entry(lambda each, _: each.data.get("kind") == "rubric")
    assert run.kill("keeper")

    run.await_entry(lambda each, _: each.event == StoryEvent.RUN_ENDED.value)
    story = run.story()
    assert story.ended["result"] == "validated", run.said()
    assert (story.rubric["by"], story.resumed, story.whole.free_tries) == ("agent", 0, 0)
