"""A repository with a node's worktree in it, and an agent that can do anything to both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run.assignment import Assignment
from attractor.run.branch import node_branch
from attractor.run.layout import escape, run_layout
from runner import worktree
from runner.git import TreeFacts, Worktree, look
from signals.clock import SystemClock

CLOCK = SystemClock()


class Checkout:
    """A person's checkout, and the worktrees of a run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str, cwd: Path | str | None = None, check: bool = True) -> str:
        """Do what somebody does who trusts everything: plain git, as a person or an agent."""
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.rstrip("\n")

    def write(self, name: str, text: str = "text\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, message: str = "work", cwd: Path | str | None = None) -> str:
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "-q", "--allow-empty", "-m", message, cwd=cwd)
        return self.head(cwd)

    def head(self, cwd: Path | str | None = None) -> str:
        return self.git("rev-parse", "HEAD", cwd=cwd)

    def assignment(self, node: str = "n", **changes: Any) -> Assignment:
        values: dict[str, Any] = {
            "run_id": "r",
            "node_id": node,
            "attempt": 1,
            "project": str(self.folder),
            "run_root": run_layout(str(self.folder), "r").root,
            "base_commit": changes.get("base_commit") or self.head(),
            "branch": node_branch("r", node),
            "worktree": str(self.folder / ".claude" / "worktrees" / escape(node)),
        }
        return Assignment(**values | changes)

    def ensure(self, node: str = "n", **changes: Any) -> Worktree:
        return worktree.ensure(self.assignment(node, **changes), CLOCK)

    def look(self, tree: Worktree) -> TreeFacts:
        return look(tree, CLOCK)

    def files(self, folder: str) -> list[str]:
        """Return the files below a folder that are not git's."""
        found = []
        for where, folders, names in os.walk(folder):
            folders[:] = [each for each in folders if each != ".git"]
            found += [os.path.relpath(os.path.join(where, name), folder) for name in names]
        return sorted(name for name in found if name != ".git")

    def refused(self, call: Callable[..., object] | None = None, **changes: Any) -> InputError:
        """Return the error with which a call is refused, of `ensure` without one."""
        with pytest.raises(InputError) as caught:
            (call or self.ensure)(**changes)
        assert caught.value.where
        assert caught.value.fix
        return caught.value


@pytest.fixture
def new_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Checkout]:
    """Make a repository with one commit, of a person who has a name and no other settings."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text(
        "[user]\nname = A Person\nemail = person@example.org\n[init]\ndefaultBranch = main\n"
    )

    def make(name: str) -> Checkout:
        folder = tmp_path / name
        folder.mkdir()
        made = Checkout(folder)
        made.git("init", "-q")
        made.write("a.txt", "one\ntwo\n")
        made.write("src/b.txt")
        made.write(".gitignore", ".env\nbuild/\n")
        made.commit("the first")
        return made

    return make


@pytest.fixture
def checkout(new_checkout: Callable[[str], Checkout]) -> Checkout:
    return new_checkout("project")
