from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import DamageError, ToolError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.run.assign import Dispatch, assign
from attractor.run.config import load, resolve
from attractor.run.layout import run_layout
from runner import include
from runner.git import alone
from runner.worktree import ensure
from signals.clock import SystemClock
from signals.errors import BusyError

CLOCK = SystemClock()


# -- made


def test_a_worktree_is_made_on_the_nodes_branch_from_the_base(checkout: Any) -> None:
    base = checkout.head()
    checkout.write("later.txt")
    checkout.commit()
    tree = checkout.ensure(base_commit=base)
    assert (tree.adopted, tree.base, tree.notes) == (False, base, ())
    assert checkout.files(tree.path) == [".gitignore", "a.txt", "src/b.txt"]
    assert checkout.git("symbolic-ref", "HEAD", cwd=tree.path) == "refs/heads/attractor/r/n"
    assert checkout.head(tree.path) == base
    assert checkout.git("status", "--porcelain", cwd=tree.path) == ""


def test_a_worktree_has_its_settings_file_so_that_no_session_can_make_it(checkout: Any) -> None:
    checkout.git("config", "extensions.worktreeConfig", "true")
    tree = checkout.ensure()
    assert Path(tree.admin, "config.worktree").read_bytes() == b""
    assert checkout.look(tree).tampered == ""
    checkout.git("config", "--worktree", "core.sparseCheckout", "false")  # a main checkout's own
    assert checkout.git("status", "--porcelain", cwd=tree.path) == ""


def test_a_later_run_makes_its_own_worktree_of_a_node_and_leaves_that_of_the_first(
    checkout: Any,
) -> None:
    def ensured(run: str) -> Any:
        root = run_layout(str(checkout.folder), run).root
        place = Dispatch(
            run_id=run, run_root=root, project=str(checkout.folder), base_commit=checkout.head()
        )
        graph = build(parse('digraph p { n [shape=box, handler="codergen"]; }'))
        settings = resolve({}, {}, load(str(checkout.folder), {}, ()))
        return ensure(assign(graph, graph.nodes["n"], settings, place), CLOCK)

    first = ensured("one")
    Path(first.path, "unmerged.txt").write_text("work")
    unmerged = checkout.commit(cwd=first.path)
    Path(first.path, "uncommitted.txt").write_text("work")
    second = ensured("two")
    assert checkout.files(second.path) == [".gitignore", "a.txt", "src/b.txt"]
    assert checkout.head(first.path) == unmerged
    assert Path(first.path, "uncommitted.txt").read_text() == "work"
    assert not checkout.look(second).tampered
    assert ensured("one").adopted


def test_the_persons_checkout_looks_as_before(checkout: Any) -> None:
    before = (checkout.head(), checkout.git("symbolic-ref", "HEAD"), checkout.git("status"))
    checkout.ensure()
    assert (checkout.head(), checkout.git("symbolic-ref", "HEAD"), checkout.git("status")) == before


def test_our_folders_are_ignored_once_and_what_was_ignored_stays(checkout: Any) -> None:
    exclude = checkout.folder / ".git" / "info" / "exclude"
    exclude.write_text("mine\n.claude/attractor/")
    checkout.ensure("a")
    checkout.ensure("b")
    text = "mine\n.claude/attractor/\n.claude/worktrees/\n.claude/completion-state/\n/.attractor/\n"
    assert exclude.read_text() == text
    shutil.rmtree(exclude.parent)
    checkout.ensure("c")
    assert exclude.read_text().splitlines() == list(include.OURS)


def test_a_second_call_takes_over_what_is_there(checkout: Any) -> None:
    made = checkout.ensure()
    Path(made.path, "new.txt").write_text("work")
    again = checkout.ensure()
    assert again.adopted
    assert again.marks == made.marks
    assert Path(again.path, "new.txt").read_text() == "work"


