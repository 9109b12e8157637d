"""What a hostile agent plants is found and never run. Each trick is shown to work on plain git."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor import git as asked
from attractor.errors import InputError, ToolError
from runner import git as seen
from runner.worktree import ensure
from signals.clock import SystemClock

CLOCK = SystemClock()


class Hostile:
    """An agent in its worktree, with a program that leaves a trace when anybody runs it."""

    def __init__(self, checkout: Any, tree: Any, folder: Path) -> None:
        self.checkout, self.tree = checkout, tree
        self.trace = folder / "it-ran"
        self.program = folder / "evil"
        self.program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{self.trace}'\n")
        self.program.chmod(0o755)
        self.path, self.admin = Path(tree.path), Path(tree.admin)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        return self.checkout.git(*words, cwd=cwd or self.path, check=False)

    def config(self, key: str, value: str = "") -> None:
        self.git("config", key, value or str(self.program))

    def evil_git_folder(self) -> Path:
        folder = self.trace.parent / "evil.git"
        shutil.copytree(self.checkout.folder / ".git", folder)
        with (folder / "config").open("a") as file:
            file.write(f"[core]\nfsmonitor = {self.program}\n[alias]\nx = !{self.program}\n")
        return folder


@pytest.fixture
def hostile(checkout: Any, tmp_path: Path) -> Hostile:
    return Hostile(checkout, checkout.ensure(), tmp_path)


def on_terminal(argv: list[str], cwd: Path) -> None:
    """Run a command that thinks a person is looking."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(argv, cwd=cwd, stdin=theirs, stdout=theirs, timeout=30, check=False)
    finally:
        os.close(theirs)
        os.close(ours)


# -- each trick: plant it; what a person would do, unsuspecting, that runs it


def own_settings(hostile: Hostile) -> Callable[[], object]:
    """With the extension on, git reads settings that lie in the worktree's own folder."""
    hostile.config("extensions.worktreeConfig", "true")
    (hostile.admin / "config.worktree").write_text(f"[core]\nfsmonitor = {hostile.program}\n")
    return lambda: hostile.git("status")


def own_filter(hostile: Hostile) -> Callable[[], object]:
    hostile.config("extensions.worktreeConfig", "true")
    text = f'[filter "evil"]\nclean = {hostile.program}\nsmudge = {hostile.program}\n'
    (hostile.admin / "config.worktree").write_text(text)
    (hostile.path / ".gitattributes").write_text("* filter=evil\n")
    (hostile.path / "a.txt").write_text("two\none\n")
    return lambda: hostile.git("status")


def shared_filter(hostile: Hostile) -> Callable[[], object]:
    hostile.config("filter.evil.clean")
    (hostile.path / ".gitattributes").write_text("* filter=evil\n")
    (hostile.path / "a.txt").write_text("two\none\n")
    return lambda: hostile.git("status")


def monitor(hostile: Hostile) -> Callable[[], object]:
    hostile.config("core.fsmonitor")
    return lambda: hostile.git("status")


def folder_for_file(hostile: Hostile) -> Callable[[], object]:
    evil = hostile.evil_git_folder()
    (hostile.path / ".git").unlink()
    evil.rename(hostile.path / ".git")
    return lambda: hostile.git("status")


def other_folder(hostile: Hostile) -> Callable[[], object]:
    (hostile.path / ".git").write_text(f"gitdir: {hostile.evil_git_folder()}\n")
    return lambda: hostile.git("status")


def link_for_file(hostile: Hostile) -> Callable[[], object]:
    evil = hostile.evil_git_folder()
    (hostile.path / ".git").unlink()
    (hostile.path / ".git").symlink_to(evil)
    return lambda: hostile.git("status")


def other_common(hostile: Hostile) -> Callable[[], object]:
    (hostile.admin / "commondir").write_text(f"{hostile.evil_git_folder()}\n")
    return lambda: hostile.git("status")


def hook(hostile: Hostile) -> Callable[[], object]:
    folder = hostile.checkout.folder / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "post-checkout"):
        shutil.copy(hostile.program, folder / name)
    return lambda: hostile.git("commit", "--allow-empty", "-m", "x")


def hooks_elsewhere(hostile: Hostile) -> Callable[[], object]:
    folder = hostile.path / "hooks"
    folder.mkdir()
    shutil.copy(hostile.program, folder / "reference-transaction")
    hostile.config("core.hooksPath", str(folder))
    return lambda: hostile.git("commit", "--allow-empty", "-m", "x")


def external_diff(hostile: Hostile) -> Callable[[], object]:
    hostile.config("diff.external")
    (hostile.path / "a.txt").write_text("changed")
    return lambda: hostile.git("diff")


