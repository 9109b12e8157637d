"""Three versions in, one out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.beads.issue import encode, status_of
from attractor.beads.lines import parse
from attractor.beads.merge import merge

T1, T2, T3 = (f"2026-02-2{day}T12:00:00Z" for day in (5, 6, 7))
LABEL = "state:impl_complete"


def file(*issues: dict[str, Any] | bytes) -> bytes:
    lines = [each if isinstance(each, bytes) else encode(each) for each in issues]
    return b"".join(line + b"\n" for line in lines)


def both_ways(base: bytes, ours: bytes, theirs: bytes) -> dict[str, dict[str, Any]]:
    """Merge both ways round, and return the issues by id."""
    one, two = merge(base, ours, theirs), merge(base, theirs, ours)
    assert one == two
    assert parse(one.data).damage == []
    return parse(one.data).issues


@pytest.fixture
def merged(bead: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Merge one issue of which each side changed fields; return what it became."""

    def call(ours: dict[str, Any], theirs: dict[str, Any], **base: Any) -> dict[str, Any]:
        old = bead("at-a", **base)
        sides = []
        for fields in (ours, theirs):
            side = {key: value for key, value in (old | fields).items() if value is not None}
            sides.append(file(side))
        return both_ways(file(old), *sides)["at-a"]

    return call


def test_different_fields_are_all_taken(merged: Callable[..., Any]) -> None:
    issue = merged(
        {"title": "new", "updated_at": T1},
        {"priority": 0, "notes": None, "updated_at": T2},
        notes="n",
    )
    assert (issue["title"], issue["priority"], issue["updated_at"]) == ("new", 0, T2)
    assert "notes" not in issue


def test_of_two_values_the_later_one_wins_in_any_zone(merged: Callable[..., Any]) -> None:
    later = "2026-02-26T13:30:00+01:00"
    issue = merged({"title": "one", "updated_at": T2}, {"title": "two", "updated_at": later})
    assert (issue["title"], issue["updated_at"]) == ("two", later)
    issue = merged(
        {"assignee": None, "updated_at": T3}, {"assignee": "x", "updated_at": T2}, assignee="y"
    )
    assert "assignee" not in issue


def test_keys_that_we_do_not_know_are_merged_like_the_others(merged: Callable[..., Any]) -> None:
    issue = merged({"xa": 1, "xc": None}, {"xb": [2], "updated_at": T2}, xc=3, xd=None)
    assert {key: issue[key] for key in issue if key.startswith("x")} == {"xa": 1, "xb": [2]}


def test_finished_work_stays_finished(merged: Callable[..., Any]) -> None:
    closed = {"status": "closed", "closed_at": T1, "close_reason": "done", "updated_at": T1}
    issue = merged(closed, {"status": "in_progress", "assignee": "x", "updated_at": T2})
    assert {key: issue[key] for key in closed} == closed | {"updated_at": T2}
    assert issue["assignee"] == "x"
    gone = {"status": "tombstone", "deleted_at": T1, "updated_at": T1}
    assert merged(gone, closed | {"updated_at": T2})["status"] == "tombstone"


def test_of_two_closings_one_counts_whole(merged: Callable[..., Any]) -> None:
    one = {"status": "closed", "closed_at": T1, "close_reason": "one", "updated_at": T1}
    two = {"status": "closed", "closed_at": T2, "updated_at": T2}
    issue = merged(one, two)
    assert (issue["closed_at"], issue.get("close_reason")) == (T2, None)


def test_an_issue_that_was_closed_is_opened_by_one_side(merged: Callable[..., Any]) -> None:
    base = {"status": "closed", "closed_at": T1, "updated_at": T1}
    opened = {"status": "open", "closed_at": None, "updated_at": T3}
    issue = merged(opened, {"close_reason": "better", "updated_at": T2}, **base)
    assert issue["status"] == "open"
    assert {"closed_at", "close_reason"}.isdisjoint(issue)


def test_impl_complete_is_merged_as_the_status_it_is(merged: Callable[..., Any]) -> None:
    done = {"status": "in_progress", "labels": [LABEL, "z"], "updated_at": T1}
    issue = merged(done, {"labels": ["b"], "updated_at": T2}, status="in_progress")
    assert (status_of(issue), issue["labels"]) == ("impl_complete", ["b", LABEL, "z"])
    issue = merged(done, {"status": "blocked", "updated_at": T2}, status="in_progress")
    assert (status_of(issue), issue["labels"]) == ("blocked", ["z"])
    issue = merged(done, {"status": "closed", "closed_at": T2, "updated_at": T2})
    assert (status_of(issue), issue["labels"]) == ("closed", ["z"])


def test_labels_are_a_set(merged: Callable[..., Any]) -> None:
    issue = merged({"labels": ["a", "c"]}, {"labels": ["b", "d"]}, labels=["a", "b"])
    assert issue["labels"] == ["c", "d"]


