"""Who waits for whom: parents, dependents, and the circles that must not be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from attractor.beads.issue import Issue

PARENT: Final = "parent-child"
# Only these keep a bead from being ready, so only these may not form a circle.
AFFECTING: Final = frozenset({"blocks", PARENT, "conditional-blocks", "waits-for"})
_DEPENDENCY_TYPES_WORDS: Final = (
    "blocks parent-child conditional-blocks waits-for related discovered-from replies-to"
    " relates-to duplicates supersedes authored-by assigned-to approved-by attests tracks until"
    " caused-by validates delegated-from"
)
DEPENDENCY_TYPES: Final = tuple(_DEPENDENCY_TYPES_WORDS.split())
EXTERNAL: Final = "external:"

Issues = Mapping[str, Issue]


class Link(NamedTuple):
    """One dependency, seen from either end."""

    source: str
    target: str
    kind: str


def links_of(issue: Issue) -> Iterator[Link]:
    """Yield what an issue depends on."""
    for record in issue.get("dependencies") or ():
        yield Link(issue["id"], record["depends_on_id"], record.get("type") or "blocks")


def all_links(issues: Issues) -> Iterator[Link]:
    """Yield every dependency, in the order of the file."""
    for issue in issues.values():
        if issue.get("dependencies"):
            yield from links_of(issue)


def parent_of(issue: Issue) -> str:
    """Return the id of an issue's parent, or nothing."""
    return next((link.target for link in links_of(issue) if link.kind == PARENT), "")


def ancestors(issues: Issues, name: str) -> Iterator[str]:
    """Yield the parent, its parent, and so on; each once, even in a circle."""
    seen = {name}
    while name in issues:
        name = parent_of(issues[name])
        if not name or name in seen:
            return
        seen.add(name)
        yield name


def descendants(issues: Issues, name: str) -> set[str]:
    """Return the children, their children, and so on."""
    children = by_target(link for link in all_links(issues) if link.kind == PARENT)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = {link.source for link in children.get(waiting.pop(), ())} - found
        found |= fresh
        waiting += fresh
    return found - {name}


def by_target(links: Iterable[Link]) -> dict[str, list[Link]]:
    """Return the links sorted by what they point to."""
    found: dict[str, list[Link]] = {}
    for link in links:
        found.setdefault(link.target, []).append(link)
    return found


def path(issues: Issues, source: str, target: str) -> list[str]:
    """Return the shortest way from one issue to another, both included; empty if there is none."""
    before = {source: ""}
    waiting = [source]
    while waiting and target not in before:
        found: list[str] = []
        for name in waiting:
            for link in links_of(issues[name]) if name in issues else ():
                if link.kind in AFFECTING and link.target not in before:
                    before[link.target] = name
                    found.append(link.target)
        waiting = found
    if target not in before:
        return []
    way = [target]
    while before[way[-1]]:
        way.append(before[way[-1]])
    return way[::-1]


def circle(issues: Issues, source: str, target: str, kind: str) -> list[str]:
    """Return the circle that a new dependency would close, as `[a, b, a]`, or nothing."""
    if kind not in AFFECTING:
        return []
    way = path(issues, target, source)
    return [source, *way] if way else []


def circles(issues: Issues) -> list[list[str]]:
    """Return one circle for each knot of issues that wait for each other, as `[a, b, a]`."""
    found = []
    for knot in _knots(issues):
        first = min(knot)
        links = (link for link in links_of(issues[first]) if link.kind in AFFECTING)
        target = next(link.target for link in links if link.target in knot)
        found.append([first, *path(issues, target, first)])
    return sorted(found)


def _knots(issues: Issues) -> Iterator[set[str]]:
    """Yield the strongly connected parts that hold a circle (Kosaraju, without recursion)."""
    ahead: dict[str, list[str]] = {name: [] for name in issues}
    back: dict[str, list[str]] = {name: [] for name in issues}
    for link in all_links(issues):
        if link.kind in AFFECTING and link.target in issues:
            ahead[link.source].append(link.target)
            back[link.target].append(link.source)
    seen: set[str] = set()
    for name in reversed(_finished(ahead)):
        knot: set[str] = set()
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                knot.add(each)
                waiting += back[each]
        if len(knot) > 1 or (knot and name in ahead[name]):
            yield knot


def _finished(ahead: Mapping[str, list[str]]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    for start in ahead:
        waiting = [(start, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                waiting.append((name, True))
                waiting += [(each, False) for each in ahead[name]]
    return order


def tree(issues: Issues, root: str, *, up: bool, max_depth: int) -> list[dict[str, Any]]:
    """Return what a bead waits for (or, `up`, what waits for it), depth first.

    Each bead is there once, at the first place where it is met.
    """
    pointing = by_target(all_links(issues)) if up else {}
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    waiting = [(root, "", "", 0)]
    while waiting:
        name, above, kind, depth = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        around = pointing.get(name, []) if up else list(links_of(issues.get(name, {"id": name})))
        cut = depth >= max_depth and bool(around)
        rows.append(
            {"id": name, "depth": depth, "parent_id": above, "type": kind, "truncated": cut}
        )
        if not cut:
            ends = [
                (link.source if up else link.target, name, link.kind, depth + 1) for link in around
            ]
            waiting += sorted(ends, reverse=True)
    return rows


def dangling(issues: Issues) -> list[Link]:
    """Return the dependencies on issues that are not there."""
    return [
        link
        for link in all_links(issues)
        if link.target not in issues and not link.target.startswith(EXTERNAL)
    ]
