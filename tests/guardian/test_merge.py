"""Merging: one commit, tested after it is made; conflicts and red checks go back; nothing else.

No history in which a scan finds something comes into the branch that a person merges.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from attractor.git import repository
from attractor.run.layout import run_layout
from guardian import packing, trees
from guardian.tasks import merge
from signals.clock import SystemClock

BRANCH = "attractor/r/integration"
KEY = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
TAKEN_OUT = "key = os.environ['KEY']\n"


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


class Work:
    """A project in which nodes have committed on branches of their own."""

    def __init__(self, folder: Path) -> None:
        self.project = folder
        (folder / "src").mkdir(parents=True)
        git("init", "-q", "-b", "main", cwd=folder)
        self.base = self.commit("base", {"src/a.txt": "1\n2\n3\n4\n5\n"}, "")
        git("reset", "-q", "--hard", self.base, cwd=folder)
        (folder / "src" / "a.txt").write_text("the person is at work\n")

    def commit(self, subject: str, files: dict[str, str], *parents: str) -> str:
        """Make a commit without touching the checkout."""
        index = f"{self.project}/.git/made-index"
        env = {**os.environ, "GIT_INDEX_FILE": index}

        def say(*words: str, data: str = "") -> str:
            argv = ["git", *words]
            done = subprocess.run(
                argv, cwd=self.project, env=env, input=data.encode(), capture_output=True,
                check=True, timeout=30,
            )  # fmt: skip
            return done.stdout.decode().strip()

        if any(parents):
            say("read-tree", parents[0])
        for name, text in files.items():
            blob = say("hash-object", "-w", "--stdin", data=text)
            say("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        tree = say("write-tree")
        os.unlink(index)
        named = [word for each in parents if each for word in ("-p", each)]
        return say("commit-tree", tree, *named, "-m", subject)

    def spec(self, commit: str, head: str = "", **said: Any) -> dict[str, Any]:
        request = {
            "project": str(self.project),
            "run_id": "r",
            "run_root": run_layout(str(self.project), "r").root,
        }
        spec = {
            "request": request,
            "node": "impl",
            "attempt": 2,
            "commit": commit,
            "branch": BRANCH,
            "head": head,
            "base_commit": self.base,
            "checks": [],
            "target_dir": "",
            "label": "Implement it",
            "message": "",
        }
        return {**spec, **said}

    def merge(self, commit: str, head: str = "", **said: Any) -> dict[str, Any]:
        answer = merge.run(self.spec(commit, head, **said), SystemClock())
        assert not list(Path(run_layout(str(self.project), "r").trees).glob("*"))
        return answer

    @property
    def head(self) -> str:
        return git(
            "for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}", cwd=self.project
        )

    def file(self, name: str) -> str:
        return git("show", f"{BRANCH}:{name}", cwd=self.project)

    def state(self) -> list[object]:
        """The person's checkout, and all of the repository but objects and our branch."""
        return [
            (str(path), path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(self.project.rglob("*"))
            if path.is_file() and not {"objects", "attractor"} & set(path.parts)
        ]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    (tmp_path / "home").mkdir()
    settings = "[user]\nname = A Person\nemail = p@example.org\n[commit]\ngpgSign = true\n"
    settings += "[merge]\nff = only\nconflictStyle = diff3\n[author]\nname = Somebody\n"
    (tmp_path / "home" / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Work(tmp_path / "project")


def test_the_first_merge_makes_the_branch_and_is_a_merge_commit_that_names_the_node(
    work: Work,
) -> None:
    commit = work.commit("work", {"new.txt": "new\n"}, work.base)
    before = work.state()
    answer = work.merge(commit, message="Score 0.9")
    assert answer == {"status": "merged", "commit": work.head, "feedback": ""}
    said = git("log", "-1", "--format=%P%n%an <%ae> %cn <%ce>%n%B", work.head, cwd=work.project)
    ours = "Attractor <attractor@localhost>"
    assert said.strip().split("\n") == [
        f"{work.base} {commit}",
        f"{ours} {ours}",
        *("Merge impl, attempt 2, of run r", "", "Implement it", "", "Score 0.9"),
    ]
    assert work.file("new.txt") == "new"
    assert work.state() == before


def test_a_later_merge_holds_what_both_have_done(work: Work) -> None:
    one = work.commit("one", {"src/a.txt": "one\n2\n3\n4\n5\n"}, work.base)
    two = work.commit("two", {"src/a.txt": "1\n2\n3\n4\ntwo\n"}, work.base)
    head = work.merge(one)["commit"]
    answer = work.merge(two, head)
    assert answer["status"] == "merged"
    assert work.file("src/a.txt") == "one\n2\n3\n4\ntwo"
    assert git("log", "-1", "--format=%P", work.head, cwd=work.project) == f"{head} {two}"


def test_what_is_contained_already_is_merged_and_nothing_moves(work: Work) -> None:
    commit = work.commit("work", {"new.txt": "new\n"}, work.base)
    head = work.merge(commit)["commit"]
    for again in (work.spec(commit), work.spec(commit, head), work.spec(commit, work.base)):
        assert merge.run(again, SystemClock()) == {
            "status": "merged",
            "commit": head,
            "feedback": "",
        }
    assert work.head == head


def test_a_node_that_has_done_nothing_lets_the_branch_stand_at_the_base(work: Work) -> None:
    assert work.merge(work.base)["commit"] == work.base
    assert work.head == work.base


def test_a_conflict_goes_back_with_its_files_and_a_commit_that_a_session_can_reach(
    work: Work,
) -> None:
    one = work.commit("one", {"src/a.txt": "one\n", "b": "x"}, work.base)
    two = work.commit("two", {"src/a.txt": "two\n", "c": "y"}, work.base)
    head = work.merge(one)["commit"]
    answer = work.merge(two, head)
    assert (answer["status"], answer["files"]) == ("conflict", ["src/a.txt"])
    assert "- 'src/a.txt'" in answer["feedback"]
    assert f"git merge {head}\n" in answer["feedback"]
    assert BRANCH in answer["feedback"]
    assert work.head == head


def test_many_conflicts_are_counted_and_a_strange_name_stays_on_its_line(work: Work) -> None:
    names = [f"f{number:02}" for number in range(24)] + ["a\nb\x1b[2J"]
    one = work.commit("one", dict.fromkeys(names, "one"), work.base)
    two = work.commit("two", dict.fromkeys(names, "two"), work.base)
    answer = work.merge(two, work.merge(one)["commit"])
    assert len(answer["files"]) == 25
    assert answer["feedback"].count("\n- ") == 21
    assert "- and 5 more\n" in answer["feedback"]
    assert "\x1b" not in answer["feedback"]
    assert "- 'a\\nb" in answer["feedback"]


def test_a_merge_whose_checks_are_red_goes_back_with_the_end_of_what_they_said(work: Work) -> None:
    one = work.commit("one", {"one": "1"}, work.base)
    two = work.commit("two", {"two": "2"}, work.base)
    check = "test ! -e one -o ! -e two || { echo both are there; exit 3; }"
    head = work.merge(one, checks=[check])["commit"]
    answer = work.merge(two, head, checks=[check])
    assert (answer["status"], answer["commit"], answer["checks"]["exit"]) == ("red", head, 3)
    assert "both are there" in answer["feedback"]
    assert check in answer["feedback"]
    assert f"git merge {head}" in answer["feedback"]
    assert work.head == head


def test_checks_that_could_not_be_run_are_an_error_and_the_branch_stays(work: Work) -> None:
    commit = work.commit("work", {"new.txt": "new\n"}, work.base)
    answer = work.merge(commit, checks=["true"], target_dir="gone")
    assert answer["status"] == "error"
    assert "could not be run" in answer["error"]
    assert work.head == ""


def test_a_merge_that_ends_a_check_of_what_is_integrated_is_red(work: Work) -> None:
    base = work.commit("tested", {"Makefile": "test:\n\ttrue\n", "a.txt": "a\n"}, "")
    commit = work.commit("untested", {"Makefile": "all:\n\ttrue\n", "a.txt": "a\n"}, base)
    answer = work.merge(commit, base_commit=base)
    assert (answer["status"], work.head) == ("red", "")
    assert "the check `make test` was there before" in answer["feedback"]
    assert f"git merge {base}" in answer["feedback"]
    assert work.merge(commit, base_commit=base, checks=["true"])["status"] == "merged"


def test_a_check_that_commits_in_the_tree_changes_nothing_of_what_is_merged(work: Work) -> None:
    commit = work.commit("work", {"new.txt": "new\n"}, work.base)
    check = "git -c user.name=x -c user.email=x commit --allow-empty -qm sneaked; echo y > z"
    answer = work.merge(commit, checks=[f"{check}; git add z; true"])
    assert answer["status"] == "merged"
    assert git("log", "-1", "--format=%P", work.head, cwd=work.project) == f"{work.base} {commit}"
    assert git("ls-tree", "--name-only", work.head, cwd=work.project) == "new.txt\nsrc"


def test_a_branch_that_somebody_else_moved_is_an_error_that_says_so(work: Work) -> None:
    one = work.commit("one", {"one": "1"}, work.base)
    theirs = work.commit("theirs", {"theirs": "1"}, work.base)
    head = work.merge(one)["commit"]
    git("branch", "-f", BRANCH, theirs, cwd=work.project)
    answer = work.merge(work.commit("two", {"two": "2"}, work.base), head)
    assert answer["status"] == "error"
    assert f"somebody else moved the integration branch {BRANCH} to {theirs:.12}" in answer["error"]
    assert work.head == theirs


def test_a_branch_that_is_moved_while_we_merge_is_an_error_and_stays_where_it_is(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = work.commit("one", {"one": "1"}, work.base)
    theirs = work.commit("theirs", {"theirs": "1"}, work.base)

    def move(*_: object) -> dict[str, Any]:
        git("branch", "-f", BRANCH, theirs, cwd=work.project)
        return {"status": "green"}

    monkeypatch.setattr(merge, "run_checks", move)
    answer = work.merge(commit)
    assert answer["status"] == "error"
    assert "somebody else moved" in answer["error"]
    assert work.head == theirs


def test_a_branch_that_is_checked_out_while_we_merge_is_not_moved(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.merge(work.commit("one", {"one": "1"}, work.base))["commit"]

    def check_out(*_: object) -> dict[str, Any]:
        git("worktree", "add", "-q", str(tmp_path / "theirs"), BRANCH, cwd=work.project)
        return {"status": "green"}

    monkeypatch.setattr(merge, "run_checks", check_out)
    answer = work.merge(work.commit("two", {"two": "2"}, work.base), head)
    assert f"is checked out at {tmp_path / 'theirs'}" in answer["error"]
    assert work.head == head


def test_a_branch_that_somebody_removed_is_an_error_that_says_how_to_have_it_again(
    work: Work,
) -> None:
    head = work.merge(work.commit("one", {"one": "1"}, work.base))["commit"]
    git("branch", "-D", BRANCH, cwd=work.project)
    answer = work.merge(work.commit("two", {"two": "2"}, work.base), head)
    assert answer["status"] == "error"
    assert f"git branch {BRANCH} {head}" in answer["error"]
    assert work.head == ""


def test_a_branch_that_is_checked_out_somewhere_is_an_error_with_the_place(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.merge(work.commit("one", {"one": "1"}, work.base))["commit"]
    place = tmp_path / "theirs"
    git("worktree", "add", "-q", str(place), BRANCH, cwd=work.project)
    monkeypatch.setattr(trees, "opened", None)  # nothing is begun
    answer = work.merge(work.commit("two", {"two": "2"}, work.base), head)
    assert answer["status"] == "error"
    assert f"is checked out at {place}" in answer["error"]
    assert work.head == head


def test_no_hook_and_no_editor_of_the_person_runs(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = work.project / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    program = f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n"
    for name in ("pre-merge-commit", "commit-msg", "prepare-commit-msg", "post-merge", "editor",
                 "reference-transaction", "post-checkout"):  # fmt: skip
        (hooks / name).write_text(program)
        (hooks / name).chmod(0o755)
    monkeypatch.setenv("GIT_EDITOR", str(hooks / "editor"))
    git("config", "core.editor", str(hooks / "editor"), cwd=work.project)
    assert work.merge(work.commit("one", {"one": "1"}, work.base))["status"] == "merged"
    assert not (tmp_path / "ran").exists()


def test_a_commit_or_a_base_that_is_not_there_is_an_error(work: Work) -> None:
    assert "there is no commit 'gone' to merge" in work.merge("gone")["error"]
    answer = work.merge(work.base, base_commit="gone")
    assert "there is no commit 'gone' to start from" in answer["error"]
    assert work.head == ""


def test_histories_without_a_common_commit_are_an_error_and_no_conflict(work: Work) -> None:
    answer = work.merge(work.commit("stranger", {"x": "y"}, ""))
    assert answer["status"] == "error"
    assert "unrelated histories" in answer["error"]


def test_a_merge_killed_after_the_branch_was_moved_is_found_done(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = work.commit("one", {"one": "1"}, work.base)
    head = work.merge(commit)["commit"]
    two = work.commit("two", {"two": "2"}, work.base)
    spec = work.spec(two, head)
    done = merge.run(spec, SystemClock())
    monkeypatch.setattr(trees, "opened", None)  # nothing is merged a second time
    assert merge.run(spec, SystemClock()) == done
    assert repository(str(work.project)).branch(BRANCH) == done["commit"]


# -- work whose history must not be merged


def commits(work: Work, *steps: dict[str, str], subject: str = "work") -> list[str]:
    """Commit these files one after the other, and return the commits."""
    made: list[str] = []
    for files in steps:
        made.append(work.commit(subject, files, made[-1] if made else work.base))
    return made


def said(work: Work, *words: str) -> str:
    return git(*words, cwd=work.project)


def history(work: Work) -> str:
    return said(work, "log", "-p", "-m", "--format=%H %P%n%B", work.head)


def test_a_key_that_was_committed_and_taken_out_is_in_no_history_that_is_merged(work: Work) -> None:
    first, last = commits(work, {"a.py": f"key = '{KEY}'\n"}, {"a.py": TAKEN_OUT, "b": "b\n"})
    answer = work.merge(last)
    assert answer["status"] == "merged"
    assert KEY not in history(work)
    assert first not in history(work)
    assert work.file("a.py") == TAKEN_OUT.strip()
    assert said(work, "log", "--topo-order", "--format=%s", work.head).split("\n") == [
        "Merge impl, attempt 2, of run r",
        "The work of a node, as one commit",
        "base",
    ]
    assert f"token in commit {first:.12}" in answer["note"]
    assert "attractor/r/impl still has that history" in answer["note"]
    assert KEY not in answer["note"]


def test_a_key_in_the_message_of_a_commit_counts_as_one_in_a_file(work: Work) -> None:
    (commit,) = commits(work, {"a.py": "a\n"}, subject=f"use {KEY}")
    assert "token in commit" in work.merge(commit)["note"]
    assert KEY not in history(work)


def test_a_history_without_findings_is_merged_as_it_is(work: Work) -> None:
    one, two = commits(work, {"a.py": "a = 1\n"}, {"a.py": "a = 2\n"})
    answer = work.merge(two)
    assert answer == {"status": "merged", "commit": work.head, "feedback": ""}
    assert {one, two} <= set(said(work, "log", "--format=%H", work.head).split("\n"))


def test_what_a_person_has_allowed_stays_in_the_history(work: Work) -> None:
    (work.project / ".attractor-allow").write_text("keys/* token\n")
    first, last = commits(work, {"keys/a": KEY}, {"keys/a": "none\n"})
    assert "note" not in work.merge(last)
    assert first in history(work)


def test_what_was_merged_without_its_history_is_found_done_when_it_is_asked_for_again(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, last = commits(work, {"a.py": f"key = '{KEY}'\n"}, {"a.py": TAKEN_OUT})
    other = work.commit("other", {"other": "1\n"}, work.base)
    head = work.merge(other)["commit"]
    spec = work.spec(last, head)
    done = merge.run(spec, SystemClock())
    monkeypatch.setattr(trees, "opened", None)  # nothing is merged a second time
    assert merge.run(spec, SystemClock()) == done
    assert work.head == done["commit"]


def test_a_merge_whose_end_nobody_saw_is_known_as_ours_also_without_its_history(work: Work) -> None:
    *_, last = commits(work, {"a.py": f"key = '{KEY}'\n"}, {"a.py": TAKEN_OUT})
    head = work.merge(work.commit("first", {"first": "1\n"}, work.base))["commit"]
    unseen = work.merge(last, head)["commit"]
    other = work.commit("other", {"other": "1\n"}, work.base)
    answer = work.merge(other, head, handed_in=[last])
    assert (answer["status"], said(work, "rev-parse", f"{work.head}^1")) == ("merged", unseen)
    stranger = work.commit("stranger", {"stranger": "1\n"}, work.base)
    assert "somebody else moved" in work.merge(stranger, head, handed_in=[other])["error"]


def test_a_conflict_that_was_resolved_in_the_branch_of_the_node_stays_resolved(work: Work) -> None:
    first, mine = commits(work, {"src/a.txt": f"{KEY}\n"}, {"src/a.txt": "mine\n"})
    head = work.merge(work.commit("theirs", {"src/a.txt": "theirs\n"}, work.base))["commit"]
    assert work.merge(mine, head)["status"] == "conflict"
    resolved = work.commit("resolved", {"src/a.txt": "both\n"}, mine, head)
    answer = work.merge(resolved, head)
    assert (answer["status"], work.file("src/a.txt")) == ("merged", "both")
    assert first not in history(work)
    assert KEY not in history(work)


def test_more_commits_than_are_scanned_are_merged_as_one(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_MOST_COMMITS", 2)
    *_, second, third = commits(work, {"a": "1\n"}, {"a": "2\n"}, {"a": "3\n"})
    assert "more than 2 commits" in work.merge(third)["note"]
    assert second not in history(work)
