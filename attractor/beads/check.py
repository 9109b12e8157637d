"""What is wrong with a file of beads, in words and with its number. Pure.

An error is what makes a real bd refuse the file, or beads wait for ever; the rest are warnings.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, final

from attractor.beads import graph
from attractor.beads.edit import Act, repair
from attractor.beads.issue import TITLE_BYTES, TOMBSTONE, Issue, with_status
from attractor.beads.lines import Lines

Level = Literal["ok", "warning", "error"]


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One question, and the answer."""

    name: str
    level: Level
    message: str


def check(lines: Lines, statuses: Collection[str]) -> list[Check]:
    """Return the answer to every question; `statuses` are those that bd knows here."""
    issues = lines.issues.values()
    damage = [f"line {each.number}: {each.reason}" for each in lines.damage]
    dangling = [f"{link.source} -> {link.target}" for link in graph.dangling(lines.issues)]
    circles = [" -> ".join(way) for way in graph.circles(lines.issues)]
    unclosed = [each["id"] for each in issues if closes_wrongly(each)]
    known = {*statuses, TOMBSTONE}
    unknown = [
        f"{each['id']} ({status})"
        for each in issues
        if (status := each.get("status") or "open") not in known
    ]
    titles = [
        each["id"] for each in issues if not 0 < len(each.get("title", "").encode()) <= TITLE_BYTES
    ]
    return [
        _answer("lines", "error", "every line is understood", damage),
        _answer("dependencies", "warning", "every dependency leads somewhere", dangling),
        _answer("cycles", "error", "no beads wait for each other", circles),
        _answer("closed_at", "error", "closed_at is set exactly on what is closed", unclosed),
        _answer("statuses", "error", "every status is one that bd knows", unknown),
        _answer("titles", "error", f"every title has 1 to {TITLE_BYTES} bytes", titles),
    ]


def _answer(name: str, level: Level, good: str, found: list[str]) -> Check:
    if not found:
        return Check(name, "ok", good)
    more = f", and {len(found) - 5} more" if len(found) > 5 else ""  # noqa: PLR2004 - what fits a line
    return Check(name, level, f"not so: {good} ({'; '.join(found[:5])}{more})")


def closes_wrongly(issue: Issue) -> bool:
    """Return whether the status and closed_at contradict each other; a tombstone may keep it."""
    if issue.get("status") == TOMBSTONE:
        return False
    return (issue.get("status") == "closed") != bool(issue.get("closed_at"))


def fix(lines: Lines, act: Act) -> int:
    """Repair what needs no judgement: dangling dependencies and closed_at; return how much."""
    wrong = [each for each in lines.issues.values() if closes_wrongly(each)]
    for issue in wrong:
        if issue.get("status") == "closed":
            closed_at = issue.get("updated_at") or act.now
            lines.put(issue | {"closed_at": closed_at, "updated_at": act.now})
        else:
            changed = with_status(issue, issue.get("status") or "open", act.now)
            lines.put(changed | {"labels": issue.get("labels"), "updated_at": act.now})
    return len(wrong) + len(repair(lines, act))
