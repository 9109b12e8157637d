from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from attractor import tools
from attractor.errors import InputError, ToolError
from attractor.run import room
from attractor.run.assignment import Assignment
from attractor.run.layout import run_layout
from attractor.run.preflight import Finding, Plan, examine, plan_of, refuse

REAL_GIT = shutil.which("git")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().strip()


class Place:
    """A machine on which everything is as it must be, and one project."""

    def __init__(self, folder: Path) -> None:
        self.home, self.bin, self.project = folder / "home", folder / "bin", folder / "project"
        for each in (self.home, self.bin, self.project):
            each.mkdir()
        (self.home / ".gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n")

    def program(self, name: str, says: str) -> None:
        """Let a program say this of itself; git goes on being git."""
        path = self.bin / name
        real = f'case "$*" in --version) ;; *) exec {REAL_GIT} "$@" ;; esac\n'
        path.write_text(f"#!/bin/sh\n{real if name == 'git' else ''}echo '{says}'\n")
        path.chmod(0o755)

    def state(self, **values: Any) -> None:
        (self.home / ".claude.json").write_text(json.dumps(values))

    def trusts(self, *folders: Path) -> None:
        said = {str(folder): {"hasTrustDialogAccepted": True} for folder in folders}
        self.state(projects=said, oauthAccount={"emailAddress": "a@example.org"})

    def environ(self) -> Mapping[str, str]:
        return {"HOME": str(self.home)}

    def ask(self, **changes: Any) -> list[Finding]:
        return examine(Plan(project=str(self.project), **changes), self.environ())

    def only(self, **changes: Any) -> Finding:
        (found,) = self.ask(**changes)
        assert found.problem
        assert found.where
        assert found.fix
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GIT_", "CLAUDE", "ANTHROPIC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    monkeypatch.setattr(tools, "try_sandbox", lambda: "0.8.0")
    made.program("claude", "2.1.329 (Claude Code)")
    made.program("tmux", "tmux 3.3a")
    git(made.project, "init", "-q", "-b", "main")
    (made.project / "a.txt").write_text("one\n")
    git(made.project, "add", "-A")
    git(made.project, "commit", "-q", "-m", "the first")
    made.trusts(made.project)
    return made


def test_where_everything_is_as_it_must_be_there_is_nothing_to_say(place: Place) -> None:
    head = git(place.project, "rev-parse", "HEAD")
    branches = ("attractor/r/n", "attractor/r/integration")
    assert place.ask(base_commit=head, branches=branches) == []
    refuse([])


# -- programs


@pytest.mark.parametrize(
    ("name", "says", "wanted"),
    [
        ("git", "git version 2.31.9", "2.32"),
        ("tmux", "tmux 3.1c", "3.2"),
        ("claude", "2.1.294 (Claude Code)", "2.1.295"),
    ],
)
def test_a_program_that_is_too_old_is_refused(
    place: Place, name: str, says: str, wanted: str
) -> None:
    place.program(name, says)
    found = place.only()
    assert found.problem.endswith(f"is too old: at least {wanted} is needed")
    assert found.fatal


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tmux", "tmux next-3.7"),
        ("tmux", "tmux master"),
        ("tmux", "tmux openbsd-7.0"),
        ("tmux", "tmux 3.2"),
        ("claude", "2.1.295 (Claude Code)"),
        ("claude", "3.0.0 (Claude Code)"),
        ("git", "git version 2.32.0"),
        ("git", "git version 2.39.5 (Apple Git-154)"),
    ],
)
def test_a_program_that_is_new_enough_or_does_not_say_is_not(
    place: Place, name: str, says: str
) -> None:
    place.program(name, says)
    assert place.ask() == []


def test_programs_that_are_missing_are_named_all_together(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)
    problems = [found.problem for found in place.ask() if found.fatal]
    for name in ("git", "tmux", "claude"):
        assert any(problem.startswith(f"{name} is not installed") for problem in problems)


def test_only_what_an_agent_needs_is_asked_for(place: Place) -> None:
    place.state()
    place.program("tmux", "tmux 1.0")
    place.program("claude", "1.0.0")
    assert place.ask(agents=frozenset({"command"})) == []
    headless = [found.where for found in place.ask(agents=frozenset({"claude-headless"}))]
    assert str(place.home / ".claude.json") in headless
    assert len(headless) == 2, "too old, and no sign of a login"


def test_the_claude_that_is_named_is_the_one_that_is_asked(place: Place, tmp_path: Path) -> None:
    assert "there is no program" in place.only(claude=str(tmp_path / "nothing")).problem
    other = tmp_path / "other-claude"
    other.write_text("#!/bin/sh\necho 1.0.0\n")
    other.chmod(0o755)
    assert place.only(claude=str(other)).where == str(other)


