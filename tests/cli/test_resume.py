"""`attractor resume`: what has ended, or died, goes on."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.run import keeping, watched
from attractor.run import request as requests
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout
from signals.clock import SystemClock
from signals.owner import Liveness


@pytest.fixture
def waiting(ground: Any) -> Any:
    """A run that waits for a person."""
    assert ground.run(ground.gate()).status == 3
    return ground


def killed(layout: RunLayout) -> None:
    for who in (keeping.keeper, keeping.guardian):
        owner, _ = who(layout)
        assert owner
        os.kill(owner.pid, posix_signals.SIGKILL)
        assert watched.ended(owner, 60, SystemClock())


def test_a_run_whose_keeper_and_guardian_were_killed_goes_on(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    killed(layout)
    done = waiting.attractor("resume", waiting.names()[0])
    assert done.status == 3, done.err
    assert keeping.keeper(layout)[1] is Liveness.ALIVE
    assert requests.load(layout.request).resumes == 0
    said = Path(layout.journal).read_text()
    assert said.count('"event":"DecisionAsked"') == 1


def test_what_it_waited_for_before_its_processes_were_killed_says_nothing_of_now(
    waiting: Any,
) -> None:
    (layout,) = waiting.layouts()
    killed(layout)
    done = waiting.attractor("resume", "--auto-approve")
    assert done.status == 0, done.out


def test_a_run_that_was_stopped_goes_on(waiting: Any) -> None:
    assert waiting.attractor("stop", waiting.names()[0]).status == 0
    done = waiting.attractor("resume", "--auto-approve")
    assert done.status == 0, done.err
    (layout,) = waiting.layouts()
    asked = requests.load(layout.request)
    assert (asked.resumes, asked.auto_approve) == (1, True)


def test_the_end_of_a_run_that_is_being_ended_is_waited_for_and_then_it_goes_on(
    ground: Any,
) -> None:
    begun, go_on = ground.project / "begun", ground.project / "go-on"
    for each in (begun, go_on):
        os.mkfifo(each)
    once = ground.home / "once"
    holds = f"[ -e {once} ] || {{ touch {once}; echo 1 > {begun}; cat {go_on}; }}"
    assert ground.run(ground.gate(), "--on-end", holds).status == 3
    (name,), (layout,) = ground.names(), ground.layouts()
    assert ground.attractor("stop", name, "--timeout", "0.1").status == 1
    assert begun.read_text() == "1\n"
    argv = [sys.executable, "-I", "-m", "attractor", "resume", name, "--auto-approve"]
    with subprocess.Popen(
        argv, cwd=ground.project, env=ground.env, stdout=-1, stderr=-1, text=True
    ) as child:
        assert child.stderr
        assert "is being ended; it goes on once it has" in child.stderr.readline()
        go_on.write_text("")
        out, err = child.communicate(timeout=120)
    assert child.returncode == 0, out + err
    asked = requests.load(layout.request)
    assert (asked.resumes, asked.auto_approve) == (1, True)


def test_what_died_while_it_was_being_ended_goes_on(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    killed(layout)
    with Journal.open(layout.journal, SystemClock()) as journal:
        journal.append("Stopping", {"reason": "the budget", "result": "budget"})
    done = waiting.attractor("resume", waiting.names()[0])
    assert done.status == 3, done.out + done.err
    assert requests.load(layout.request).resumes == 1


def test_of_what_was_one_line_is_told_and_then_only_news(waiting: Any) -> None:
    name = waiting.names()[0]
    said = waiting.attractor("resume", name).out.splitlines()
    assert said[0] == "so far  1 pending, 1 active, 1 validated"
    assert "the run begins" not in "".join(said)
    assert waiting.attractor("stop", name, "--reason", "lunch").status == 0
    said = waiting.attractor("resume", "--auto-approve").out.splitlines()
    assert said[0].startswith("so far  ")
    assert said[0].endswith("; it had ended stopped: lunch")
    assert "the run goes on" in said[1] or "the run goes on" in said[2]
    assert "the run begins" not in "".join(said)


def test_scripts_are_told_everything(waiting: Any) -> None:
    said = waiting.attractor("resume", "--json").out.splitlines()
    assert json.loads(said[0])["event"] in ("PipelineOpened", "RunStarted")


def test_the_current_run_is_meant_where_none_is_named(waiting: Any) -> None:
    assert waiting.attractor("resume").status == 3
    assert waiting.attractor("run", "--resume").status == 3
    assert waiting.attractor("run", "--resume", waiting.names()[0]).status == 3


def test_what_is_asked_for_anew_is_written_down(waiting: Any) -> None:
    (layout,) = waiting.layouts()
    done = waiting.attractor(
        "resume", "--budget-usd", "2.5", "--budget-tokens", 10**9, "--max-parallel", 9, "--detach"
    )
    assert done.status == 0, done.err
    assert "counts when it is resumed next" in done.err
    asked = requests.load(layout.request)
    assert (asked.budget_usd, asked.budget_tokens, asked.max_parallel) == (2.5, 10**9, 9)


def test_a_run_that_is_validated_is_only_shown(ground: Any) -> None:
    assert ground.run(ground.tools("true")).status == 0
    (layout,) = ground.layouts()
    before = Path(layout.request).read_bytes()
    done = ground.attractor("resume", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out.splitlines()[-1])["result"] == "validated"
    assert Path(layout.request).read_bytes() == before


def test_detached_it_says_whether_it_was_alive(waiting: Any) -> None:
    said = json.loads(waiting.attractor("resume", "--detach", "--json").out)
    assert (said["event"], said["was_alive"]) == ("resumed", True)


def test_a_run_that_is_not_there_is_an_error(waiting: Any) -> None:
    done = waiting.attractor("resume", "nothing", "--json")
    assert (done.status, json.loads(done.out)["code"]) == (1, "input")


def test_a_node_that_was_rehearsed_alone_is_no_run(cli: Any, made_run: Any) -> None:
    said = cli("resume", "r1")
    assert said.status == 1
    assert "no run of a whole pipeline" in said.err
