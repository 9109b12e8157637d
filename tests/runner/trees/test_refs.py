from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError, ToolError
from runner import refs
from runner.refs import prepare_refs, publish_branch
from signals.clock import SystemClock

CLOCK = SystemClock()
BRANCH = "refs/heads/attractor/r/n"
NUMBERS = itertools.count(1)


class Fenced:
    """A session whose run's branches are a private folder, done without a real fence."""

    def __init__(self, checkout: Any) -> None:
        self.checkout = checkout
        self.tree = checkout.ensure()
        self.first = prepare_refs(self.tree, CLOCK, fenced=True)
        self.own = Path(self.tree.own_ref)

    def real(self) -> str:
        return str(self.checkout.git("rev-parse", "--verify", "-q", BRANCH, check=False))

    def new_commit(self, *parents: str) -> str:
        """Make a commit that no branch of the repository holds, as behind a fence."""
        words = [
            word for parent in parents or [self.own.read_text().strip()] for word in ("-p", parent)
        ]
        tree = f"{self.first}^{{tree}}"
        # Two that are made in one second must not be one commit.
        message = f"work {next(NUMBERS)}"
        return str(self.checkout.git("commit-tree", *words, "-m", message, tree))

    def works(self) -> str:
        head = self.new_commit()
        self.own.write_text(f"{head}\n")
        return head

    def publish(self) -> tuple[str, str]:
        return publish_branch(self.tree, CLOCK)

    def prepare(self, *, fenced: bool = True) -> str:
        return prepare_refs(self.tree, CLOCK, fenced=fenced)


@pytest.fixture
def fenced(checkout: Any) -> Fenced:
    checkout.commit("the second")
    return Fenced(checkout)


def test_a_fenced_session_finds_its_own_branch_and_no_other(fenced: Fenced) -> None:
    assert fenced.first == fenced.tree.base
    assert os.listdir(fenced.tree.refs) == ["n"]
    assert fenced.own.read_text() == f"{fenced.first}\n"
    assert os.listdir(fenced.tree.reflogs) == []


def test_the_real_folders_stay_when_git_packs_the_branches(fenced: Fenced) -> None:
    fenced.checkout.git("pack-refs", "--all", "--prune")
    assert os.listdir(fenced.tree.ref_folder) == [".keep"]
    assert os.path.isdir(fenced.tree.log_folder)
    assert fenced.real() == fenced.first
    assert fenced.publish() == (fenced.first, "")


def test_work_is_seen_at_once_and_published_when_asked(fenced: Fenced) -> None:
    head = fenced.works()
    found = fenced.checkout.look(fenced.tree)
    assert (found.head, found.commits, found.branch_ok) == (head, 1, True)
    assert fenced.real() == fenced.first
    assert fenced.publish() == (head, "")
    assert (fenced.real(), fenced.publish()) == (head, (head, ""))
    assert "the session's work" in fenced.checkout.git("reflog", "-1", BRANCH)


def test_work_that_was_rewritten_is_published_too(fenced: Fenced) -> None:
    fenced.works()
    fenced.publish()
    other = fenced.new_commit(fenced.first)
    fenced.own.write_text(f"{other}\n")
    assert fenced.publish() == (other, "")


CLAIMS = {
    "nothing": "",
    "no id": "main\n",
    "a name": "ref: refs/heads/main\n",
    "an id of nothing": f"{'1' * 40}\n",
    "much": "x" * 2_000_000,
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_is_no_commit_is_not_published(fenced: Fenced, claim: str) -> None:
    fenced.own.write_text(CLAIMS[claim])
    assert fenced.publish() == (fenced.first, "the branch that the session writes is no commit")
    found = fenced.checkout.look(fenced.tree)
    assert (found.head, found.branch_ok) == ("", False)
    assert "no commit" in found.tampered
    assert fenced.prepare() == fenced.first
    assert fenced.own.read_text() == f"{fenced.first}\n"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "tree"])
def test_what_is_no_file_is_not_published_and_goes(
    fenced: Fenced, kind: str, tmp_path: Path
) -> None:
    head = fenced.new_commit()
    fenced.own.unlink()
    outside = tmp_path / "outside"
    outside.write_text(f"{head}\n")
    if kind == "link":
        fenced.own.symlink_to(outside)
    elif kind == "folder":
        (fenced.own / "deep").mkdir(parents=True)
        (fenced.own / "deep" / "link").symlink_to(tmp_path)
    elif kind == "pipe":
        os.mkfifo(fenced.own)
    else:
        fenced.own.write_text(fenced.checkout.git("rev-parse", "HEAD^{tree}"))
    assert fenced.publish()[1] != ""
    assert fenced.real() == fenced.first
    fenced.prepare()
    assert fenced.own.read_text() == f"{fenced.first}\n"
    assert outside.read_text() == f"{head}\n"


