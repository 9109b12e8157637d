"""Feedback says what is wrong, and no sentence of a rubric can be read in it."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.feedback import Guard, Problem, of_checks, of_verdict

RUBRICS = sorted((Path(__file__).resolve().parents[2] / "acceptance-tests").glob("*/"))
FEATURES = [path for folder in RUBRICS for path in sorted(folder.glob("*.feature"))]
SECRET = "the session is ended and then nothing finds it again"
GUARD = Guard([f"Scenario: Ending\n  Given {SECRET}\n  Then stdout is empty\n"])
PLACES = ("auth/session.py:12",)

rubric = pytest.mark.parametrize(
    "feature", FEATURES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


def plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def sentences(text: str) -> list[str]:
    """Each line of a feature file without its keyword or score, as a tester would cut it."""
    keyword = r"(Given|When|Then|And|Feature:( F\d)?|Scenario( Outline)?:|#( +\d\.\d:)?)"
    found = [re.sub(rf"^\s*{keyword}\s*", "", line) for line in text.splitlines()]
    return [each for each in found if len([word for word in each.split() if plain(word)]) >= 3]


def told(text: str, guard: Guard = GUARD) -> str:
    return of_verdict([Problem("criterion F3", text, PLACES)], guard)


def test_there_are_rubrics_to_try() -> None:
    assert len(FEATURES) >= 10
    assert all(len(sentences(path.read_text())) > 3 for path in FEATURES)


@rubric
def test_a_judge_that_copies_the_rubric_tells_nothing_of_it(feature: Path) -> None:
    text = feature.read_text()
    guard = Guard([text])
    copies = [
        text,
        text.upper(),
        text.replace(" ", "\n"),
        text.replace(" ", "  _ "),
        *sentences(text),
    ]
    for copy in copies:
        said = plain(of_verdict([Problem("criterion F1", copy, PLACES)], guard))
        assert "criterion f1" in said
        assert "auth session py 12" in said
        for sentence in sentences(text):
            assert plain(sentence) not in said


@rubric
def test_no_six_words_in_a_row_come_through(feature: Path) -> None:
    text = feature.read_text()
    guard = Guard([text])
    for sentence in sentences(text):
        words = plain(sentence).split()
        for at in range(len(words) - 5):
            run = " ".join(words[at : at + 6])
            said = of_verdict([Problem("criterion F1", f"It seems that {run}, or not.")], guard)
            assert run not in plain(said)


@rubric
def test_checks_that_print_the_rubric_tell_nothing_of_it(feature: Path) -> None:
    text = feature.read_text()
    said = plain(of_checks("pytest -q", "ended with status 1", text, Guard([text])))
    assert "pytest q ended with status 1" in said
    for sentence in sentences(text):
        assert plain(sentence) not in said


@pytest.mark.parametrize(
    "hidden",
    [
        SECRET,
        SECRET.upper(),
        SECRET.replace(" ", ", "),
        SECRET.replace(" ", "-"),
        SECRET.replace(" ", ""),
        SECRET.replace(" ", ". "),
        SECRET.replace(" ", "\n"),
        SECRET.replace("e", "e\u0301"),
        SECRET.replace("s", "\u200bs"),
        "".join(
            chr(ord(each) + 0xFEE0) if each in string.ascii_letters else each for each in SECRET
        ),
        f"The {SECRET[4:]}",
        "stdout is empty",
        "STDOUT is: empty!",
    ],
)
def test_disguise_does_not_help(hidden: str) -> None:
    said = told(f"The key is missing. {hidden}. The name is wrong.")
    assert "The key is missing." in said
    assert "The name is wrong." in said
    assert not GUARD.leaks(said)
    assert hidden not in said


def test_what_the_judge_says_of_the_work_is_kept_with_its_places() -> None:
    said = told("find() never asks for the flag in auth/session.py. Ids are counted up.")
    assert said == (
        "The work was judged, and is not accepted yet.\n"
        "- criterion F3: find() never asks for the flag in auth/session.py. Ids are counted up."
        " See auth/session.py:12."
    )


def test_where_nothing_may_be_told_the_criterion_and_the_files_are() -> None:
    assert told(SECRET).splitlines()[1:] == [
        "- What criterion F3 asks for is not there yet. See auth/session.py:12."
    ]
    assert "criterion F3" in told("")


def test_what_becomes_a_secret_only_when_something_is_taken_out_is_taken_out_too() -> None:
    inner = f"stdout. is empty and more. {SECRET}. Fine."
    assert GUARD.kept(["stdout is", SECRET, "empty", "fine"]) == ["fine"]
    assert not GUARD.leaks(told(inner))


def test_a_file_name_that_spells_a_secret_is_not_told() -> None:
    said = of_verdict([Problem("criterion F3", "", ("stdout/is/empty.py:1",))], GUARD)
    assert said.splitlines()[1:] == ["- What criterion F3 asks for is not there yet."]


def test_a_check_that_spells_a_secret_is_not_told() -> None:
    assert of_checks(f"echo {SECRET}", "ended with status 1", "red", GUARD) == (
        "A check failed in a clean checkout."
    )


def test_the_tail_of_the_checks_is_told() -> None:
    said = of_checks("make test", "ended with status 2", "a\nE   assert 1 == 2\n", GUARD)
    assert said == (
        "The check `make test` ended with status 2 in a clean checkout of the commit. "
        "The end of its output:\na\nE   assert 1 == 2"
    )


def test_names_and_numbers_alone_are_no_secrets() -> None:
    table = "  | 1 | 2 | 3 |\n  | something |\n"
    guard = Guard([f"# Evidence to Check\n#   auth/login.py\n{table}  Scenario: Ids\n"])
    assert not guard.leaks("auth/login.py: something, ids, 123")


@given(st.lists(st.text(max_size=200), max_size=4), st.text(max_size=400), st.text(max_size=100))
def test_nothing_that_the_guard_knows_is_ever_told(
    secret: list[str], problem: str, place: str
) -> None:
    guard = Guard(secret)
    texts = (
        of_verdict([Problem("criterion F1", problem + "".join(secret), (place,))], guard),
        of_checks(problem, "failed", "\n".join(secret), guard),
    )
    for said in texts:
        assert said
        assert not guard.leaks(said) or said == "Not accepted."


@given(st.integers(0, 200_000))
def test_feedback_is_bounded(size: int) -> None:
    many = [Problem(f"criterion F{at}", "wrong " * (size // 100), PLACES) for at in range(100)]
    assert len(of_verdict(many, GUARD)) <= 6_000
    assert len(of_checks("x" * size, "failed", "y" * size, GUARD)) <= 6_000
