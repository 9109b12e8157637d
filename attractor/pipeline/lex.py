"""The words of a DOT file: every byte of the text belongs to exactly one token.

`"".join(text[t.start:t.end] for t in tokens(text)) == text` holds for any text whatever. Nothing is
refused here: what cannot be a word is a token of kind "stray" or "unclosed ...", and the parser
says what is wrong with it. The fragments below are the only definition of the words; the parser's
fast path for attribute lists is composed of the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

# A repeated group is atomic by `(?>...)`: before Python 3.11.5, `(...)*+` matches wrongly.
# Letters, digits, `_`, `.` and all beyond ASCII but spaces, byte-order marks and curly quotes.
_LETTER: Final = r"[^\x00-\-/:-@\[-^`{-\x7f\s\ufeff\u2018-\u201f]"
# Hyphens stand inside (gpt-5.4) or before (-1), and never begin an arrow.
BARE: Final = rf"-?{_LETTER}++(?>(?:-{_LETTER}++)*)"
# A bare value may also hold colons (qwen3:8b); elsewhere a colon begins a port.
BARE_VALUE: Final = rf"{BARE}(?>(?::{BARE})*)"
QUOTED_INSIDE: Final = r'[^"\\]*+(?>(?:\\[\s\S][^"\\]*+)*)'
# As Graphviz has it, `#` begins a comment anywhere outside a string.
_SPACE: Final = r"[ \t\r\n\f\v]++"
_COMMENT: Final = r"//[^\n]*+|/\*[\s\S]*?\*/|\#[^\n]*+"
_TRIVIA: Final = rf"(?:{_SPACE}|{_COMMENT}|\A\ufeff)"

_next = re.compile(
    rf'(?>{_TRIVIA}*)(?:({BARE})|("{QUOTED_INSIDE}")|(->|--|[{{}}\[\];,=:+])|(<[^<>]*+>))?'
).match
_trivia = re.compile(_TRIVIA).match
_angle = re.compile("[<>]").search

_KINDS: Final = ("", "bare", "quoted", "punctuation", "html")


class Token(NamedTuple):
    """One word. Of punctuation the kind is the punctuation itself: "{", "->", ";" and so on."""

    kind: str
    start: int
    end: int


def scan(text: str, position: int) -> tuple[str, int, int]:
    """Return kind, start and end of the first token from `position` on that means something.

    Kinds: "bare", "quoted", "html", the punctuation itself, "stray" (one character), "unclosed
    string", "unclosed html", "unclosed comment" (these three reach to the end), and "end".
    """
    match = _next(text, position)
    assert match is not None  # every part of the pattern is optional
    group = match.lastindex
    if group is None:
        return _odd(text, match.end())
    start, end = match.span(group)
    return match[3] if group == 3 else _KINDS[group], start, end  # noqa: PLR2004 - its group


def _odd(text: str, start: int) -> tuple[str, int, int]:
    if start == len(text):
        return "end", start, start
    letter = text[start]
    if letter == "<":
        return _html(text, start)
    if letter == '"':
        return "unclosed string", start, len(text)
    if text.startswith("/*", start):
        return "unclosed comment", start, len(text)
    return "stray", start, start + 1


def _html(text: str, start: int) -> tuple[str, int, int]:
    depth, position = 1, start + 1
    while depth:
        found = _angle(text, position)
        if found is None:
            return "unclosed html", start, len(text)
        depth += 1 if found[0] == "<" else -1
        position = found.end()
    return "html", start, position


def tokens(text: str) -> Iterator[Token]:
    """Yield every token, also the kinds that mean nothing: "space" and "comment"."""
    position = 0
    while True:
        kind, start, end = scan(text, position)
        while position < start:
            match = _trivia(text, position)
            assert match is not None  # scan skipped it as trivia
            trivia = "comment" if match[0][0] in "/#" else "space"
            yield Token(trivia, position, match.end())
            position = match.end()
        if kind == "end":
            return
        yield Token(kind, start, end)
        position = end


_escape = re.compile(r'\\(?:(["\\nt])|\r?\n)').sub
_ESCAPED: Final = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


def unescape(inside: str) -> str:
    r"""Return what stands between two quotes: `\" \n \t \\` decoded, a continued line joined.

    Every other escape (`\l`, `\N`) means something to Graphviz only, and is kept as it is.
    """
    if "\\" not in inside:
        return inside
    return _escape(lambda match: _ESCAPED[match[1]] if match[1] else "", inside)


# A backslash is doubled only where `unescape` would otherwise take it for an escape.
_must_escape = re.compile(r'["\n\t]|\\(?=["\\nt\n\t\r]|\Z)').sub
_ESCAPE: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def quote(value: str) -> str:
    """Return `value` as a quoted string that reads back as exactly `value`."""
    return '"' + _must_escape(lambda match: _ESCAPE[match[0]], value) + '"'
