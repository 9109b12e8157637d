"""`attractor stop RUN`: a whole run ends, in order or at once."""

from __future__ import annotations

import json
import os
import signal as posix_signals
from pathlib import Path
from typing import Any

import pytest

from attractor.run import keeping, watched
from attractor.run.following import Following
from attractor.run.tail import ended_with
from signals.clock import SystemClock
from signals.owner import Liveness, owner_of


@pytest.fixture
def waiting(ground: Any) -> Any:
    """A run that waits for a person."""
    assert ground.run(ground.gate()).status == 3
    return ground


def killed(who: Any, layout: Any) -> None:
    owner, _ = who(layout)
    os.kill(owner.pid, posix_signals.SIGKILL)
    assert watched.ended(owner, 60, SystemClock())


def test_a_run_is_stopped_in_order(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    done = waiting.attractor("stop", waiting.names()[0], "--reason", "lunch", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["run"] == waiting.names()[0]
    assert ended_with(layout.journal) == "stopped"
    assert '"reason":"lunch"' in Path(layout.journal).read_text()
    assert waiting.keepers() == []
    assert keeping.guardian(layout)[1] is Liveness.DEAD
    assert waiting.attractor("resume", "--detach").status == 0


def test_who_watches_a_run_that_is_stopped_gets_4(waiting: Any) -> None:
    assert waiting.attractor("stop", waiting.names()[0]).status == 0
    (layout,) = waiting.layouts()
    final = json.loads(Path(layout.final).read_text())
    assert final["exit"] == 4


def test_a_run_without_a_keeper_is_stopped_by_one_that_is_started_for_it(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    for who in (keeping.keeper, keeping.guardian):
        killed(who, layout)
    done = waiting.attractor("stop", waiting.names()[0])
    assert done.status == 0, done.err
    assert ended_with(layout.journal) == "stopped"
    assert waiting.keepers() == []


def test_a_run_that_has_ended_is_left_as_it_is(ground: Any) -> None:
    assert ground.run(ground.tools("true")).status == 0
    (layout,) = ground.layouts()
    before = Path(layout.journal).read_bytes()
    done = ground.attractor("stop", ground.names()[0])
    assert (done.status, "ended already" in done.out) == (0, True)
    assert Path(layout.journal).read_bytes() == before


def test_a_guardian_that_does_not_answer_is_late_and_the_order_stays(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    owner, _ = keeping.guardian(layout)
    os.kill(owner.pid, posix_signals.SIGSTOP)
    done = waiting.attractor("stop", waiting.names()[0], "--timeout", "0.5", "--json")
    assert (done.status, json.loads(done.out)["code"]) == (1, "timeout")
    assert "--kill" in json.loads(done.out)["fix"]
    assert len([*Path(layout.guardian_mailbox).glob("*STOP_RUN.json")]) == 1


def test_kill_ends_everything_at_once_and_the_run_can_go_on(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    os.kill(keeping.guardian(layout)[0].pid, posix_signals.SIGSTOP)
    before = Path(layout.journal).read_bytes()
    done = waiting.attractor("stop", waiting.names()[0], "--kill")
    assert done.status == 4, done.err
    assert keeping.keeper(layout)[1] is Liveness.DEAD
    assert keeping.guardian(layout)[1] is Liveness.DEAD
    assert Path(layout.journal).read_bytes() == before
    assert waiting.attractor("resume").status == 3


def test_kill_ends_a_command_under_way_with_what_it_started(ground: Any) -> None:
    mark = ground.project / "pid.txt"
    pipeline = ground.tools(f"sh -c 'echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 600'")
    assert ground.run(pipeline, "--detach").status == 0
    (layout,) = ground.layouts()
    with Following(str(ground.project), ["pid.txt"]) as following:
        while not mark.exists():
            following.wait(1.0)
    pid = int(mark.read_text())
    assert ground.attractor("stop", ground.names()[0], "--kill").status == 4
    left = owner_of(pid)  # its leash may need a moment
    assert left is None or watched.ended(left, 60, SystemClock())
    assert keeping.guardian(layout)[1] is Liveness.DEAD


def test_a_run_comes_before_a_node_of_its_name(waiting: Any) -> None:
    name = waiting.names()[0]
    (layout,) = waiting.layouts()
    os.makedirs(layout.node(name))
    assert waiting.attractor("stop", name).status == 0
    assert ended_with(layout.journal) == "stopped"


def test_kill_is_for_runs_only(cli: Any, made_run: Any) -> None:
    said = cli("stop", made_run.node, "--kill")
    assert said.status == 1
    assert "there is no run" in said.err
    assert "--now" in said.err
