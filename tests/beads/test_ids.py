"""Names of beads: how they are made, and how they are meant."""

from __future__ import annotations

import re

import pytest

from attractor.beads import ids
from attractor.errors import InputError

KNOWN = ["at-x3f", "at-x3f.1", "at-x3f.2", "at-x9", "at-1", "at-12", "other-proj-q7"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("at-x3f", "at-x3f"),
        ("x3f", "at-x3f"),
        ("x3", "at-x3f"),
        ("at-x3", "at-x3f"),
        ("x3f.2", "at-x3f.2"),
        ("1", "at-1"),
        ("12", "at-12"),
        ("q7", "other-proj-q7"),
    ],
)
def test_an_unmistakable_beginning_is_enough(word: str, meant: str) -> None:
    assert ids.resolve(word, KNOWN) == meant


@pytest.mark.parametrize("word", ["x", "at-", "at-x"])
def test_what_may_mean_two_is_refused_with_both(word: str) -> None:
    with pytest.raises(InputError, match=r"may mean .* at-x3f, at-x9"):
        ids.resolve(word, [name for name in KNOWN if "x" in name])


@pytest.mark.parametrize("word", ["at-x3g", "at-zzz", "", "\n"])
def test_what_means_nothing_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="issue not found"):
        ids.resolve(word, KNOWN)


def test_a_near_match_is_suggested() -> None:
    with pytest.raises(InputError) as caught:
        ids.resolve("at-x3g", KNOWN)
    assert "did you mean at-x3f" in caught.value.fix


def test_new_ids_are_short_and_grow_with_the_number_of_beads() -> None:
    assert re.fullmatch(r"at-[0-9a-z]{3}", ids.new_id("at", "seed", ()))
    for count, length in ((51, 4), (501, 5), (1501, 6), (20_000, 8)):
        taken = {str(number) for number in range(count)}
        assert re.fullmatch(rf"at-[0-9a-z]{{{length}}}", ids.new_id("at", "seed", taken))


def test_the_same_seed_gives_the_same_id_and_a_taken_one_is_passed_over() -> None:
    first = ids.new_id("at", "seed", ())
    assert ids.new_id("at", "seed", ()) == first
    taken: set[str] = set()
    for _ in range(45):
        new = ids.new_id("at", "seed", taken)
        assert new not in taken
        taken.add(new)


def test_children_are_numbered_after_their_parent() -> None:
    assert ids.child_id("at-x3f", KNOWN) == "at-x3f.3"
    assert ids.child_id("at-x9", KNOWN) == "at-x9.1"
    assert ids.child_id("at-a", ["at-a.9", "at-a.10", "at-a.b", "at-a.2.77"]) == "at-a.11"
    assert ids.child_id("at-a.1.1", []) == "at-a.1.1.1"
    with pytest.raises(InputError, match="3 levels deep"):
        ids.child_id("at-a.1.1.1", [])


def test_a_chosen_id_must_fit_the_project() -> None:
    assert ids.check_id("at-mine", "at") == "at-mine"
    assert ids.check_id("other-1", "at", force=True) == "other-1"
    for wrong in ("other-1", "at-a/b", "at-\n", ""):
        with pytest.raises(InputError):
            ids.check_id(wrong, "at")
    assert ids.check_prefix("my-app-") == "my-app"
    with pytest.raises(InputError):
        ids.check_prefix("-")