def test_dependencies_are_a_set_and_a_removal_is_honoured(bead: Callable[..., Any]) -> None:
    base = bead("at-a", "x", "y")
    found = both_ways(file(base), file(bead("at-a", "x", "z")), file(bead("at-a", "x", "y", "w")))
    assert [each["depends_on_id"] for each in found["at-a"]["dependencies"]] == ["w", "x", "z"]


def test_a_bead_keeps_one_parent_that_of_the_later_side(bead: Callable[..., Any]) -> None:
    kind = "parent-child"
    one = bead("at-a", ("p", kind), "x", updated_at=T1)
    two = bead("at-a", ("q", kind), "y", updated_at=T2)
    found = both_ways(file(bead("at-a", ("o", kind))), file(one), file(two))
    assert [(each["depends_on_id"], each["type"]) for each in found["at-a"]["dependencies"]] == [
        ("q", kind),
        ("x", "blocks"),
        ("y", "blocks"),
    ]


def test_comments_of_both_stay_with_an_id_each(merged: Callable[..., Any]) -> None:
    def comment(number: int, text: str, at: str) -> dict[str, Any]:
        return {"id": number, "issue_id": "at-a", "author": "j", "text": text, "created_at": at}

    old = comment(1, "old", T1)
    issue = merged(
        {"comments": [old, comment(2, "ours", T3)]},
        {"comments": [old, comment(2, "theirs", T2)]},
        comments=[old],
    )
    assert [(each["id"], each["text"]) for each in issue["comments"]] == [
        (1, "old"),
        (2, "theirs"),
        (3, "ours"),
    ]


def test_what_one_side_deleted_is_gone_unless_the_other_worked_on_it(
    bead: Callable[..., Any],
) -> None:
    base = file(bead("at-a"), bead("at-b"))
    assert sorted(both_ways(base, file(bead("at-a")), base)) == ["at-a"]
    changed = file(bead("at-a"), bead("at-b", notes="n", updated_at=T1))
    assert sorted(both_ways(base, file(bead("at-a")), changed)) == ["at-a", "at-b"]


def test_two_issues_with_one_id_stay_two_and_what_points_to_them_follows(
    bead: Callable[..., Any],
) -> None:
    parent = bead("at-a")
    link = ("at-a", "parent-child")
    ours = [
        bead("at-a.1", link, title="ours", created_at=T2),
        bead("at-a.1.1", ("at-a.1", "parent-child"), title="below ours", created_at=T2),
        bead("at-b", "at-a.1", created_at=T2),
    ]
    theirs = [bead("at-a.1", link, title="theirs", created_at=T1), bead("at-c", "at-a.1")]
    found = both_ways(file(parent), file(parent, *ours), file(parent, *theirs))
    assert {name: issue["title"] for name, issue in found.items()} == {
        "at-a": "at-a",
        "at-a.1": "theirs",
        "at-a.2": "ours",
        "at-a.2.1": "below ours",
        "at-b": "at-b",
        "at-c": "at-c",
    }
    targets = {
        name: [each["depends_on_id"] for each in issue.get("dependencies", ())]
        for name, issue in found.items()
    }
    assert targets["at-a.2.1"] == targets["at-b"] == ["at-a.2"]
    assert targets["at-c"] == ["at-a.1"]
    assert found["at-a.2"]["dependencies"][0]["issue_id"] == "at-a.2"
    notes = merge(file(parent), file(parent, *ours), file(parent, *theirs)).notes
    assert notes == ["two issues had the id at-a.1; 'ours' now has at-a.2"]


def test_a_later_merge_knows_the_id_that_an_earlier_one_gave(bead: Callable[..., Any]) -> None:
    base = file(bead("at-a.1", title="late", created_at=T2))
    main = file(
        bead("at-a.1", title="early", created_at=T1), bead("at-a.2", title="late", created_at=T2)
    )
    branch = file(bead("at-a.1", title="late", created_at=T2, notes="more", updated_at=T3))
    found = both_ways(base, main, branch)
    assert {name: (issue["title"], issue.get("notes")) for name, issue in found.items()} == {
        "at-a.1": ("early", None),
        "at-a.2": ("late", "more"),
    }


def test_an_issue_whose_time_bd_cut_to_the_second_is_still_the_same(
    bead: Callable[..., Any],
) -> None:
    ours = bead("at-a", created_at="2026-02-25T12:00:00.7Z", notes="n")
    theirs = bead("at-a", created_at="2026-02-25T12:00:00Z", priority=0)
    assert len(both_ways(b"", file(ours), file(theirs))) == 1


def test_a_circle_made_by_both_is_merged_and_reported(bead: Callable[..., Any]) -> None:
    base = file(bead("at-a"), bead("at-b"))
    ours = file(bead("at-a", "at-b"), bead("at-b"))
    theirs = file(bead("at-a"), bead("at-b", "at-a"))
    merged = merge(base, ours, theirs)
    assert merged.notes == ["together the two sides make a cycle: at-a -> at-b -> at-a"]


