"""The model stylesheet: what it means, and where one stops being one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.pipeline.stylesheet import StylesheetError, parse_stylesheet


def test_rules_are_read_in_order_with_their_weights() -> None:
    text = """
    * { llm_model: claude-sonnet-4-5; llm_provider: "anthropic" }
    box { reasoning_effort: high; }  /* a shape */
    .code-1 { llm_model: qwen3:8b }
    #review_it { llm_model : 'x;y' ; }
    .none { }
    """
    rules = parse_stylesheet(text)
    assert [(rule.selector, rule.weight) for rule in rules] == [
        ("*", 0),
        ("box", 1),
        (".code-1", 2),
        ("#review_it", 3),
        (".none", 2),
    ]
    said = [[(one.name, one.value) for one in rule.declarations] for rule in rules]
    assert said == [
        [("llm_model", "claude-sonnet-4-5"), ("llm_provider", "anthropic")],
        [("reasoning_effort", "high")],
        [("llm_model", "qwen3:8b")],
        [("llm_model", "x;y")],
        [],
    ]
    first = rules[0].declarations[0]
    assert text[first.position :].startswith("llm_model")


@pytest.mark.parametrize("text", ["", "  \n", "/* nothing */"])
def test_a_blank_stylesheet_has_no_rules(text: str) -> None:
    assert parse_stylesheet(text) == ()


@pytest.mark.parametrize(
    ("text", "position", "wanted"),
    [
        ("{ a: b }", 0, "a selector"),
        ("* a: b", 2, "{ after the selector *"),
        ("* { a b }", 6, ": after the property a"),
        ("* { a: }", 7, "a value for a"),
        ("* { a: ; }", 7, "a value for a"),
        ("* { a: b", 8, "; or } after a value"),
        ('* { a: "b" c }', 11, "; or } after a value"),
        ("* {", 3, "a property name or }"),
        (".a, .b { }", 2, "{ after the selector .a"),
        ("* { /* a: b }", 4, "a property name or }"),
    ],
)
def test_what_is_no_stylesheet_is_refused_at_its_place(
    text: str, position: int, wanted: str
) -> None:
    with pytest.raises(StylesheetError) as caught:
        parse_stylesheet(text)
    assert caught.value.position == position
    assert wanted in caught.value.problem
    assert "llm_model" in caught.value.fix


def test_the_error_names_the_line_inside_the_stylesheet() -> None:
    with pytest.raises(StylesheetError, match="its line 3"):
        parse_stylesheet("* { a: b }\n\n?")


@given(st.text(alphabet="*.#a:;{}\"'/ \n", max_size=30))
def test_any_text_is_read_or_refused_inside_itself(text: str) -> None:
    try:
        parse_stylesheet(text)
    except StylesheetError as error:
        position = error.position
    else:
        position = 0
    assert 0 <= position <= len(text)
