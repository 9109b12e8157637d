"""A real Runner with the real Codex, Gemini and OpenCode as orchestrators, and the scripted model.

The fence is real, and so are the processes, git and the programs' own conversations.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor import tools

SECONDS = 200
pytestmark = pytest.mark.timeout(SECONDS + 60)
PIPELINE = """digraph p {
    start [shape=Mdiamond];
    work [shape=box, label="Work", files="made.txt", prompt="Make it, \\"well\\"; @all of it."];
    exit [shape=Msquare];
    start -> work -> exit;
}"""
MADE = "echo {0} > made.txt && git add made.txt && git commit -qm {0}"
DONE = "Done.\n\n<promise>NODE_COMPLETE</promise>"


def rehearsed(folder: Path, agent: str, turns: list[dict[str, Any]], *answers: str) -> Any:
    """Rehearse the node; returns what the Guardian heard, and the last line."""
    if tools.find_agent(agent) is None:
        pytest.skip(f"{agent} is not installed: ./dev test installs it where npm is")
    pipeline, script = folder / "p.dot", folder / "s.yaml"
    pipeline.write_text(PIPELINE)
    script.write_text(json.dumps({"version": 1, "roles": {"orchestrator": turns}}))
    words = [word for each in answers for word in ("--answer", each)]
    argv = [sys.executable, "-I", "-m", "attractor", "rehearse", "node", str(pipeline)]
    argv += ["--scenario", str(script), "--set", f"agent={agent}", *words]
    done = subprocess.run(
        [*argv, "--seconds", str(SECONDS), "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS + 40,
        env={**os.environ, "TMPDIR": str(folder)},
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    return lines


@pytest.fixture
def short(tmp_path: Path) -> Any:
    """A folder with a short name: sockets lie below it."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"al-{os.getpid()}-{id(tmp_path):x}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("agent", ["codex", "gemini", "opencode"])
def test_a_node_is_worked_alone_refused_once_and_gone_on_with(short: Path, agent: str) -> None:
    said = rehearsed(
        short,
        agent,
        [
            {"run": MADE.format("one")},
            {"say": DONE},
            {"run": MADE.format("two")},
            {"say": DONE},
        ],
        "fail=Say two.",
        "pass",
    )
    types = json.dumps(said)
    assert types.count("NEEDS_REVIEW") == 2
    assert "VALIDATION_FAILED" in types
    assert '"wrote": true' in types


def test_a_rate_limit_costs_no_attempt(short: Path) -> None:
    said = rehearsed(
        short,
        "codex",
        [
            *[{"fail": {"status": 429, "retry_after": 1}}] * 4,
            {"run": MADE.format("one")},
            {"say": DONE},
        ],
    )
    types = json.dumps(said)
    assert '"cooldowns": 0' not in types
    assert "ORCHESTRATOR_CRASHED" not in types
