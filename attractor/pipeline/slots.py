"""One attribute of many nodes, set again and again without parsing the text again.

What comes out is what `edit.set_attrs` writes, to the byte. The text is kept in pieces, cut where
the values stand, so that a change costs the pieces that it replaces. A node that shares its
statement with others, or stands in edges only, has no place of its own: `set_attrs` gives it one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, final

from attractor.pipeline.attrlist import attributes
from attractor.pipeline.document import Document, NodeStatement
from attractor.pipeline.splice import Splice, insert_attributes, write_value

_EMPTY = '""'


class _Said(NamedTuple):
    """The statements of one node that matter here: its first own, and the last with the key."""

    own: NodeStatement | None
    last: NodeStatement | None
    is_own: bool
    """Whether that last one is about this node only."""


@final
class Slots:
    """Where one attribute of each node stands in a text."""

    def __init__(self, document: Document, key: str) -> None:
        text = document.source.text
        cuts = sorted(
            (cut, node)
            for node, said in _statements(document, key).items()
            if (cut := _cut(document, key, said)) is not None
        )
        # A value is at every odd place; one that is not written yet is empty there.
        self._pieces: list[str] = []
        self._at: dict[str, int] = {}
        self._unwritten: dict[str, str] = {}
        """What is inserted for it, with an empty value."""
        end = 0
        for cut, node in cuts:
            self._pieces += text[end : cut.start], text[cut.start : cut.end]
            self._at[node] = len(self._pieces) - 1
            if cut.text:
                self._unwritten[node] = cut.text
            end = cut.end
        self._pieces.append(text[end:])

    @property
    def text(self) -> str:
        """Return the whole text, as it is by now."""
        return "".join(self._pieces)

    def set(self, values: Mapping[str, str]) -> bool:
        """Set what differs; False, and nothing is changed, where a node has no place."""
        if not values.keys() <= self._at.keys():
            return False
        for node, value in values.items():
            at = self._at[node]
            if made := self._unwritten.pop(node, ""):
                before, _, behind = made.rpartition(_EMPTY)
                self._pieces[at - 1] += before
                self._pieces[at] = _EMPTY
                self._pieces[at + 1] = behind + self._pieces[at + 1]
            self._pieces[at] = write_value(value, self._pieces[at])
        return True


def _statements(document: Document, key: str) -> dict[str, _Said]:
    found: dict[str, _Said] = {}
    for statement in document.statements:
        if isinstance(statement, NodeStatement):
            names = {ref.id for ref in statement.refs}
            alone = len(names) == 1
            for node in names:
                said = found.get(node) or _Said(None, None, is_own=False)
                if alone and said.own is None:
                    said = said._replace(own=statement)
                if key in statement.attrs:
                    said = said._replace(last=statement, is_own=alone)
                found[node] = said
    return found


def _cut(document: Document, key: str, said: _Said) -> Splice | None:
    """Return where the value stands; where none does, where it goes and what is written then."""
    if said.last is not None:
        if not said.is_own:
            return None
        *_, value = (
            each for each in attributes(document.source, said.last.lists) if each.key == key
        )
        return Splice(value.value_start, value.value_end, "")
    return insert_attributes(document, said.own, {key: ""}) if said.own else None
