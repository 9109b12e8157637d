"""Where and how new text goes into a DOT file so that it looks as if its author had written it.

Everything here answers with splices, applied all at once; what no splice covers stays as it is, to
the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from attractor.errors import InputError
from attractor.pipeline.attrlist import attributes
from attractor.pipeline.document import (
    Attribute,
    Defaults,
    Document,
    EdgeStatement,
    NodeStatement,
    Span,
    Subgraph,
    SubgraphEnd,
)
from attractor.pipeline.dot import KEYWORDS
from attractor.pipeline.lex import BARE_VALUE, quote, scan

_BLANKS: Final = " \t"
_DEFAULT_INDENT: Final = "    "
_identifier = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_number = re.compile(r"-?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)").fullmatch
_bare_value = re.compile(BARE_VALUE).fullmatch
_rest_of_line = re.compile(r"(?:[ \t]*(?:/\*(?:(?!\*/)[^\n])*\*/|//[^\n\r]*|\#[^\n\r]*))*").match
_plain_separator = re.compile(r"\s*[,;]?\s*").fullmatch
_unwritable = re.compile(r"[\x00\ud800-\udfff]").search


class Splice(NamedTuple):
    """Replace `text[start:end]` by `text`."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return the text with every splice applied; where two deletions overlap, both are done."""
    parts: list[str] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        parts.append(text[position:start])
        parts.append(new)
        position = max(position, end)
    parts.append(text[position:])
    return "".join(parts)


# -- words -----------------------------------------------------------------------------------------


def _writable(text: str) -> str:
    if _unwritable(text):
        raise InputError(
            f"The text {text!r} holds a character that no DOT file can hold.",
            fix="Leave out NUL and characters that are not valid Unicode.",
        )
    return text


def write_id(node: str) -> str:
    """Return a node id as it is written: quoted only where it must be."""
    plain = _identifier(node) and node.lower() not in KEYWORDS
    return node if plain else quote(_writable(node))


def write_value(value: str, old: str) -> str:
    """Return a value in the manner of the old one: bare stays bare where it can."""
    if not _bare_value(old):
        return quote(_writable(value))
    portable = _identifier(value) or _number(value)
    if portable and value.lower() not in KEYWORDS:
        return value
    # An author who writes 900s or gpt-5.4 without quotes may go on so; nobody else begins to.
    daring = not (_identifier(old) or _number(old))
    return value if daring and value.isascii() and _bare_value(value) else quote(_writable(value))


def write_attribute(key: str, value: str) -> str:
    """Return `key="value"`; a dotted key is quoted, because Graphviz wants it so."""
    return f"{write_id(key)}={quote(_writable(value))}"


def write_attrs(attrs: Mapping[str, str]) -> str:
    """Return ` [k="v", ...]`, or nothing for no attributes."""
    inside = ", ".join(write_attribute(key, value) for key, value in attrs.items())
    return f" [{inside}]" if inside else ""


# -- places ----------------------------------------------------------------------------------------


def line_end(text: str) -> str:
    """Return the line end that this file uses."""
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def indent_at(text: str, offset: int) -> str | None:
    """Return the blanks before `offset`, or None when something else stands in its line."""
    start = text.rfind("\n", 0, offset) + 1
    before = text[start:offset].removeprefix("\ufeff")
    return None if before.strip(_BLANKS) else before


def past_semicolon(text: str, end: int) -> int:
    """Return where a statement ends, its `;` included."""
    kind, _, after = scan(text, end)
    return after if kind == ";" else end


def past_remark(text: str, end: int) -> int:
    """Return `end`, or the end of the comments that follow in the same line."""
    match = _rest_of_line(text, end)
    assert match is not None  # every part of the pattern is optional
    return match.end()


def deletion(text: str, start: int, end: int) -> Splice:
    """Take out a statement: its line too when nothing else stands there, never a comment."""
    left, right = start, end
    while left > 0 and text[left - 1] in _BLANKS:
        left -= 1
    while right < len(text) and text[right] in _BLANKS:
        right += 1
    begins = left == 0 or text[left - 1] == "\n"
    newline = re.compile(r"\r?\n").match(text, right)
    if begins and newline:
        return Splice(left, newline.end(), "")
    if newline:
        return Splice(left, end, "")
    if left < start and text[right : right + 1] in {"}", "]"} and text[left - 1] not in "{[":
        return Splice(left, end, "")
    apart = (
        left < start or begins or text[left - 1] in "{[;" or text[right : right + 1] in {"}", ";"}
    )
    return Splice(start, right, "" if apart else " ")


# -- new statements --------------------------------------------------------------------------------


