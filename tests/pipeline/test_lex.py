"""Every byte belongs to one token, and a value reads back as it was written."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.pipeline.lex import quote, scan, tokens, unescape

DOTTISH = st.text(alphabet='ab1.-:>"<\\/*#[]{};,=+ \n\r\t\ufeff\u00e9\u201c', max_size=60)


@given(st.text() | DOTTISH)
def test_the_tokens_of_any_text_are_that_text(text: str) -> None:
    found = list(tokens(text))
    assert "".join(text[token.start : token.end] for token in found) == text
    assert all(token.start < token.end for token in found)
    assert all(before.end == after.start for before, after in pairwise(found))


@given(data=st.data())
def test_the_tokens_of_a_pipeline_are_its_text(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    found = list(tokens(text))
    assert "".join(text[token.start : token.end] for token in found) == text
    assert not {token.kind for token in found} & {"stray", "unclosed string", "unclosed html"}


@given(st.text() | st.text(alphabet='\\"nlt\n\r\t x', max_size=12))
def test_a_quoted_value_reads_back_as_it_was(value: str) -> None:
    written = quote(value)
    assert scan(written, 0) == ("quoted", 0, len(written))
    assert unescape(written[1:-1]) == value


@pytest.mark.parametrize(
    ("inside", "meaning"),
    [
        ("plain", "plain"),
        (r"a\"b", 'a"b'),
        (r"a\nb\tc", "a\nb\tc"),
        (r"a\\nb", r"a\nb"),
        (r"left\l \N \x", r"left\l \N \x"),
        ("con\\\ntinued", "continued"),
        ("con\\\r\ntinued", "continued"),
    ],
)
def test_escapes_mean_what_the_specification_says(inside: str, meaning: str) -> None:
    assert unescape(inside) == meaning


def test_an_escape_for_graphviz_is_written_back_as_it_was() -> None:
    assert quote(r"left\l") == r'"left\l"'


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a->b", ["bare", "->", "bare"]),
        ("a--b", ["bare", "--", "bare"]),
        ("gpt-5.4", ["bare"]),
        ("-1 -.5 .5 900s", ["bare", "bare", "bare", "bare"]),
        ("a:p:n", ["bare", ":", "bare", ":", "bare"]),
        ("<a <b> c>", ["html"]),
        ("<a <b c>", ["unclosed html"]),
        ('"a\\"', ["unclosed string"]),
        ("/* a", ["unclosed comment"]),
        ("// a", []),
        ("# a\nb", ["bare"]),
        ("'", ["stray"]),
        ("\u201ca\u201d", ["stray", "bare", "stray"]),
        ("a\u00a0b", ["bare", "stray", "bare"]),
    ],
)
def test_words_are_told_apart(text: str, kinds: list[str]) -> None:
    assert [t.kind for t in tokens(text) if t.kind not in {"space", "comment"}] == kinds