@pytest.mark.parametrize(
    "node", ["a b", "a\nb", "\u00e9\U0001f600", "..", "a.lock", "-x", "x" * 400]
)
def test_a_node_may_have_any_name(checkout: Any, node: str) -> None:
    tree = checkout.ensure(node)
    assert checkout.look(tree).branch_ok
    assert checkout.ensure(node).adopted


def test_names_that_differ_in_case_only_have_worktrees_of_their_own(checkout: Any) -> None:
    first, second = checkout.ensure("api"), checkout.ensure("Api")
    assert first.path.lower() != second.path.lower()
    assert first.branch.lower() != second.branch.lower()


@pytest.mark.parametrize("name", ["a b", "a\nb", "\u00e9\U0001f600", 'it\'s "$(x)"', " "])
def test_a_project_may_lie_anywhere(new_checkout: Any, name: str) -> None:
    checkout = new_checkout(name)
    tree = checkout.ensure()
    Path(tree.path, "a.txt").write_text("changed")
    assert checkout.look(tree).dirty
    assert checkout.ensure().adopted


def test_a_linked_worktree_may_be_the_project(checkout: Any, new_checkout: Any) -> None:
    linked = checkout.folder.parent / "linked"
    checkout.git("worktree", "add", "-q", "-b", "side", str(linked))
    side = type(checkout)(linked)
    tree = side.ensure()
    assert tree.common == str(checkout.folder / ".git")
    assert (side.look(tree).branch_ok, side.look(tree).tampered) == (True, "")


def test_the_project_may_be_a_checkout_of_a_bare_repository(checkout: Any) -> None:
    bare, folder = checkout.folder.parent / "bare.git", checkout.folder.parent / "of-bare"
    checkout.git("clone", "-q", "--bare", str(checkout.folder), str(bare))
    checkout.git("worktree", "add", "-q", "-b", "side", str(folder), cwd=bare)
    side = type(checkout)(folder)
    tree = side.ensure()
    Path(tree.path, "new.txt").write_text("")
    side.commit(cwd=tree.path)
    found = side.look(tree)
    assert (found.commits, found.dirty, found.branch_ok, found.tampered) == (1, False, True, "")


def test_the_project_may_be_a_submodule(checkout: Any, new_checkout: Any) -> None:
    outer = new_checkout("outer")
    allow = ("-c", "protocol.file.allow=always")
    outer.git(*allow, "submodule", "--quiet", "add", str(checkout.folder), "inner")
    inner = type(outer)(outer.folder / "inner")
    tree = inner.ensure()
    assert checkout.files(tree.path) == [".gitignore", "a.txt", "src/b.txt"]
    assert inner.look(tree).branch_ok


def test_submodules_stay_empty_and_are_no_change(checkout: Any, new_checkout: Any) -> None:
    outer = new_checkout("outer")
    allow = ("-c", "protocol.file.allow=always")
    outer.git(*allow, "submodule", "--quiet", "add", str(checkout.folder), "inner")
    outer.commit()
    tree = outer.ensure()
    assert os.listdir(os.path.join(tree.path, "inner")) == []
    assert not outer.look(tree).dirty


def test_a_sparse_checkout_stays_sparse_and_is_no_change(checkout: Any) -> None:
    checkout.git("sparse-checkout", "set", "--cone", "other")
    tree = checkout.ensure()
    assert checkout.files(tree.path) == [".gitignore", "a.txt"]
    assert not checkout.look(tree).dirty
    Path(tree.path, "a.txt").write_text("work")
    head = checkout.commit(cwd=tree.path)
    found = checkout.look(tree)
    assert (found.head, found.dirty, found.tampered) == (head, False, "")


# -- refused


def test_a_folder_that_somebody_else_made_is_refused(checkout: Any) -> None:
    mine = checkout.write(".claude/worktrees/n/mine.txt")
    error = checkout.refused()
    assert "a folder that this run did not make" in error.problem
    assert mine.read_text() == "text\n"
    assert checkout.git("branch", "--list", "attractor/*") == ""


