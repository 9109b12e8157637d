"""`attractor run`: from what is typed to a run that has ended, by real keepers and Guardians."""

from __future__ import annotations

import json
import os
import pty
import signal as posix_signals
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.run import ending
from signals.clock import SystemClock


def test_a_run_ends_validated_and_says_where_the_report_is(ground: Any) -> None:
    done = ground.run(ground.tools("true"))
    assert done.status == 0, done.err
    first, *_, report = done.out.splitlines()
    assert first == f"{ground.names()[0]} in {ground.project}"
    assert report.endswith("SUCCESS.md")
    assert os.path.isfile(report)
    assert "validated" in done.out
    assert ground.keepers() == []
    assert ground.git("status", "--porcelain") == ""
    assert os.readlink(ground.project / ".claude/attractor/current") == f"runs/{ground.names()[0]}"


def test_a_run_that_fails_exits_with_1(ground: Any) -> None:
    done = ground.run(ground.tools("echo no >&2; exit 3", "max_attempts=1"))
    assert done.status == 1, done.err
    assert "failed" in done.out


def test_json_tells_each_event_and_the_result_last(ground: Any) -> None:
    done = ground.run(ground.tools("true"), "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert lines[0]["event"] == "begun"
    assert all("event" in line for line in lines)
    moved = [line for line in lines if line["event"] == "NodeMoved" and line["node"] == "t"]
    assert [line["state"] for line in moved][-1] == "validated"
    last = lines[-1]
    assert (last["event"], last["result"], last["exit"]) == ("result", "validated", 0)
    assert {row["node"] for row in last["nodes"]} == {"start", "t", "done"}
    assert last["report"].endswith("SUCCESS.md")


def test_only_a_person_is_waited_for_is_3_and_the_run_lives_on(ground: Any) -> None:
    done = ground.run(ground.gate())
    assert done.status == 3, done.err
    name = ground.names()[0]
    assert f"attractor answer d1 approve --run {name}" in done.out
    assert len(ground.keepers()) == 1


def test_with_auto_approve_nobody_is_asked(ground: Any) -> None:
    assert ground.run(ground.gate(), "--auto-approve").status == 0


def test_what_asks_no_model_needs_no_room_in_a_budget(ground: Any) -> None:
    assert ground.run(ground.tools("true"), "--budget-tokens", 1).status == 0


def test_detached_it_says_how_to_get_back(ground: Any) -> None:
    done = ground.run(ground.gate(), "--detach")
    assert done.status == 0, done.err
    name = ground.names()[0]
    assert f"attractor resume {name}" in done.out
    assert f"attractor stop {name}" in done.out
    assert ground.attractor("resume", name).status == 3


def test_two_runs_in_one_second_have_two_names(ground: Any) -> None:
    pipeline = ground.tools("true")
    for _ in range(2):
        assert ground.run(pipeline, "--detach").status == 0
    assert len(ground.names()) == 2
    for name in ground.names():
        assert ground.attractor("resume", name).status == 0


# -- preflight


def test_preflight_says_that_it_can_start_and_makes_nothing(ground: Any) -> None:
    done = ground.run(ground.tools("true"), "--preflight")
    assert (done.status, done.out.splitlines()[-1]) == (0, "it can start")
    assert ground.names() == []


def test_preflight_lists_everything_with_its_fix(ground: Any) -> None:
    (ground.project / "a.txt").write_text("changed\n")
    pipeline = ground.write("digraph p { start [shape=Mdiamond]; m [shape=house]; start -> m }")
    done = ground.run(pipeline, "--preflight", "--json")
    assert done.status == 1
    said = json.loads(done.out)
    assert said["status"] == "error"
    problems = " ".join(each["problem"] for each in said["findings"])
    assert "not committed" in problems
    assert "supervise another pipeline" in problems
    assert all(each["fix"] for each in said["findings"])
    words = ground.run(pipeline, "--preflight")
    assert (words.status, words.out.splitlines()[-1]) == (1, "it cannot start")


def test_what_is_not_committed_forbids_a_run_unless_allowed(ground: Any) -> None:
    (ground.project / "a.txt").write_text("changed\n")
    refused = ground.run(ground.tools("true"))
    assert refused.status == 1
    assert "not committed" in refused.err
    assert ground.names() == []
    assert ground.run(ground.tools("true"), "--allow-dirty").status == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ((), 2, "there is no pipeline to run"),
        (("nowhere.dot",), 1, "no such file"),
        (("p.dot", "--fault", "crash@t"), 1, "add --rehearse"),
        (("p.dot", "--budget-usd", "0"), 2, "--budget-usd"),
        (("p.dot", "--budget-usd", "nan"), 2, "is no amount"),
        (("p.dot", "--budget-usd", "inf"), 2, "is no amount"),
        (("p.dot", "--budget-tokens", 10**12), 2, "--budget-tokens"),
        (("p.dot", "--rehearse", "--fault", "explode@t"), 1, "there is no fault"),
        (("p.dot", "--resume"), 2, "leave it out"),
        (("p.dot", "--prd", "nowhere.md"), 1, "no such document"),
        (("p.dot", "--set", "nonsense=1"), 1, "no setting"),
    ],
)
def test_what_is_typed_wrongly_is_said_in_words(
    ground: Any, words: tuple[str, ...], status: int, says: str
) -> None:
    ground.tools("true")
    done = ground.attractor("run", *words)
    assert done.status == status, done.err
    assert says in done.err.lower()
    assert "Traceback" not in done.err
    assert ground.names() == []


