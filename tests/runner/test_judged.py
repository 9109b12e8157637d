"""What the judged agent's own tests may see and do while they are run for the judge."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import RunLayout, run_layout
from attractor.spawn import own_command, run_leashed
from runner import sandbox

Until = Callable[[Callable[[], bool]], None]


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


class Judged:
    """A run with secrets, and a clean tree in it, made by hand as the Guardian makes one."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        self.project.mkdir()
        git("init", "-q", "-b", "main", cwd=self.project)
        words = ("-c", "user.name=P", "-c", "user.email=p@example.org")
        git(*words, "commit", "-q", "--allow-empty", "-m", "first", cwd=self.project)
        self.layout: RunLayout = run_layout(str(self.project), "r")
        self.rubric = self.project / "rubric"
        self.other = self.project / ".claude" / "worktrees" / "other"
        for each in (self.rubric, self.other, Path(self.layout.node("n"))):
            each.mkdir(parents=True)
            (each / "secret.txt").write_text("hidden-word")
        Path(self.layout.key).write_text("hidden-word")
        self.folder = Path(self.layout.trees, "n-1")
        self.tree = self.folder / "tree"
        git_dir = self.folder / "git"
        for each in (self.tree, git_dir):
            each.mkdir(parents=True)
        (git_dir / "commondir").write_text(f"{self.project}/.git\n")
        (git_dir / "HEAD").write_text(git("rev-parse", "HEAD", cwd=self.project) + "\n")
        (git_dir / "config.worktree").write_text("")
        (self.tree / ".git").write_text(f"gitdir: {git_dir}\n")
        (self.home / ".cache" / "pip").mkdir(parents=True)
        (self.home / ".cache" / "pip" / "loaded").write_text("the person's")
        (self.home / ".claude").mkdir()
        (self.home / ".claude" / ".credentials.json").write_text("hidden-word")

    def argv(self, *commands: str, **said: Any) -> list[str]:
        spec = {
            "project": str(self.project),
            "run_id": "r",
            "run_root": self.layout.root,
            "node": "n",
            "attempt": 1,
            "tree": str(self.tree),
            "target_dir": "",
            "hidden": [str(self.rubric)],
            "sandbox": "auto",
            "commands": commands,
            "timeout": 30,
            "base_url": "",
            "out": str(self.folder / "out.json"),
        }
        path = self.folder / "spec"
        path.write_text(json.dumps({**spec, **said}))
        return own_command("runner.judged", str(path))

    def __call__(self, *commands: str, **said: Any) -> Any:
        ended = run_leashed(self.argv(*commands, **said), timeout_seconds=60, cwd="/")
        assert ended.status == 0, ended.stderr
        return json.loads((self.folder / "out.json").read_bytes())


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judged:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Judged(tmp_path)


@pytest.fixture
def fenced(judged: Judged) -> Judged:
    level = sandbox.probe(os.environ)
    if level.name != sandbox.BWRAP:
        pytest.skip(f"no bwrap: {level.reason}")
    return judged


def test_green_red_and_a_missing_folder_are_told_apart(judged: Judged) -> None:
    blindness = sandbox.probe(os.environ).name
    green = judged("true", "echo fine")
    assert (green["status"], green["command"], green["blindness"]) == ("green", "", blindness)
    red = judged("echo first", "echo wrong >&2; exit 3", "echo never")
    assert (red["status"], red["exit"], red["tail"]) == ("red", 3, "wrong\n")
    assert red["command"] == "echo wrong >&2; exit 3"
    error = judged("true", target_dir="gone")
    assert error["status"] == "error"
    assert "gone is not in the tree" in error["tail"]


