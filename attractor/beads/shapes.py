"""What the commands print as JSON: the shapes that bd's clients parse. Pure.

An issue is printed as it is stored, but with its status as users know it (`impl_complete`), its
defaults filled in, and the ids of comments as text, which is what newer clients take.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attractor.beads import graph
from attractor.beads.graph import Issues, Link
from attractor.beads.issue import FIELDS, Issue, instant, labels_of, status_of
from attractor.beads.lines import Lines
from attractor.beads.ready import blocked, finished_epics, ready

_ORDER = {key: place for place, key in enumerate(FIELDS)}


def brief(issue: Issue) -> dict[str, Any]:
    """Return an issue as the commands that change it do.

    Without its dependencies: where clients read these, they expect whole issues.
    """
    shown = {
        key: value for key, value in _full(issue).items() if key not in {"dependencies", "comments"}
    }
    parent = graph.parent_of(issue)
    return shown | ({"parent": parent} if parent else {})


def _full(issue: Issue) -> dict[str, Any]:
    shown = {
        "priority": 2,
        "issue_type": "task",
        "created_at": "",
        "updated_at": "",
        "title": "",
        **{key: value for key, value in issue.items() if value not in (None, "", [])},
        "status": status_of(issue),
    }
    return dict(sorted(shown.items(), key=lambda each: _ORDER.get(each[0], len(_ORDER))))


def comment(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a comment; its id as text."""
    return {"issue_id": name, **record, "id": str(record.get("id", ""))}


def many(found: Iterable[Issue], issues: Issues) -> list[dict[str, Any]]:
    """Return issues as the items of a list: raw dependencies, and the counts."""
    pointing = graph.by_target(graph.all_links(issues))
    return [_item(issue, pointing) for issue in found]


def _item(issue: Issue, pointing: dict[str, list[Link]]) -> dict[str, Any]:
    counts = {
        "dependency_count": sum(link.kind == "blocks" for link in graph.links_of(issue)),
        "dependent_count": sum(link.kind == "blocks" for link in pointing.get(issue["id"], ())),
        "comment_count": len(issue.get("comments") or ()),
    }
    raw = issue.get("dependencies")
    return brief(issue) | ({"dependencies": raw} if raw else {}) | counts


def whole(found: Iterable[Issue], issues: Issues) -> list[dict[str, Any]]:
    """Return issues for `show`: dependencies and dependents are issues themselves."""
    pointing = graph.by_target(graph.all_links(issues))
    shown = []
    for issue in found:
        item = _item(issue, pointing)
        item["dependencies"] = linked(graph.links_of(issue), issues, up=False)
        item["dependents"] = linked(pointing.get(issue["id"], ()), issues, up=True)
        item["comments"] = [comment(each, issue["id"]) for each in issue.get("comments") or ()]
        shown.append({key: value for key, value in item.items() if value != []})
    return shown


def linked(links: Iterable[Link], issues: Issues, *, up: bool) -> list[dict[str, Any]]:
    """Return the issues at the other ends of links; ends that are not there are left out."""
    ends = ((link.source if up else link.target, link.kind) for link in links)
    return [_end(issues[name], kind) for name, kind in ends if name in issues]


def _end(issue: Issue, kind: str) -> dict[str, Any]:
    return brief(issue) | {"dependency_type": kind}


def blocked_list(found: Iterable[tuple[Issue, list[str]]], issues: Issues) -> list[dict[str, Any]]:
    """Return blocked issues and what blocks each."""
    pairs = list(found)
    items = many((issue for issue, _ in pairs), issues)
    return [
        item | {"blocked_by_count": len(held), "blocked_by": held}
        for item, (_, held) in zip(items, pairs, strict=True)
    ]


def stats(lines: Lines, now: datetime) -> dict[str, Any]:
    """Return the numbers of `stats`."""
    every = list(lines.issues.values())
    statuses = [issue.get("status") or "open" for issue in every]
    closed = [issue for issue in every if issue.get("status") == "closed"]
    hours = [
        (instant(issue.get("closed_at")) - instant(issue.get("created_at"))).total_seconds() / 3600
        for issue in closed
        if issue.get("closed_at")
    ]
    return {
        "summary": {
            "total_issues": len(every) - statuses.count("tombstone"),
            "open_issues": statuses.count("open"),
            "in_progress_issues": statuses.count("in_progress"),
            "impl_complete_issues": sum(status_of(issue) == "impl_complete" for issue in every),
            "closed_issues": len(closed),
            "blocked_issues": len(blocked(lines.issues)),
            "deferred_issues": statuses.count("deferred"),
            "ready_issues": len(ready(lines.issues, now)),
            "tombstone_issues": statuses.count("tombstone"),
            "pinned_issues": sum(
                bool(issue.get("pinned")) or issue.get("status") == "pinned" for issue in every
            ),
            "epics_eligible_for_closure": len(finished_epics(lines.issues)),
            "average_lead_time_hours": sum(hours) / len(hours) if hours else 0.0,
        }
    }


def line(issue: Issue) -> str:
    """Return an issue for a person, in one line."""
    shown = _full(issue)
    labels = "".join(f" #{label}" for label in labels_of(issue) if not label.startswith("state:"))
    who = f" @{shown['assignee']}" if shown.get("assignee") else ""
    head = f"{shown['id']} [P{shown['priority']}] [{shown['issue_type']}] {shown['status']}"
    return f"{head} - {shown['title']}{who}{labels}"
