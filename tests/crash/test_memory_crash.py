"""Killed at every file operation: what an attempt taught is remembered once it is told again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.memory import architect

pytestmark = pytest.mark.crash

CLOCK = """
import sqlite3  # before any fork

class Clock:
    def wall_ns(self):
        return 1_772_000_000_000_000_000
    def monotonic(self):
        return 0.0
"""
PROGRAM = """
import os
from attractor.memory import opening
from attractor.privacy import scan
from guardian.tasks import remember

scan.findings("warm")

def main(state, *arguments):
    spec = {"request": {"project": state, "run_id": "r1"}, "node": "login", "attempt": 2,
            "label": "Log in", "outcome": "failed", "feedback": "It is red.",
            "worktree": os.path.join(state, "tree")}
    said = remember.run(spec, Clock())
    tell([said["added"], said["flagged"]])
"""
FORGETS = """
from attractor.memory.settle import forget

def main(state, *arguments):
    gone, on_page, notes = forget(state, 1, Clock())
    tell([gone.state, on_page, notes])
"""
SETTLES = """
from attractor.memory.settle import settle
from attractor.privacy import scan

scan.findings("warm")

def main(state, *arguments):
    done = settle(state, 3, take=True, clock=Clock())
    tell([done.memory.state, done.on_page])
"""
BEFORE = architect.empty().replace(
    "## Permanent Decisions\n", "## Permanent Decisions\n\n- Use tabs\n"
)


def fresh(state: Path) -> None:
    (state / "ARCHITECT.md").write_text(BEFORE)
    files = state / "tree" / ".attractor" / "memory"
    files.mkdir(parents=True)
    (files / "a.md").write_text("Decision: Use Redis\nDecision: Never use tabs\n")


def fresh_contradiction(state: Path) -> None:
    lines = "- Use tabs [by hand, 2026-02-01]\n- Never use tabs\n- Use spaces [by hand, 2026-02-01]"
    (state / "ARCHITECT.md").write_text(BEFORE.replace("- Use tabs", lines))


def remembered(state: Path) -> list[Any]:
    with sqlite3.connect(state / ".claude/attractor/memory.db") as connection:
        asked = (
            "SELECT kind, text, node, run, attempt, at, state, against FROM memories ORDER BY text"
        )
        rows = [*connection.execute(asked)]
        rows += connection.execute("SELECT * FROM handed_in")
    connection.close()
    return rows


def test_a_merge_that_was_killed_is_the_same_when_it_is_done_again(
    sweep: Callable[..., Any],
) -> None:
    whole: dict[str, Any] = {}

    def check(state: Path, death: Any) -> None:
        page = (state / "ARCHITECT.md").read_text()
        found = {"page": page, "rows": remembered(state), "said": death.recovered}
        if death.finished:
            whole.update(found)
            assert "Use Redis [node login, attempt 2" in page
            assert len(found["rows"]) == 5
        assert found == whole
        assert [each.name for each in state.iterdir() if each.name.startswith(".ARCH")] == []

    swept = sweep("memory", CLOCK + PROGRAM, fresh=fresh, check=check, recover="main", limit=60)
    assert swept.points > 8


def test_a_memory_whose_forgetting_was_killed_is_forgotten_once_when_it_is_done_again(
    sweep: Callable[..., Any],
) -> None:
    whole: dict[str, Any] = {}

    def check(state: Path, death: Any) -> None:
        page = (state / "ARCHITECT.md").read_text()
        found = {"page": page, "rows": remembered(state), "said": death.recovered}
        if death.finished:
            whole.update(found)
            assert page.count("- Withdrawn: Use tabs [withdrawn by hand, 2026-02-25]\n") == 1
            assert "forgotten" in found["rows"][0]
        assert found == whole
        assert [each.name for each in state.iterdir() if each.name.startswith(".ARCH")] == []

    swept = sweep("forget", CLOCK + FORGETS, fresh=fresh, check=check, recover="main", limit=40)
    assert swept.points > 8


def test_a_settlement_that_was_killed_is_the_same_when_it_is_done_again(
    sweep: Callable[..., Any],
) -> None:
    whole: dict[str, Any] = {}

    def check(state: Path, death: Any) -> None:
        page = (state / "ARCHITECT.md").read_text()
        found = {"page": page, "rows": remembered(state), "said": death.recovered}
        if death.finished:
            whole.update(found)
            assert page.count("- Withdrawn: Use tabs [withdrawn by hand, 2026-02-25]\n") == 1
            assert [row[6] for row in found["rows"]] == ["live", "live", "forgotten"]
        assert found == whole

    swept = sweep("settle", CLOCK + SETTLES, fresh=fresh_contradiction, check=check, recover="main")
    assert swept.points > 8
