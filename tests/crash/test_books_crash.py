"""Killed at every file operation: told again, beads and promise are as if it had lived."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.crash

PROGRAM = """
import os
from guardian.tasks import books

class Clock:
    def wall_ns(self):
        return 1_772_000_000_000_000_000
    def monotonic(self):
        return 0.0

CRITERIA = {
    "AC-1": {"description": "it works", "met_by": "one", "evidence": "", "score": 0.97},
    "AC-2": {"description": "it shows", "met_by": "two", "evidence": "report.json", "score": None},
}
BEADS = {
    "at-1": {"status": "closed", "reason": "validated, score 0.97"},
    "at-2": {"status": "open", "reason": "it never compiled"},
    "at-3": {"status": "in_progress", "reason": ""},
    "plan.1": {"status": "closed", "reason": "validated"},
}
EPIC = {"status": "closed", "reason": "validated, as all its beads are"}

def main(state, *arguments):
    CRITERIA["AC-2"]["evidence"] = os.path.join(state, "report.json")
    promise = {"id": "promise-0a1b2c3d", "title": "Login", "criteria": CRITERIA,
               "verify": True, "release": False}
    request = {"project": state, "run_id": "r1", "run_root": state}
    wanted = {"beads": BEADS, "epic": EPIC, "promise": promise}
    said = books.run({"request": request, **wanted}, Clock())
    assert said == {"ok": True, "notes": []}, said
    tell("done")
"""


def issue(name: str, **more: Any) -> dict[str, Any]:
    at = "2026-02-24T12:00:00Z"
    common = {"title": name, "status": "open", "priority": 2, "issue_type": "task"}
    return {"id": name, **common, "created_at": at, "updated_at": at, **more}


def fresh(state: Path) -> None:
    (state / ".beads").mkdir()
    ours = {"status": "in_progress", "claimed_by_session": "attractor-r1"}
    link = {"issue_id": "plan.1", "depends_on_id": "plan", "type": "parent-child"}
    beads = [
        *(issue("at-1", **ours), issue("at-2", **ours), issue("at-3")),
        issue("plan", issue_type="epic", external_ref="plan:p"),
        issue("plan.1", dependencies=[link]),
    ]
    lines = "".join(f"{json.dumps(each)}\n" for each in beads)
    (state / ".beads" / "issues.jsonl").write_text(lines)
    (state / "report.json").write_text("{}")


def told(state: Path) -> dict[str, Any]:
    """Return all files but the audit log, in which an intent may stand twice."""
    files = [each for each in state.rglob("*") if each.is_file() and "audit" not in each.parts]
    here = os.fsencode(state)
    return {str(p.relative_to(state)): p.read_bytes().replace(here, b"HERE") for p in files}


def test_books_that_were_killed_are_the_same_when_they_are_told_again(
    sweep: Callable[..., Any],
) -> None:
    whole: dict[str, Any] = {}

    def check(state: Path, death: Any) -> None:
        found = told(state)
        if death.finished:
            whole.update(found)
            assert ".claude/completion-state/history/promise-0a1b2c3d.json" in found
            assert found[".beads/issues.jsonl"].count(b"as all its beads are (run r1)") == 1
        assert "done" in death.recovered
        assert found == whole

    swept = sweep("books", PROGRAM, fresh=fresh, check=check, recover="main", limit=80)
    assert swept.points > 40
