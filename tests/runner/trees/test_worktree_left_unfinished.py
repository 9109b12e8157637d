"""What a git that was killed leaves behind becomes the same worktree, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals.clock import SystemClock

CLOCK = SystemClock()


def begun(checkout: Any) -> Any:
    """Return a worktree whose record says that it is being made; git was here, too."""
    tree = checkout.ensure()
    record = Path(checkout.assignment().layout.worktree_record("n"))
    record.write_text(record.read_text().replace('"made"', '"making"'))
    return tree


def without_files(tree: Any) -> None:
    for name in os.listdir(tree.path):
        path = Path(tree.path, name)
        if name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    Path(tree.admin, "index").unlink()


def unfinished(tree: Any) -> None:
    without_files(tree)
    Path(tree.admin, "locked").write_text("initializing")
    Path(tree.admin, "HEAD").write_text("0" * 40 + "\n")


LEFT: dict[str, Callable[[Any], object]] = {
    "all": lambda _: None,
    "half of the files": lambda tree: (
        Path(tree.path, "a.txt").write_text("on"),
        Path(tree.admin, "index").unlink(),
        Path(tree.admin, "index.lock").write_text(""),
    ),
    "no files": without_files,
    "an unfinished entry": unfinished,
    "an entry that is still locked": lambda tree: (
        without_files(tree),
        Path(tree.admin, "locked").write_text("initializing"),
    ),
    "an unfinished entry without a HEAD": lambda tree: (
        unfinished(tree),
        Path(tree.admin, "HEAD").unlink(),
    ),
    "an unfinished entry and an empty folder": lambda tree: (
        unfinished(tree),
        Path(tree.path, ".git").unlink(),
    ),
    "an unfinished entry and no folder": lambda tree: (unfinished(tree), shutil.rmtree(tree.path)),
    "an entry that leads nowhere": lambda tree: (
        unfinished(tree),
        Path(tree.path, ".git").unlink(),
        Path(tree.admin, "gitdir").write_text(""),
    ),
    "a folder and no entry": lambda tree: (
        without_files(tree),
        Path(tree.path, ".git").unlink(),
        shutil.rmtree(tree.admin),
    ),
    "a lock of the branch": lambda tree: (
        shutil.rmtree(tree.path),
        shutil.rmtree(tree.admin),
        Path(tree.ref_folder, "n").rename(Path(tree.ref_folder, "n.lock")),
    ),
    "a branch only": lambda tree: (shutil.rmtree(tree.path), shutil.rmtree(tree.admin)),
}


@pytest.mark.parametrize("left", LEFT)
def test_what_a_killed_git_left_becomes_the_same_worktree(checkout: Any, left: str) -> None:
    tree = begun(checkout)
    LEFT[left](tree)
    again = checkout.ensure()
    assert not again.adopted
    assert checkout.files(again.path) == [".gitignore", "a.txt", "src/b.txt"]
    assert checkout.git("status", "--porcelain", cwd=again.path) == ""
    assert checkout.git("symbolic-ref", "HEAD", cwd=again.path) == "refs/heads/attractor/r/n"
    listed = checkout.git("worktree", "list", "--porcelain")
    assert (listed.count("attractor/r/n"), listed.count("locked")) == (1, 0)
    found = checkout.look(again)
    assert (found.branch_ok, found.dirty, found.tampered) == (True, False, "")


def test_what_somebody_put_into_a_half_made_worktree_is_kept(checkout: Any) -> None:
    tree = begun(checkout)
    unfinished(tree)
    mine = Path(tree.path, "mine.txt")
    mine.write_text("mine")
    assert "this run did not make" in checkout.refused().problem
    assert mine.read_text() == "mine"


def test_a_branch_that_somebody_made_in_a_half_made_worktree_is_kept(checkout: Any) -> None:
    tree = begun(checkout)
    checkout.git("switch", "-q", "-c", "mine", cwd=tree.path)
    assert "this run did not make" in checkout.refused().problem
    assert checkout.git("symbolic-ref", "HEAD", cwd=tree.path) == "refs/heads/mine"


# A git that kills who started it, then does its work: the process that dies at the worst moment.
DEADLY_GIT = """#!/bin/sh
echo >> "$ATTRACTOR_TEST/calls"
if [ "$(wc -l < "$ATTRACTOR_TEST/calls")" -eq "$(cat "$ATTRACTOR_TEST/kill")" ]; then
    kill -9 $PPID
fi
exec {git} "$@"
"""
PROGRAM = """
import sys
from attractor.run.assignment import load
from runner import git
from runner.worktree import ensure
from signals.clock import SystemClock
ensure(load(sys.argv[1]), SystemClock())
"""


def test_killed_while_git_works_it_waits_for_that_git_and_finishes(
    new_checkout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.run.assignment import dump

    folder = tmp_path / "bin"
    folder.mkdir()
    deadly = DEADLY_GIT.format(git=shutil.which("git"))
    # The environment of git is made from nothing, so the test's folder is written into it.
    (folder / "git").write_text(deadly.replace("$ATTRACTOR_TEST", str(folder)))
    (folder / "git").chmod(0o755)
    died = 0
    for number in range(1, 100):
        checkout = new_checkout(f"p{number}")
        checkout.write(".worktreeinclude", ".env\n")
        checkout.write(".env", "SECRET")
        checkout.commit()
        assignment = tmp_path / "assignment.json"
        assignment.write_bytes(dump(checkout.assignment()))
        (folder / "calls").write_text("")
        (folder / "kill").write_text(str(number))
        with monkeypatch.context() as patched:
            patched.setenv("PATH", f"{folder}:{os.environ['PATH']}")
            argv = [sys.executable, "-I", "-c", PROGRAM, str(assignment)]
            done = subprocess.run(argv, timeout=60, check=False)
        again = checkout.ensure()
        assert checkout.files(again.path) == [
            ".env",
            ".gitignore",
            ".worktreeinclude",
            "a.txt",
            "src/b.txt",
        ]
        assert checkout.git("status", "--porcelain", cwd=again.path) == ""
        found = checkout.look(again)
        assert (found.branch_ok, found.dirty, found.tampered) == (True, False, "")
        if done.returncode == 0:
            break
        died += 1
    assert died > 8