def test_outside_of_a_repository_it_is_refused_with_what_to_do(ground: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = ground.attractor("run", ground.tools("true"), "--project", tmp_path / "empty")
    assert done.status == 1
    assert "git init" in done.err


# -- rehearsals, and the terminal


def test_a_rehearsal_without_a_project_works_in_one_of_its_own(ground: Any) -> None:
    done = ground.run(ground.tools("true"), "--rehearse")
    assert done.status == 0, done.err
    assert ground.names() == []
    (made,) = (ground.data / "attractor" / "rehearsals").iterdir()
    assert (made / "project/.claude/attractor/runs" / made.name / "SUCCESS.md").is_file()
    assert ground.attractor("resume", made.name).status == 0
    for verb in ("report", "status", "decisions"):
        done = ground.attractor(verb, made.name)
        assert (done.status, made.name in done.out or verb == "report") == (0, True), done.err


def test_a_pipeline_behind_rehearse_is_the_pipeline(ground: Any) -> None:
    done = ground.attractor("run", "--rehearse", ground.tools("true"), "--preflight")
    assert done.out.splitlines()[-1] == "it can start"


def on_a_terminal(ground: Any, *words: str, until: str, then: int) -> tuple[int, str]:
    """Run a command on a terminal; when this text was shown, send its group that."""
    ours, its = pty.openpty()
    argv = [sys.executable, "-I", "-m", "attractor", *words]
    env = ground.env | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    child = subprocess.Popen(
        argv,
        cwd=ground.project,
        env=env,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        # Whoever runs the tests may ignore it, and that is inherited.
        preexec_fn=lambda: posix_signals.signal(posix_signals.SIGINT, posix_signals.SIG_DFL),  # noqa: PLW1509  # pytest has no threads here
    )
    os.close(its)
    shown, typed = "", False
    try:
        while True:
            try:
                shown += os.read(ours, 65_536).decode("utf-8", "replace")
            except OSError:
                break
            if until in shown and not typed:
                typed = True
                os.killpg(child.pid, then)
        child.wait(30)
    finally:
        os.close(ours)
        child.kill()
        child.wait()
    return child.returncode, shown


def test_on_a_terminal_ctrl_c_leaves_and_the_run_goes_on(ground: Any) -> None:
    assert ground.run(ground.gate(), "--detach").status == 0
    name = ground.names()[0]
    status, shown = on_a_terminal(
        ground, "resume", name, until="waits for a person", then=posix_signals.SIGINT
    )
    assert status == 0
    assert "LAST" in shown
    assert "the run goes on" in shown
    assert f"attractor stop {name}" in shown
    assert len(ground.keepers()) == 1


def test_a_keeper_that_is_gone_for_good_is_said_with_the_last_words(ground: Any) -> None:
    assert ground.run(ground.tools("sleep 600"), "--detach").status == 0
    (layout,) = ground.layouts()
    assert ending.kill(layout, SystemClock()) == []
    os.unlink(layout.key)
    done = ground.attractor("resume", layout.root)
    assert done.status == 1
    assert "the run's processes have ended, and the run has not" in done.err
    assert "there is no key" in done.err
    assert f"attractor resume {layout.root}" in done.err
