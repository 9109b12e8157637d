"""Clean checkouts: whole, of one commit, gone afterwards; the person's files are not touched."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from attractor.errors import BusyError, InputError
from guardian import trees
from signals.clock import SystemClock

CLOCK = SystemClock()


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, and a person who is in the middle of something."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nname = P\nemail = p@example.org\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=folder)
    (folder / "src" / "a.txt").write_text("first\n")
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "first", cwd=folder)
    (folder / "src" / "a.txt").write_text("second\n")
    git("commit", "-q", "-am", "second", cwd=folder)
    (folder / "src" / "a.txt").write_text("not committed\n")
    (folder / "new.txt").write_text("not added\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "trees" / "one"


def state_of(project: Path) -> list[object]:
    """Everything in the repository but its objects, and every file of the checkout."""
    return [
        (str(path), path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(project.rglob("*"))
        if path.is_file() and "objects" not in path.parts
    ]


def test_a_clean_tree_holds_the_files_of_its_commit_and_no_others(
    project: Path, folder: Path
) -> None:
    first = git("rev-parse", "HEAD~1", cwd=project)
    with trees.clean(str(project), str(folder), first, CLOCK) as path:
        names = sorted(each.name for each in Path(path).iterdir())
        assert (Path(path) / "src" / "a.txt").read_text() == "first\n"
        assert names == [".git", "src"]
        assert git("status", "--porcelain", cwd=Path(path)) == ""
        assert git("rev-parse", "HEAD", cwd=Path(path)) == first
        assert git("branch", "--show-current", cwd=Path(path)) == ""
        assert git("log", "-1", "--format=%s", "main", cwd=Path(path)) == "second"


def test_afterwards_nothing_is_left_and_the_persons_repository_is_as_it_was(
    project: Path, folder: Path
) -> None:
    before = state_of(project)
    with trees.clean(str(project), str(folder), "main", CLOCK) as path:
        (Path(path) / "made.txt").write_text("by a check")
    assert list(folder.parent.iterdir()) == []
    assert state_of(project) == before


def test_it_is_gone_also_when_what_is_done_there_fails(project: Path, folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), trees.clean(str(project), str(folder), "main", CLOCK):
        raise ZeroDivisionError
    assert not folder.exists()


def test_what_a_check_made_unwritable_is_removed_and_no_link_is_followed(
    project: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (tmp_path / "precious").chmod(0o555)
    with trees.clean(str(project), str(folder), "main", CLOCK) as path:
        deep = Path(path, "a", "b")
        deep.mkdir(parents=True)
        (deep / "file").write_text("x")
        (deep / "out").symlink_to(tmp_path / "precious")
        deep.chmod(0)
        deep.parent.chmod(0o500)
    assert not folder.exists()
    assert (tmp_path / "precious" / "file").read_text() == "kept"
    assert (tmp_path / "precious").stat().st_mode & 0o777 == 0o555


def test_what_a_dead_process_left_is_removed_first(project: Path, folder: Path) -> None:
    (folder / "tree" / "src").mkdir(parents=True)
    (folder / "tree" / "src" / "a.txt").write_text("half")
    (folder / "tree" / "stale.txt").write_text("stale")
    (folder / "git").mkdir()
    (folder / "git" / "index.lock").write_text("")
    (folder / "leftover").symlink_to(project)
    with trees.clean(str(project), str(folder), "main", CLOCK) as path:
        assert sorted(each.name for each in Path(path).iterdir()) == [".git", "src"]
        assert sorted(each.name for each in folder.iterdir()) == ["git", "lock", "tree"]
    assert (project / "src" / "a.txt").read_text() == "not committed\n"


def test_a_tree_of_a_living_process_is_waited_for_until_the_time_is_up(
    project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_LOCK_SECONDS", 0.0)
    folder.mkdir(parents=True)
    (folder / "theirs").write_text("at work")
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(BusyError, match="does not end"),
            trees.clean(str(project), str(folder), "main", CLOCK),
        ):
            pass
    assert (folder / "theirs").exists()


def test_a_lock_that_was_removed_while_we_waited_for_it_is_not_taken(
    project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def flock(fd: int, how: int) -> None:
        if not asked:
            (folder / "lock").unlink()  # who held it has finished in this moment
        asked.append(fd)
        fcntl.flock(fd, how)

    monkeypatch.setattr(trees, "fcntl", SimpleNamespace(flock=flock, LOCK_EX=2, LOCK_NB=4))
    with trees.clean(str(project), str(folder), "main", CLOCK):
        assert (folder / "lock").exists()
    assert len(asked) == 2
    assert not folder.exists()


def test_a_kept_tree_stays_until_it_is_removed_and_is_made_anew_when_asked_for_again(
    project: Path, folder: Path
) -> None:
    with trees.keep(str(project), str(folder), "main", CLOCK) as tree:
        Path(tree.path, "made.txt").write_text("kept")
    assert Path(tree.path, "made.txt").read_text() == "kept"
    with trees.keep(str(project), str(folder), "main~1", CLOCK) as tree:
        assert not Path(tree.path, "made.txt").exists()
    assert git("log", "-1", "--format=%s", cwd=Path(tree.path)) == "first"
    trees.remove(str(folder), CLOCK)
    assert not folder.exists()
    trees.remove(str(folder), CLOCK)
    assert not folder.exists()


def test_no_hook_of_the_person_runs(project: Path, folder: Path, tmp_path: Path) -> None:
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with trees.clean(str(project), str(folder), "main", CLOCK):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_commit_that_is_not_there_is_named_and_nothing_is_left(
    project: Path, folder: Path
) -> None:
    with (
        pytest.raises(InputError, match="there is no commit 'nowhere'"),
        trees.clean(str(project), str(folder), "nowhere", CLOCK),
    ):
        pass
    assert not folder.exists()


def test_a_link_where_the_tree_should_be_is_refused(
    project: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(InputError, match="a link is where a tree should be"),
        trees.clean(str(project), str(folder), "main", CLOCK),
    ):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
