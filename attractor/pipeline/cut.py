"""Taking edges out of an edge statement, which may be a chain (`a -> b -> c [x=1]`) or a product.

What is left keeps its attributes and its place: a chain becomes several statements, a product
(`{a b} -> c`) the pairs that remain. A node that is named here for the first time stays, as a
statement of its own, because its defaults come from where it first appears.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from attractor.pipeline.document import (
    Document,
    EdgeStatement,
    Group,
    Mention,
    NodeStatement,
    Ref,
    Statement,
    Subgraph,
    SubgraphEnd,
)
from attractor.pipeline.graph import Edge
from attractor.pipeline.splice import (
    Splice,
    deletion,
    indent_at,
    line_end,
    past_semicolon,
    write_id,
)


def with_earlier(document: Document) -> Iterator[tuple[Statement, Mapping[str, int]]]:
    """Yield each statement with the offsets at which nodes were first named.

    At the graph's own level a name counts wherever it stands, inside a subgraph only between the
    same braces, because being named there is what makes a node its member. The mapping grows on.
    """
    everywhere: dict[str, int] = {}
    braces = [everywhere]
    for statement in document.statements:
        for ref in refs_of(statement):
            everywhere.setdefault(ref.id, ref.start)
            braces[-1].setdefault(ref.id, ref.start)
        yield statement, braces[-1]
        if isinstance(statement, Subgraph):
            braces.append({})
        elif isinstance(statement, SubgraphEnd):
            braces.pop()


def refs_of(statement: Statement) -> Iterator[Ref]:
    """Yield every place in which a statement names a node."""
    if isinstance(statement, NodeStatement | Mention):
        yield from statement.refs
    elif isinstance(statement, EdgeStatement):
        for group in statement.groups:
            if not isinstance(group, Subgraph):
                yield from group


class _Stretch(NamedTuple):
    """Groups that stay connected: the first and the last of them."""

    first: int
    last: int


class Cut:
    """One statement that loses some of its groups, or one pair of a gap between two.

    `edges` are all that the statement makes, `gone` those that go.
    """

    def __init__(
        self,
        document: Document,
        statement: EdgeStatement,
        earlier: Mapping[str, int],
        edges: Sequence[Edge],
        gone: Collection[Edge],
    ) -> None:
        self._document = document
        self._statement = statement
        self._earlier = earlier
        self._edges = edges
        self._gone = {id(edge) for edge in gone}
        self._dropped: set[int] = set()
        self._parted: set[int] = set()
        # A named subgraph may grow later in the same statement, so that no part of the chain
        # can be evaluated before the rest: its edges are all written out.
        groups = statement.groups
        self._whole = not any(isinstance(group, Subgraph) and group.name for group in groups)

    def drop(self, index: int) -> None:
        """Let a group go, and with it the edges on both sides."""
        self._dropped.add(index)

    def part(self, gap: int) -> None:
        """Let the edges that are gone go out of this gap; its others are written out."""
        self._parted.add(gap)

    def _pairs(self, gap: int) -> Iterator[str]:
        edges = [edge for edge in self._edges if edge.gap == gap]
        tails = self._names(self._statement.groups[gap], [edge.source for edge in edges])
        heads = self._names(self._statement.groups[gap + 1], [edge.target for edge in edges])
        pairs = [(tail, head) for tail in tails for head in heads]
        for edge, (tail, head) in zip(edges, pairs, strict=bool(edges)):
            if id(edge) not in self._gone:
                yield f"{tail} -> {head}"

    def _names(self, group: Group, ids: Sequence[str]) -> list[str]:
        """Return the group's nodes as they are written, with their ports."""
        if isinstance(group, Subgraph):
            return [write_id(node) for node in dict.fromkeys(ids)]
        return [self._document.source.text[ref.start : ref.end] for ref in group]

    def splices(self) -> Iterator[Splice]:
        """Yield what has to be done, if anything."""
        if not self._dropped and not self._parted:
            return
        text, statement = self._document.source.text, self._statement
        items = list(self._items())
        if not items:
            yield deletion(text, statement.start, past_semicolon(text, statement.end))
            return
        attrs, separator = self._attrs(), self._separator()
        position, pending = statement.start, ""
        for index, item in enumerate(items):
            pending += separator if index else ""
            if isinstance(item, str):
                pending += item + attrs
                continue
            yield Splice(position, _start(statement.groups[item.first]), pending)
            position = _end(statement.groups[item.last])
            pending = attrs if item.last > item.first else ""
        last = items[-1]
        if isinstance(last, _Stretch) and last.last > last.first:
            # Its attribute list is already where it belongs.
            yield Splice(position, _end(statement.groups[-1]), "")
        else:
            yield Splice(position, statement.end, pending)

    def _items(self) -> Iterator[_Stretch | str]:
        """Yield the stretches that stay, and then the pairs that have to be written out.

        The pairs come last, because a subgraph behind them may be where their nodes first appear.
        """
        first = 0
        count = len(self._statement.groups)
        for index in range(count):
            if index in self._dropped:
                first = index + 1
                continue
            cut = index + 1 in self._dropped or index in self._parted or index + 1 == count
            if not cut and self._whole:
                continue
            if index > first or self._must_stay(self._statement.groups[index]):
                yield _Stretch(first, index)
            first = index + 1
        for gap in sorted(self._parted) if self._whole else range(count - 1):
            yield from self._pairs(gap)

    def _must_stay(self, group: Group) -> bool:
        if isinstance(group, Subgraph):
            return True
        start = self._statement.start
        return any(self._earlier.get(ref.id, start) >= start for ref in group)

    def _attrs(self) -> str:
        lists = self._statement.lists
        return f" {self._document.source.text[lists[0][0] : lists[-1][1]]}" if lists else ""

    def _separator(self) -> str:
        text, statement = self._document.source.text, self._statement
        indent = indent_at(text, statement.start)
        if indent is None:
            return "; "
        ended = past_semicolon(text, statement.end) > statement.end
        return (";" if ended else "") + line_end(text) + indent


def _start(group: Group) -> int:
    return group.start if isinstance(group, Subgraph) else group[0].start


def _end(group: Group) -> int:
    return group.end if isinstance(group, Subgraph) else group[-1].end
