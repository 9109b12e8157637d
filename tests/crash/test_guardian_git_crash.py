"""Killed at every file operation: a clean tree leaves nothing, and a merge happens once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import RunLayout, run_layout

pytestmark = pytest.mark.crash

BRANCH = "attractor/r/integration"
KEY = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
TREE = """
import os
from guardian import trees
from signals.clock import SystemClock

def main(state, folder, commit):
    with trees.clean(f"{state}/p", f"{state}/{folder}", commit, SystemClock()) as path:
        tell(sorted(os.listdir(path)))
        with open(f"{path}/made.txt", "w") as file:
            file.write("by a check")

def again(state, folder, commit):
    main(state, folder, commit)
"""
MERGE = """
import json
from guardian.tasks import merge
from signals.clock import SystemClock

def main(state):
    with open(f"{state}/spec.json") as file:
        tell(merge.run(json.load(file), SystemClock()))

def again(state):
    main(state)
"""


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two nodes' work, of which one is merged, and a person at work."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nname = P\nemail = p@example.org\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "template"
    folder.mkdir()
    git("init", "-q", "-b", "main", cwd=folder)
    for branch, name in (("main", "base"), (BRANCH, "one"), ("attractor/r/two", "two")):
        if branch != "main":
            git("checkout", "-q", "-b", branch, "main", cwd=folder)
        (folder / name).write_text(f"{name}\n")
        git("add", "-A", cwd=folder)
        git("commit", "-q", "-m", name, cwd=folder)
    git("checkout", "-q", "main", cwd=folder)
    (folder / "base").write_text("the person is at work\n")
    (folder / "new").write_text("not added\n")
    return folder


def copied(state: Path, template: Path) -> RunLayout:
    subprocess.run(["cp", "-a", template, state / "p"], check=True, timeout=30)
    return run_layout(str(state / "p"), "r")


def of_the_person(project: Path) -> list[object]:
    """The checkout, and all of the repository but its objects and our branches."""
    files = {path.relative_to(project): path for path in project.rglob("*") if path.is_file()}
    return [
        (str(name), path.read_bytes())
        for name, path in sorted(files.items())
        if not {"objects", "attractor"} & set(name.parts)
    ]


def test_a_clean_tree_is_whole_and_leaves_nothing_whenever_it_is_asked_for_again(
    sweep: Callable[..., Any], template: Path
) -> None:
    def check(state: Path, death: Any) -> None:
        assert death.recovered == ([".git", "base", "two"],)
        assert of_the_person(state / "p") == of_the_person(template)
        assert not list((state / "p" / ".claude" / "attractor" / "runs" / "r" / "trees").iterdir())
        assert git("worktree", "list", cwd=state / "p").count("\n") == 0

    swept = sweep(
        "a clean tree",
        TREE,
        fresh=lambda state: copied(state, template),
        check=check,
        recover="again",
        arguments=["p/.claude/attractor/runs/r/trees/n-1", "attractor/r/two"],
        limit=30,
    )
    assert swept.points > 15


@pytest.mark.parametrize("history", ["kept", "left out"])
def test_a_merge_moves_the_branch_once_whenever_it_is_asked_for_again(
    history: str, sweep: Callable[..., Any], template: Path
) -> None:
    head = git("rev-parse", BRANCH, cwd=template)
    two = git("rev-parse", "attractor/r/two", cwd=template)
    if history == "left out":
        two = git("commit-tree", f"{two}^{{tree}}", "-p", two, "-m", f"use {KEY}", cwd=template)
        git("branch", "-f", "attractor/r/two", two, cwd=template)

    def fresh(state: Path) -> None:
        layout = copied(state, template)
        request = {"project": str(state / "p"), "run_id": "r", "run_root": layout.root}
        spec = {
            "request": request,
            "node": "two",
            "attempt": 1,
            "commit": two,
            "branch": BRANCH,
            "head": head,
            "base_commit": git("rev-parse", "main", cwd=template),
            "checks": ["test -f one -a -f two"],
        }
        (state / "spec.json").write_text(json.dumps(spec))

    def check(state: Path, death: Any) -> None:
        project = state / "p"
        now = git("rev-parse", BRANCH, cwd=project)
        (answer,) = death.recovered
        assert (answer["status"], answer["commit"]) == ("merged", now)
        merged = git("log", "-1", "--format=%P", now, cwd=project).split()
        assert merged[0] == head
        assert (merged[1] == two) == ("note" not in answer) == (history == "kept")
        assert KEY not in git("log", "--format=%B", now, cwd=project)
        assert git("ls-tree", "--name-only", now, cwd=project) == "base\none\ntwo"
        moves = git("reflog", "show", "--format=%H", BRANCH, cwd=project).split()
        assert moves.index(now) == 0
        assert moves[1] == head
        assert git("rev-parse", "attractor/r/two", cwd=project) == two
        assert of_the_person(project) == of_the_person(template)
        assert not list(Path(run_layout(str(project), "r").trees).iterdir())

    name = "a merge" if history == "kept" else "a merge without its history"
    swept = sweep(name, MERGE, fresh=fresh, check=check, recover="again", limit=24)
    assert swept.points > 20
