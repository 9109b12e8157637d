"""Killed at every file operation: the beads are as before the command, or as after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.crash

# The whole command, as the console script runs it.
PROGRAM = """
import os, sys
from attractor.cli import bd
from attractor.cli.main import cli

def run(*words):
    os.environ["BD_ACTOR"] = "joe"
    sys.argv = ["attractor", "bd", *words]
    try:
        cli()
    except SystemExit as end:
        assert not end.code, end.code

def main(state, *words):
    run(*words)
    tell("done")

def again(state, *words):
    run("update", "at-b", "--notes", "after")
    run("list", "--all")
"""

OLD = {
    "id": "at-a",
    "title": "old",
    "status": "open",
    "priority": 2,
    "issue_type": "task",
    "created_at": "2026-02-24T12:00:00Z",
    "updated_at": "2026-02-24T12:00:00Z",
}
BROKEN = '{"id":"at-broken",'


def fresh(state: Path) -> None:
    folder = state / ".beads"
    folder.mkdir()
    lines = [json.dumps(OLD), json.dumps(OLD | {"id": "at-b", "title": "other"}), BROKEN]
    (folder / "issues.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "config.yaml").write_text("issue-prefix: at\n")


def found_in(state: Path) -> dict[str, Any]:
    lines = (state / ".beads/issues.jsonl").read_text().splitlines()
    assert lines.count(BROKEN) == 1
    return {issue["id"]: issue for issue in map(json.loads, filter(BROKEN.__ne__, lines))}


def check_common(state: Path) -> dict[str, Any]:
    found = found_in(state)
    assert found["at-b"]["title"] == "other"
    assert found["at-b"]["notes"] == "after"
    # The next writer has swept what the killed one left behind.
    names = sorted(path.name for path in (state / ".beads").iterdir())
    assert names == ["config.yaml", "issues.jsonl"]
    return found


def test_an_update_happens_whole_or_not_at_all(sweep: Callable[..., Any]) -> None:
    def check(state: Path, death: Any) -> None:
        issue = check_common(state)["at-a"]
        new = (issue["title"], issue.get("assignee"), issue["status"])
        assert new in {("old", None, "open"), ("new", "joe", "in_progress")}
        if "done" in death.told:
            assert issue["title"] == "new"

    words = ("update", "at-a", "--claim", "--title", "new")
    swept = sweep("bd update", PROGRAM, fresh=fresh, check=check, recover="again", arguments=words)
    assert swept.points > 4


def test_a_bead_is_made_whole_or_not_at_all(sweep: Callable[..., Any]) -> None:
    def check(state: Path, death: Any) -> None:
        found = check_common(state)
        assert found["at-a"] == OLD
        assert len(found) in ({3} if "done" in death.told else {2, 3})
        for name in found.keys() - {"at-a", "at-b"}:
            assert found[name]["title"] == "fresh"
            assert found[name]["dependencies"][0]["depends_on_id"] == "at-a"

    words = ("create", "fresh", "--deps", "at-a", "--labels", "x,y")
    swept = sweep("bd create", PROGRAM, fresh=fresh, check=check, recover="again", arguments=words)
    assert swept.points > 4
