"""What an ended run has left is removed, and nothing that would be lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from attractor.run import request as requests
from attractor.run.layout import RunLayout, run_layout
from attractor.run.request import Request
from runner.clean import Cleaned, clean
from signals import sign
from signals.clock import SystemClock

INTEGRATION = "attractor/r/integration"


class Ended:
    """A run with one node, of which nothing is alive."""

    def __init__(self, checkout: Any) -> None:
        self.checkout = checkout
        self.layout: RunLayout = run_layout(str(checkout.folder), "r")
        self.tree = checkout.ensure()
        self.base = checkout.head()
        asked = Request(
            run_id="r",
            project=str(checkout.folder),
            run_root=self.layout.root,
            pipeline="p.dot",
            base_commit=self.base,
        )
        Path(self.layout.request).write_bytes(requests.dump(asked))
        sign.write_key(self.layout.key, sign.new_key())
        Path(self.layout.journal).write_text("kept")
        kept = Path(self.layout.trees, "tool", "tree", "deep")
        kept.mkdir(parents=True)
        (kept / "file").write_text("x")
        kept.chmod(0o500)
        os.symlink(checkout.folder, kept.parent / "link")

    def work(self) -> str:
        """Commit something in the worktree, as a session does."""
        Path(self.tree.path, "a.txt").write_text("done")
        return self.checkout.commit(cwd=self.tree.path)  # type: ignore[no-any-return]

    def collect(self, commit: str) -> None:
        """Let the integration branch be there."""
        self.checkout.git("branch", "-f", INTEGRATION, commit)

    def clean(self, *, force: bool = False, branches: bool = True) -> Cleaned:
        return clean(self.layout, SystemClock(), force=force, branches=branches)

    def branches(self) -> list[str]:
        said = self.checkout.git("for-each-ref", "--format=%(refname:short)", "refs/heads")
        return sorted(each for each in said.split() if each != "main")


@pytest.fixture
def ended(checkout: Any) -> Ended:
    return Ended(checkout)


def test_what_is_merged_is_removed_and_the_records_stay(ended: Ended) -> None:
    ended.collect(ended.work())
    ended.checkout.git("merge", "-q", "--no-edit", INTEGRATION)
    done = ended.clean()
    assert done.kept == []
    assert done.removed == [ended.tree.path, ended.layout.trees, INTEGRATION, ended.tree.branch]
    assert not os.path.exists(ended.tree.path)
    assert not os.path.exists(ended.layout.trees)
    assert (ended.branches(), ended.tree.path in ended.checkout.git("worktree", "list")) == (
        [],
        False,
    )
    assert Path(ended.layout.journal).read_text() == "kept"
    assert (ended.checkout.folder / "a.txt").read_text() == "done"
    assert ended.clean() == Cleaned()


def test_an_integration_branch_that_nobody_has_merged_stays(ended: Ended) -> None:
    ended.collect(ended.work())
    done = ended.clean()
    assert done.removed == [ended.tree.path, ended.layout.trees, ended.tree.branch]
    (kept,) = done.kept
    assert (kept["what"], kept["why"]) == (INTEGRATION, "it is not merged")
    assert kept["fix"].startswith(f"git merge {INTEGRATION};")
    assert ended.branches() == [INTEGRATION]


def test_work_that_is_not_merged_stays_until_it_is_forced_and_its_branch_even_then(
    ended: Ended,
) -> None:
    ended.collect(ended.base)
    head = ended.work()
    done = ended.clean()
    assert os.path.exists(ended.tree.path)
    assert [each["what"] for each in done.kept] == [ended.tree.path, ended.tree.branch]
    assert "is not merged into" in done.kept[0]["why"]
    done = ended.clean(force=True)
    assert done.removed == [ended.tree.path]
    assert [each["what"] for each in done.kept] == [ended.tree.branch]
    assert ended.checkout.git("rev-parse", ended.tree.branch) == head


def test_changes_that_are_not_committed_stay_until_it_is_forced(ended: Ended) -> None:
    ended.collect(ended.base)
    Path(ended.tree.path, "new.txt").write_text("x")
    done = ended.clean()
    assert "new.txt" in done.kept[0]["why"]
    assert Path(ended.tree.path, "new.txt").read_text() == "x"
    done = ended.clean(force=True)
    assert (ended.tree.path in done.removed, os.path.exists(ended.tree.path)) == (True, False)


def test_a_commit_on_no_branch_and_a_lock_of_a_person_stay_though_it_is_forced(
    ended: Ended,
) -> None:
    ended.collect(ended.base)
    ended.checkout.git("worktree", "lock", ended.tree.path)
    assert "was locked" in ended.clean(force=True).kept[0]["why"]
    ended.checkout.git("worktree", "unlock", ended.tree.path)
    ended.checkout.git("switch", "-q", "--detach", cwd=ended.tree.path)
    ended.work()
    ended.clean(force=True)
    assert os.path.exists(ended.tree.path)


def test_a_branch_that_is_checked_out_stays(ended: Ended) -> None:
    ended.collect(ended.work())
    ended.checkout.git("switch", "-q", INTEGRATION)
    done = ended.clean()
    assert [each["what"] for each in done.kept] == [INTEGRATION]
    assert ended.branches() == [INTEGRATION]


def test_a_run_that_can_go_on_keeps_its_branches_and_gets_its_worktree_back(ended: Ended) -> None:
    head = ended.work()
    ended.collect(head)
    done = ended.clean(branches=False)
    assert done.removed == [ended.tree.path, ended.layout.trees]
    assert ended.branches() == [INTEGRATION, ended.tree.branch]
    again = ended.checkout.ensure(attempt=2, base_commit=ended.base)
    assert ended.checkout.look(again).head == head


def test_what_a_command_committed_is_removed_with_the_branches(ended: Ended) -> None:
    ended.collect(ended.base)
    lost = ended.checkout.git("commit-tree", "-m", "lost", "HEAD^{tree}")
    ended.checkout.git("update-ref", "refs/attractor/r/tool/1", ended.base)
    ended.checkout.git("update-ref", "refs/attractor/r/tool/2", lost)
    done = ended.clean()
    assert "refs/attractor/r/tool/1" in done.removed
    assert [each["what"] for each in done.kept] == ["refs/attractor/r/tool/2"]


def test_a_worktree_and_a_branch_of_another_run_stay(ended: Ended) -> None:
    ended.collect(ended.base)
    other = str(ended.checkout.folder / ".claude/worktrees/other")
    ended.checkout.git("worktree", "add", "-q", "-b", "attractor/r2/n", other)
    ended.clean(force=True)
    assert (os.path.isdir(other), ended.branches()) == (True, ["attractor/r2/n"])


def test_a_removal_that_was_cut_off_is_finished(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended.collect(ended.work())

    def killed(path: str) -> None:
        os.unlink(os.path.join(path, ".git"))
        os.unlink(os.path.join(path, "a.txt"))
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("runner.worktree.remove_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            ended.clean()
    assert os.path.exists(ended.tree.path)
    assert ended.tree.path in ended.clean().removed
    assert not os.path.exists(ended.tree.path)
    assert ended.tree.path not in ended.checkout.git("worktree", "list")


def test_a_link_in_the_place_of_a_worktree_is_not_followed(ended: Ended, tmp_path: Path) -> None:
    ended.collect(ended.base)
    os.rename(ended.tree.path, tmp_path / "moved")
    os.symlink(tmp_path / "moved", ended.tree.path)
    ended.clean(force=True)
    assert (tmp_path / "moved" / "a.txt").exists()


def test_what_somebody_puts_there_afterwards_is_not_ours(ended: Ended) -> None:
    ended.collect(ended.work())
    ended.clean(branches=False)
    os.mkdir(ended.tree.path)
    Path(ended.tree.path, "mine.txt").write_text("x")
    (kept,) = ended.clean(force=True, branches=False).kept
    assert kept["what"] == ended.tree.path
    assert Path(ended.tree.path, "mine.txt").exists()