@pytest.mark.parametrize(
    ("kind", "word"), [("file", "file"), ("dangling", "link"), ("link", "link")]
)
def test_so_is_a_file_or_a_link(checkout: Any, tmp_path: Path, kind: str, word: str) -> None:
    path = checkout.write(".claude/worktrees/n")
    if kind != "file":
        path.unlink()
        path.symlink_to(tmp_path if kind == "link" else tmp_path / "nothing")
    assert f"a {word} that this run did not make" in checkout.refused().problem


def test_a_worktree_of_somebody_else_is_refused_and_named(checkout: Any) -> None:
    path = checkout.folder / ".claude" / "worktrees" / "n"
    checkout.git("worktree", "add", "-q", "-b", "theirs", str(path))
    error = checkout.refused()
    assert "a worktree on theirs, which this run did not make" in error.problem
    assert "git worktree remove" in error.fix
    assert checkout.git("symbolic-ref", "HEAD", cwd=path) == "refs/heads/theirs"


def test_a_branch_that_is_there_already_is_refused(checkout: Any) -> None:
    base = checkout.head()
    head = checkout.commit()
    checkout.git("branch", "attractor/r/n")
    error = checkout.refused(base_commit=base)
    assert "attractor/r/n is there, and is not ours" in error.problem
    assert "git branch -m attractor/r/n" in error.fix
    assert checkout.git("rev-parse", "attractor/r/n") == head
    assert not os.path.exists(checkout.assignment().worktree)


def test_a_branch_that_is_there_at_the_base_is_used(checkout: Any) -> None:
    checkout.git("branch", "attractor/r/n")
    assert checkout.look(checkout.ensure()).branch_ok


def test_a_branch_that_is_checked_out_elsewhere_is_refused(checkout: Any) -> None:
    checkout.git("switch", "-q", "-c", "attractor/r/n")
    error = checkout.refused()
    assert (error.problem, error.where) == (
        "attractor/r/n is checked out elsewhere",
        str(checkout.folder),
    )


@pytest.mark.parametrize("name", ["attractor", "attractor/r"])
def test_a_branch_that_leaves_no_room_for_ours_is_named(checkout: Any, name: str) -> None:
    checkout.git("branch", name)
    error = checkout.refused()
    assert f"the branch {name} leaves no room" in error.problem
    assert f"git branch -m {name}" in error.fix


def test_a_base_that_is_not_there_is_refused(checkout: Any) -> None:
    assert "there is no commit" in checkout.refused(base_commit="0" * 40).problem
    assert "there is no commit" in checkout.refused(base_commit="a\nb").problem