def test_a_sandbox_is_asked_for_only_when_it_is_required(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> str:
        raise ToolError("it cannot be made", fix="mend the kernel")

    monkeypatch.setattr(tools, "try_sandbox", none)
    assert [each.fatal for each in place.ask(sandbox="auto")] == [False]
    found = place.only(sandbox="required")
    assert (found.fatal, "it cannot be made" in found.problem) == (True, True)
    assert "mend the kernel" in found.fix


# -- the repository


def test_a_folder_that_is_no_repository_is_refused(place: Place, tmp_path: Path) -> None:
    place.project = tmp_path / "plain"
    place.project.mkdir()
    place.trusts(place.project)
    assert "not a git repository" in place.only().problem
    git(place.project, "init", "-q", "--bare")
    assert "bare repository" in place.only().problem
    place.project = tmp_path / "nothing"
    place.trusts(place.project)
    assert "no such folder" in place.only().problem


def test_a_repository_without_a_commit_is_told_how_to_make_one(place: Place) -> None:
    git(place.project, "update-ref", "-d", "HEAD")
    found = place.only()
    assert "there is no commit yet" in found.problem
    assert "git commit" in found.fix


def test_a_base_that_is_not_there_is_named(place: Place) -> None:
    assert "no commit 'v9'" in place.only(base_commit="v9").problem


def test_branches_that_cannot_be_made_are_named(place: Place) -> None:
    base = git(place.project, "rev-parse", "HEAD")
    git(place.project, "branch", "attractor/r/n")
    wanted = {"base_commit": base, "branches": ("attractor/r/n", "attractor/q/n")}
    assert place.ask(**wanted) == []
    git(place.project, "commit", "-q", "--allow-empty", "-m", "the second")
    git(place.project, "branch", "-f", "attractor/r/n")
    git(place.project, "branch", "attractor/q")
    problems = [found.problem for found in place.ask(**wanted)]
    assert problems == [
        "the branch attractor/r/n is there, and is not ours",
        "the branch attractor/q leaves no room for attractor/q/n",
    ]


def test_branches_that_are_no_files_are_refused(place: Place) -> None:
    git(place.project, "config", "extensions.refStorage", "reftable")
    git(place.project, "config", "core.repositoryFormatVersion", "0")
    assert "kept as reftable" in place.only().problem


def test_changes_that_no_commit_holds_are_refused_unless_allowed(place: Place) -> None:
    (place.project / "a.txt").write_text("two\n")
    found = place.only()
    assert found.fatal
    assert found.problem == "a.txt has changes that are not committed; work starts without them"
    assert "git stash" in found.fix
    assert "git stash" in found.fix
    assert not place.only(dirty_allowed=True).fatal


def test_beads_that_a_run_before_this_one_has_changed_hold_nothing_up(place: Place) -> None:
    beads = place.project / ".beads" / "issues.jsonl"
    beads.parent.mkdir()
    beads.write_text("one\n")
    git(place.project, "add", "-A")
    git(place.project, "commit", "-q", "-m", "beads")
    beads.write_text("two\n")
    assert place.ask() == []


def test_new_files_are_told_and_not_refused(place: Place) -> None:
    for number in range(7):
        (place.project / f"{number}.txt").write_text("")
    (place.project / "\x1b[2J").write_text("")
    found = place.only()
    assert not found.fatal
    assert found.problem.startswith("\\x1b[2J, 0.txt, 1.txt, 2.txt, 3.txt and 3 more have never")
    assert found.problem.isprintable()


def test_our_own_folders_are_no_change(place: Place) -> None:
    for name in ("attractor/runs/r/journal.jsonl", "worktrees/n/a.txt", "completion-state/x"):
        path = place.project / ".claude" / name
        path.parent.mkdir(parents=True)
        path.write_text("")
    assert place.ask() == []


def test_a_disk_that_is_nearly_full_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FLOOR", 10**18)
    found = place.only()
    assert found.fatal
    assert "the disk is nearly full" in found.problem
    # Before a session it is the Guardian that looks, and it lets nothing fail.
    assert place.ask(disk=False) == []


# -- the person's Claude Code


def test_a_folder_that_is_not_trusted_is_refused(place: Place) -> None:
    place.trusts(place.home)
    found = place.only()
    assert found.fatal
    assert "run `claude` here once" in found.fix


@pytest.mark.parametrize("text", ["", "{", "[]", '{"projects": []}', '{"projects": {"x": 1}}'])
def test_a_state_that_says_nothing_trusts_nothing(place: Place, text: str) -> None:
    (place.home / ".claude.json").write_text(text)
    problems = [found.problem for found in place.ask()]
    assert any("does not trust" in problem for problem in problems)
    assert any("logged in" in problem for problem in problems)


def test_a_linked_worktree_is_trusted_as_its_main_checkout(place: Place, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(place.project, "worktree", "add", "-q", "-b", "side", str(linked))
    place.project = linked
    assert place.ask() == []


def test_where_claude_code_was_never_started_it_is_to_be_started(place: Place) -> None:
    (place.home / ".claude.json").unlink()
    found = next(each for each in place.ask() if each.fatal)
    assert found.problem.startswith("Claude Code has never been started here")
    assert "init --trust" not in found.fix
    assert "run `claude`" in found.fix


def test_a_rehearsal_does_not_ask_for_the_persons_own(place: Place) -> None:
    (place.home / ".claude.json").unlink()
    assert place.ask(rehearsed=True) == []


def test_no_sign_of_a_login_is_a_warning(place: Place) -> None:
    place.state(projects={str(place.project): {"hasTrustDialogAccepted": True}})
    if sys.platform == "darwin":
        assert place.ask() == []
        return
    assert not place.only().fatal
    for name, value in {"ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_USE_BEDROCK": "1"}.items():
        plan = Plan(project=str(place.project))
        assert examine(plan, place.environ() | {name: value}) == []
    (place.home / ".claude").mkdir()
    (place.home / ".claude" / "settings.json").write_text('{"apiKeyHelper": "x"}')
    assert place.ask() == []
    (place.home / ".claude" / "settings.json").unlink()
    (place.home / ".claude" / ".credentials.json").write_text("{}")
    assert place.ask() == []


def test_another_folder_of_settings_is_looked_into(place: Place, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (place.home / ".claude.json").rename(tmp_path / "config" / ".claude.json")
    environ = place.environ() | {"CLAUDE_CONFIG_DIR": str(tmp_path / "config")}
    assert examine(Plan(project=str(place.project)), environ) == []


# -- what is said


def test_all_that_is_fatal_is_said_in_one_error(place: Place) -> None:
    one = Finding("one is missing", "here", "get it")
    two = Finding("two is missing", "there", "get that")
    note = Finding("a note", "where", "as you like", fatal=False)
    refuse([note])
    with pytest.raises(InputError) as caught:
        refuse([one, note])
    assert (caught.value.problem, caught.value.where, caught.value.fix) == (
        "one is missing",
        "here",
        "get it",
    )
    with pytest.raises(InputError) as caught:
        refuse([one, note, two])
    text = str(caught.value)
    assert text.startswith("nothing was started, for 2 reasons\n")
    assert "1. here: one is missing\n     get it\n  2. there: two is missing" in text
    assert [found["problem"] for found in caught.value.as_json()["findings"]] == [
        "one is missing",
        "two is missing",
    ]


def test_a_runner_asks_for_what_its_assignment_needs(place: Place) -> None:
    project = str(place.project)
    assignment = Assignment(
        run_id="r",
        node_id="n",
        attempt=2,
        project=project,
        run_root=run_layout(project, "r").root,
        base_commit=git(place.project, "rev-parse", "HEAD"),
        branch="attractor/r/n",
        worktree=f"{project}/.claude/worktrees/n",
        agent="claude-headless",
        sandbox="required",
        base_url="http://127.0.0.1:1",
    )
    plan = plan_of(assignment)
    assert (plan.branches, plan.agents) == (("attractor/r/n",), frozenset({"claude-headless"}))
    assert (plan.sandbox, plan.rehearsed, plan.dirty_allowed) == ("required", True, True)
    record = Path(assignment.layout.worktree_record("n"))
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert plan_of(assignment).branches == (), "what is there is ours by then"


@pytest.mark.parametrize("name", ["claude", "tmux", "git"])
def test_a_program_whose_version_is_not_known_is_refused(place: Place, name: str) -> None:
    place.program(name, "banana")
    found = place.only()
    assert "does not say which version it is" in found.problem
    assert found.fatal


def test_without_a_sandbox_it_is_told_that_policy_is_all(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise ToolError("bwrap is not installed", fix="install it")

    monkeypatch.setattr(tools, "try_sandbox", missing)
    found = place.only(sandbox="auto")
    assert "blindness will be policy only" in found.problem
    assert not found.fatal
    assert place.only(sandbox="required").fatal
    assert place.ask(sandbox="off") == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"agent": "command"}, "attribute `command`"),
        ({"agent": "command", "command": " "}, "attribute `command`"),
        ({"agent": "claude-headless", "workers": "team"}, "cannot have a team"),
    ],
)
def test_what_a_node_cannot_be_told_is_refused(
    place: Place, given: dict[str, Any], named: str
) -> None:
    project = str(place.project)
    assignment = Assignment(
        run_id="r",
        node_id="n",
        attempt=1,
        project=project,
        run_root=run_layout(project, "r").root,
        base_commit=git(place.project, "rev-parse", "HEAD"),
        branch="attractor/r/n",
        worktree=f"{project}/.claude/worktrees/n",
        base_url="http://127.0.0.1:1",
        **given,
    )
    (found,) = examine(plan_of(assignment), place.environ())
    assert (named in found.problem, found.where, found.fatal) == (True, "node n", True)


def test_an_agent_that_is_not_installed_is_named_before_anything_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    place.program("gemini", "0.61.0")
    found = place.only(agents=frozenset({"codex", "gemini"}))
    assert found.fatal
    assert found.where == "codex"
    assert "codex is not installed" in found.problem


def test_an_agent_beside_our_python_is_found(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "venv" / "agents" / "node_modules" / ".bin"
    folder.mkdir(parents=True)
    program = folder / "codex"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert tools.find_agent("codex") == str(program)
    assert place.ask(agents=frozenset({"codex"})) == []
