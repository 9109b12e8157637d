"""What the tests of beads share: a maker of issues, and of stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from attractor.beads.issue import encode
from attractor.beads.store import Store

# The same examples in every run: a failure is a change of ours, never a draw of the day.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.load_profile("same")

EARLY = "2026-02-24T12:00:00.000000Z"


@pytest.fixture
def bead() -> Callable[..., dict[str, Any]]:
    """Make an issue; `needs` is a list of ids or (id, kind)."""

    def make(name: str, *needs: Any, **fields: Any) -> dict[str, Any]:
        pairs = [(each, "blocks") if isinstance(each, str) else each for each in needs]
        records = [
            {"issue_id": name, "depends_on_id": target, "type": kind, "created_at": EARLY}
            for target, kind in pairs
        ]
        made = {
            "id": name,
            "title": name,
            "status": "open",
            "priority": 2,
            "issue_type": "task",
            "created_at": EARLY,
            "updated_at": EARLY,
        }
        return made | ({"dependencies": records} if records else {}) | fields

    return make


@pytest.fixture
def known(bead: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return issues by id."""

    def make(*issues: dict[str, Any]) -> dict[str, Any]:
        return {issue["id"]: issue for issue in issues}

    return make


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Store]:
    """Make a store with these issues in it."""

    def make(*issues: dict[str, Any] | bytes) -> Store:
        folder = tmp_path / ".beads"
        folder.mkdir(exist_ok=True)
        lines = [each if isinstance(each, bytes) else encode(each) for each in issues]
        (folder / "issues.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        (folder / "config.yaml").write_text("issue-prefix: at\n")
        return Store(str(folder))

    return make