def test_a_test_of_the_agent_finds_no_secret_of_the_run(fenced: Judged) -> None:
    places = [
        fenced.rubric / "secret.txt",
        Path(fenced.layout.key),
        Path(fenced.layout.node("n"), "secret.txt"),
        fenced.other / "secret.txt",
        fenced.home / ".claude" / ".credentials.json",
    ]
    for place in places:
        line = f"cat {shlex.quote(str(place))}; exit 1"
        assert fenced(line, sandbox="off")["tail"] == "hidden-word"
        assert "hidden-word" not in fenced(line)["tail"]
    said = fenced(f"grep -r hidden-word {fenced.project} {fenced.home} && exit 1; ls ..; true")
    assert (said["status"], said["blindness"]) == ("green", sandbox.BWRAP)


def test_a_test_of_the_agent_writes_into_the_tree_and_nowhere_else(fenced: Judged) -> None:
    git_dir = fenced.folder / "git"
    tries = [
        fenced.tree / ".git",
        git_dir / "HEAD",
        fenced.project / ".git" / "refs" / "heads" / "main",
        fenced.project / ".git" / "config",
        fenced.project / ".git" / "objects" / "x",
        fenced.project / "file",
        Path(fenced.layout.events("n"), "x"),
        Path(fenced.layout.journal),
    ]
    before = {each: each.read_bytes() if each.is_file() else None for each in tries}
    lines = "; ".join(f"(echo hacked > {shlex.quote(str(each))})" for each in tries)
    said = fenced(f"echo made > made.txt && {{ {lines}; true; }}")
    assert said["status"] == "green", said
    assert (fenced.tree / "made.txt").read_text() == "made\n"
    assert {each: each.read_bytes() if each.is_file() else None for each in tries} == before


def test_git_answers_there_and_moves_nothing(fenced: Judged) -> None:
    (fenced.tree / "file").write_text("x")
    said = fenced("git status --short && git log -1 --format=%s && git branch new; exit 1")
    assert said["tail"].startswith("?? file\nfirst\n")
    assert git("branch", "--format=%(refname:short)", cwd=fenced.project) == "main"


def test_caches_are_empty_private_and_forgotten(fenced: Judged) -> None:
    line = (
        'ls ~/.cache/pip; echo poison > ~/.cache/pip/loaded && test "$(ls ~/.cache/pip)" = loaded'
    )
    for _ in range(2):
        said = fenced(line)
        assert (said["status"], said["tail"]) == ("green", ""), said
    assert (fenced.home / ".cache" / "pip" / "loaded").read_text() == "the person's"
    assert not (fenced.folder / "judged").exists()


def test_a_rehearsal_has_a_home_of_its_own_and_no_login(fenced: Judged) -> None:
    said = fenced("echo $HOME; env; exit 1", base_url="http://127.0.0.1:4")
    assert said["tail"].startswith(str(fenced.folder / "judged"))
    assert "ANTHROPIC" not in said["tail"]
    assert "CLAUDE" not in said["tail"]


def test_no_login_of_the_person_goes_in(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    for name in (
        *("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "GH_TOKEN"),
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, "hidden-word")
    assert "hidden-word" not in judged("env; exit 1")["tail"]


def test_a_required_sandbox_that_there_is_not_is_an_error(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = judged("true", sandbox="required")
    assert said["status"] == "error"
    assert "a sandbox is required" in said["tail"]


@pytest.mark.parametrize("wanted", ["auto", "off"])
def test_what_a_check_started_dies_with_the_process_that_runs_the_checks(
    judged: Judged, until: Until, wanted: str
) -> None:
    started = judged.tree / "started"
    argv = judged.argv(f"sleep 300 & echo x > {started}; sleep 300; wait", sandbox=wanted)
    process = subprocess.Popen(argv, start_new_session=True)
    try:
        until(started.exists)
        assert _sleeping(judged.tree)
        process.kill()
        process.wait(20)
        until(lambda: not _sleeping(judged.tree))
    finally:
        process.kill()
        process.wait(20)


def _sleeping(tree: Path) -> list[str]:
    """The processes whose working folder is the tree, in whatever namespace they are."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(tree):
                found.append(pid)
        except OSError:
            continue
    return found