def test_a_commit_without_the_base_is_not_published(fenced: Fenced) -> None:
    before = fenced.checkout.git("rev-parse", f"{fenced.first}~1")
    stranger = fenced.new_commit(before)
    fenced.own.write_text(f"{stranger}\n")
    head, refused = fenced.publish()
    assert (head, fenced.real()) == (fenced.first, fenced.first)
    assert "has not the base in its past" in refused
    assert not fenced.checkout.look(fenced.tree).branch_ok
    assert fenced.prepare() == stranger, "it is the session's, and kept for it"


def test_a_branch_that_somebody_else_moved_is_left_alone(fenced: Fenced) -> None:
    fenced.works()
    fenced.publish()
    theirs = fenced.new_commit()
    fenced.checkout.git("update-ref", BRANCH, theirs)
    mine = fenced.works()
    assert fenced.publish() == (theirs, f"somebody else moved attractor/r/n to {theirs:.12}")
    assert fenced.real() == theirs
    assert fenced.prepare() == mine, "nothing of the session is lost"
    with pytest.raises(InputError, match="somebody else moved") as caught:
        fenced.prepare(fenced=False)
    assert "git branch -f" in caught.value.fix


def test_where_all_is_published_the_session_follows_the_branch(fenced: Fenced) -> None:
    fenced.works()
    fenced.publish()
    theirs = fenced.new_commit()
    fenced.checkout.git("update-ref", BRANCH, theirs)
    assert fenced.publish() == (theirs, "")
    assert fenced.prepare() == theirs
    assert fenced.own.read_text() == f"{theirs}\n"
    mine = fenced.works()
    assert fenced.publish() == (mine, "")


def test_a_death_between_note_and_move_changes_nothing(
    fenced: Fenced, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fenced.works()

    class DeadError(Exception):
        pass

    def die(*_: Any, **__: Any) -> Any:
        raise DeadError

    give = refs._give
    for death in (die, lambda *words: (give(*words), die())):
        with monkeypatch.context() as patched:
            patched.setattr(refs, "_give", death)
            with pytest.raises(DeadError):
                fenced.publish()
        assert fenced.real() == fenced.first
    assert fenced.publish() == (first, "")
    second = fenced.works()
    assert fenced.publish() == (second, "")


def test_a_lock_that_our_own_dead_git_left_is_no_hindrance(
    fenced: Fenced,
) -> None:
    lock = Path(fenced.tree.ref_folder, "n.lock")
    head = fenced.works()
    lock.write_text("")
    with pytest.raises(ToolError, match="File exists"):
        fenced.publish()
    assert fenced.publish() == (head, ""), "now it is known that a git of ours was at it"


def test_work_of_before_the_restart_is_still_there(fenced: Fenced) -> None:
    head = fenced.works()
    again = fenced.checkout.ensure(base_commit=fenced.first)
    assert prepare_refs(again, CLOCK, fenced=True) == head
    assert fenced.own.read_text() == f"{head}\n"
    assert fenced.real() == head, "and published on the way"


def test_locks_of_a_dead_session_are_removed(fenced: Fenced) -> None:
    locks = [
        Path(f"{fenced.own}.lock"),
        *(Path(fenced.tree.admin, f"{n}.lock") for n in ("index", "HEAD")),
    ]
    for lock in locks:
        lock.write_text("")
    fenced.prepare()
    assert [lock for lock in locks if lock.exists()] == []


def test_a_deleted_branch_comes_back_with_what_the_session_did(fenced: Fenced) -> None:
    head = fenced.works()
    fenced.checkout.git("update-ref", "-d", BRANCH)
    assert fenced.publish() == (head, "")
    assert fenced.real() == head


def test_without_any_branch_nothing_is_started(fenced: Fenced) -> None:
    fenced.own.unlink()
    fenced.checkout.git("update-ref", "-d", BRANCH)
    for with_fence in (True, False):
        with pytest.raises(InputError, match="is gone") as caught:
            fenced.prepare(fenced=with_fence)
        assert "git branch" in caught.value.fix


def test_without_a_fence_the_session_has_the_real_branch(fenced: Fenced) -> None:
    head = fenced.works()
    assert fenced.prepare(fenced=False) == head
    assert (fenced.real(), fenced.own.exists()) == (head, False)
    fenced.checkout.git("reset", "-q", "--hard", cwd=fenced.tree.path)
    mine = fenced.checkout.commit(cwd=fenced.tree.path)
    assert fenced.checkout.look(fenced.tree).head == mine
    assert fenced.publish() == (mine, "")
    assert fenced.prepare() == mine


def test_a_folder_that_was_deleted_is_made_again_with_what_was_not_published(
    fenced: Fenced,
) -> None:
    head = fenced.works()
    shutil.rmtree(fenced.tree.path)
    again = fenced.checkout.ensure(base_commit=fenced.first)
    assert fenced.checkout.head(again.path) == head
    found = fenced.checkout.look(again)
    assert (found.head, found.dirty) == (head, False)
