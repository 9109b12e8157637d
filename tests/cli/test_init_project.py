"""`attractor init` gives a project what it lacks, and overwrites nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import init_project
from attractor.run import config

Cli = Callable[..., Any]
FILES = [
    ".attractor.yaml",
    ".beads/.gitignore",
    ".beads/config.yaml",
    ".beads/issues.jsonl",
    ".beads/metadata.json",
    ".claude/settings.json",
    ".gitignore",
    "pipelines/first.dot",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "hello"
    (made / ".git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    return made


def tree(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def did(said: Any) -> dict[str, str]:
    return {step["name"]: step["did"] for step in said.json()["steps"]}


def test_it_makes_what_is_missing_and_says_what(cli: Cli, folder: Path) -> None:
    said = cli("init", folder)
    assert (said.status, sorted(tree(folder))) == (0, FILES)
    assert [line.split(" ")[0] for line in said.out.splitlines()] == [
        *["made"] * 4,
        "changed",
        "next:",
    ]


def test_a_second_time_changes_nothing_and_says_so(cli: Cli, folder: Path) -> None:
    cli("init", folder)
    before = tree(folder)
    assert set(did(cli("init", folder, "--json")).values()) == {"was there"}
    assert tree(folder) == before


def test_the_first_pipeline_is_without_a_finding(cli: Cli, folder: Path) -> None:
    cli("init", folder)
    said = cli("lint", folder / "pipelines" / "first.dot", "--strict")
    assert "0 errors, 0 warnings" in said.out, said


def test_the_settings_set_nothing_until_a_line_is_taken_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = init_project.settings_text()
    file = folder / ".attractor.yaml"
    file.write_text(text)
    assert config.load(str(folder), {}).project.values == {}
    lines = [
        line[1:] if line.startswith("#") and line[1] != " " else line for line in text.split("\n")
    ]
    file.write_text("\n".join(lines))
    values = config.load(str(folder), {}).project.values
    assert {name: each.value for name, each in values.items()} == {
        name: setting.default for name, setting in config.SETTINGS.items()
    }


def test_the_beads_of_the_project_can_be_used_at_once(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("init", folder)
    monkeypatch.chdir(folder)
    assert cli("bd", "create", "first", "--json").json()["id"].startswith("hello-")


@pytest.mark.parametrize("name", ["beads.db", "issues.jsonl"])
def test_beads_that_are_there_are_left_alone(name: str, cli: Cli, folder: Path) -> None:
    (folder / ".beads").mkdir()
    (folder / ".beads" / name).write_text("")
    assert did(cli("init", folder, "--json"))["beads"] == "was there"
    assert [path.name for path in (folder / ".beads").iterdir()] == [name]


def test_a_pipeline_that_is_there_is_enough(cli: Cli, folder: Path) -> None:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "mine.dot").write_text("digraph {}")
    assert did(cli("init", folder, "--json"))["pipeline"] == "was there"
    assert [path.name for path in (folder / "pipelines").iterdir()] == ["mine.dot"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"build", b"build\n.claude/attractor/\n.claude/worktrees/\n.claude/completion-state/\n"),
        (
            b"a\r\n/.claude/attractor\r\n",
            b"a\r\n/.claude/attractor\r\n.claude/worktrees/\r\n.claude/completion-state/\r\n",
        ),
        (b"\xff\n.claude/\n", b"\xff\n.claude/\n"),
    ],
)
def test_of_a_gitignore_every_byte_stays_and_what_is_missing_is_added(
    before: bytes, after: bytes, cli: Cli, folder: Path
) -> None:
    (folder / ".gitignore").write_bytes(before)
    cli("init", folder)
    assert (folder / ".gitignore").read_bytes() == after


def test_no_file_of_the_person_is_overwritten(cli: Cli, folder: Path) -> None:
    for name in FILES:
        if name != ".claude/settings.json":
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"# {name}, of mine\n.claude\n")
    before = tree(folder)
    cli("init", folder)
    after = tree(folder)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("words", ["--hooks-only --undo", "--trust --print", "--trust --undo"])
def test_words_that_do_not_go_together_are_refused(words: str, cli: Cli, folder: Path) -> None:
    assert cli("init", *words.split(), folder).status == 2
    assert tree(folder) == {}


def test_where_runs_cannot_work_it_says_so(cli: Cli, folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    assert "not the top of its checkout" in cli("init", inner).out
    (folder / ".git").rmdir()
    assert "this is no git repository" in cli("init", folder).out


def test_trust_is_given_on_request_only_and_to_the_main_checkout(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    (folder / ".git").rmdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    state = tmp_path / "home" / ".claude.json"
    state.parent.mkdir()
    state.write_text("{}")
    cli("init", folder)
    assert state.read_text() == "{}"
    assert did(cli("init", folder, "--trust", "--json"))["trust"] == "changed"
    key = str(folder.resolve())
    assert json.loads(state.read_text()) == {"projects": {key: {"hasTrustDialogAccepted": True}}}
    assert did(cli("init", folder, "--trust", "--json"))["trust"] == "was there"


def test_without_a_configuration_of_claude_code_there_is_none_to_trust_in(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    before = tree(folder)
    said = cli("init", folder, "--trust", "--json")
    assert (said.status, "has never been started here" in said.json()["message"]) == (1, True)
    assert "nothing was set up" in said.json()["message"]
    assert "--trust" in said.json()["fix"]
    assert not (tmp_path / "home").exists()
    assert tree(folder) == before


@pytest.mark.parametrize("text", ["[]", "{", '{"projects": []}'])
def test_where_trust_cannot_be_written_nothing_is_set_up(
    cli: Cli, folder: Path, tmp_path: Path, text: str
) -> None:
    state = tmp_path / "home" / ".claude.json"
    state.parent.mkdir()
    state.write_text(text)
    before = tree(folder)
    said = cli("init", folder, "--trust", "--json")
    assert (said.status, said.json()["where"]) == (1, str(state))
    assert "nothing was set up" in said.json()["message"]
    assert (state.read_text(), tree(folder)) == (text, before)