def diff_driver(hostile: Hostile) -> Callable[[], object]:
    hostile.config("diff.evil.command")
    (hostile.path / ".gitattributes").write_text("* diff=evil\n")
    (hostile.path / "a.txt").write_text("changed")
    return lambda: hostile.git("diff")


def text_converter(hostile: Hostile) -> Callable[[], object]:
    hostile.config("diff.evil.textconv")
    (hostile.path / ".gitattributes").write_text("* diff=evil\n")
    (hostile.path / "a.txt").write_text("changed")
    return lambda: hostile.git("diff")


def pager(hostile: Hostile) -> Callable[[], object]:
    hostile.config("core.pager")
    hostile.config("pager.status")
    return lambda: on_terminal(["git", "status"], hostile.path)


def alias(hostile: Hostile) -> Callable[[], object]:
    hostile.config("alias.st", f"!{hostile.program}")
    return lambda: hostile.git("st")


def ssh(hostile: Hostile) -> Callable[[], object]:
    hostile.config("core.sshCommand")
    hostile.config("remote.origin.url", "ssh://nowhere.invalid/x")
    return lambda: hostile.git("fetch")


def signature(hostile: Hostile) -> Callable[[], object]:
    body = hostile.git("cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n", 1
    )
    (hostile.trace.parent / "signed").write_text(body)
    path = str(hostile.trace.parent / "signed")
    signed = hostile.git("hash-object", "-t", "commit", "-w", "--literally", path)
    hostile.git("reset", "-q", "--hard", signed)
    hostile.config("gpg.program")
    hostile.config("log.showSignature", "true")
    return lambda: hostile.git("log", "-1")


def credentials(hostile: Hostile) -> Callable[[], object]:
    hostile.config("credential.helper")
    hostile.config("remote.origin.url", "https://127.0.0.1:9/x")
    argv = ["git", "credential", "fill"]
    said = b"protocol=https\nhost=nowhere.invalid\n\n"
    env = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}
    return lambda: subprocess.run(
        argv, cwd=hostile.path, input=said, env=env, capture_output=True, timeout=30, check=False
    )


def settings_elsewhere(hostile: Hostile) -> Callable[[], object]:
    more = hostile.trace.parent / "more"
    more.write_text(f"[core]\nfsmonitor = {hostile.program}\n")
    hostile.config("include.path", str(more))
    return lambda: hostile.git("status")


def repository_inside(hostile: Hostile) -> Callable[[], object]:
    inner = hostile.path / "inner"
    hostile.git("init", "-q", str(inner))
    (inner / "file").write_text("one")
    hostile.git("add", "file", cwd=inner)
    hostile.git("commit", "-q", "-m", "x", cwd=inner)
    # What the tree itself says of a submodule counts more than the settings do.
    modules = '[submodule "inner"]\n\tpath = inner\n\turl = .\n\tignore = none\n'
    (hostile.path / ".gitmodules").write_text(modules)
    hostile.git("add", "inner", ".gitmodules")
    hostile.git("commit", "-q", "-m", "a submodule without an address")
    # A monitor would be switched off in there, too; a filter would not.
    hostile.git("config", "filter.evil.clean", str(hostile.program), cwd=inner)
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "file").write_text("two")
    hostile.trace.unlink(missing_ok=True)
    return lambda: hostile.git("status")


OWN = "config.worktree in n"
LINK = ".git of the worktree"
TRICKS: list[tuple[Callable[[Hostile], Callable[[], object]], str]] = [
    (own_settings, OWN),
    (own_filter, OWN),
    (shared_filter, "settings filter.evil.clean"),
    (monitor, "settings core.fsmonitor"),
    (folder_for_file, LINK),
    (other_folder, LINK),
    (link_for_file, LINK),
    (other_common, "commondir in n"),
    (hook, "hook post-checkout, hook post-index-change"),
    (hooks_elsewhere, "settings core.hookspath"),
    (external_diff, "settings diff.external"),
    (diff_driver, "settings diff.evil.command"),
    (text_converter, "settings diff.evil.textconv"),
    (pager, "settings core.pager, settings pager.status"),
    (alias, "settings alias.st"),
    (ssh, "settings core.sshcommand"),
    (signature, "settings gpg.program"),
    (credentials, "settings credential.helper"),
    (settings_elsewhere, "settings include.path"),
    (repository_inside, ""),  # nothing leads us in there, so there is nothing to report
]