def test_lines_that_are_no_issue_are_kept_of_both_sides(bead: Callable[..., Any]) -> None:
    base = file(bead("at-a"), b"{old", b"{repaired")
    ours = file(bead("at-a", title="x"), b"{old", b"{ours")
    theirs = file(bead("at-a"), b"{old", b"{repaired", b"{theirs")
    lines = parse(merge(base, ours, theirs).data)
    assert lines.kept == [b"{old", b"{ours", b"{theirs"]
    assert merge(base, ours, theirs) == merge(base, theirs, ours)


def test_a_side_that_only_rewrote_a_line_wins_over_the_one_that_did_not() -> None:
    old, new = b'{"id": "at-a", "title": "t"}', b'{"id":"at-a","title":"t"}'
    for ours, theirs in ((old, new), (new, old)):
        assert merge(file(old), file(ours), file(theirs)).data == file(new)
    one, two = (b'{"title":"t","id":"at-a"}', new)
    assert merge(b"", file(one), file(two)) == merge(b"", file(two), file(one))


NAMES = st.sampled_from(["at-a", "at-b", "at-b.1", "at-b.1.1", "at-c"])
TIMES = st.sampled_from([T1, T2, T3])


@st.composite
def issues(draw: st.DrawFn, name: str, born: str) -> dict[str, Any]:
    status = draw(st.sampled_from(["open", "in_progress", "closed", "tombstone"]))
    made: dict[str, Any] = {
        "id": name,
        "title": draw(st.sampled_from(["one", "two"])),
        "status": status,
        "priority": draw(st.integers(0, 4)),
        "created_at": born,
        "updated_at": draw(TIMES),
        "assignee": draw(st.sampled_from(["", "x", "y"])),
        "closed_at": draw(TIMES) if status == "closed" else "",
        "labels": sorted(draw(st.sets(st.sampled_from(["l", "m", LABEL])))),
        "unknown": draw(st.integers(0, 2)),
    }
    targets = sorted(draw(st.sets(NAMES, max_size=2)))
    kinds = st.sampled_from(["blocks", "related", "parent-child"])
    made["dependencies"] = [{"depends_on_id": target, "type": draw(kinds)} for target in targets]
    texts = draw(st.lists(st.sampled_from(["c", "d"]), max_size=2, unique=True))
    made["comments"] = [
        {"id": number, "text": text, "created_at": draw(TIMES)}
        for number, text in enumerate(texts, 1)
    ]
    return parse(encode(made)).issues[name]


@st.composite
def versions(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Make a base and two sides of it, which may also have added issues of their own."""
    births = {name: draw(TIMES) for name in draw(st.sets(NAMES))}
    files = []
    for side in range(3):
        found = [
            draw(issues(name, born)) for name, born in births.items() if draw(st.integers(0, 4))
        ]
        taken = {each["id"] for each in found} | set(births)
        if side:
            fresh = sorted(draw(st.sets(NAMES)) - taken)
            found += [draw(issues(name, draw(TIMES))) for name in fresh]
        kept = draw(st.lists(st.sampled_from([b"{x", b"{y"]), max_size=2))
        files.append(parse(file(*found, *kept)).render())
    return files[0], files[1], files[2]


@settings(max_examples=80)
@given(versions())
def test_merging_loses_nothing_and_is_the_same_from_both_sides(
    files: tuple[bytes, bytes, bytes],
) -> None:
    base, ours, theirs = files
    merged = merge(base, ours, theirs)
    assert merged == merge(base, theirs, ours)
    for side in (base, ours):
        assert merge(base, side, side).data == side
        assert merge(base, base, side).data == side
        assert merge(base, side, base).data == side
    lines = parse(merged.data)
    assert lines.render() == merged.data
    assert all("not JSON" in each.reason for each in lines.damage)
    check_nothing_is_lost(*(parse(data).issues for data in files), lines.issues)
    for issue in lines.issues.values():
        assert (issue["status"] == "closed") == ("closed_at" in issue)
        numbers = [each["id"] for each in issue.get("comments", ())]
        assert len(set(numbers)) == len(numbers)


def check_nothing_is_lost(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], found: dict[str, Any]
) -> None:
    """Check that every issue that neither side deleted is there, two of one name as two."""
    both = ours.keys() & theirs
    kept = {name for name in ours.keys() | theirs if name in both or name not in base}
    twice = {
        name
        for name in both - base.keys()
        if any(ours[name][key] != theirs[name][key] for key in ("created_at", "title"))
    }
    assert len(found) >= len(kept) + len(twice)
    # Children of an issue that got another id have moved with it.
    assert {name for name in kept if not name.startswith(tuple(twice))} <= found.keys()
