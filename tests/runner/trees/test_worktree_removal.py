"""A worktree is removed when nothing of it would be lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError, ToolError
from runner import registered
from runner.worktree import remove
from signals.clock import SystemClock

CLOCK = SystemClock()


def merged(checkout: Any, tree: Any) -> None:
    checkout.git("merge", "-q", "--no-edit", tree.branch)


def test_a_worktree_whose_work_is_merged_is_removed_and_its_branch_kept(checkout: Any) -> None:
    tree = checkout.ensure()
    Path(tree.path, "a.txt").write_text("done")
    head = checkout.commit(cwd=tree.path)
    merged(checkout, tree)
    remove(tree, "main", CLOCK)
    assert not os.path.exists(tree.path)
    assert checkout.git("rev-parse", tree.branch) == head
    assert tree.path not in checkout.git("worktree", "list")
    remove(tree, "main", CLOCK)
    again = checkout.ensure(attempt=2, base_commit=tree.base)
    assert (again.adopted, checkout.look(again).head) == (False, head)


LOSSES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "unmerged": (
        lambda checkout, tree: checkout.commit(cwd=tree.path),
        "is not merged into main",
    ),
    "changed": (lambda _, tree: Path(tree.path, "a.txt").write_text("x"), "a.txt"),
    "new": (lambda _, tree: Path(tree.path, "new.txt").write_text("x"), "new.txt"),
    "hidden from git": (
        lambda checkout, tree: (
            checkout.git("update-index", "--assume-unchanged", "a.txt", cwd=tree.path),
            Path(tree.path, "a.txt").write_text("x"),
        ),
        "a.txt",
    ),
    "detached": (
        lambda checkout, tree: (
            checkout.git("switch", "-q", "--detach", cwd=tree.path),
            checkout.commit(cwd=tree.path),
        ),
        "on no merged branch",
    ),
    "locked": (
        lambda checkout, tree: checkout.git("worktree", "lock", "--reason", "my disk", tree.path),
        "my disk",
    ),
    "tampered": (
        lambda _, tree: Path(tree.admin, "config.worktree").write_text("[core]\n"),
        "config.worktree",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_worktree_is_not_removed_while_something_would_be_lost(checkout: Any, loss: str) -> None:
    tree = checkout.ensure()
    do, words = LOSSES[loss]
    do(checkout, tree)
    before = checkout.files(tree.path)
    error = checkout.refused(lambda: remove(tree, "main", CLOCK))
    assert error.problem.startswith("not removed: ")
    assert words in error.problem
    assert checkout.files(tree.path) == before


def test_what_only_the_index_holds_is_not_lost(checkout: Any) -> None:
    tree = checkout.ensure()
    path = Path(tree.path, "a.txt")
    before = path.read_bytes()
    path.write_text("staged")
    checkout.git("add", "a.txt", cwd=tree.path)
    path.write_bytes(before)
    with pytest.raises((InputError, ToolError)):
        remove(tree, "main", CLOCK)
    assert path.exists()


def test_merged_means_merged_into_what_is_there(checkout: Any) -> None:
    tree = checkout.ensure()
    assert (
        "not merged into nowhere"
        in checkout.refused(lambda: remove(tree, "nowhere", CLOCK)).problem
    )


def test_the_checkouts_of_a_repository_are_found_whatever_their_names(checkout: Any) -> None:
    path = checkout.folder.parent / "a\nb"
    checkout.git("worktree", "add", "-q", "--detach", str(path))
    main, linked = registered.places(str(checkout.folder / ".git"))
    assert (main.path, main.head) == (str(checkout.folder), "ref: refs/heads/main")
    assert (linked.path, linked.head) == (str(path), checkout.head())
