"""`attractor report`: how a run went, from its journal."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.load import load
from attractor.run import journal, report, report_text, story
from attractor.run.times import shown
from signals.owner import Owner

Cli = Callable[..., Any]
Night = Callable[..., Any]


def document(run: Any) -> dict[str, Any]:
    told = story.read(journal.read(run.layout.journal).entries)
    return report.final(told, load(run.layout.dot)[1], 0.0)


def test_it_tells_the_current_run(cli: Cli, night_run: Night) -> None:
    run = night_run()
    said = cli("report")
    assert (said.status, said.err) == (0, "")
    assert said.out == report_text.plain(document(run))
    assert "judged 0.00 and given back, judged 1.00" in said.out


def test_json_is_what_the_guardian_keeps(cli: Cli, night_run: Night) -> None:
    run = night_run()
    report.write(run.layout, document(run))
    assert cli("report", "auth-1", "--json").json() == json.loads(
        Path(run.layout.final).read_text()
    )


def test_markdown_is_what_the_guardian_keeps(cli: Cli, night_run: Night) -> None:
    run = night_run()
    report.write(run.layout, document(run))
    assert cli("report", "--markdown").out == Path(run.layout.success).read_text()


def test_a_run_that_goes_on_is_told_as_far_as_it_has_come(cli: Cli, night_run: Night) -> None:
    run = night_run("merge-5")
    run.kept_by(Owner.current())
    said = cli("report").out
    assert said.startswith("Log in: running\n")
    assert "Nothing was merged" in said


@pytest.mark.parametrize("verb", ["report", "status", "runs"])
def test_a_run_whose_processes_are_gone_is_called_interrupted_by_all(
    cli: Cli, night_run: Night, dead_owner: Owner, verb: str
) -> None:
    night_run("merge-5").kept_by(dead_owner)
    said = cli(verb, "--json").json()
    row = said["runs"][0] if verb == "runs" else said
    assert row["result" if verb == "report" else "state"] == "interrupted"


def test_the_report_of_an_interrupted_run_says_since_when_and_how_it_goes_on(
    cli: Cli, night_run: Night, dead_owner: Owner
) -> None:
    run = night_run("merge-5")
    run.kept_by(dead_owner)
    last = journal.read(run.layout.journal).entries[-1].at
    said = cli("report", "--json").json()
    assert (said["interrupted"], said["resume"]) == (last, "attractor resume auth-1")
    text = cli("report").out
    assert f"Nothing of it is alive; its journal ends at {shown(last)}." in text
    following = text.split("What to do next\n", 1)[1]
    assert following.startswith("To go on where it was left:\n\n    attractor resume auth-1\n")


@pytest.mark.parametrize("until", ["merge-5", ""])
@pytest.mark.parametrize("alive", [True, False])
def test_status_runs_and_report_count_in_one_way(
    cli: Cli, night_run: Night, dead_owner: Owner, until: str, alive: bool
) -> None:
    run = night_run(until)
    run.kept_by(Owner.current() if alive else dead_owner)
    Path(run.layout.node("login")).mkdir()
    state = {"attempt": 1, "usage": {"input_tokens": 5_000, "cost_usd": 9.0}}
    Path(run.layout.runner_state("login")).write_text(json.dumps(state))
    told, (row,) = cli("status", "--json").json(), cli("runs", "--json").json()["runs"]
    said = cli("report", "--json").json()
    assert said["totals"]["tokens"] == told["tokens"] == row["tokens"]
    assert said["totals"]["cost_usd"] == told["cost_usd"] == row["cost_usd"]
    assert [each["tokens"] for each in said["nodes"]] == [each["tokens"] for each in told["nodes"]]
    if until and alive:  # they look at the clock, one after another
        return
    assert said["seconds"] == told["seconds"] == row["seconds"]
    ends = [each["seconds"] or 0 for each in told["nodes"]]
    assert [each["seconds"] for each in said["nodes"]] == ends


def test_one_that_is_being_ended_says_so(cli: Cli, night_run: Night) -> None:
    run = night_run("merge-5")
    run.kept_by(Owner.current())
    run.append(("Stopping", {"reason": "enough", "result": "stopped"}))
    assert cli("report", "--json").json()["result"] == "stopping"


def on_terminal(width: int, *words: str) -> list[str]:
    """What a terminal of this width is given."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    argv = [sys.executable, "-I", "-m", "attractor", *words]
    with subprocess.Popen(argv, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # which is how its end is told
            while more := os.read(ours, 65_536):
                said += more
        os.close(ours)
        assert child.wait(60) == 0
    return said.decode().splitlines()


@pytest.mark.parametrize("verb", ["report", "runs", "status"])
def test_nothing_is_wider_than_the_terminal_but_what_cannot_be_broken(
    night_run: Night, verb: str
) -> None:
    run, width = night_run(), 80
    wide = [line for line in on_terminal(width, verb) if len(line) > width]
    assert all(str(run.project) in line for line in wide)
    assert max(map(len, on_terminal(500, verb))) > width


def test_a_run_is_named_by_its_folder_from_anywhere(
    attractor: Callable[..., Any], night_run: Night, tmp_path: Path
) -> None:
    run = night_run()
    said = attractor("report", run.layout.root, "--json", cwd=tmp_path)
    assert said.json()["run_id"] == "auth-1"


def test_nothing_is_changed(cli: Cli, night_run: Night) -> None:
    run = night_run()
    before = sorted(os.listdir(run.layout.root))
    cli("report")
    assert sorted(os.listdir(run.layout.root)) == before


def test_a_run_that_is_not_there_is_said_so(cli: Cli, night_run: Night) -> None:
    night_run()
    said = cli("report", "other")
    assert said.status == 1
    assert "there is no run 'other'" in said.err
    assert "the runs are auth-1" in said.err


def test_a_node_that_was_rehearsed_alone_has_no_report(cli: Cli, made_run: Any) -> None:
    del made_run
    said = cli("report", "--json")
    assert said.status == 1
    assert "no run of a whole pipeline" in said.json()["message"]


def test_a_damaged_journal_is_refused_with_its_line(cli: Cli, night_run: Night) -> None:
    run = night_run()
    path = Path(run.layout.journal)
    path.write_bytes(path.read_bytes().replace(b'"score":0.5', b'"score":0.9'))
    said = cli("report", "--json")
    assert (said.status, said.json()["code"]) == (1, "damage")
