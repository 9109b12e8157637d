"""Killed at every file operation: the next call finds or finishes the same worktree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run import request as requests
from attractor.run.assignment import dump, from_json
from attractor.run.layout import run_layout
from attractor.run.request import Request
from runner import include
from runner.refs import prepare_refs
from runner.worktree import ensure
from signals.clock import SystemClock

pytestmark = pytest.mark.crash

BRANCH = "attractor/r/n"
PROGRAM = """
from attractor.run.assignment import load
from runner.git import look
from runner.refs import prepare_refs, publish_branch
from runner.worktree import ensure
from signals.clock import SystemClock

CLOCK = SystemClock()

def main(state, what):
    tree = ensure(load("assignment.json"), CLOCK)
    tell("ensured")
    if what == "refs":
        tell(publish_branch(tree, CLOCK))
        tell(prepare_refs(tree, CLOCK, fenced=True))
    found = look(tree, CLOCK)
    tell([found.head, found.dirty, found.branch_ok, found.tampered])

def again(state, what):
    main(state, what)
"""


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = "[user]\nname = A Person\nemail = person@example.org\n"
    (tmp_path / "home" / ".gitconfig").write_text(settings)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A repository that every state is a copy of."""
    folder = tmp_path / "template"
    folder.mkdir()
    git("init", "-q", cwd=folder)
    (folder / "src").mkdir()
    for name, text in {
        "a.txt": "one\n",
        "src/b.txt": "two\n",
        ".gitignore": ".env\n",
        ".worktreeinclude": ".env\n",
    }.items():
        (folder / name).write_text(text)
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "the first", cwd=folder)
    (folder / ".env").write_text("SECRET=1\n")
    return folder


def write_fresh(state: Path, template: Path) -> Any:
    project = state / "p"
    subprocess.run(["cp", "-a", template, project], check=True, timeout=30)
    said = {
        "schema_version": 1,
        "run_id": "r",
        "node_id": "n",
        "attempt": 1,
        "project": str(project),
        "run_root": run_layout(str(project), "r").root,
        "base_commit": git("rev-parse", "HEAD", cwd=project),
        "branch": BRANCH,
        "worktree": str(project / ".claude" / "worktrees" / "n"),
    }
    assignment = from_json(said, "the test")
    (state / "assignment.json").write_bytes(dump(assignment))
    return assignment


def check_whole(state: Path, head: str) -> None:
    project = state / "p"
    tree = project / ".claude" / "worktrees" / "n"
    names = {path.name: path.read_text() for path in tree.iterdir() if path.is_file()}
    git_file = f"gitdir: {project}/.git/worktrees/n\n"
    assert names == {
        ".git": git_file,
        ".env": "SECRET=1\n",
        ".gitignore": ".env\n",
        ".worktreeinclude": ".env\n",
        "a.txt": "one\n",
    }
    assert (tree / "src" / "b.txt").read_text() == "two\n"
    for folder in (tree, project):
        assert git("status", "--porcelain", cwd=folder) == ""
    assert git("symbolic-ref", "HEAD", cwd=tree) == f"refs/heads/{BRANCH}"
    assert git("rev-parse", BRANCH, cwd=project) == head
    listed = git("worktree", "list", "--porcelain", cwd=project)
    assert (listed.count("worktree "), listed.count("locked")) == (2, 0)
    lines = (project / ".git" / "info" / "exclude").read_text().splitlines()
    assert [lines.count(name) for name in include.OURS] == [1] * len(include.OURS)
    node = Path(run_layout(str(project), "r").root, "nodes", "n")
    assert json.loads((node / "worktree.json").read_text())["stage"] == "made"
    assert not list(node.rglob(".*.????????")), "drafts are swept"


def test_a_worktree_is_made_whole_whenever_it_is_asked_for_again(
    sweep: Callable[..., Any], template: Path
) -> None:
    def check(state: Path, death: Any) -> None:
        head = git("rev-parse", "HEAD", cwd=state / "p")
        check_whole(state, head)
        assert death.recovered == ("ensured", [head, False, True, ""])

    swept = sweep(
        "a worktree",
        PROGRAM,
        fresh=lambda state: write_fresh(state, template),
        check=check,
        recover="again",
        arguments=["make"],
        limit=24,
    )
    assert swept.points > 30


def test_what_a_fenced_session_did_is_published_whenever_it_is_asked_for_again(
    sweep: Callable[..., Any], template: Path
) -> None:
    def fresh(state: Path) -> None:
        assignment = write_fresh(state, template)
        tree = ensure(assignment, SystemClock())
        base = prepare_refs(tree, SystemClock(), fenced=True)
        head = git("commit-tree", "-p", base, "-m", "w", f"{base}^{{tree}}", cwd=state / "p")
        Path(tree.own_ref).write_text(f"{head}\n")
        (state / "head").write_text(head)

    def check(state: Path, death: Any) -> None:
        head = (state / "head").read_text()
        check_whole(state, head)
        refs = Path(run_layout(str(state / "p"), "r").root, "nodes", "n", "refs")
        assert [(path.name, path.read_text()) for path in refs.iterdir()] == [("n", f"{head}\n")]
        assert death.recovered == ("ensured", [head, ""], head, [head, False, True, ""])

    swept = sweep(
        "a branch is published",
        PROGRAM,
        fresh=fresh,
        check=check,
        recover="again",
        arguments=["refs"],
        limit=24,
    )
    assert swept.points > 8


CLEANS = """
import sys
from attractor.run.layout import run_layout
from runner.clean import clean
from signals.clock import SystemClock

def main(state, *arguments):
    layout = run_layout(f"{state}/p", "r")
    done = clean(layout, SystemClock(), force=False, branches=True)
    tell(done.kept)
"""


def test_what_a_run_has_left_is_gone_whenever_its_removal_is_asked_for_again(
    sweep: Callable[..., Any], template: Path
) -> None:
    def fresh(state: Path) -> None:
        assignment = write_fresh(state, template)
        tree = ensure(assignment, SystemClock())
        Path(tree.path, "a.txt").write_text("done")
        git("commit", "-qam", "work", cwd=Path(tree.path))
        git("branch", "attractor/r/integration", BRANCH, cwd=state / "p")
        git("merge", "-q", "attractor/r/integration", cwd=state / "p")
        layout, known = assignment.layout, ("run_id", "project", "run_root", "base_commit")
        asked = Request(pipeline="p.dot", **{each: getattr(assignment, each) for each in known})
        Path(layout.request).write_bytes(requests.dump(asked))
        (Path(layout.trees) / "tool").mkdir(parents=True)

    def check(state: Path, death: Any) -> None:
        project = state / "p"
        assert death.recovered == ([],)
        nodes = Path(run_layout(str(project), "r").root, "nodes")
        assert not list(nodes.rglob(".*.????????")), "drafts are swept"
        assert not (project / ".claude" / "worktrees" / "n").exists()
        assert not Path(run_layout(str(project), "r").trees).exists()
        assert git("for-each-ref", "refs/heads/attractor", cwd=project) == ""
        assert git("worktree", "list", cwd=project).count("\n") == 0
        assert (project / "a.txt").read_text() == "done"

    swept = sweep("a run is cleaned", CLEANS, fresh=fresh, check=check, recover="main", limit=24)
    assert swept.points > 8
