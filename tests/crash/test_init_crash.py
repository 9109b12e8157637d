"""`attractor init` killed at every file operation: run again, it completes what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.crash

PROGRAM = """
import os, sys
from attractor.cli import init, init_project
from attractor.cli.main import cli

def main(state, *words):
    os.environ["HOME"] = os.path.join(state, "home")
    os.environ.pop("CLAUDE_CONFIG_DIR", None)
    sys.argv = ["attractor", "init", os.path.join(state, "hello"), "--trust"]
    try:
        cli()
    except SystemExit as end:
        assert not end.code, end.code
    tell("done")
"""


def fresh(state: Path) -> None:
    (state / "hello").mkdir()
    (state / "hello" / ".gitignore").write_text("build/\n")
    (state / "home").mkdir()
    (state / "home" / ".claude.json").write_text('{"numStartups": 7}')


def told(state: Path) -> dict[str, bytes]:
    files = [each for each in state.rglob("*") if each.is_file()]
    here = os.fsencode(state)
    # A backup, and the draft of one or of the hooks' file, is removed by nobody.
    kept = [
        each for each in files if not each.name.startswith((".settings.json", "settings.json."))
    ]
    return {str(p.relative_to(state)): p.read_bytes().replace(here, b"HERE") for p in kept}


def test_whatever_was_made_before_the_project_is_complete_afterwards(
    sweep: Callable[..., Any],
) -> None:
    whole: dict[str, bytes] = {}

    def check(state: Path, death: Any) -> None:
        found = told(state)
        if death.finished:
            whole.update(found)
            assert len(found) == 9
        assert found == whole

    swept = sweep("init", PROGRAM, fresh=fresh, check=check, recover="main", limit=80)
    assert swept.points > 30
