"""Which HTML labels Graphviz can draw: its grammar, without files and links.

Graphviz takes a small language of its own that only looks like HTML, and fails on anything else.
What this accepts, it draws; what this refuses may still be drawable (an entity that only HTML
knows, say), and is shown as text instead.
"""

from __future__ import annotations

import itertools
from typing import Final
from xml.etree import ElementTree as ET

_INLINE: Final = frozenset({"B", "FONT", "I", "O", "S", "SUB", "SUP", "U"})
# Graphviz' own attributes, but for those that name a link or a file, and for STYLE's dialects.
_ATTRIBUTES: Final = frozenset(
    """
    ALIGN BALIGN BGCOLOR BORDER CELLBORDER CELLPADDING CELLSPACING COLOR COLSPAN COLUMNS FACE
    FIXEDSIZE HEIGHT POINT-SIZE PORT ROWS ROWSPAN SIDES VALIGN WIDTH
    """.split()  # noqa: SIM905 - a list of words is read as words
)
_DEEPEST: Final = 64  # what follows is recursive, here and in Graphviz


def is_drawable_html(markup: str) -> bool:
    """Say whether Graphviz takes this as the inside of an HTML label, with no file and no link."""
    try:
        root = ET.fromstring(f"<HTML>{markup}</HTML>")  # noqa: S314 - no DOCTYPE can stand here
    except ET.ParseError:
        return False
    known = all({key.upper() for key in element.attrib} <= _ATTRIBUTES for element in root.iter())
    return known and _depth(root) <= _DEEPEST and _is_label(root)


def _depth(root: ET.Element) -> int:
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for element in level for child in element]
    return depth


def _is_label(element: ET.Element) -> bool:
    """Say whether this is text, or one table; either may stand inside font tags."""
    children = list(element)
    if any(_tag(child) == "TABLE" for child in children):
        return len(children) == 1 and not _has_text(element) and _is_table(children[0])
    if len(children) == 1 and not _has_text(element) and _tag(children[0]) in _INLINE:
        return _is_label(children[0])
    return _is_text(element) and bool(children or _has_text(element))


def _is_text(element: ET.Element) -> bool:
    return all(
        (_tag(child) == "BR" and not len(child) and not child.text)
        or (_tag(child) in _INLINE and _is_text(child))
        for child in element
    )


def _is_table(table: ET.Element) -> bool:
    return _is_list(table, "TR", "HR") and all(
        _is_list(row, "TD", "VR") and all(_is_label(cell) for cell in row if _tag(cell) == "TD")
        for row in table
        if _tag(row) == "TR"
    )


def _is_list(element: ET.Element, item: str, rule: str) -> bool:
    """Say whether this holds items, with at most one rule between two, and nothing else."""
    tags = [_tag(child) for child in element]
    separated = all(item in pair for pair in itertools.pairwise(tags))
    return (
        bool(tags)
        and set(tags) <= {item, rule}
        and tags[0] == tags[-1] == item
        and separated
        and not _has_text(element)
        and not any(len(child) or child.text for child in element if _tag(child) == rule)
    )


def _tag(element: ET.Element) -> str:
    return str(element.tag).upper()


def _has_text(element: ET.Element) -> bool:
    pieces = [element.text, *(child.tail for child in element)]
    return any(piece and piece.strip() for piece in pieces)
