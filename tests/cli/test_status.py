from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.spawn import run_tool

Cli = Callable[..., Any]

PIPELINE = r"""
digraph "login" {
    graph [label="Login", prd_ref="PRD-LOGIN-001"]
    start [shape=Mdiamond, label="Start", handler="start", status="accepted"]
    build [shape=box, label="Build\nit", handler="codergen", status="active",
           bead_id="L-1", worker_type="ux-designer"]
    other [shape=box, handler="codergen"]
    check [shape=hexagon, label="Check", handler="wait.human"]
    finish [shape=Msquare, handler="exit"]
    start -> build -> check -> finish
    start -> other -> finish
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "login.dot"
    path.write_text(PIPELINE)
    return path


def test_json_has_the_harness_shape(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--json")
    assert said.status == 0
    assert list(said.json()) == ["graph_name", "prd_ref", "total_nodes", "summary", "nodes"]
    assert said.json() | {"nodes": []} == {
        "graph_name": "login",
        "prd_ref": "PRD-LOGIN-001",
        "total_nodes": 5,
        "summary": {"pending": 3, "active": 1, "accepted": 1},
        "nodes": [],
    }
    assert said.json()["nodes"][1] == {
        "node_id": "build",
        "handler": "codergen",
        "status": "active",
        "bead_id": "L-1",
        "worker_type": "ux-designer",
        "label": "Build it",
    }


def test_a_filter_narrows_the_nodes_but_not_the_totals(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--filter", "pending", "--json").json()
    assert [row["node_id"] for row in said["nodes"]] == ["other", "check", "finish"]
    assert said["total_nodes"] == 5
    assert said["summary"] == {"pending": 3, "active": 1, "accepted": 1}


def test_deps_met_shows_the_pending_nodes_that_may_start(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--deps-met", "--json").json()
    assert [row["node_id"] for row in said["nodes"]] == ["other"]
    assert said["deps_met_filter"] is True
    assert said["total_nodes"] == 5


def test_a_summary_counts_only(cli: Cli, file: Path) -> None:
    assert "nodes" not in cli("status", file, "--summary", "--json").json()
    said = cli("status", file, "--summary")
    assert said.out == (
        "login (PRD-LOGIN-001): 5 nodes\n  pending   3\n  active    1\n  accepted  1\n"
    )


def test_the_table_is_aligned(cli: Cli, file: Path) -> None:
    lines = cli("status", file).out.splitlines()
    assert lines[0] == "login (PRD-LOGIN-001): 5 nodes"
    heading, *rows = lines[2:-2]
    assert [row.split()[0] for row in rows] == ["start", "build", "other", "check", "finish"]
    at = heading.index("STATUS")
    assert [row[at:].split()[0] for row in rows] == [
        "accepted",
        "active",
        "pending",
        "pending",
        "pending",
    ]
    assert lines[-1] == "pending 3, active 1, accepted 1"


def test_a_column_that_is_empty_everywhere_is_left_out(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--filter", "accepted")
    assert "LABEL" in said.out
    assert "BEAD" not in said.out


def test_no_match_is_said(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--filter", "failed")
    assert (said.status, "(no node matches)" in said.out) == (0, True)


def test_an_unknown_state_is_refused_with_the_legal_ones(cli: Cli, file: Path) -> None:
    said = cli("status", file, "--filter", "done", "--json")
    assert said.status == 1
    assert said.json()["message"] == "'done' is not a state"
    assert "pending, active, impl_complete, validated, accepted, failed" in said.json()["fix"]


def test_a_state_that_is_none_is_shown_but_nothing_is_planned_with_it(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE.replace('status="active"', 'status="aktiv"'))
    assert cli("status", file, "--json").json()["summary"]["aktiv"] == 1
    said = cli("status", file, "--deps-met")
    assert said.status == 1
    assert "login.dot:5:" in said.err


def test_a_terminal_is_not_steered_by_a_label(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE.replace("Check", "\x1b[2J\x07Check"))
    said = cli("status", file)
    assert "\x1b" not in said.out
    assert "\x07" not in said.out


def test_a_graph_without_nodes_is_shown(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.dot").write_text("digraph {}")
    said = cli("status", tmp_path / "empty.dot")
    assert (said.status, said.out.splitlines()[0]) == (0, "(no name): 0 nodes")


def test_a_difference_to_the_journal_is_one_line_on_stderr(cli: Cli, file: Path) -> None:
    assert cli("transition", file, "other", "active").status == 0
    assert cli("status", file).err == ""
    text = file.read_text()
    file.write_text(text.replace('status="accepted"', 'status="failed"'))
    said = cli("status", file, "--json")
    assert said.status == 0
    [line] = said.err.splitlines()
    assert "node 'start' is failed in the file, but accepted in its journal" in line
    assert said.json()["nodes"][0]["status"] == "failed"


def test_what_may_start_is_decided_by_the_journal_and_not_by_the_file(cli: Cli, file: Path) -> None:
    assert cli("transition", file, "other", "active").status == 0
    edited = file.read_text().replace('status="active"', 'status="validated"', 1)
    assert 'status="validated"' in edited
    file.write_text(edited)
    said = cli("status", file, "--deps-met", "--json")
    assert said.json()["nodes"] == []
    assert said.json()["summary"] == {"pending": 2, "active": 2, "accepted": 1}
    assert "node 'build' is validated in the file, but active in its journal" in said.err
    assert cli("status", file, "--json").json()["summary"]["validated"] == 1


def test_what_may_start_is_not_said_beside_a_damaged_journal(cli: Cli, file: Path) -> None:
    assert cli("transition", file, "other", "active").status == 0
    journal = Path(f"{file}.journal.jsonl")
    journal.write_text(journal.read_text().replace("accepted", "pending"))
    said = cli("status", file, "--deps-met", "--json")
    assert (said.status, said.json()["code"]) == (1, "damage")


def test_a_damaged_journal_is_said_and_the_file_is_shown(cli: Cli, file: Path) -> None:
    assert cli("transition", file, "other", "active").status == 0
    journal = Path(f"{file}.journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(lines[0].replace("accepted", "pending") + "".join(lines[1:]))
    said = cli("status", file, "--json")
    assert said.status == 0
    assert said.json()["total_nodes"] == 5
    assert "note: the journal is not used" in said.err


def test_status_writes_nothing(cli: Cli, file: Path) -> None:
    cli("transition", file, "other", "active")
    before = {path: path.read_bytes() for path in file.parent.iterdir()}
    cli("status", file, "--deps-met")
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"hello", "begins with the word `digraph`"),
        (b"", "empty"),
        (b"digraph g { a [label=\xff] }", "not UTF-8"),
        (b'digraph g { a [label="x }', "not closed"),
        (b"digraph a {} digraph b {}", "second graph"),
    ],
)
def test_what_is_no_pipeline_is_refused(cli: Cli, file: Path, content: bytes, problem: str) -> None:
    file.write_bytes(content)
    said = cli("status", file, "--json")
    assert said.status == 1
    assert problem in said.json()["message"]


def test_a_missing_file_and_a_folder_are_refused(cli: Cli, tmp_path: Path) -> None:
    assert "no such file" in cli("status", tmp_path / "gone.dot").err
    said = cli("status", tmp_path)
    assert (said.status, "folder" in said.err) == (1, True)


def test_it_starts_without_the_heavy_libraries(file: Path) -> None:
    code = (
        "import sys\n"
        "from attractor.cli.main import attractor\n"
        "attractor.main(sys.argv[1:], standalone_mode=False)\n"
        "print(*sys.modules)\n"
    )
    argv = [sys.executable, "-I", "-c", code, "status", str(file)]
    said = run_tool(argv, timeout_seconds=60).decode().splitlines()
    heavy = {
        "pydantic",
        "pydot",
        "yaml",
        "subprocess",
        "watchdog",
        "filelock",
        "attractor.run.plan",
    }
    assert said[0] == "login (PRD-LOGIN-001): 5 nodes"
    assert heavy & set(said[-1].split()) == set()
