"""Text with a name, and the places in it that errors point at."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, final


class Place(NamedTuple):
    """A position as people count it: both from 1, columns in characters."""

    line: int
    column: int


@final
@dataclass(frozen=True, eq=False)
class Source:
    """The text of one pipeline, exactly as it stands in the file (BOM and CRLF included)."""

    text: str
    name: str = field(default="<pipeline>")

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(at + 1 for at, letter in enumerate(self.text) if letter == "\n")]

    def place(self, offset: int) -> Place:
        """Return line and column of an offset into `text`."""
        line = bisect_right(self._line_starts, offset)
        return Place(line, offset - self._line_starts[line - 1] + 1)

    def excerpt(self, offset: int) -> str:
        """Return the line that holds `offset`, and below it a caret under the character."""
        place = self.place(offset)
        start = self._line_starts[place.line - 1]
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")
        # Tabs are kept in the padding, so that the caret stands right whatever their width.
        pad = "".join("\t" if letter == "\t" else " " for letter in line[: place.column - 1])
        return f"{line}\n{pad}^"

    def where(self, offset: int) -> str:
        """Return `name:line:column`."""
        place = self.place(offset)
        return f"{self.name}:{place.line}:{place.column}"
