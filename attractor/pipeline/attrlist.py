"""Attribute lists: `[k=v, k=v]`, read in two ways that agree.

`read_fast` takes a whole list of plain attributes with one match, composed of the lexer's own
fragments; it answers None for anything it does not know. `read_slow` goes token by token: it knows
everything, gives the spans, and finds the fault to the character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, NoReturn

from attractor.pipeline.document import Attribute, DotError, Span
from attractor.pipeline.lex import BARE_VALUE, QUOTED_INSIDE, scan, unescape
from attractor.pipeline.refusals import TEXT_FIX, refuse_token, short
from attractor.pipeline.source import Source

_KEY: Final = r"[A-Za-z_][A-Za-z0-9_]*+(?>(?:\.[A-Za-z_][A-Za-z0-9_]*+)*)"
_BLANK: Final = r"[ \t\r\n]*+"
_ATTRIBUTE: Final = (
    rf'({_KEY}){_BLANK}={_BLANK}(?:"({QUOTED_INSIDE})"|({BARE_VALUE})){_BLANK}([,;]?+){_BLANK}'
)
_NO_GROUPS: Final = re.sub(r"\((?!\?)", "(?:", _ATTRIBUTE)

_list = re.compile(rf"\[{_BLANK}(?>(?:{_NO_GROUPS})*)\]").match
_attributes = re.compile(_ATTRIBUTE).findall
_attribute = re.compile(_ATTRIBUTE).match
_bare_value = re.compile(BARE_VALUE).match
# Wider than the fast path's: letters beyond ASCII and numbers are keys to Graphviz too.
_key = re.compile(r"[\w.]+").fullmatch


class Listed(NamedTuple):
    """What a list says, where it ends, and where its first missing comma belongs (-1: none)."""

    attrs: dict[str, str]
    end: int
    uncomma: int


def read_fast(text: str, start: int) -> Listed | None:
    """Read the list whose `[` is at `start`, or return None: it takes `read_slow`."""
    whole = _list(text, start)
    if whole is None:
        return None
    end = whole.end()
    found = _attributes(text, _skip_blank(text, start + 1), end - 1)
    attrs = {key: quoted or bare for key, quoted, bare, _ in found}
    if text.find("\\", start, end) >= 0:
        attrs = {key: unescape(quoted) or bare for key, quoted, bare, _ in found}
    uncomma = -1
    if "" in [separator for _, _, _, separator in found[:-1]]:
        uncomma = _first_uncomma(text, start, end)
    return Listed(attrs, end, uncomma)


def _skip_blank(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _first_uncomma(text: str, start: int, end: int) -> int:
    position = _skip_blank(text, start + 1)
    while True:
        match = _attribute(text, position, end - 1)
        assert match is not None  # the caller has counted the commas
        if not match[4]:
            return match.end(3) if match[3] else match.end(2) + 1
        position = match.end()


def read_slow(source: Source, start: int) -> Listed:
    """Read the list whose `[` is at `start`, or raise the DotError that says what is wrong."""
    attrs: dict[str, str] = {}
    uncomma = -1
    walk = _Walk(source, start)
    previous: Attribute | None = None
    for attribute in walk:
        if previous is not None and uncomma < 0 and not walk.separated:
            uncomma = previous.value_end
        attrs[attribute.key] = attribute.value
        previous = attribute
    return Listed(attrs, walk.end, uncomma)


def attributes(source: Source, lists: tuple[Span, ...]) -> list[Attribute]:
    """Return every attribute of these lists with its spans, in the order of the text."""
    return [attribute for start, _ in lists for attribute in _Walk(source, start)]


class _Walk:
    """One pass over one list. `separated` says whether the attribute just given had a comma."""

    def __init__(self, source: Source, start: int) -> None:
        self.source = source
        self.start = start
        self.end = start + 1
        self.separated = False
        self._comma = False

    def __iter__(self) -> Iterator[Attribute]:
        text = self.source.text
        while True:
            kind, start, end = scan(text, self.end)
            if kind == "]":
                self.end = end
                return
            attribute = self._attribute(kind, start, end)
            self.separated = self._comma
            kind, _, after = scan(text, attribute.value_end)
            self._comma = kind in {",", ";"}
            self.end = after if self._comma else attribute.value_end
            yield attribute

    def _attribute(self, kind: str, start: int, end: int) -> Attribute:
        key = self._read_key(kind, start, end)
        equals, at, after = scan(self.source.text, end)
        if equals != "=":
            self._refuse_unequal(start, equals, at)
        value, value_start, value_end = read_value(self.source, after)
        return Attribute(key, value, start, value_start, value_end)

    def _read_key(self, kind: str, start: int, end: int) -> str:
        text = self.source.text
        if kind == "quoted":
            return unescape(text[start + 1 : end - 1])
        if kind != "bare":
            self._refuse_key(kind, start)
        name = text[start:end]
        if not _key(name):
            self._fail(start, f"The attribute name `{short(name)}` needs quotes.", TEXT_FIX)
        return name

    def _refuse_key(self, kind: str, at: int) -> NoReturn:
        if kind in {"end", "}", "{", "[", "->", "--"}:
            self._refuse_open(at)
        if kind in {",", ";"}:
            self._fail(at, f"`{kind}` stands here without an attribute before it.", "Delete it.")
        refuse_token(self.source, kind, at, "An attribute list holds `name=value` pairs.")

    def _refuse_unequal(self, key_start: int, kind: str, at: int) -> NoReturn:
        if kind in {"end", "}", "{", "[", "->", "--"}:
            self._refuse_open(key_start)
        if kind.startswith("unclosed") or kind in {"stray", ":", "+"}:
            refuse_token(self.source, kind, at, "After an attribute's name comes `=`.")
        name = self.source.text[key_start : scan(self.source.text, key_start)[2]]
        self._fail(
            key_start,
            f"The attribute {short(name)} has no value.",
            "Write name=value; a value of several words needs double quotes around all of it.",
        )

    def _refuse_open(self, at: int) -> NoReturn:
        place = self.source.place(self.start)
        self._fail(
            at,
            f"The attribute list that opens with `[` in line {place.line}, column {place.column} "
            "is not closed.",
            "Write `]` before this.",
        )

    def _fail(self, at: int, problem: str, fix: str) -> NoReturn:
        raise DotError.at(self.source, at, problem, fix)


def read_value(source: Source, position: int) -> tuple[str, int, int]:
    """Return a value after its `=`: what it means, and its span."""
    text = source.text
    kind, start, end = scan(text, position)
    _refuse_hash(source, position, start)
    if kind == "bare":
        match = _bare_value(text, start)
        assert match is not None  # a bare token is the beginning of a bare value
        return match[0], start, match.end()
    if kind == "html":
        return text[start:end], start, end
    if kind != "quoted":
        refuse_token(source, kind, start, "After `=` comes a value.")
    return joined(source, start, end)


def joined(source: Source, start: int, end: int) -> tuple[str, int, int]:
    """Return a quoted string with every `+ "..."` behind it: what it means, and its span."""
    text = source.text
    parts = [text[start + 1 : end - 1]]
    while True:
        plus, _, after = scan(text, end)
        if plus != "+":
            return "".join(map(unescape, parts)), start, end
        kind, at, end = scan(text, after)
        if kind != "quoted":
            refuse_token(source, kind, at, "`+` joins two strings, both in double quotes.")
        parts.append(text[at + 1 : end - 1])


def _refuse_hash(source: Source, position: int, start: int) -> None:
    # `color=#ff0000`: to DOT the rest of the line is a comment, to nobody else.
    at = position
    while at < start and source.text[at] in " \t":
        at += 1
    if at < start and source.text[at] == "#":
        fix = 'Put double quotes around the value: "#..."'
        raise DotError.at(source, at, "A `#` outside quotes begins a comment.", fix)
