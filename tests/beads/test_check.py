"""What is wrong with a file, and what can be repaired without judgement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attractor.beads.check import check, fix
from attractor.beads.edit import Act
from attractor.beads.issue import STORED_STATUSES, encode
from attractor.beads.lines import parse


def test_each_fault_is_found_and_the_mechanical_ones_are_repaired(
    bead: Callable[..., Any],
) -> None:
    wrong = [
        bead("at-a", "gone"),
        bead("at-b", "at-c"),
        bead("at-c", "at-b"),
        bead("at-d", status="closed"),
        bead("at-e", closed_at="2026-01-01T00:00:00Z"),
        bead("at-f", status="strange", title="x" * 501),
        bead("at-g", status="tombstone", closed_at="2026-01-01T00:00:00Z"),
    ]
    lines = parse(b"\n".join([*map(encode, wrong), b"{"]))
    found = {each.name: each for each in check(lines, STORED_STATUSES)}
    assert {name: each.level for name, each in found.items()} == {
        "lines": "error",
        "dependencies": "warning",
        "cycles": "error",
        "closed_at": "error",
        "statuses": "error",
        "titles": "error",
    }
    assert "line 8" in found["lines"].message
    assert "at-b -> at-c -> at-b" in found["cycles"].message
    assert "at-f (strange)" in found["statuses"].message
    assert fix(lines, Act("joe", 1_772_000_000_000_000_000)) == 3
    found = {each.name: each for each in check(lines, (*STORED_STATUSES, "strange"))}
    good = {name for name, each in found.items() if each.level == "ok"}
    assert good == {"dependencies", "closed_at", "statuses"}