def _last_statement(document: Document) -> tuple[Span | None, str]:
    """Return the last statement of the graph's own body, and what ends a statement here."""
    depth = 0
    last: Span | None = None
    plain: Span | None = None
    for statement in document.statements:
        if isinstance(statement, Subgraph):
            depth += 1
        elif isinstance(statement, SubgraphEnd):
            depth -= 1
            if depth == 0:
                last = (statement.subgraph.start, statement.subgraph.end)
        elif depth == 0 and isinstance(statement, NodeStatement | EdgeStatement | Defaults):
            last = plain = (statement.start, statement.end)
    text = document.source.text
    ended = plain is None or past_semicolon(text, plain[1]) > plain[1]
    return last, ";" if ended else ""


def append_statements(document: Document, statements: list[str]) -> Splice:
    """Write statements behind the last one of the graph, indented like it."""
    last, terminator = _last_statement(document)
    lines = [statement + terminator for statement in statements]
    if last is not None:
        return _behind(document, last, lines)
    text, newline = document.source.text, line_end(document.source.text)
    opening, closing = document.body
    at = past_remark(text, opening + 1)
    inside = "".join(newline + _DEFAULT_INDENT + line for line in lines)
    return Splice(at, at, inside if "\n" in text[at:closing] else inside + newline)


def statements_behind(document: Document, span: Span, statements: list[str]) -> Splice:
    """Write statements directly behind the one that has this span."""
    text = document.source.text
    terminator = ";" if past_semicolon(text, span[1]) > span[1] else ""
    return _behind(document, span, [statement + terminator for statement in statements])


def _behind(document: Document, span: Span, lines: list[str]) -> Splice:
    text = document.source.text
    end = past_semicolon(text, span[1])
    at = past_remark(text, end)
    following = text.find("\n", at)
    if following < 0 or text[at:following].strip():
        # Something else follows in the same line, so the line goes on.
        apart = "" if end > span[1] or text[end - 1] == "}" else ";"
        return Splice(
            end, end, "".join(f"{apart if i == 0 else ''} {line}" for i, line in enumerate(lines))
        )
    indent = indent_at(text, span[0])
    margin = line_end(text) + (_DEFAULT_INDENT if indent is None else indent)
    return Splice(at, at, "".join(margin + line for line in lines))


# -- attributes in a list --------------------------------------------------------------------------


def insert_attributes(
    document: Document, statement: NodeStatement, new: Mapping[str, str]
) -> Splice:
    """Write new attributes behind the last one of a node's list, separated as they are there."""
    text = document.source.text
    written = [write_attribute(key, value) for key, value in new.items()]
    if not statement.lists:
        head = statement.refs[-1].end
        return Splice(head, head, f" [{', '.join(written)}]")
    start, end = statement.lists[-1]
    found = attributes(document.source, ((start, end),))
    if not found:
        return Splice(start + 1, start + 1, ", ".join(written))
    at = found[-1].value_end
    separator = _separator(text, start, found)
    return Splice(at, at, "".join(separator + attribute for attribute in written))


def _separator(text: str, start: int, found: list[Attribute]) -> str:
    if len(found) > 1:
        between = text[found[-2].value_end : found[-1].key_start]
        # A closed list without commas may have nothing at all between two attributes.
        if _plain_separator(between):
            return between or ", "
    before = text[start + 1 : found[0].key_start]
    return "," + before if "\n" in before and not before.strip() else ", "


def delete_attributes(
    document: Document, lists: tuple[Span, ...], keys: frozenset[str]
) -> list[Splice]:
    """Take every attribute with one of these keys out of these lists; comments stay."""
    text = document.source.text
    splices: list[Splice] = []
    for span in lists:
        found = attributes(document.source, (span,))
        gone = [attribute.key in keys for attribute in found]
        if not any(gone):
            continue
        if all(gone) and not _has_comment(text, span, found):
            start = span[0]
            while text[start - 1] in _BLANKS:
                start -= 1
            splices.append(Splice(start, span[1], ""))
            continue
        for index, go in enumerate(gone):
            splices += _delete_one(text, found, index) if go else []
    return splices


def _has_comment(text: str, span: Span, found: list[Attribute]) -> bool:
    edges = [
        span[0] + 1,
        *(at for one in found for at in (one.key_start, one.value_end)),
        span[1] - 1,
    ]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return any(text[start:end].strip(" \t\r\n,;") for start, end in gaps)


def _delete_one(text: str, found: list[Attribute], index: int) -> list[Splice]:
    start, end = found[index].key_start, found[index].value_end
    kind, comma, after = scan(text, end)
    if kind in {",", ";"}:
        if not text[end:comma].strip():
            return [deletion(text, start, after)]
        return [deletion(text, start, end), Splice(comma, after, "")]
    if index > 0:
        before = found[index - 1].value_end
        if not text[before:start].strip(" \t\r\n,;"):
            return [Splice(before, end, "")]
    return [deletion(text, start, end)]