def test_a_project_that_is_no_repository_is_refused(checkout: Any, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    bare = tmp_path / "bare"
    checkout.git("init", "-q", "--bare", str(bare))
    values = {"base_commit": checkout.head(), "run_root": str(tmp_path / "run")}
    for path, words in {
        folder: "not a git repository",
        bare: "bare repository",
        checkout.folder / "src": "not the top",
        checkout.folder / ".git": "inside of a .git folder",
        tmp_path / "nothing": "no such folder",
    }.items():
        error = checkout.refused(lambda path=path: checkout.ensure(project=str(path), **values))
        assert words in error.problem


def test_a_repository_of_another_user_is_refused_with_gits_own_words(
    checkout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignment = checkout.assignment()
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    for folder, _, names in os.walk(checkout.folder):
        for each in (folder, *(os.path.join(folder, name) for name in names)):
            os.lchown(each, 12345, 12345)
    monkeypatch.delenv("SUDO_UID", raising=False)
    with pytest.raises(ToolError, match="dubious ownership"):
        checkout.ensure(base_commit=assignment.base_commit)


def test_a_project_behind_a_link_is_refused(checkout: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout.folder)
    error = checkout.refused(
        lambda: checkout.ensure(
            project=str(tmp_path / "link"), worktree=str(tmp_path / "link/.claude/worktrees/n")
        )
    )
    assert error.problem == "the project lies behind a link"
    assert str(checkout.folder) in error.fix


def test_a_folder_of_worktrees_that_leads_elsewhere_is_refused(
    checkout: Any, tmp_path: Path
) -> None:
    (checkout.folder / ".claude").mkdir()
    (checkout.folder / ".claude" / "worktrees").symlink_to(tmp_path)
    assert f"leads to {tmp_path}" in checkout.refused().problem
    assert not (tmp_path / "n").exists()


def test_without_git_the_error_says_how_to_install_it(
    checkout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignment = checkout.assignment()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match="git is not installed") as caught:
        checkout.ensure(base_commit=assignment.base_commit)
    assert "install" in caught.value.fix


def test_a_record_that_is_not_ours_is_damage(checkout: Any) -> None:
    checkout.ensure()
    path = checkout.assignment().layout.worktree_record("n")
    wrong = Path(path).read_text().replace('"attempt": 1', '"attempt": "1"')
    for text in ("", "[]", "{}", '{"stage": "made"}', wrong):
        Path(path).write_text(text)
        with pytest.raises(DamageError) as caught:
            checkout.ensure()
        assert caught.value.where == path


# -- taken over


def test_what_a_living_session_did_to_its_head_is_taken_over(checkout: Any) -> None:
    tree = checkout.ensure()
    checkout.git("switch", "-q", "-c", "feature", cwd=tree.path)
    assert checkout.ensure().adopted
    assert not checkout.look(tree).branch_ok


def test_a_new_attempt_goes_on_in_the_same_worktree(checkout: Any) -> None:
    tree = checkout.ensure()
    Path(tree.path, "a.txt").write_text("done")
    head = checkout.commit(cwd=tree.path)
    again = checkout.ensure(attempt=2, base_commit=tree.base)
    assert again.adopted
    assert (checkout.look(again).head, checkout.look(again).commits) == (head, 1)


def test_a_new_attempt_is_not_started_on_another_branch(checkout: Any) -> None:
    tree = checkout.ensure()
    checkout.git("switch", "-q", "-c", "feature", cwd=tree.path)
    error = checkout.refused(attempt=2)
    assert error.problem == "feature is checked out here"
    assert f"git -C {tree.path} switch attractor/r/n" in error.fix


def test_a_new_attempt_may_find_a_detached_head(checkout: Any) -> None:
    tree = checkout.ensure()
    checkout.git("switch", "-q", "--detach", cwd=tree.path)
    assert not checkout.look(checkout.ensure(attempt=2)).branch_ok


def test_a_new_attempt_needs_its_base_in_the_branch(checkout: Any) -> None:
    tree = checkout.ensure()
    checkout.write("upstream.txt")
    new = checkout.commit()
    Path(tree.path, "own.txt").write_text("mine")
    checkout.commit(cwd=tree.path)
    error = checkout.refused(attempt=2, base_commit=new)
    assert f"does not hold {new:.12}" in error.problem
    checkout.git("merge", "-q", new, cwd=tree.path)
    found = checkout.look(checkout.ensure(attempt=2, base_commit=new))
    assert (found.branch_ok, found.commits) == (True, 2)


def test_a_new_attempt_goes_on_from_a_merge_of_its_own_work(checkout: Any) -> None:
    tree = checkout.ensure()
    Path(tree.path, "own.txt").write_text("mine")
    checkout.commit(cwd=tree.path)
    Path(tree.path, "left.txt").write_text("not committed")
    checkout.git("merge", "-q", "--no-ff", "-m", "merged", "attractor/r/n")
    checkout.write("upstream.txt")
    new = checkout.commit()
    for _ in range(2):  # also when it was killed, and is asked for again
        found = checkout.look(checkout.ensure(attempt=2, base_commit=new))
        assert (found.head, found.branch_ok, found.commits) == (new, True, 0)
    assert sorted(each.name for each in Path(tree.path).iterdir() if each.suffix) == sorted(
        [*(each.name for each in checkout.folder.iterdir() if each.suffix), "left.txt"]
    )


def test_a_new_attempt_begins_with_the_settings_as_they_are(checkout: Any) -> None:
    hook = checkout.write(".git/hooks/pre-commit", "exit 0")
    tree = checkout.ensure()
    hook.unlink()
    checkout.git("config", "core.pager", "less")
    Path(tree.admin, "config.worktree").write_text("[core]\n")
    assert "hook pre-commit, settings core.pager" in checkout.look(checkout.ensure()).tampered
    again = checkout.look(checkout.ensure(attempt=2)).tampered
    assert again == "changed since the worktree was made: config.worktree in n"


def test_a_worktree_that_leads_elsewhere_is_not_taken_over(checkout: Any, tmp_path: Path) -> None:
    tree = checkout.ensure()
    link = Path(tree.path, ".git")
    link.write_text(f"gitdir: {tmp_path}\n")
    assert "leads elsewhere" in checkout.refused().problem
    link.unlink()
    assert "leads elsewhere" in checkout.refused().problem
    shutil.move(tree.path, tmp_path / "away")
    Path(tree.path).symlink_to(tmp_path / "away")
    assert "leads elsewhere" in checkout.refused().problem


def test_a_worktree_that_git_forgot_is_not_taken_over(checkout: Any) -> None:
    tree = checkout.ensure()
    shutil.rmtree(tree.admin)
    assert "git knows nothing" in checkout.refused().problem


def test_the_nodes_worktree_cannot_move_to_another_branch(checkout: Any) -> None:
    checkout.ensure()
    assert "not as assigned" in checkout.refused(branch="attractor/r/m").problem


def test_a_folder_that_was_deleted_by_hand_is_made_again_with_all_commits(checkout: Any) -> None:
    tree = checkout.ensure()
    Path(tree.path, "a.txt").write_text("done")
    head = checkout.commit(cwd=tree.path)
    gone = checkout.folder.parent / "gone"
    checkout.git("worktree", "add", "-q", "-b", "theirs", str(gone))
    shutil.rmtree(gone)
    shutil.rmtree(tree.path)
    again = checkout.ensure()
    assert (again.adopted, checkout.look(again).head) == (False, head)
    assert Path(again.path, "a.txt").read_text() == "done"
    assert str(gone) in checkout.git("worktree", "list"), "what is somebody else's is not pruned"


def test_a_folder_that_was_deleted_while_locked_is_not_made_again(checkout: Any) -> None:
    tree = checkout.ensure()
    checkout.git("worktree", "lock", tree.path)
    shutil.rmtree(tree.path)
    error = checkout.refused()
    assert "locked" in error.problem
    assert "git worktree unlock" in error.fix


def test_what_was_put_in_the_place_of_a_deleted_folder_is_refused(checkout: Any) -> None:
    tree = checkout.ensure()
    shutil.rmtree(tree.path)
    mine = checkout.write(".claude/worktrees/n/mine.txt")
    assert "leads elsewhere" in checkout.refused().problem
    assert mine.exists()


def test_a_lost_git_folder_of_ours_is_made_again(checkout: Any) -> None:
    tree = checkout.ensure()
    shutil.rmtree(tree.git)
    Path(tree.path, "a.txt").write_text("done")
    found = checkout.look(checkout.ensure())
    assert (found.dirty, found.tampered) == (True, "")


def test_two_who_make_the_same_worktree_wait_for_each_other(checkout: Any, clock: Any) -> None:
    tree = checkout.ensure()
    clock.monotonic = iter(range(0, 1000, 100)).__next__
    with alone(tree.lock, CLOCK), pytest.raises(BusyError) as caught, alone(tree.lock, clock):
        pass
    assert (caught.value.where, "fuser" in caught.value.fix) == (tree.lock, True)
