"""`attractor runs`: what was begun here, and what was rehearsed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.times import shown
from signals.owner import Owner

Cli = Callable[..., Any]
Night = Callable[..., Any]


def test_nothing_is_a_list_too(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert cli("runs", "--json").json() == {"status": "ok", "runs": []}
    assert cli("runs").out == "no runs; `attractor run PIPELINE` begins one\n"


def test_a_run_says_what_it_is_and_what_it_took(cli: Cli, night_run: Night) -> None:
    run = night_run()
    (row,) = cli("runs", "--json").json()["runs"]
    assert row == {
        "run": "auth-1",
        "root": run.layout.root,
        "state": "validated",
        "pipeline": f"{run.project}/pipelines/auth.dot",
        "project": str(run.project),
        "rehearsed": True,
        "began": "2026-02-25T06:13:20.000000Z",
        "ended": "2026-02-25T06:14:56.000000Z",
        "seconds": 96.0,
        "done": 5,
        "total": 5,
        "tokens": 2970,
        "cost_usd": 2.9,
        "rests": [],
        "problem": None,
    }
    said = cli("runs").out.splitlines()
    assert said[0].split() == [
        *("RUN", "PIPELINE", "STATE", "BEGAN", "TOOK", "NODES", "TOKENS", "COST"),
    ]
    assert said[1].split() == [
        *("auth-1", "auth.dot", "validated", "2026-02-25", "06:13:20"),
        *("1:36", "5/5", "3.0k", "$2.90", "rehearsal"),
    ]


@pytest.mark.parametrize(
    ("until", "alive", "state"),
    [
        ("merge-5", True, "running"),
        ("merge-5", False, "interrupted"),
        ("DecisionAnswered", True, "waiting"),
        ("DecisionAnswered", False, "interrupted"),
        ("RunEnded", True, "running"),
    ],
)
def test_a_run_that_has_not_ended_says_whether_somebody_sees_to_it(
    cli: Cli, night_run: Night, dead_owner: Owner, until: str, alive: bool, state: str
) -> None:
    run = night_run(until)
    run.kept_by(Owner.current() if alive else dead_owner)
    (row,) = cli("runs", "--json").json()["runs"]
    assert (row["state"], row["ended"]) == (state, None)


def test_one_that_is_being_stopped_says_so(cli: Cli, night_run: Night) -> None:
    run = night_run("merge-5")
    run.kept_by(Owner.current())
    run.append(("Stopping", {"reason": "enough", "result": "stopped"}))
    assert cli("runs", "--json").json()["runs"][0]["state"] == "stopping"


def test_one_that_rests_says_until_when_and_why(
    cli: Cli, night_run: Night, far_off: tuple[str, float]
) -> None:
    run, (until, _) = night_run("merge-5"), far_off
    run.kept_by(Owner.current())
    run.append(("Paused", {"until": until, "why": "the hour is used"}))
    (row,) = cli("runs", "--json").json()["runs"]
    assert row["rests"] == [{"node": "", "until": until, "why": "the hour is used"}]
    text = cli("runs").out
    assert text.endswith(f"rehearsal; rests until {shown(until)}: the hour is used\n")
    assert (row["state"], "  resting  " in text) == ("running", True)


def test_rehearsals_without_a_project_are_listed_from_anywhere(
    cli: Cli, night_run: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night_run(project=tmp_path / "data/attractor/rehearsals/auth-1/project")
    # Listed once also from within.
    assert [each["run"] for each in cli("runs", "--json").json()["runs"]] == ["auth-1"]
    monkeypatch.chdir(tmp_path)
    assert [each["run"] for each in cli("runs", "--json").json()["runs"]] == ["auth-1"]


@pytest.mark.parametrize("folder", ["auth-1", "other-1"])
def test_what_is_listed_is_found_by_its_name_from_anywhere(
    cli: Cli, night_run: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    night_run(project=tmp_path / f"data/attractor/rehearsals/{folder}/project")
    (tmp_path / "elsewhere/.claude/attractor/runs").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "elsewhere"):
        monkeypatch.chdir(place)
        (row,) = cli("runs", "--json").json()["runs"]
        for verb in ("report", "status", "decisions"):
            said = cli(verb, row["run"], "--json")
            assert said.status == 0, said.out
        said = cli("report", "auth-2")
        assert "there is no run 'auth-2'" in said.err
        assert "`attractor runs`" in said.err


def test_what_is_no_rehearsal_is_passed_over(cli: Cli, night_run: Night, tmp_path: Path) -> None:
    night_run()
    (tmp_path / "data/attractor/rehearsals/half").mkdir(parents=True)
    (tmp_path / "data/attractor/rehearsals/file").write_text("")
    assert len(cli("runs", "--json").json()["runs"]) == 1


def test_a_node_that_was_rehearsed_alone_is_no_run(
    cli: Cli, made_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del made_run
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert cli("runs", "--json").json()["runs"] == []


def test_a_run_that_cannot_be_read_hides_no_other(
    cli: Cli, night_run: Night, tmp_path: Path
) -> None:
    night_run(project=tmp_path / "data/attractor/rehearsals/auth-1/project")
    broken = night_run()
    Path(broken.layout.journal).write_text("{}\n")
    rows = cli("runs", "--json").json()["runs"]
    assert [each["state"] for each in rows] == ["unreadable", "validated"]
    assert "is damaged" in rows[0]["problem"]
    assert "unreadable" in cli("runs").out


def test_a_run_that_the_guardian_has_not_begun_is_listed(cli: Cli, night_run: Night) -> None:
    night_run("PipelineOpened")
    (row,) = cli("runs", "--json").json()["runs"]
    assert (row["run"], row["state"], row["began"]) == ("auth-1", "interrupted", None)
    assert "auth-1" in cli("runs").out
