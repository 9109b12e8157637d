"""A feature file gives its scenarios as they are written, and its comments by their headings."""

from __future__ import annotations

import pytest

from attractor.errors import InputError
from attractor.rubric import feature_file

TEXT = """\
@slow
Feature: F1 Tokens
  Weight: 0.5

  Background:
    Given a key

  @one
  Scenario: Good
    When it is checked
    # a remark in between
    Then it is taken
    And nothing is logged
    But a line is counted

  # Scoring Guide (0.0 - 1.0):
  #   - 1.0: all
  # Evidence to Check

  #   auth/jwt.py

  Rule: Others
    Scenario Outline: Bad
      When <token> is checked
      Then TokenError is raised
      * it says why

      Examples:
        | token |
        | "a.b" |

    Scenario: No outcome
      When it is checked

  # RED FLAGS
  #   == on signatures
  #Scoring Guide
  #   0.0: none
"""


def test_an_outline_stays_one_scenario_with_its_examples() -> None:
    found = feature_file.parse(TEXT, "f.feature")
    assert [each.name for each in found.scenarios] == ["Good", "Bad", "No outcome"]
    assert found.scenarios[1].text == (
        "Background:\n  Given a key\n\n"
        "Scenario Outline: Bad\n  When <token> is checked\n  Then TokenError is raised\n"
        '  * it says why\n\n  Examples:\n    | token |\n    | "a.b" |'
    )


def test_a_scenario_says_where_it_is_and_holds_no_comment_and_no_tag_of_the_next() -> None:
    first = feature_file.parse(TEXT, "f.feature").scenarios[0]
    assert first.where == "f.feature:9"
    assert "#" not in first.text
    assert "@" not in first.text


def test_outcomes_are_the_steps_from_then_on() -> None:
    found = feature_file.parse(TEXT, "f.feature").scenarios
    assert [each.outcomes for each in found] == [
        ("it is taken", "nothing is logged", "a line is counted"),
        ("TokenError is raised", "it says why"),
        (),
    ]


def test_a_step_after_another_when_is_no_outcome() -> None:
    text = "Feature: a\n Scenario: b\n  Then c\n  When d\n  And e\n"
    assert feature_file.parse(text, "f").scenarios[0].outcomes == ("c",)


def test_comments_are_kept_by_their_heading_wherever_they_stand() -> None:
    found = feature_file.parse(TEXT, "f.feature")
    assert found.guide == ("1.0: all", "0.0: none")
    assert found.evidence == ("auth/jwt.py",)
    assert found.red_flags == ("== on signatures",)


def test_a_section_ends_at_the_next_line_that_is_no_comment() -> None:
    text = "Feature: a\n  # Red Flags\n  #   one\n  Scenario: b\n    # a remark\n    Then c\n"
    assert feature_file.parse(text, "f").red_flags == ("one",)


def test_a_line_that_repeats_a_heading_inside_of_a_section_is_a_line() -> None:
    text = "Feature: a\n  # Evidence to Check\n  #   Red Flags\n"
    found = feature_file.parse(text, "f")
    assert (found.evidence, found.red_flags) == (("Red Flags",), ())


def test_lines_are_counted_as_gherkin_counts_them() -> None:
    text = "Feature: a\r\n  one\u2028two\x0cthree\r\n\r\n  Scenario: b\r\n    Then c\r\n"
    found = feature_file.parse(text, "f").scenarios[0]
    assert (found.where, found.text) == ("f:4", "Scenario: b\n  Then c")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("Scenario: no feature\n", "f:1"),
        ("Feature: a\n  Scenario: b\n    Then c\n    nonsense\n", "f:4"),
        ("Feature: a\n  Scenario: b\n    Given c\n      | x |\n      | y | z |\n", "f:5"),
        ("# language: klingonese\nFeature: a\n", "f:1"),
        ("", "f"),
    ],
)
def test_what_is_no_gherkin_is_refused_with_its_line(text: str, where: str) -> None:
    with pytest.raises(InputError) as refused:
        feature_file.parse(text, "f")
    assert refused.value.where == where
    assert refused.value.fix
