"""`attractor bd` list, search, show, ready, blocked, stats: what only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from attractor.beads import graph, ids, shapes
from attractor.beads.issue import (
    Issue,
    check_priority,
    check_word,
    instant,
    is_gone,
    labels_of,
    status_of,
)
from attractor.beads.lines import Lines
from attractor.beads.ready import SORTS, in_order
from attractor.beads.ready import blocked as blocked_issues
from attractor.beads.ready import ready as ready_issues
from attractor.cli.bd_call import BdCommand, Call, current, words_of

F = TypeVar("F", bound=Callable[..., Any])

_LIMIT = 50
_READY_LIMIT = 100
_SORT_KEYS: dict[str, Callable[[Issue], Any]] = {
    "priority": lambda issue: (
        issue.get("priority", 2),
        -instant(issue.get("created_at")).timestamp(),
    ),
    "created": lambda issue: -instant(issue.get("created_at")).timestamp(),
    "updated": lambda issue: -instant(issue.get("updated_at")).timestamp(),
    "closed": lambda issue: -instant(issue.get("closed_at")).timestamp(),
    "id": lambda issue: issue["id"],
    "title": lambda issue: issue["title"].lower(),
    "status": status_of,
    "type": lambda issue: issue.get("issue_type") or "task",
    "assignee": lambda issue: issue.get("assignee") or "",
}


def _filters(command: F) -> F:
    """Give a verb the flags that choose beads."""
    for option in (
        click.option("-p", "--priority", help="Only this priority."),
        click.option("-t", "--type", "kind", help="Only this type."),
        click.option("-a", "--assignee", help="Only what this one works on."),
        click.option(
            "-u", "--unassigned", "--no-assignee", is_flag=True, help="Only what is free."
        ),
        click.option("-l", "--label", multiple=True, help="Only with all of these labels."),
        click.option("--label-any", multiple=True, help="Only with one of these labels."),
        click.option("--parent", help="Only parts of this bead."),
    ):
        command = option(command)
    return command


def _chosen(call: Call, lines: Lines, found: Iterable[Issue], given: dict[str, Any]) -> list[Issue]:
    """Return the issues that the flags of `_filters` let through."""
    every, some = set(words_of(given["label"])), set(words_of(given["label_any"]))
    tests: list[Callable[[Issue], bool]] = []
    if given["priority"] is not None:
        priority = check_priority(given["priority"])
        tests.append(lambda issue: issue.get("priority", 2) == priority)
    if given["kind"]:
        kind = call.kind(given["kind"])
        tests.append(lambda issue: (issue.get("issue_type") or "task") == kind)
    if given["assignee"]:
        tests.append(lambda issue: issue.get("assignee") == given["assignee"])
    if given["unassigned"]:
        tests.append(lambda issue: not issue.get("assignee"))
    if every:
        tests.append(lambda issue: every <= set(labels_of(issue)))
    if some:
        tests.append(lambda issue: bool(some & set(labels_of(issue))))
    if given["parent"]:
        parent = ids.resolve(given["parent"], lines.issues)
        below = graph.descendants(lines.issues, parent)
        tests.append(lambda issue: issue["id"] in below)
    return [issue for issue in found if all(test(issue) for test in tests)]


def _limited(call: Call, found: list[Issue], limit: int) -> list[Issue]:
    if not 0 < limit < len(found):
        return found
    given = click.get_current_context().get_parameter_source("limit")
    if given is ParameterSource.DEFAULT:
        call.warn(f"showing {limit} of {len(found)}; --limit 0 shows all")
    return found[:limit]


def _print(call: Call, found: list[Issue], lines: Lines, nothing: str) -> None:
    call.say(
        shapes.many(found, lines.issues) if call.as_json else None,
        lambda: "\n".join(map(shapes.line, found)) or nothing,
    )


@click.command("list", cls=BdCommand)
@click.option("-s", "--status", help="Only this status, or `all`; closed ones are left out else.")
@_filters
@click.option("--title", "--title-contains", "--search", help="Only with this in the title.")
@click.option("--id", "only", multiple=True, help="Only these ids.")
@click.option("--all", "everything", is_flag=True, help="Closed ones, too.")
@click.option("-n", "--limit", type=click.IntRange(min=0), default=_LIMIT, show_default=True)
@click.option("--sort", default="priority", show_default=True, help=", ".join(_SORT_KEYS))
@click.option("-r", "--reverse", is_flag=True, help="The other way round.")
def list_(
    status: str | None, title: str | None, everything: bool, limit: int, **given: Any
) -> None:
    """List beads; with --parent only its direct parts."""
    call = current()
    lines = call.read()
    key = _SORT_KEYS[check_word("sort", given["sort"], _SORT_KEYS)]
    found = _with_status(call, lines.issues.values(), status, everything=everything)
    found = _chosen(call, lines, found, given)
    if given["parent"]:
        parent = ids.resolve(given["parent"], lines.issues)
        found = [issue for issue in found if graph.parent_of(issue) == parent]
    if title:
        found = [issue for issue in found if title.lower() in issue["title"].lower()]
    if given["only"]:
        only = {ids.resolve(word, lines.issues) for word in words_of(given["only"])}
        found = [issue for issue in found if issue["id"] in only]
    found = sorted(sorted(found, key=_SORT_KEYS["id"]), key=key, reverse=given["reverse"])
    _print(call, _limited(call, found, limit), lines, "No issues found")


def _with_status(
    call: Call, issues: Iterable[Issue], status: str | None, *, everything: bool
) -> list[Issue]:
    if status is None or status == "all":
        wide = everything or status == "all"
        return [
            issue
            for issue in issues
            if issue.get("status") != "tombstone" and (wide or not is_gone(issue))
        ]
    wanted = {call.status(word) for word in words_of([status])}
    return [issue for issue in issues if status_of(issue) in wanted]


@click.command("search", cls=BdCommand)
@click.argument("words", nargs=-1, required=True, metavar="TEXT...")
@click.option("-s", "--status", help="Only this status.")
@click.option("-n", "--limit", type=click.IntRange(min=0), default=_LIMIT, show_default=True)
@_filters
def search(words: tuple[str, ...], status: str | None, limit: int, **given: Any) -> None:
    """Find text in ids, titles, descriptions, designs and notes."""
    call = current()
    lines = call.read()
    text = " ".join(words).lower()
    keys = ("id", "title", "description", "design", "acceptance_criteria", "notes")
    found = _with_status(call, lines.issues.values(), status, everything=True)
    found = [
        issue for issue in found if any(text in str(issue.get(key) or "").lower() for key in keys)
    ]
    found = sorted(_chosen(call, lines, found, given), key=_SORT_KEYS["priority"])
    _print(call, _limited(call, found, limit), lines, "No issues found")


@click.command("show", cls=BdCommand)
@click.argument("names", nargs=-1, required=True, metavar="ID...")
def show(names: tuple[str, ...]) -> None:
    """Show beads whole, with what they depend on and what depends on them."""
    call = current()
    lines = call.read()
    found = [lines.issues[ids.resolve(name, lines.issues)] for name in names]
    whole = shapes.whole(found, lines.issues)
    call.say(whole, lambda: "\n\n".join(map(_page, whole)))


def _page(shown: dict[str, Any]) -> str:
    short = ("assignee", "external_ref", "parent", "created_at", "updated_at", "closed_at")
    rows = [shapes.line(shown)]
    rows += [f"  {key}: {shown[key]}" for key in (*short, "close_reason") if key in shown]
    for key in ("description", "design", "acceptance_criteria", "notes"):
        if key in shown:
            rows += [f"\n{key}:", *(f"  {row}" for row in shown[key].splitlines())]
    for key, title in (("dependencies", "depends on"), ("dependents", "needed by")):
        if key in shown:
            ends = (f"  {end['dependency_type']}: {shapes.line(end)}" for end in shown[key])
            rows += [f"\n{title}:", *ends]
    if "comments" in shown:
        rows += ["\ncomments:", *map(comment_line, shown["comments"])]
    return "\n".join(rows)


def comment_line(record: dict[str, Any]) -> str:
    """Return a comment for a person."""
    return (
        f"  [{record.get('author', '')} at {record.get('created_at', '')}] {record.get('text', '')}"
    )


@click.command("ready", cls=BdCommand)
@_filters
@click.option("-n", "--limit", type=click.IntRange(min=0), default=_READY_LIMIT, show_default=True)
@click.option("-s", "--sort", default="hybrid", show_default=True, help=", ".join(SORTS))
def ready(limit: int, sort: str, **given: Any) -> None:
    """List what can be worked on now: open, not blocked, not deferred."""
    call = current()
    lines = call.read()
    now = _now(call)
    check_word("sort", sort, SORTS)
    found = _chosen(call, lines, ready_issues(lines.issues, now), given)
    found = _limited(call, in_order(found, sort, now), limit)
    _print(call, found, lines, "No ready work")


def _now(call: Call) -> datetime:
    return datetime.fromtimestamp(call.clock.wall_ns() / 1e9, UTC)


@click.command("blocked", cls=BdCommand)
@_filters
def blocked(**given: Any) -> None:
    """List what waits for something else."""
    call = current()
    lines = call.read()
    held = {issue["id"]: (issue, names) for issue, names in blocked_issues(lines.issues)}
    found = _chosen(call, lines, (issue for issue, _ in held.values()), given)
    pairs = [held[issue["id"]] for issue in sorted(found, key=_SORT_KEYS["priority"])]

    def text() -> str:
        rows = (f"{shapes.line(issue)}\n  blocked by {', '.join(names)}" for issue, names in pairs)
        return "\n".join(rows) or "No blocked issues"

    call.say(shapes.blocked_list(pairs, lines.issues), text)


@click.command("stats", cls=BdCommand)
@click.option("--no-activity", is_flag=True, hidden=True)
def stats(no_activity: bool) -> None:
    """Count beads."""
    del no_activity  # there is none to leave out
    call = current()
    found = shapes.stats(call.read(), _now(call))

    def text() -> str:
        summary = found["summary"]
        return "\n".join(f"{key.replace('_', ' ')}: {summary[key]:g}" for key in summary)

    call.say(found, text)


COMMANDS = (list_, search, show, ready, blocked, stats)
