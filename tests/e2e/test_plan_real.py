"""`attractor plan --rehearse` with the real Claude Code: a goal becomes a plan that can be run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from attractor.plan import make
from attractor.plan.goal import Goal
from attractor.rehearsal import whole
from attractor.rehearsal.server import ScriptedServer
from signals.clock import SystemClock

GOAL = "A command that greets people by name"
SECONDS = 110

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(tmp_path: Path, claude_binary: str) -> Mapping[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
    (tmp_path / "home").mkdir()
    home = str(tmp_path / "home")
    return {**kept, "HOME": home, "XDG_STATE_HOME": f"{home}/state", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def attractor(environ: Mapping[str, str], project: Path) -> Call:
    """`attractor(WORDS)`: one command in the project, to its end."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-m", "attractor", *words],
            cwd=project,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return call


@pytest.fixture
def committed(project: Path) -> Path:
    (project / "README.md").write_text("# Greetings\n")
    who = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for words in (["add", "-A"], ["commit", "-q", "-m", "First"]):
        subprocess.run(["git", *who, *words], cwd=project, check=True, timeout=30)
    return project


def test_a_goal_becomes_a_plan_that_lints_clean_and_can_start(
    attractor: Call, committed: Path
) -> None:
    made = attractor("bd", "init", "--prefix", "at")
    assert made.returncode == 0, made.stderr
    words = ("--goal", GOAL, "--rehearse", "--yes", "--project", ".", "--json")
    planned = attractor("plan", *words)
    assert planned.returncode == 0, planned.stderr
    said = json.loads(planned.stdout)
    assert len(said["nodes"]) == 5
    assert said["usage"]["requests"] >= 1
    linted = attractor("lint", "--strict", "--check-beads", said["pipeline"])
    assert linted.returncode == 0, linted.stdout + linted.stderr
    looked = attractor("run", said["pipeline"], "--rehearse", "--project", ".", "--preflight")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uall", "--", ".", ":(exclude).beads"],
        cwd=committed,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert [each for each in changed.stdout.splitlines() if "ARCHITECT.md" not in each] == []


def test_a_plan_that_is_refused_is_asked_for_again_with_the_faults(
    environ: Mapping[str, str], committed: Path, tmp_path: Path
) -> None:
    script = whole.planning_script(GOAL, broken=1)
    log = tmp_path / "requests.jsonl"
    with ScriptedServer(script, log=str(log)) as server:
        asked = make.Asked(
            project=str(committed), goal=Goal(GOAL), rehearsed=True, base_url=server.base_url
        )
        planned = make.plan(asked, SystemClock(), environ=environ)
    assert planned.rounds == 2
    assert replace(planned, rounds=1) != planned
    rejected = committed / ".claude" / "attractor" / "plan.rejected" / "1"
    assert "both write" in (rejected / "faults.txt").read_text()
    roles = {json.loads(each).get("role") for each in log.read_text().splitlines()}
    assert roles == {"planner"}
