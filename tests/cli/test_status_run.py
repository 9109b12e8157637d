"""`attractor status RUN`: how a run stands, once or until it has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.times import shown
from signals.owner import Owner

Cli = Callable[..., Any]
Night = Callable[..., Any]


def test_the_current_run_is_shown_without_a_name(cli: Cli, night_run: Night) -> None:
    run = night_run("DecisionAnswered")
    run.kept_by(Owner.current())
    said = cli("status")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("auth-1: waiting, ")
    assert lines[2].split() == [
        *("NODE", "HANDLER", "STATE", "ATTEMPT", "TIME", "TOKENS", "COST", "LAST"),
    ]
    assert lines[4].split() == [
        "jwt",
        "codergen",
        "validated",
        "2",
        "0:29",
        "760",
        "$1.20",
        "passed",
    ]
    assert "validated 3, active 1, pending 1" in said.out or "pending 1, active 1" in said.out
    assert lines[-2:] == [
        "d1  ask: May it be released?",
        "    attractor answer d1 approve --run auth-1",
    ]


def test_json_has_a_row_for_each_node(cli: Cli, night_run: Night) -> None:
    night_run()
    said = cli("status", "auth-1", "--json").json()
    assert (said["status"], said["run"], said["state"]) == ("ok", "auth-1", "validated")
    assert [each["node"] for each in said["nodes"]] == ["start", "jwt", "login", "ask", "finish"]
    assert said["counts"] == {"validated": 5}
    assert (said["tokens"], said["cost_usd"], said["seconds"]) == (2970, 2.9, 96.0)
    assert said["ended"]["exit"] == 0


def test_a_run_that_is_left_says_how_it_goes_on(cli: Cli, night_run: Night) -> None:
    run = night_run("merge-5")
    said = cli("status", run.layout.root)
    assert said.out.startswith("auth-1: interrupted, ")
    assert said.out.endswith("nothing of it is alive; to go on: attractor resume auth-1\n")


def test_a_run_that_has_not_begun_has_a_status(cli: Cli, night_run: Night) -> None:
    night_run("PipelineOpened")
    said = cli("status", "--json").json()
    assert (said["run"], said["state"], said["counts"]) == ("auth-1", "interrupted", {"pending": 5})


def test_a_file_is_a_file_and_a_name_a_run(cli: Cli, night_run: Night) -> None:
    run = night_run()
    (run.project / "auth.dot").write_text("digraph other { a; }")
    assert cli("status", "auth.dot", "--json").json()["graph_name"] == "other"
    (run.project / "auth-1").write_text("digraph shadow { a; }")
    assert cli("status", "auth-1", "--json").json()["graph_name"] == "shadow"
    (run.project / "auth-1").unlink()
    assert cli("status", "auth-1", "--json").json()["run"] == "auth-1"


def test_a_file_that_is_missing_is_said_to_be_missing(cli: Cli, night_run: Night) -> None:
    night_run()
    assert "There is no such file." in cli("status", "other.dot").err
    assert "There is no such file." in cli("status", "pipelines/other").err
    assert "there is no run 'other'" in cli("status", "other").err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--filter", "pending"], "are for files"),
        (["auth-1", "--deps-met"], "are for files"),
        (["--summary"], "are for files"),
        (["p.dot", "--watch"], "--watch is for runs"),
    ],
)
def test_options_of_the_other_kind_are_wrong_usage(
    cli: Cli, night_run: Night, words: list[str], problem: str
) -> None:
    night_run()
    said = cli("status", *words)
    assert said.status == 2
    assert problem in said.err


def test_watching_a_run_that_has_ended_shows_it_once(cli: Cli, night_run: Night) -> None:
    night_run()
    said = cli("status", "--watch", "--json")
    assert [json.loads(line)["state"] for line in said.out.splitlines()] == ["validated"]


def test_watching_shows_each_change_until_the_end(night_run: Night, tmp_path: Path) -> None:
    run = night_run("DecisionAnswered")
    argv = [sys.executable, "-I", "-m", "attractor", "status", run.layout.root, "--watch", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        assert child.stdout
        assert len(json.loads(child.stdout.readline())["decisions"]) == 1
        run.append(("DecisionAnswered", {"id": "d1", "option": "approve", "by": "terminal"}))
        assert json.loads(child.stdout.readline())["decisions"] == []
        run.append(("RunEnded", {"result": "stopped", "exit": 4, "reason": "", "head": ""}))
        last = json.loads(child.stdout.readline())
        assert (last["state"], last["ended"]["exit"]) == ("stopped", 4)
        assert child.wait(60) == 0


def test_the_words_of_agents_stay_in_their_line(cli: Cli, night_run: Night) -> None:
    run = night_run("DecisionAnswered")
    reason = "\x1b[2Jone\ntwo"
    moved = {"node": "finish", "event": "dispatched", "from": "pending", "to": "active"}
    run.append(("NodeMoved", {**moved, "attempt": 1, "reason": reason}))
    said = cli("status").out
    assert "\x1b" not in said
    (row,) = [line for line in said.splitlines() if line.startswith("finish ")]
    assert row.endswith("one two")


def test_what_a_node_does_now_comes_from_its_own_files(cli: Cli, night_run: Night) -> None:
    run = night_run("merge-5")
    Path(run.layout.node("login")).mkdir()
    state = {"attempt": 1, "usage": {"input_tokens": 5_000, "output_tokens": 100}}
    Path(run.layout.runner_state("login")).write_text(json.dumps(state))
    rows = {each["node"]: each for each in cli("status", "--json").json()["nodes"]}
    assert rows["login"]["state"] == "active"
    assert rows["login"]["tokens"] == 5_100 + 50  # and what judging it took


def test_a_run_that_rests_says_until_when_and_why_in_words_and_for_scripts(
    cli: Cli, night_run: Night, far_off: tuple[str, float]
) -> None:
    run, (until, _) = night_run("merge-5"), far_off
    assert cli("status", "--json").json()["rests"] == []
    run.append(("Paused", {"until": until, "why": "the hour is used"}))
    said = cli("status", "--json").json()["rests"]
    assert said == [{"node": "", "until": until, "why": "the hour is used"}]
    assert f"now: rests until {shown(until)}: the hour is used" in cli("status").out


def test_a_node_that_cools_down_says_until_when(
    cli: Cli, night_run: Night, far_off: tuple[str, float]
) -> None:
    run, (until, seconds) = night_run("merge-7"), far_off
    name = "login"
    Path(run.layout.node(name)).mkdir()
    wait = {"started_at": 1.0, "length": seconds - 1.0, "count": 1, "told": True}
    state = {"attempt": 1, "phase": "cooling", "cooldown": wait}
    Path(run.layout.runner_state(name)).write_text(json.dumps(state))
    (rest,) = cli("status", "--json").json()["rests"]
    assert rest == {"node": name, "until": until, "why": "a rate limit"}
    (row,) = [line for line in cli("status").out.splitlines() if line.startswith(f"{name} ")]
    assert row.endswith(f"rests until {shown(until)}: a rate limit")
    for damaged in ({**wait, "length": "long"}, {**wait, "started_at": None}, [], None):
        said = json.dumps({**state, "cooldown": damaged})
        Path(run.layout.runner_state(name)).write_text(said)
        assert cli("status", "--json").json()["rests"] == []
