"""Which beads can be worked on now, and what holds up the others. Pure: the time comes in.

The rules are those of bd 1.0: status `open` only; not pinned, not ephemeral, no template; no type
that is no work; not deferred, nor its parent; and not blocked. A bead is blocked by an open target
of `blocks` (or any `external:` one), by a `conditional-blocks` target that has not failed, by a
`waits-for` target with open children, or by a blocked parent. An open parent blocks nobody, and a
target that does not exist does not either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attractor.beads.graph import (
    EXTERNAL,
    PARENT,
    Issues,
    Link,
    all_links,
    ancestors,
    by_target,
    parent_of,
)
from attractor.beads.issue import GONE, Issue, instant, is_gone

SORTS: Final = ("hybrid", "priority", "oldest")

_NO_WORK: Final = frozenset({"merge-request", "gate", "molecule", "message", "agent"})
_FAILURES_WORDS: Final = (
    "failed rejected wontfix canceled cancelled abandoned blocked error timeout aborted"
)
_FAILURES: Final = tuple(_FAILURES_WORDS.split())
_RECENT: Final = timedelta(hours=48)


def blockers(issues: Issues) -> dict[str, list[str]]:
    """Return for each blocked bead what blocks it; a bead that is closed is not blocked."""
    links = list(all_links(issues))
    children = by_target(link for link in links if link.kind == PARENT)
    found: dict[str, list[str]] = {}
    for link in links:
        if not is_gone(issues[link.source]) and _blocks(issues, link, children):
            held = found.setdefault(link.source, [])
            if link.target not in held:
                held.append(link.target)
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        for link in children.get(parent, ()):
            if link.source not in found and not is_gone(issues[link.source]):
                found[link.source] = [parent]
                waiting.append(link.source)
    return found


def _blocks(issues: Issues, link: Link, children: dict[str, list[Link]]) -> bool:
    if link.target.startswith(EXTERNAL):
        return link.kind == "blocks"
    target = issues.get(link.target)
    if target is None:
        return False
    if link.kind == "blocks":
        # Pinned beads stay open for good; bd does not let them block.
        return target.get("status") not in (*GONE, "pinned")
    if link.kind == "conditional-blocks":
        return not _failed(target)
    if link.kind == "waits-for":
        return any(not is_gone(issues[each.source]) for each in children.get(link.target, ()))
    return False


def _failed(issue: Issue) -> bool:
    reason = str(issue.get("close_reason") or "").lower()
    return issue.get("status") == "closed" and any(word in reason for word in _FAILURES)


def ready(issues: Issues, now: datetime) -> list[Issue]:
    """Return the beads that can be worked on, in the order of the file."""
    held = blockers(issues)
    return [
        issue
        for name, issue in issues.items()
        if name not in held and _is_work(issue) and not _is_deferred(issues, name, now)
    ]


def _is_work(issue: Issue) -> bool:
    return (issue.get("status") or "open") == "open" and not (
        issue.get("pinned")
        or issue.get("ephemeral")
        or issue.get("is_template")
        or issue.get("issue_type") in _NO_WORK
    )


def _is_deferred(issues: Issues, name: str, now: datetime) -> bool:
    if instant(issues[name].get("defer_until")) > now:
        return True
    above = [issues[each] for each in ancestors(issues, name) if each in issues]
    return any(
        each.get("status") == "deferred" or instant(each.get("defer_until")) > now for each in above
    )


def blocked(issues: Issues) -> list[tuple[Issue, list[str]]]:
    """Return the blocked beads and what blocks each; a status `blocked` needs no blocker."""
    held = blockers(issues)
    return [
        (issue, held.get(name, []))
        for name, issue in issues.items()
        if name in held or issue.get("status") == "blocked"
    ]


def in_order(found: Iterable[Issue], sort: str, now: datetime) -> list[Issue]:
    """Sort ready beads: `oldest`, `priority` (then oldest), or `hybrid`.

    Hybrid: first those younger than 48 hours by priority, then the older ones, oldest first.
    """

    def key(issue: Issue) -> tuple[int, int, datetime, str]:
        created = instant(issue.get("created_at"))
        priority = int(issue.get("priority", 2))
        if sort == "oldest":
            return 0, 0, created, issue["id"]
        if sort == "priority":
            return 0, priority, created, issue["id"]
        recent = now - created < _RECENT
        return (0, priority, created, issue["id"]) if recent else (1, 0, created, issue["id"])

    return sorted(found, key=key)


def finished_epics(issues: Issues) -> list[str]:
    """Return the open epics all of whose children are closed."""
    children: dict[str, list[Issue]] = {}
    for issue in issues.values():
        if parent := parent_of(issue):
            children.setdefault(parent, []).append(issue)
    return [
        name
        for name, below in children.items()
        if name in issues
        and issues[name].get("issue_type") == "epic"
        and not is_gone(issues[name])
        and all(map(is_gone, below))
    ]
