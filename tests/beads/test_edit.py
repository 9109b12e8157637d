"""What can be done to beads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from attractor.beads import edit
from attractor.beads.edit import Act, ClaimError, CycleError, Draft
from attractor.beads.issue import STATUS_FIELDS, status_of
from attractor.beads.lines import Lines
from attractor.errors import InputError

ACT = Act("joe", 1_772_000_000_000_000_000)
LATER = Act("sue", 1_772_000_100_000_000_000, "session-1")


@pytest.fixture
def lines(bead: Callable[..., Any]) -> Lines:
    lines = Lines()
    for issue in (bead("at-a"), bead("at-b", "at-a"), bead("at-c")):
        lines.put(issue)
    lines.changed.clear()
    return lines


def test_a_bead_is_made_whole(lines: Lines) -> None:
    draft = Draft(
        {"title": " T ", "description": "", "labels": ["z", "a ", "a"], "priority": 0},
        parent="a",
        needs=[("at-c", "blocks"), ("external:x:y", "blocks"), ("b", "discovered-from")],
    )
    issue = edit.create(lines, draft, "at", ACT)
    assert issue == {
        "id": "at-a.1",
        "title": "T",
        "status": "open",
        "priority": 0,
        "issue_type": "task",
        "created_at": ACT.now,
        "created_by": "joe",
        "updated_at": ACT.now,
        "labels": ["a", "z"],
        "dependencies": [
            {
                "issue_id": "at-a.1",
                "depends_on_id": target,
                "type": kind,
                "created_at": ACT.now,
                "created_by": "joe",
            }
            for target, kind in (
                ("at-a", "parent-child"),
                ("at-c", "blocks"),
                ("external:x:y", "blocks"),
                ("at-b", "discovered-from"),
            )
        ],
    }


@pytest.mark.parametrize(
    "draft",
    [
        Draft({"title": ""}),
        Draft({"title": "t"}, parent="nowhere"),
        Draft({"title": "t"}, needs=[("nowhere", "blocks")]),
        Draft({"title": "t"}, name="at-a"),
        Draft({"title": "t", "labels": ["a\nb"]}),
    ],
)
def test_a_bead_that_cannot_be_made_changes_nothing(lines: Lines, draft: Draft) -> None:
    with pytest.raises(InputError):
        edit.create(lines, draft, "at", ACT)
    assert not lines.changed


def test_two_beads_of_one_moment_get_two_ids(lines: Lines) -> None:
    made = {edit.create(lines, Draft({"title": "t"}), "at", ACT)["id"] for _ in range(5)}
    assert len(made) == 5


def test_update_sets_takes_away_and_leaves_alone(lines: Lines) -> None:
    edit.update(lines, "at-a", {"design": "d", "assignee": "x"}, ACT)
    issue = edit.update(lines, "at-a", {"design": "", "priority": 0}, LATER)
    assert "design" not in issue
    assert (issue["assignee"], issue["priority"], issue["updated_at"]) == ("x", 0, LATER.now)
    lines.changed.clear()
    assert edit.update(lines, "at-a", {"priority": 0}, ACT)["updated_at"] == LATER.now
    assert not lines.changed


def test_closing_and_opening_again(lines: Lines) -> None:
    issue = edit.close(lines, "at-a", "done", LATER)
    assert [issue.get(key) for key in STATUS_FIELDS[:4]] == [
        "closed",
        LATER.now,
        "done",
        "session-1",
    ]
    assert edit.close(lines, "at-a", "again", ACT) == issue
    issue = edit.reopen(lines, "at-a", "not done", ACT)
    assert issue["status"] == "open"
    assert not set(STATUS_FIELDS[1:]) & set(issue)
    assert [each["text"] for each in issue["comments"]] == ["not done"]
    assert edit.reopen(lines, "at-a", "not done", ACT) == issue


def test_a_claim_is_refused_by_name_and_the_same_claim_is_no_change(lines: Lines) -> None:
    issue = edit.claim(lines, "at-a", ACT)
    assert (issue["assignee"], issue["status"]) == ("joe", "in_progress")
    lines.changed.clear()
    assert edit.claim(lines, "at-a", ACT) == issue
    with pytest.raises(ClaimError, match="already claimed by joe") as caught:
        edit.claim(lines, "at-a", LATER)
    assert caught.value.details["assignee"] == "joe"
    assert not lines.changed


def test_two_sessions_of_one_person_cannot_claim_the_same_bead(lines: Lines) -> None:
    mine, other = replace(ACT, session="session-1"), replace(LATER, actor=ACT.actor, session="s-2")
    assert edit.claim(lines, "at-a", mine)["claimed_by_session"] == "session-1"
    with pytest.raises(ClaimError, match="in the session session-1"):
        edit.claim(lines, "at-a", other)
    assert edit.claim(lines, "at-a", mine) == lines.issues["at-a"]
    given_back = edit.update(lines, "at-a", {"status": "open"}, mine)
    assert "claimed_by_session" not in given_back
    assert edit.claim(lines, "at-a", other)["claimed_by_session"] == "s-2"


def test_a_bead_that_is_given_to_somebody_else_has_no_session_any_more(lines: Lines) -> None:
    edit.claim(lines, "at-a", replace(ACT, session="session-1"))
    assert "claimed_by_session" not in edit.update(lines, "at-a", {"assignee": "ann"}, LATER)


def test_what_is_done_cannot_be_claimed_but_what_is_impl_complete_stays_so(lines: Lines) -> None:
    edit.close(lines, "at-a", "done", ACT)
    with pytest.raises(ClaimError, match="at-a is closed"):
        edit.claim(lines, "at-a", ACT)
    edit.update(lines, "at-b", {"status": "impl_complete", "assignee": "joe"}, ACT)
    assert status_of(edit.claim(lines, "at-b", ACT)) == "impl_complete"


def test_a_cycle_is_refused_as_a_path(lines: Lines) -> None:
    edit.depend(lines, "at-c", "at-b", "blocks", ACT)
    lines.changed.clear()
    with pytest.raises(CycleError, match="at-a -> at-c -> at-b -> at-a") as caught:
        edit.depend(lines, "at-a", "at-c", "waits-for", ACT)
    assert caught.value.details["cycle"] == ["at-a", "at-c", "at-b", "at-a"]
    with pytest.raises(CycleError, match="at-a -> at-a"):
        edit.depend(lines, "at-a", "at-a", "blocks", ACT)
    assert not lines.changed
    assert edit.depend(lines, "at-a", "at-c", "related", ACT)


def test_one_pair_has_one_dependency(lines: Lines) -> None:
    assert not edit.depend(lines, "at-b", "at-a", "blocks", ACT)
    with pytest.raises(InputError, match="already depends on at-a, as blocks"):
        edit.depend(lines, "at-b", "at-a", "related", ACT)
    assert edit.independ(lines, "at-b", "at-a", ACT) == "blocks"
    with pytest.raises(InputError, match="does not depend on"):
        edit.independ(lines, "at-b", "at-a", ACT)


def test_a_bead_moves_to_another_parent_or_none(lines: Lines) -> None:
    edit.move(lines, "at-c", "at-a", ACT)
    with pytest.raises(InputError, match="already has a parent, at-a"):
        edit.depend(lines, "at-c", "at-b", "parent-child", ACT)
    with pytest.raises(CycleError):
        edit.move(lines, "at-a", "at-c", ACT)
    before = lines.issues["at-c"]
    with pytest.raises(CycleError):
        edit.move(lines, "at-c", "at-c", ACT)
    assert lines.issues["at-c"] == before
    assert [
        each["depends_on_id"] for each in edit.move(lines, "at-c", "at-b", ACT)["dependencies"]
    ] == ["at-b"]
    assert edit.move(lines, "at-c", "", ACT)["dependencies"] == []


def test_labels_come_and_go(lines: Lines) -> None:
    assert edit.relabel(lines, "at-a", ["b", "a"], [], ACT)["labels"] == ["a", "b"]
    assert edit.relabel(lines, "at-a", [], ["b", "x"], ACT)["labels"] == ["a"]
    assert "labels" not in edit.relabel(lines, "at-a", [], ["a"], ACT)
    with pytest.raises(InputError, match="impl_complete"):
        edit.relabel(lines, "at-a", ["state:impl_complete"], [], ACT)


def test_comments_are_numbered_and_notes_appended(lines: Lines) -> None:
    for text in ("one", "two"):
        edit.comment(lines, "at-a", text, "joe", ACT)
        edit.note(lines, "at-a", text, ACT)
    issue = lines.issues["at-a"]
    assert [(each["id"], each["text"]) for each in issue["comments"]] == [(1, "one"), (2, "two")]
    assert issue["notes"] == "one\ntwo"
    with pytest.raises(InputError, match="the comment is empty"):
        edit.comment(lines, "at-a", " ", "joe", ACT)