@pytest.mark.parametrize(("trick", "told"), TRICKS, ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_planted_is_told_and_not_run(
    hostile: Hostile, trick: Callable[[Hostile], Callable[[], object]], told: str
) -> None:
    before = hostile.checkout.look(hostile.tree)
    assert (before.tampered, before.branch_ok) == ("", True)
    unsuspecting = trick(hostile)
    hostile.trace.unlink(missing_ok=True)

    found = hostile.checkout.look(hostile.tree)
    assert told in found.tampered
    assert bool(found.tampered) == bool(told)
    again = hostile.checkout.assignment(base_commit=before.head)
    refuses = pytest.raises(InputError) if told == LINK else contextlib.nullcontext()
    with refuses:
        ensure(again, CLOCK)
    assert not hostile.trace.exists(), hostile.trace.read_text()

    unsuspecting()
    assert hostile.trace.exists(), "the trick does not work at all, so the test shows nothing"


@pytest.mark.parametrize(("trick", "told"), TRICKS, ids=lambda each: getattr(each, "__name__", ""))
def test_not_even_when_nobody_compares(
    hostile: Hostile,
    trick: Callable[[Hostile], Callable[[], object]],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The comparison only tells; what keeps the programs from running is how git is called."""
    trick(hostile)
    hostile.trace.unlink(missing_ok=True)
    monkeypatch.setattr(seen, "tampered", lambda *_: "")
    found = hostile.checkout.look(hostile.tree)
    assert found.tampered == ""
    # A filter that the repository's own settings name is the one thing that git does run.
    assert hostile.trace.exists() == (trick is shared_filter)


def test_programs_of_the_environment_are_not_run(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(hostile.program),
        "GIT_EXTERNAL_DIFF": str(hostile.program),
        "GIT_PAGER": str(hostile.program),
        "GIT_DIR": "/nonexistent",
        "GIT_INDEX_FILE": "/nonexistent",
        "GIT_EXEC_PATH": str(hostile.program.parent),
    }.items():
        monkeypatch.setenv(name, value)
    found = hostile.checkout.look(hostile.tree)
    assert (found.dirty, found.branch_ok) == (False, True)
    assert not hostile.trace.exists()


def test_a_relative_entry_of_the_path_finds_no_program(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile.git("config", "--global", "filter.lfs.clean", "my-lfs")
    for name in ("git", "my-lfs"):
        shutil.copy(hostile.program, hostile.path / name)
    (hostile.path / ".gitattributes").write_text("* filter=lfs\n")
    (hostile.path / "a.txt").write_text("two\none\n")
    monkeypatch.chdir(hostile.path)
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")
    assert hostile.checkout.look(hostile.tree).dirty
    assert not hostile.trace.exists()


# -- facts


def test_an_untouched_worktree_has_nothing_to_tell(hostile: Hostile) -> None:
    found = hostile.checkout.look(hostile.tree)
    assert (found.head, found.commits, found.dirty, found.stat) == (hostile.tree.base, 0, False, "")
    assert hostile.checkout.look(hostile.tree) == found


def test_commits_and_changes_are_counted_and_described(hostile: Hostile) -> None:
    (hostile.path / "a.txt").write_text("one\nthree\n")
    hostile.checkout.commit(cwd=hostile.path)
    (hostile.path / "src" / "b.txt").write_text("changed\n")
    (hostile.path / "new.txt").write_text("")
    found = hostile.checkout.look(hostile.tree)
    assert (found.commits, found.dirty, found.head) == (
        1,
        True,
        hostile.checkout.head(hostile.path),
    )
    assert [line.split()[0] for line in found.stat.splitlines()] == [
        "a.txt",
        "src/b.txt",
        "2",
        "new.txt",
    ]


def test_every_change_has_a_fingerprint_of_its_own(hostile: Hostile) -> None:
    def commit() -> object:
        return hostile.checkout.commit(cwd=hostile.path)

    def write(name: str, text: str) -> Callable[[], object]:
        return lambda: (hostile.path / name).write_text(text)

    prints = [hostile.checkout.look(hostile.tree).fingerprint]
    for act in (
        write("new.txt", "1"),
        write("new.txt", "22"),
        write("a.txt", "x"),
        write("a.txt", "yy"),
        commit,
        (hostile.path / "a.txt").unlink,
        commit,
    ):
        act()
        prints.append(hostile.checkout.look(hostile.tree).fingerprint)
    assert len(set(prints)) == len(prints)
    write("build.log", "").__call__()
    (hostile.path / "build").mkdir()
    before = hostile.checkout.look(hostile.tree).fingerprint
    write("build/out", "ignored").__call__()
    assert hostile.checkout.look(hostile.tree).fingerprint == before


def test_a_file_of_the_same_size_that_was_touched_again_is_another(hostile: Hostile) -> None:
    path = hostile.path / "new.txt"
    path.write_text("1")
    before = hostile.checkout.look(hostile.tree).fingerprint
    path.write_text("2")
    os.utime(path, ns=(1, 1))
    assert hostile.checkout.look(hostile.tree).fingerprint != before


def test_a_change_cannot_be_hidden_in_the_index(hostile: Hostile) -> None:
    hostile.git("update-index", "--assume-unchanged", "a.txt")
    hostile.git("update-index", "--skip-worktree", "src/b.txt")
    (hostile.path / "a.txt").write_text("hidden")
    (hostile.path / "src" / "b.txt").write_text("hidden")
    assert hostile.git("status", "--porcelain") == "", "plain git sees nothing"
    found = hostile.checkout.look(hostile.tree)
    assert found.dirty
    assert "2 files changed" in found.stat


def test_a_broken_index_of_the_session_changes_nothing(hostile: Hostile) -> None:
    (hostile.admin / "index").write_bytes(b"DIRC" + os.urandom(100))
    (hostile.admin / "index.lock").write_text("")
    found = hostile.checkout.look(hostile.tree)
    assert (found.dirty, found.tampered) == (False, "")


def test_a_broken_index_of_ours_is_made_anew(hostile: Hostile) -> None:
    Path(hostile.tree.git, "index").write_bytes(b"junk")
    Path(hostile.tree.git, "index.lock").write_bytes(b"")
    hostile.checkout.commit(cwd=hostile.path)
    assert not hostile.checkout.look(hostile.tree).dirty
    Path(hostile.tree.git, "HEAD").write_bytes(b"")
    assert not hostile.checkout.look(hostile.tree).dirty


def test_a_commit_that_was_replaced_is_counted_as_it_was_made(hostile: Hostile) -> None:
    for _ in range(3):
        hostile.checkout.commit(cwd=hostile.path)
    head = hostile.checkout.head(hostile.path)
    hostile.git("replace", "--graft", head, hostile.tree.base)
    assert hostile.git("rev-list", "--count", f"{hostile.tree.base}..{head}") == "1"
    assert hostile.checkout.look(hostile.tree).commits == 3


def test_a_graft_changes_nothing(hostile: Hostile) -> None:
    for _ in range(3):
        hostile.checkout.commit(cwd=hostile.path)
    head = hostile.checkout.head(hostile.path)
    grafts = hostile.checkout.folder / ".git" / "info" / "grafts"
    grafts.write_text(f"{head} {hostile.tree.base}\n")
    assert hostile.git("rev-list", "--count", f"{hostile.tree.base}..{head}") == "1"
    assert hostile.checkout.look(hostile.tree).commits == 3


BRANCHES: dict[str, tuple[tuple[str, ...], str]] = {
    "another branch": (("switch", "-q", "-c", "feature"), ""),
    "no branch": (("switch", "-q", "--detach"), ""),
    "a branch without the base": (("reset", "-q", "--hard", "HEAD~1"), ""),
    "a deleted branch": (("update-ref", "-d", "refs/heads/attractor/r/n"), "is gone"),
    "a branch that is another": (
        ("symbolic-ref", "refs/heads/attractor/r/n", "refs/heads/main"),
        "stands for another one",
    ),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_a_worktree_that_left_its_branch_is_noticed(checkout: Any, case: str) -> None:
    checkout.commit("the second, so that there is one before the base")
    tree = checkout.ensure()
    words, told = BRANCHES[case]
    checkout.git(*words, cwd=tree.path)
    found = checkout.look(tree)
    assert not found.branch_ok
    assert told in found.tampered
    assert bool(found.tampered) == bool(told)
    assert checkout.git("rev-parse", "main") == tree.base


def test_a_worktree_that_became_a_link_is_not_looked_into(hostile: Hostile, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(hostile.path, elsewhere)
    hostile.path.symlink_to(elsewhere)
    (elsewhere / "secret-name.txt").write_text("")
    found = hostile.checkout.look(hostile.tree)
    assert (found.dirty, found.stat) == (True, "")
    assert "a link" in found.tampered
    hostile.path.unlink()
    assert "is gone" in hostile.checkout.look(hostile.tree).tampered


def test_a_link_out_of_the_worktree_is_not_followed(hostile: Hostile, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("*\n")
    (hostile.path / ".gitignore").unlink()
    (hostile.path / ".gitignore").symlink_to(rules)
    (hostile.path / "new.txt").write_text("")
    (hostile.path / "way-out").symlink_to(tmp_path)
    found = hostile.checkout.look(hostile.tree)
    assert {line.split()[0] for line in found.stat.splitlines()[:-1]} >= {".gitignore"}
    assert " new.txt (not tracked)" in found.stat
    assert " way-out (not tracked)" in found.stat


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
def test_a_pipe_in_the_way_costs_time_and_no_more(
    hostile: Hostile, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held_up = asked._run, "status" if name == ".gitignore" else "diff"

    def run(words: tuple[str, ...], env: Any, cwd: str, seconds: float, *others: Any) -> Any:
        # Only where it is up to nobody but the pipe: a busy machine is slow with the others, too.
        return real(words, env, cwd, 0.5 if held_up in words else seconds, *others)

    monkeypatch.setattr(asked, "_run", run)
    (hostile.path / "new").mkdir()
    (hostile.path / "new" / "file").write_text("")
    (hostile.path / "src" / "b.txt").write_text("changed")
    for folder in ("new", "src"):
        os.mkfifo(hostile.path / folder / name)
    started = time.monotonic()
    found = hostile.checkout.look(hostile.tree)
    assert time.monotonic() - started < 20
    assert found.dirty
    assert ("did not answer" in found.tampered) == (name == ".gitignore")


def test_a_flood_of_files_is_cut_off(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (hostile.path / f"{number:0200d}").write_text("")
    monkeypatch.setattr(asked, "MOST_BYTES", 20_000)
    found = hostile.checkout.look(hostile.tree)
    assert (found.dirty, found.tampered) == (True, "")
    assert "more that are not tracked" in found.stat
    assert len(found.stat) < 10_000


def test_names_cannot_write_on_a_terminal(hostile: Hostile) -> None:
    for name in (
        "\x1b]0;owned\x07",
        "two\nlines",
        "\u202egnp.exe",
        b"\xff".decode(errors="surrogateescape"),
    ):
        (hostile.path / name).write_text("")
    hostile.checkout.commit(cwd=hostile.path)
    for name in ("\x1b]0;again\x07", "\u202efdp.exe"):
        (hostile.path / name).write_text("")
    stat = hostile.checkout.look(hostile.tree).stat
    assert all(each.isprintable() or each == "\n" for each in stat)
    assert len(stat.splitlines()) == 7
    assert "\\x1b]0;again\\x07 (not tracked)" in stat


def test_a_huge_file_is_not_read(hostile: Hostile) -> None:
    with (hostile.path / "a.txt").open("r+b") as file:
        file.truncate(50 * 2**30)
    started = time.monotonic()
    found = hostile.checkout.look(hostile.tree)
    assert found.dirty
    assert found.stat == " a.txt (huge)\n"
    assert time.monotonic() - started < 10


def test_a_large_file_that_was_committed_is_not_read_for_its_lines(hostile: Hostile) -> None:
    (hostile.path / "large").write_bytes(b"line\n" * 4_000_000)
    hostile.checkout.commit(cwd=hostile.path)
    assert "large | Bin 0 -> 20000000 bytes" in hostile.checkout.look(hostile.tree).stat


def test_git_that_fails_is_an_error_with_its_words(hostile: Hostile) -> None:
    git = hostile.tree.seen()
    with pytest.raises(ToolError, match="git rev-list ended with status 128: fatal") as caught:
        git.count("nonsense", "HEAD")
    assert "git rev-list --count nonsense" in caught.value.fix


def test_git_that_says_too_much_or_nothing_is_an_error(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = hostile.tree.seen()
    monkeypatch.setattr(asked, "MOST_BYTES", 10)
    with pytest.raises(ToolError, match="wrote more than 10 bytes"):
        git.ask("rev-list", "HEAD")
    slow = asked.Git(git.git_dir, git.common, git.work_tree, None, 0.2)
    with pytest.raises(ToolError, match=r"did not end within 0\.2 seconds"):
        slow.ask("-c", f"alias.wait=!{shutil.which('sleep')} 60", "wait")


def test_nothing_is_fetched(hostile: Hostile, tmp_path: Path) -> None:
    git = hostile.tree.seen()
    with pytest.raises(ToolError, match="not allowed"):
        git.ask("fetch", str(hostile.checkout.folder))


def test_a_name_that_is_no_commit_stands_for_none(hostile: Hostile) -> None:
    git = hostile.tree.seen()
    tree = hostile.git("rev-parse", "HEAD^{tree}")
    for name in ("", "nothing", "a\nHEAD", "HEAD\0", tree, "--all", "0" * 40):
        assert git.commit(name) == ""
    assert git.commit("main") == hostile.tree.base
