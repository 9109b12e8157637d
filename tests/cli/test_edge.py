from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.load import load

Cli = Callable[..., Any]

PIPELINE = """\
digraph "login" {
    graph [label="Login", prd_ref="PRD-1", promise_id=""];
    start  [shape=Mdiamond, handler="start"];
    build  [shape=box, handler="codergen", bead_id="L-1", worker_type="ux-designer"];
    decide [shape=diamond, handler="conditional"];
    finish [shape=Msquare, handler="exit"];
    start -> build -> decide;   // the way
    decide -> finish [condition="pass", label="yes"];
    decide -> build [condition="fail"];
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "login.dot"
    path.write_text(PIPELINE)
    return path


def edges(file: Path) -> list[tuple[str, str, dict[str, str]]]:
    return [(edge.source, edge.target, edge.attrs) for edge in load(file)[1].edges]


def logged(file: Path) -> list[dict[str, Any]]:
    path = Path(f"{file}.ops.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("order", [("list", "FILE"), ("FILE", "list")])
def test_the_edges_are_listed_in_both_orders_of_words(
    cli: Cli, file: Path, order: tuple[str, str]
) -> None:
    words = [str(file) if word == "FILE" else word for word in order]
    listed = cli("edge", *words, "--json").json()
    assert listed[2] == {
        "src": "decide",
        "dst": "finish",
        "attrs": {"condition": "pass", "label": "yes"},
    }
    assert cli("edge", *words).out.splitlines() == [
        "FROM    TO      CONDITION  LABEL",
        "start   build",
        "build   decide",
        "decide  finish  pass       yes",
        "decide  build   fail",
    ]


def test_an_edge_is_added_and_nothing_else_changes(cli: Cli, file: Path) -> None:
    words = ("--condition", "partial", "--label", "half", "--set", "color=red")
    said = cli("edge", file, "add", "decide", "finish", *words, "--json")
    assert said.status == 0, said.err
    assert said.json() == {
        "status": "ok",
        "success": True,
        "file": str(file),
        "changed": True,
        "command": "edge add",
        "src": "decide",
        "dst": "finish",
        "label": "half",
        "condition": "partial",
    }
    added = {"color": "red", "condition": "partial", "label": "half"}
    assert edges(file)[-1] == ("decide", "finish", added)
    kept = iter(file.read_text().splitlines())
    assert all(line in kept for line in PIPELINE.splitlines())
    [entry] = logged(file)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "file": str(file),
        "command": "edge add",
        "src": "decide",
        "dst": "finish",
        "label": "half",
        "condition": "partial",
    }


def test_an_unguarded_cycle_is_refused_unless_it_is_allowed(cli: Cli, file: Path) -> None:
    said = cli("edge", "add", file, "decide", "start", "--dry-run", "--json")
    assert said.status == 1
    said = cli("edge", "add", file, "build", "build", "--json")
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert said.json()["rule"] == "unguarded_cycle"
    assert "--allow-cycle" in said.err
    allowed = cli("edge", "add", file, "build", "build", "--allow-cycle")
    assert allowed.status == 0
    assert "unguarded cycle" in allowed.err


def test_allowing_a_cycle_allows_nothing_else(cli: Cli, file: Path) -> None:
    said = cli("edge", "add", file, "finish", "build", "--allow-cycle", "--json")
    assert said.status == 1
    assert said.json()["rule"] == "exit_no_outgoing"


def test_a_guarded_cycle_needs_no_permission(cli: Cli, file: Path) -> None:
    said = cli("edge", "add", file, "decide", "build", "--condition", "partial")
    assert (said.status, said.err) == (0, "")


def test_an_exact_twin_is_refused_with_its_place(cli: Cli, file: Path) -> None:
    said = cli("edge", "add", file, "decide", "finish", "--condition", "pass", "--label", "yes")
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert f"{file}:8:" in said.err
    assert "exactly like this one" in said.err


def test_a_twin_by_way_of_a_default_is_refused_too(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE.replace("    start ->", "    edge [color=red];\n    start ->"))
    assert cli("edge", "add", file, "start", "build").status == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("strat", "build"), "'start'"),
        (("start", "biuld"), "'build'"),
        (("start", "finish", "--set", "x"), "has no value"),
        (("start", "finish", "--set", "a b=x"), "cannot be the key"),
        (("start", "finish", "--label", "\udcff"), "is not UTF-8"),
        (("decide", "finish", "--condition", "a ||"), "would bring a lint error"),
        (("finish", "build"), "would bring a lint error"),
    ],
)
def test_a_bad_edge_is_refused_and_the_file_is_unchanged(
    cli: Cli, file: Path, words: tuple[str, ...], problem: str
) -> None:
    said = cli("edge", "add", file, *words)
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert problem in said.err
    assert logged(file) == []


def test_an_edge_is_removed_from_a_chain_and_the_rest_stays(cli: Cli, file: Path) -> None:
    assert cli("edge", "add", file, "start", "decide").status == 0
    said = cli("edge", "remove", file, "start", "decide", "--json")
    assert said.status == 0, said.err
    assert said.json()["count"] == 1
    assert [edge[:2] for edge in edges(file)][:2] == [("start", "build"), ("build", "decide")]
    assert [entry["command"] for entry in logged(file)] == ["edge add", "edge remove"]


def test_a_removal_that_cuts_the_pipeline_is_refused_unless_forced(cli: Cli, file: Path) -> None:
    said = cli("edge", "remove", file, "start", "build")
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "would bring a lint error" in said.err
    assert cli("edge", "remove", file, "start", "build", "--force").status == 0
    assert edges(file)[0][:2] == ("build", "decide")


def test_of_several_edges_the_condition_says_which(cli: Cli, file: Path) -> None:
    assert cli("edge", "add", file, "decide", "finish", "--condition", "partial").status == 0
    before = file.read_text()
    said = cli("edge", "remove", file, "decide", "finish")
    assert (said.status, file.read_text()) == (1, before)
    assert "'partial', 'pass'" in said.err
    said = cli("edge", "remove", file, "decide", "finish", "--condition", "partial")
    assert (said.status, file.read_text()) == (0, PIPELINE)


def test_an_edge_that_is_not_there_is_refused_with_those_that_are(cli: Cli, file: Path) -> None:
    said = cli("edge", "remove", file, "decide", "start")
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "build, finish" in said.err


def test_a_dry_run_prints_the_diff_and_writes_nothing(cli: Cli, file: Path) -> None:
    said = cli("edge", "add", file, "start", "decide", "--dry-run")
    assert said.status == 0
    assert "+    start -> decide;" in said.out
    assert os.listdir(file.parent) == ["login.dot"]


def test_standard_input_is_not_edited(cli: Cli) -> None:
    said = cli("edge", "add", "-", "a", "b")
    assert (said.status, "standard input cannot be edited" in said.err) == (2, True)


def test_what_is_no_pipeline_is_refused_and_nothing_is_left_beside_it(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "bad.dot").write_text("digraph {")
    for file in (tmp_path / "bad.dot", tmp_path / "gone.dot", tmp_path):
        assert cli("edge", "add", file, "a", "b").status == 1
        assert cli("edge", "list", file).status == 1
    assert os.listdir(tmp_path) == ["bad.dot"]


@pytest.mark.parametrize(
    "words", [("--condition", ""), ("--condition", " "), ("--set", "condition=")]
)
def test_an_empty_condition_is_no_condition(cli: Cli, file: Path, words: tuple[str, ...]) -> None:
    said = cli("edge", "add", file, "start", "build", *words)
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "exactly like this one" in said.err
    assert cli("edge", "add", file, "build", "finish", *words).status == 0
    assert edges(file)[-1] == ("build", "finish", {})


def test_an_edge_with_an_empty_condition_or_label_has_its_twin(cli: Cli, file: Path) -> None:
    text = PIPELINE.replace(
        "start -> build ->", 'start -> build [condition="", label=""]; build ->'
    )
    file.write_text(text)
    assert cli("edge", "add", file, "start", "build").status == 1
    assert cli("edge", "add", file, "start", "build", "--label", " ").status == 1
    assert file.read_text() == text
    assert cli("edge", "add", file, "start", "build", "--label", "again").status == 0


def test_an_empty_condition_undoes_a_default(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE.replace("    start  [", "    edge [condition=pass];\n    start  ["))
    assert cli("edge", "add", file, "build", "finish", "--condition", "").status == 0
    assert edges(file)[-1] == ("build", "finish", {"condition": ""})


def test_a_condition_that_turns_the_file_into_another_dialect_is_named_in_the_refusal(
    cli: Cli, file: Path
) -> None:
    file.write_text("digraph { start -> b -> exit }")
    said = cli("edge", "add", file, "start", "exit", "--condition", "outcome=pass", "--json")
    assert said.status == 1
    assert said.json()["rule"] == "edge_target_exists"
    assert "The attribute condition makes this a strongdm pipeline" in said.err
    assert "leave out condition; or " in said.err
