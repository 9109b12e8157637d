"""`attractor report`: how a run went, from its journal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attractor.pipeline.load import load
from attractor.run import journal, report, report_text, story

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
    night_run("merge-5")
    said = cli("report").out
    assert said.startswith("Log in: running\n")
    assert "Nothing was merged" in said


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
