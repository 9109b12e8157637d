"""Places and excerpts, and that both cost the same in a long line as in a short one."""

from __future__ import annotations

from typing import Any

import pytest

from attractor.pipeline.source import Place, Source


class Counted(str):
    """A text that counts the characters that are copied out of it."""

    __slots__ = ("copied",)

    def __getitem__(self, key: Any) -> str:
        piece = str.__getitem__(self, key)
        self.copied = getattr(self, "copied", 0) + len(piece)
        return piece


@pytest.mark.parametrize(
    ("text", "offset", "place", "excerpt"),
    [
        ("abc", 1, (1, 2), "abc\n ^"),
        ("a\nbcd\ne", 3, (2, 2), "bcd\n ^"),
        ("a\r\nbcd\r\ne", 4, (2, 2), "bcd\n ^"),
        ("abc\r\n", 4, (1, 5), "abc\n   ^"),
        ("\ufeffabc", 1, (1, 1), "abc\n^"),
        ("\tab", 2, (1, 3), "\tab\n\t ^"),
        ("日本x", 2, (1, 3), "日本x\n    ^"),
        ("a\u0301x", 2, (1, 3), "a\u0301x\n ^"),
        ("a\x1b[2Jx", 5, (1, 6), "a\ufffd[2Jx\n     ^"),
        ("", 0, (1, 1), "\n^"),
        ("ab", 2, (1, 3), "ab\n  ^"),
    ],
)
def test_an_excerpt_is_the_line_with_a_caret_under_the_place(
    text: str, offset: int, place: tuple[int, int], excerpt: str
) -> None:
    assert Source(text).place(offset) == Place(*place)
    assert Source(text).excerpt(offset) == excerpt


@pytest.mark.parametrize("offset", [0, 1, 69, 70, 71, 500, 929, 930, 999])
def test_of_a_long_line_a_window_is_shown_with_the_caret_under_the_same_character(
    offset: int,
) -> None:
    text = "".join(chr(ord("a") + at % 26) for at in range(1000))
    shown, caret = Source(f"first\n{text}\nlast").excerpt(6 + offset).split("\n")
    assert len(shown) <= 160
    assert shown[len(caret) - 1] == text[offset]
    assert shown.startswith("...") == (offset > 70)
    assert shown.endswith("...") == (offset < 930)


def test_an_excerpt_reads_only_a_window_however_long_the_line() -> None:
    text = Counted("x" * 1_000_000)
    source = Source(text)
    for offset in range(0, 1_000_000, 1_000):
        source.excerpt(offset)
    assert text.copied < 1_000_000
