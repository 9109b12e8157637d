"""Where in the text a node, an edge or the graph says something: the offsets that findings carry.

The graph remembers where each thing stands, not each attribute; that is looked up here, only for
what is reported. An attribute that comes from elsewhere (a default, a second declaration) has no
place of its own at the thing, and the thing's own place is given.
"""

from __future__ import annotations

from typing import NamedTuple, final

from attractor.pipeline.attrlist import attributes
from attractor.pipeline.lex import scan
from attractor.pipeline.source import Source

_OPERANDS = frozenset({"bare", "quoted", "html"})
_JOINTS = frozenset({"->", ":", ","})


class _List(NamedTuple):
    """Where an attribute list has the value of each key, the last of it, and where it ends."""

    values: dict[str, int]
    end: int


@final
class Places:
    """The places in one source. What was read once is remembered: all of them take linear time."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # For each operand that was passed, the brackets of its statement's attribute lists.
        self._brackets: dict[int, list[int]] = {}
        self._lists: dict[int, _List] = {}
        self._of_graph: dict[str, int] = {}

    def attribute(self, start: int, key: str) -> int:
        """Return where the value of `key` stands in the statement at `start`, else `start`."""
        for bracket in self._lists_behind(start):
            if (found := self._list(bracket).values.get(key)) is not None:
                return found
        return start

    def _lists_behind(self, start: int) -> list[int]:
        known = self._brackets.get(start)
        if known is not None:
            return known
        brackets: list[int] = []
        position, operand = start, False
        while True:
            kind, at, position = scan(self.source.text, position)
            if kind == "[":
                brackets.append(at)
                position, operand = self._list(at).end, True
            elif kind in _OPERANDS and not operand:
                if at in self._brackets:
                    brackets.extend(self._brackets[at])
                    return brackets
                self._brackets[at] = brackets
                operand = True
            elif kind in _JOINTS:
                operand = False
            else:
                return brackets

    def graph_attribute(self, key: str) -> int:
        """Return where the graph sets `key`, else where the graph begins."""
        if key not in self._of_graph:
            self._of_graph[key] = self._find_graph_attribute(key)
        return self._of_graph[key]

    def _find_graph_attribute(self, key: str) -> int:
        begin = scan(self.source.text, 0)[1]
        if not key:
            return begin
        position, depth, word = begin, 0, ""
        while True:
            kind, at, position = scan(self.source.text, position)
            if kind == "end":
                return begin
            if kind == "[":
                listed = _read(self.source, at)
                if depth == 1 and word.lower() == "graph" and key in listed.values:
                    return listed.values[key]
                position = listed.end
                continue  # `word` is still whose lists these are
            if kind == "=" and depth == 1 and word.strip('"') == key:
                return scan(self.source.text, position)[1]
            depth += (kind == "{") - (kind == "}")
            word = self.source.text[at:position] if kind in _OPERANDS else ""

    def _list(self, bracket: int) -> _List:
        if bracket not in self._lists:
            self._lists[bracket] = _read(self.source, bracket)
        return self._lists[bracket]


def _read(source: Source, bracket: int) -> _List:
    values, end = {}, bracket + 1
    for attribute in attributes(source, ((bracket, bracket),)):
        values[attribute.key] = attribute.value_start
        end = attribute.value_end
    kind = ""
    while kind not in {"]", "end"}:  # a comma may be left before it
        kind, _, end = scan(source.text, end)
    return _List(values, end)
