"""Where in the text a node, an edge or the graph says something: the offsets that findings carry.

The graph remembers where each thing stands, not each attribute; that is looked up here, only for
what is reported. An attribute that comes from elsewhere (a default, a second declaration) has no
place of its own at the thing, and the thing's own place is given.
"""

from __future__ import annotations

from attractor.pipeline.attrlist import attributes, read_slow
from attractor.pipeline.lex import scan
from attractor.pipeline.source import Source

_OPERANDS = frozenset({"bare", "quoted", "html"})
_JOINTS = frozenset({"->", ":", ","})


def attribute_offset(source: Source, start: int, key: str) -> int:
    """Return where the value of `key` stands in the statement at `start`, else `start`."""
    position, operand = start, False
    while True:
        kind, at, position = scan(source.text, position)
        if kind == "[":
            found = _value(source, at, key)
            if found is not None:
                return found
            position, operand = read_slow(source, at).end, True
        elif kind in _OPERANDS and not operand:
            operand = True
        elif kind in _JOINTS:
            operand = False
        else:
            return start


def graph_attribute_offset(source: Source, key: str) -> int:
    """Return where the graph sets `key`, else where the graph begins."""
    begin = scan(source.text, 0)[1]
    if not key:
        return begin
    position, depth, word = begin, 0, ""
    while True:
        kind, at, position = scan(source.text, position)
        if kind == "end":
            return begin
        if kind == "[":
            found = _value(source, at, key) if depth == 1 and word.lower() == "graph" else None
            if found is not None:
                return found
            position = read_slow(source, at).end
            continue  # `word` is still whose lists these are
        if kind == "=" and depth == 1 and word.strip('"') == key:
            return scan(source.text, position)[1]
        depth += (kind == "{") - (kind == "}")
        word = source.text[at:position] if kind in _OPERANDS else ""


def _value(source: Source, bracket: int, key: str) -> int | None:
    found = None
    for attribute in attributes(source, ((bracket, bracket),)):
        if attribute.key == key:
            found = attribute.value_start
    return found
