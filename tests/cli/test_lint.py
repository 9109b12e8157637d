"""`attractor lint`: what it prints, how it ends, and what it looks for on the disk."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import lint as verb

GOOD = 'digraph g { compile [label="C"]; start -> compile -> exit; }\n'
WARNED = "digraph g { compile; start -> compile -> exit; }\n"
BROKEN = 'digraph g {\n\tcompile [label="C"];\n\tstart -> compile -> exit;\n\texit -> compile;\n}\n'
HARNESS = """digraph h {
    graph [prd_ref="P-1", label="L", promise_id="", target_dir="TARGET"];
    start [shape=Mdiamond, handler=start];
    work [handler=codergen, label="W", bead_id="B-1", worker_type="ux-designer", sd_path="d.md"];
    check [shape=hexagon, handler="wait.system3", gate_type=unit, summary_ref="s.md"];
    ask [shape=hexagon, handler="wait.human", gate=business, mode=business];
    finish [shape=Msquare, handler=exit];
    start -> work -> check -> ask -> finish;
}
"""

Cli = Callable[..., Any]


def write(folder: Path, text: str, name: str = "p.dot") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def rubric(folder: Path, text: str) -> None:
    write(folder / "acceptance-tests" / "P-1", text, "manifest.yaml")


def rules(said: Any) -> list[str]:
    found = said.json()
    return [issue["rule"] for issue in found["errors"] + found["warnings"]]


def test_a_valid_pipeline_ends_with_0(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    said = cli("lint", path)
    assert (said.status, said.out, said.err) == (0, f"{path}: valid, 0 errors, 0 warnings\n", "")


def test_an_error_shows_its_place_the_line_and_the_fix(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, BROKEN)
    said = cli("lint", path)
    assert said.status == 1
    assert said.out.splitlines() == [
        f"{path}:4:2: error exit_no_outgoing: The edge exit -> compile leaves the exit.",
        "    \texit -> compile;",
        "    \t^",
        "    fix: Lead it from the last node before the exit instead.",
        f"{path}: not valid, 1 error, 0 warnings",
    ]


def test_a_warning_shows_its_place_and_the_fix(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, WARNED)
    said = cli("lint", path)
    assert said.status == 0
    assert said.out.splitlines() == [
        f"{path}:1:13: warning prompt_on_llm_nodes: compile says nothing of what is to be done.",
        '    fix: Add a prompt or a label: compile [prompt="..."]',
        f"{path}: valid, 0 errors, 1 warning",
    ]


def test_a_value_of_several_lines_stays_in_the_line_of_its_finding(
    cli: Cli, tmp_path: Path
) -> None:
    path = write(tmp_path, GOOD.replace('label="C"', 'label="C", status="a\\nb"'))
    head, *_ = cli("lint", path).out.splitlines()
    assert head.endswith(r"compile has the unknown status a\nb.")


def test_strict_ends_with_1_for_a_warning(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, WARNED)
    assert cli("lint", path).status == 0
    said = cli("lint", "--strict", path, "--json")
    assert said.status == 1
    assert [issue["level"] for issue in said.json()["errors"]] == ["error"]


@pytest.mark.parametrize("flags", [["--json"], ["--output", "json"]])
def test_the_json_of_one_file_is_the_harnesss_and_more(
    cli: Cli, tmp_path: Path, flags: list[str]
) -> None:
    path = write(tmp_path, BROKEN)
    said = cli("validate", path, *flags)
    assert said.status == 1
    assert said.json() == {
        "file": str(path),
        "valid": False,
        "errors": [
            {
                "level": "error",
                "rule": "exit_no_outgoing",
                "message": "The edge exit -> compile leaves the exit.",
                "edge": {"from": "exit", "to": "compile"},
                "line": 4,
                "column": 2,
                "fix": "Lead it from the last node before the exit instead.",
            }
        ],
        "warnings": [],
        "summary": "not valid, 1 error, 0 warnings",
    }


def test_several_files_are_judged_one_by_one_and_together(cli: Cli, tmp_path: Path) -> None:
    good, broken = write(tmp_path, GOOD, "a.dot"), write(tmp_path, BROKEN, "b.dot")
    said = cli("lint", good, broken, "--json")
    assert said.status == 1
    found = said.json()
    assert [one["valid"] for one in found["files"]] == [True, False]
    assert found["valid"] is False
    assert found["summary"] == "2 files: not valid, 1 error, 0 warnings"
    said = cli("lint", good, good)
    assert (said.status, said.out) == (0, "2 files: valid, 0 errors, 0 warnings\n")


def test_a_syntax_error_is_a_finding_with_its_place(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, "digraph g {\n  a -- b\n}\n")
    said = cli("lint", path)
    assert said.status == 1
    assert said.out.startswith(f"{path}:2:5: error syntax: ")
    assert "      a -- b\n        ^\n    fix: " in said.out
    said = cli("lint", path, "--json")
    (issue,) = said.json()["errors"]
    assert (issue["rule"], issue["line"], issue["column"]) == ("syntax", 2, 5)
    assert issue["fix"]


def test_a_syntax_error_does_not_hide_the_other_files(cli: Cli, tmp_path: Path) -> None:
    bad, broken = write(tmp_path, "graph {}", "a.dot"), write(tmp_path, BROKEN, "b.dot")
    found = cli("lint", bad, broken, "--json").json()
    assert [one["errors"][0]["rule"] for one in found["files"]] == ["syntax", "exit_no_outgoing"]


def test_standard_input_is_read(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BROKEN.encode())))
    said = cli("lint", "-")
    assert said.status == 1
    assert said.out.startswith("<stdin>:4:2: error exit_no_outgoing")


@pytest.mark.parametrize("flags", [["--json"], ["--output", "json"]])
def test_a_missing_file_is_one_error_object(cli: Cli, tmp_path: Path, flags: list[str]) -> None:
    said = cli("lint", tmp_path / "none.dot", *flags)
    assert said.status == 1
    assert said.json()["code"] == "input"
    assert "none.dot" in said.err


def test_no_file_is_wrong_usage(cli: Cli) -> None:
    said = cli("lint")
    assert said.status == 2
    assert "No file" in said.err


def test_the_table_of_rules_is_printed(cli: Cli) -> None:
    lines = cli("lint", "--rules").out.splitlines()
    assert (
        "start_node              error    1     There is exactly one start node (Mdiamond)."
        in lines
    )
    rows = cli("lint", "--rules", "--json").json()["rules"]
    assert len(rows) == len(lines)
    assert {"rule", "severity", "title", "harness", "specified", "dialects"} == set(rows[0])


def test_beads_are_looked_up_in_the_store_above_the_pipeline(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "a" / "b", HARNESS)
    store = write(tmp_path / ".beads", 'no json\n[]\n{"id": 1}\n\n{"id": "B-2"}\n', "issues.jsonl")
    assert rules(cli("lint", path, "--json")) == []
    assert rules(cli("lint", path, "--json", "--check-beads")) == ["bead_exists"]
    with store.open("a") as lines:
        lines.write(json.dumps({"id": "B-1"}) + "\n")
    assert rules(cli("lint", path, "--json", "--check-beads")) == []


def test_beads_cannot_be_checked_without_a_store(cli: Cli, tmp_path: Path) -> None:
    said = cli("lint", write(tmp_path, HARNESS), "--check-beads", "--json")
    assert said.status == 1
    assert "issues.jsonl" in said.json()["message"]
    assert "--check-beads" in said.json()["fix"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("features: [{id: F1, validation_method: hybrid}]", ""),
        ("features: [{id: F1}]", "the feature F1 has no validation_method"),
        ("features: [{id: F1, validation_method: guess}]", "the unknown validation_method guess"),
        ("features: {F1: hybrid}", "it has no list of features"),
        ("- features", "it has no list of features"),
        ("features: [", "it is not YAML"),
        ("\x00", "it is not YAML"),
        ("features: " + "[" * 5000, "it is not YAML"),
    ],
)
def test_the_rubric_above_the_pipeline_is_checked(
    cli: Cli, tmp_path: Path, manifest: str, message: str
) -> None:
    path = write(tmp_path / "pipelines", HARNESS)
    rubric(tmp_path, manifest)
    said = cli("lint", path, "--json")
    errors = said.json()["errors"]
    assert [issue["rule"] for issue in errors] == (["validation_method"] if message else [])
    assert all(message in issue["message"] for issue in errors)
    assert said.json()["warnings"] == []


def test_a_rubric_inside_the_target_is_warned_about(cli: Cli, tmp_path: Path) -> None:
    rubric(tmp_path / "repo", "features: []")
    inside = HARNESS.replace("TARGET", str(tmp_path / "repo"))
    path = write(tmp_path / "repo" / "pipelines", inside)
    assert rules(cli("lint", path, "--json")) == ["rubric_place"]
    outside = HARNESS.replace("TARGET", str(tmp_path / "elsewhere"))
    path = write(tmp_path / "repo" / "pipelines", outside)
    assert rules(cli("lint", path, "--json")) == []


def test_a_requirement_named_like_a_path_leads_nowhere(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "pipelines", HARNESS.replace('"P-1"', '"../P-1"'))
    write(tmp_path / "P-1", "features: [", "manifest.yaml")
    (tmp_path / "acceptance-tests").mkdir()
    assert rules(cli("lint", path, "--json")) == []


def test_designs_are_looked_for_when_asked(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "pipelines", HARNESS)
    assert rules(cli("lint", path, "--json")) == []
    assert rules(cli("lint", path, "--json", "--check-files")) == ["file_exists"]
    write(tmp_path, "the design", "d.md")
    assert rules(cli("lint", path, "--json", "--check-files")) == []
    path = write(tmp_path / "pipelines", HARNESS.replace("d.md", "d.md#work"))
    assert rules(cli("lint", path, "--json", "--check-files")) == []


def test_lint_works_as_a_process(attractor: Cli, tmp_path: Path) -> None:
    write(tmp_path, BROKEN)
    said = attractor("lint", "p.dot")
    assert said.status == 1
    assert said.out.startswith("p.dot:4:2: error exit_no_outgoing")
    assert said.err == ""


def test_many_findings_are_printed_with_few_writes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = " ".join(f"n{at} [label=x];" for at in range(2_000))
    path = write(tmp_path, f"digraph g {{ start -> exit; {nodes} }}")
    said: list[str] = []
    monkeypatch.setattr(verb, "say", said.append)
    assert cli("lint", path).status == 1
    lines = "\n".join(said).splitlines()
    assert sum("error reachability: n" in line for line in lines) == 2_000
    assert max(map(len, lines)) < 300
    assert lines[-1] == f"{path}: not valid, 2000 errors, 0 warnings"
    assert len(said) < 20
