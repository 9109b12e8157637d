"""Three versions of the file in, one out: never a conflict marker, never a lost bead. Pure.

Per bead and per field: a side that did not change it yields to the one that did. Where both did:

* the side with the later `updated_at` wins (on a tie, the greater line), which then stays;
* the status goes together with its fields (closed_at, close_reason, ...), and finished work stays
  finished: deleted beats closed beats the rest, unless the bead was finished before both;
* labels, dependencies and comments are sets: what either added is there, what either removed is
  not; a bead keeps one parent, that of the winning side;
* a bead that one side deleted and the other changed stays.

Two beads that got the same id on two branches (children are numbered) stay two: the later one gets
a new id, and its side's dependencies follow it. Lines that are no issue are kept as a set.

The result does not depend on which side is ours. Limits: a new id is not put into free text; a
circle that only the two sides together make is merged, and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeVar

from attractor.beads import graph, ids
from attractor.beads.issue import (
    GONE,
    IMPL_COMPLETE,
    IMPL_COMPLETE_LABEL,
    STATUS_FIELDS,
    TOMBSTONE,
    Issue,
    encode,
    instant,
    labels_of,
    status_of,
)
from attractor.beads.lines import Lines, parse

T = TypeVar("T")

_ABSENT: Final = object()
_ONE_BIRTH: Final = timedelta(seconds=1)
_RANKS: Final = {TOMBSTONE: 2, "closed": 1}
_OWN_RULE: Final = frozenset({*STATUS_FIELDS, "labels", "dependencies", "comments", "updated_at"})


class Merged(NamedTuple):
    """The merged file, and what a person should hear of it."""

    data: bytes
    notes: list[str]


def merge(base: bytes, ours: bytes, theirs: bytes) -> Merged:
    """Return the one file that holds the work of both sides."""
    sides = [parse(base), parse(ours), parse(theirs)]
    notes = _separate(*sides)
    result = Lines(kept=_kept(*(side.kept for side in sides)))
    for name in sides[1].issues.keys() | sides[2].issues.keys():
        _merge_line(result, name, *sides)
    known = [*graph.circles(sides[1].issues), *graph.circles(sides[2].issues)]
    notes += [
        f"together the two sides make a cycle: {' -> '.join(way)}"
        for way in graph.circles(result.issues)
        if way not in known
    ]
    return Merged(result.render(), notes)


def _merge_line(result: Lines, name: str, base: Lines, ours: Lines, theirs: Lines) -> None:
    old, one, two = (side.issues.get(name) for side in (base, ours, theirs))
    if one == two:
        # The same in other bytes: a side that rewrote the line wins over one that did not.
        both = {ours.raw(name), theirs.raw(name)}
        fresh = both - {base.raw(name)} if old is not None else both
        result.take(ours.issues[name], min(fresh or both))
    elif two == old and one is not None:
        result.take(one, ours.raw(name))
    elif one == old and two is not None:
        result.take(two, theirs.raw(name))
    elif one is None or two is None:
        # Deleted on one side: gone, unless the other side has worked on it.
        for side, issue in ((ours, one), (theirs, two)):
            if issue is not None and issue != old:
                result.take(issue, side.raw(name))
    else:
        issue = merge_issue(old or {}, one, two)
        result.take(issue, encode(issue))


def _age(issue: Issue) -> tuple[Any, bytes]:
    return instant(issue.get("updated_at")), encode(issue)


def _pick(old: T, newer: T, older: T) -> T:
    """Return what counts: the side that changed something, and if both did, the newer."""
    return older if newer == old else newer


def merge_issue(old: Issue, one: Issue, two: Issue) -> Issue:
    """Return the issue that holds the changes of both; `old` may be empty."""
    older, newer = sorted((one, two), key=_age)
    issue: Issue = {}
    for key in dict.fromkeys((*newer, *older)):
        if key not in _OWN_RULE:
            value = _pick(*(each.get(key, _ABSENT) for each in (old, newer, older)))
            if value is not _ABSENT:
                issue[key] = value
    status = _status(old, newer, older)
    issue |= {key: status[key] for key in STATUS_FIELDS if key in status}
    if "updated_at" in newer:
        issue["updated_at"] = newer["updated_at"]
    labels = _labels(old, newer, older)
    if status_of(status) == IMPL_COMPLETE:
        labels = sorted({*labels, IMPL_COMPLETE_LABEL})
    lists = {
        "labels": labels,
        "dependencies": _dependencies(old, newer, older),
        "comments": _comments(old, newer, older),
    }
    return issue | {key: value for key, value in lists.items() if value}


def _status(old: Issue, newer: Issue, older: Issue) -> Issue:
    """Return the issue whose status counts."""

    def unit(issue: Issue) -> list[Any]:
        return [status_of(issue), *(issue.get(key) for key in STATUS_FIELDS[1:])]

    if old and unit(newer) == unit(old):
        return older
    if (old and unit(older) == unit(old)) or old.get("status") in GONE:
        return newer
    ranks = [_RANKS.get(status_of(each), 0) for each in (newer, older)]
    return older if ranks[1] > ranks[0] else newer


def _labels(old: Issue, newer: Issue, older: Issue) -> list[str]:
    lists = [
        [each for each in labels_of(issue) if each != IMPL_COMPLETE_LABEL]
        for issue in (old, newer, older)
    ]
    return _list(lists, lambda label: label, lambda label: label)


def _list(
    lists: Sequence[list[Any]], key: Callable[[Any], Any], order: Callable[[Any], Any]
) -> list[Any]:
    """Merge three lists as sets of keyed records: base, newer, older."""
    if lists[1] == lists[2] or lists[2] == lists[0]:
        return lists[1]
    if lists[1] == lists[0]:
        return lists[2]
    old, newer, older = ({key(each): each for each in records} for records in lists)
    found = []
    for name in newer.keys() | older.keys():
        record = _pick(old.get(name), newer.get(name), older.get(name))
        # Removed by one side, but changed by the other: it stays.
        if record is None and newer.get(name) is None and older[name] != old.get(name):
            record = older[name]
        if record is not None:
            found.append(record)
    return sorted(found, key=order)


def _dependencies(old: Issue, newer: Issue, older: Issue) -> list[Any]:
    records = _list(
        [list(issue.get("dependencies") or ()) for issue in (old, newer, older)],
        lambda record: record["depends_on_id"],
        lambda record: (instant(record.get("created_at")), record["depends_on_id"]),
    )
    parents = [each["depends_on_id"] for each in records if each.get("type") == graph.PARENT]
    chosen = graph.parent_of({"id": "", "dependencies": newer.get("dependencies")})
    if len(parents) < 2 or chosen not in parents:  # noqa: PLR2004 - a choice needs two
        return records
    return [
        each
        for each in records
        if each.get("type") != graph.PARENT or each["depends_on_id"] == chosen
    ]


def _comments(old: Issue, newer: Issue, older: Issue) -> list[Any]:
    def key(record: Issue) -> tuple[str, ...]:
        return tuple(str(record.get(name, "")) for name in ("created_at", "author", "text"))

    lists = [list(issue.get("comments") or ()) for issue in (old, newer, older)]
    records = _list(lists, key, lambda record: (instant(record.get("created_at")), key(record)))
    used = [each.get("id") for each in records]
    if len({str(each) for each in used}) == len(used):
        return records
    return _renumbered(records, {str(each.get("id")) for each in lists[0]})


def _renumbered(records: list[Issue], settled: set[str]) -> list[Issue]:
    """Give each comment its own id; those that both sides know keep theirs."""
    free = max((each["id"] for each in records if isinstance(each.get("id"), int)), default=0)
    used: set[str] = set()
    found = []
    for record in sorted(records, key=lambda each: str(each.get("id")) not in settled):
        if str(record.get("id")) in used:
            free += 1
            record = record | {"id": free}  # noqa: PLW2901 - the record as it will be written
        used.add(str(record.get("id")))
        found.append(record)
    return sorted(found, key=lambda each: instant(each.get("created_at")))


def _kept(old: list[bytes], one: list[bytes], two: list[bytes]) -> list[bytes]:
    if two in (one, old):
        return one
    if one == old:
        return two
    counts = [Counter(lines) for lines in (old, one, two)]
    wanted: Counter[bytes] = Counter()
    for line in counts[1].keys() | counts[2].keys():
        before, here, there = (count[line] for count in counts)
        wanted[line] = here if there == before else there if here == before else max(here, there)
    found = []
    for line in (*old, *sorted(wanted.elements())):
        if wanted[line]:
            wanted[line] -= 1
            found.append(line)
    return found


def _one_birth(one: Issue, two: Issue, *, known: bool) -> bool:
    """Return whether two issues with one id are one issue; bd cuts times to the second.

    `known`: the base has the id, so that a title may since have changed.
    """
    times = [str(issue.get("created_at", "")) for issue in (one, two)]
    if abs(instant(times[0]) - instant(times[1])) >= _ONE_BIRTH:
        return False
    exact = times[0] == times[1] and "." in times[0]
    return known or exact or one.get("title") == two.get("title")


def _separate(base: Lines, ours: Lines, theirs: Lines) -> list[str]:
    """Give one of two different issues with the same id another id, on its side."""
    notes = []
    while name := _collision(base, ours, theirs):
        losing, other = sorted((ours, theirs), key=lambda side: _birth(side, name), reverse=True)
        new = _other_name(losing, other, base, name)
        if name in base.issues and _same(base, losing, name, known=True):
            _rename(base, name, new)
        title = losing.issues[name].get("title", "")
        _rename(losing, name, new)
        notes.append(f"two issues had the id {name}; {title!r} now has {new}")
    return notes


def _birth(side: Lines, name: str) -> tuple[Any, bytes]:
    issue = side.issues[name]
    return instant(issue.get("created_at")), encode(issue)


def _same(one: Lines, two: Lines, name: str, *, known: bool) -> bool:
    return _one_birth(one.issues[name], two.issues[name], known=known)


def _collision(base: Lines, ours: Lines, theirs: Lines) -> str:
    both = ours.issues.keys() & theirs.issues.keys()
    found = (name for name in both if not _same(ours, theirs, name, known=name in base.issues))
    return min(found, default="")


def _other_name(losing: Lines, other: Lines, base: Lines, name: str) -> str:
    """Return the id that the other side gave it in an earlier merge, else a new one."""
    old = base.issues.get(name)
    if old and _same(base, losing, name, known=True):
        for known, each in sorted(other.issues.items()):
            fresh = known not in losing.issues and known not in base.issues
            if fresh and _one_birth(each, old, known=False):
                return known
    taken = losing.issues.keys() | other.issues.keys() | base.issues.keys()
    parent, dot, number = name.rpartition(".")
    if dot and number.isdigit():
        return ids.child_id(parent, taken)
    prefix = name.rpartition("-")[0] or name
    return ids.new_id(prefix, encode(losing.issues[name]).decode(), taken)


def _rename(side: Lines, name: str, new: str) -> None:
    """Move an issue, its children and all that points to them to another id."""
    moved = {
        each: new + each[len(name) :]
        for each in side.issues
        if each == name or each.startswith(f"{name}.")
    }
    for each in list(side.issues):
        issue = _pointing_elsewhere(side.issues[each], moved)
        if each in moved:
            side.drop(each)
        side.put(issue)


def _pointing_elsewhere(issue: Issue, moved: dict[str, str]) -> Issue:
    changed = issue | {"id": moved.get(issue["id"], issue["id"])}
    for key, names in (
        ("dependencies", ("issue_id", "depends_on_id")),
        ("comments", ("issue_id",)),
    ):
        if records := issue.get(key):
            changed[key] = [_record(record, names, moved) for record in records]
    return changed


def _record(record: Issue, names: Iterable[str], moved: dict[str, str]) -> Issue:
    return record | {key: moved[record[key]] for key in names if record.get(key) in moved}
