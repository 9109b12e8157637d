"""Ignored files that `.worktreeinclude` names are in the worktree too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runner import include
from signals.clock import SystemClock

CLOCK = SystemClock()


def test_ignored_files_that_the_list_names_are_copied(checkout: Any) -> None:
    checkout.write(".worktreeinclude", "# secrets\n.env*\nbuild/*\n!build/big\n")
    checkout.write(".gitignore", ".env*\nbuild/\n")
    checkout.commit()
    checkout.write(".env", "KEY=1").chmod(0o600)
    checkout.write("src/.env.local", "KEY=2")
    checkout.write("build/tool", "#!/bin/sh\n").chmod(0o755)
    checkout.write("build/big", "big")
    tree = checkout.ensure()
    got = {name: Path(tree.path, name) for name in checkout.files(tree.path)}
    assert set(got) - {".gitignore", ".worktreeinclude", "a.txt", "src/b.txt"} == {
        ".env",
        "src/.env.local",
        "build/tool",
    }
    assert (got[".env"].read_text(), got[".env"].stat().st_mode & 0o777) == ("KEY=1", 0o600)
    assert got["build/tool"].stat().st_mode & 0o777 == 0o755
    assert (tree.notes, checkout.look(tree).dirty) == ((), False)


def test_a_file_that_would_not_be_ignored_there_is_not_copied(checkout: Any) -> None:
    base = checkout.head()
    checkout.write(".gitignore", ".env\nsecret.txt\n")
    checkout.write("a.txt", "changed")
    checkout.commit()
    checkout.write(".worktreeinclude", "secret.txt\na.txt\n")
    checkout.write("secret.txt", "SECRET")
    tree = checkout.ensure(base_commit=base)
    assert checkout.files(tree.path) == [".gitignore", "a.txt", "src/b.txt"]
    assert Path(tree.path, "a.txt").read_text() == "one\ntwo\n"
    assert "not copied" in tree.notes[0]
    assert "secret.txt" in tree.notes[0]


def test_nothing_of_a_run_and_nothing_hidden_is_copied(checkout: Any) -> None:
    checkout.write(".worktreeinclude", "**\n")
    checkout.write(".gitignore", "*.hidden\n.env\n")
    checkout.commit()
    checkout.write(".claude/attractor/runs/r/key", "the key")
    checkout.write(".claude/completion-state/promises/p.json", "{}")
    checkout.write("rubrics/one.hidden", "the rubric")
    checkout.write("two.hidden", "the other rubric")
    checkout.write(".env", "KEY=1")
    hidden = (str(checkout.folder / "rubrics"), str(checkout.folder / "two.hidden"))
    tree = checkout.ensure(hidden=hidden)
    assert set(checkout.files(tree.path)) - {
        ".gitignore",
        ".worktreeinclude",
        "a.txt",
        "src/b.txt",
    } == {".env"}


def test_no_link_is_followed_when_files_are_copied(checkout: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("SECRET")
    checkout.write(".worktreeinclude", ".env\nbuild/\n")
    checkout.write(".gitignore", ".env\nbuild/\n!build/..\n")
    (checkout.folder / "build").symlink_to(outside)
    checkout.git("add", "-f", "build")
    checkout.commit()
    (checkout.folder / "build").unlink()
    checkout.write("build/planted", "over there")
    (checkout.folder / ".env").symlink_to(outside / "secret")
    tree = checkout.ensure()
    assert (Path(tree.path, "build").is_symlink(), sorted(os.listdir(outside))) == (
        True,
        ["secret"],
    )
    assert not os.path.lexists(os.path.join(tree.path, ".env"))
    assert ".env" in tree.notes[0]


def test_too_many_files_are_refused_before_one_is_copied(
    checkout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(include, "MOST_FILES", 2)
    checkout.write(".worktreeinclude", "build/\n")
    for number in range(3):
        checkout.write(f"build/{number}")
    error = checkout.refused()
    assert "3 files" in error.problem
    assert not os.path.exists(os.path.join(checkout.assignment().worktree, "build"))
    checkout.write(".worktreeinclude", "build/0\n")
    assert "build/0" in checkout.files(checkout.ensure().path)


def test_too_much_is_refused(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(include, "MOST_BYTES", 3)
    checkout.write(".worktreeinclude", ".env\n")
    checkout.write(".env", "1234")
    assert "GiB" in checkout.refused().problem


def test_a_copy_is_not_made_anew_when_the_worktree_is_taken_over(checkout: Any) -> None:
    checkout.write(".worktreeinclude", ".env\n")
    checkout.write(".env", "1")
    tree = checkout.ensure()
    Path(tree.path, ".env").write_text("changed by the session")
    checkout.ensure()
    assert Path(tree.path, ".env").read_text() == "changed by the session"
