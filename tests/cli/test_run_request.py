"""What a run is asked to use: the program that the settings name, in their order."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from attractor.cli.run_request import ORDINARY, Asked, Prepared, prepare
from signals.clock import SystemClock

TEXT = "digraph p {{ {} start [shape=Mdiamond]; {}; finish [shape=Msquare]; start -> n -> finish }}"
TOOL = 'n [handler="tool", command="true"]'


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("attractor.tools.find_claude", lambda: "/found/claude")
    return "/found/claude"


def prepared(folder: Path, text: str, *, rehearse: str | None, **more: object) -> Prepared:
    project = folder / "project"
    project.mkdir()
    (project / "p.dot").write_text(text)
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=project, check=True, timeout=30)
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"], **more.pop("environ", {})}  # type: ignore[dict-item]
    asked = Asked(pipeline=str(project / "p.dot"), project=str(project), rehearse=rehearse, **more)  # type: ignore[arg-type]
    return prepare(asked, environ, SystemClock(), os.urandom)


@pytest.mark.parametrize("rehearse", [ORDINARY, None])
@pytest.mark.parametrize(
    ("words", "environment", "graph", "program"),
    [
        ((), "", "", ""),
        ((), "", "/graph/claude", "/graph/claude"),
        ((), "/env/claude", "/graph/claude", "/env/claude"),
        (("claude=/set/claude",), "/env/claude", "", "/set/claude"),
    ],
)
def test_a_run_uses_the_program_that_the_settings_name(
    tmp_path: Path,
    found: str,
    words: tuple[str, ...],
    environment: str,
    graph: str,
    program: str,
    rehearse: str | None,
) -> None:
    attribute = f'graph [claude="{graph}"];' if graph else ""
    made = prepared(
        tmp_path, TEXT.format(attribute, TOOL), rehearse=rehearse, settings=words,
        environ={"ATTRACTOR_CLAUDE": environment},
    )  # fmt: skip
    assert made.request.claude == (program or (found if rehearse else ""))


def test_a_program_on_the_path_is_named_by_its_path(tmp_path: Path, found: str) -> None:
    text = TEXT.format("", TOOL)
    made = prepared(tmp_path, text, rehearse=ORDINARY, settings=("claude=git",))
    assert os.path.isabs(made.request.claude)
    assert os.path.basename(made.request.claude) == "git"
    assert made.request.claude != found


@pytest.mark.parametrize(
    ("gate", "looked_for"), [("technical", True), ("unit", False), ("business", False)]
)
def test_a_gate_that_is_judged_needs_the_model(tmp_path: Path, gate: str, looked_for: bool) -> None:
    text = TEXT.format("", f'n [shape=hexagon, gate="{gate}"]')
    program = str(tmp_path / "no-claude")
    findings = prepared(
        tmp_path, text, rehearse=None, environ={"ATTRACTOR_CLAUDE": program}
    ).findings
    said = " ".join(each.problem for each in findings)
    assert ("no-claude" in said, "logged in" in said) == (looked_for, looked_for)
    assert "trust" not in said


def test_who_writes_the_rubric_needs_the_model(tmp_path: Path) -> None:
    (tmp_path / "prd.md").write_text("# What is needed\n")
    findings = prepared(
        tmp_path, TEXT.format("", TOOL), rehearse=None, prd=str(tmp_path / "prd.md")
    ).findings
    assert any("logged in" in each.problem for each in findings)


@pytest.mark.parametrize("rehearse", [ORDINARY, None])
def test_who_cannot_be_had_and_what_may_refuse_commits_is_noted_before_it_starts(
    tmp_path: Path, found: str, monkeypatch: pytest.MonkeyPatch, rehearse: str | None
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "commit-msg").write_text("#!/bin/sh\n")
    (hooks / "commit-msg").chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[core]\nhooksPath = {hooks}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    text = TEXT.format("", 'n [shape=box, prompt="x", acceptance="y"]')
    made = prepared(
        tmp_path, text, rehearse=rehearse, review="self,gemini", environ={"PATH": "/usr/bin:/bin"}
    )
    notes = {each.where: each.problem for each in made.findings if not each.fatal}
    instead = "Claude Code stands in" if rehearse else "the review by self is the only one"
    assert "gemini is not installed" in notes["review"]
    assert instead in notes["review"]
    assert "commit-msg" in notes[str(hooks)]
