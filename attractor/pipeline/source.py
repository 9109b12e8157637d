"""Text with a name, and the places in it that errors point at."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, final

_WIDEST: Final = 160
_AROUND: Final = 70


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
        # A byte-order mark stands before the first column, as in every editor.
        starts = [1 if self.text.startswith("\ufeff") else 0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def place(self, offset: int) -> Place:
        """Return line and column of an offset into `text`."""
        line = max(1, bisect_right(self._line_starts, offset))
        return Place(line, max(1, offset - self._line_starts[line - 1] + 1))

    def line_end(self, line: int) -> int:
        """Return where this line ends, its newline left out."""
        end = self.text.find("\n", self._line_starts[line - 1])
        return end if end >= 0 else len(self.text)

    def excerpt(self, offset: int) -> str:
        """Return the line that holds `offset`, and below it a caret under the character.

        Of a very long line only the part around the character is shown.
        """
        place = self.place(offset)
        start = self._line_starts[place.line - 1]
        line = self.text[start : self.line_end(place.line)].rstrip("\r")
        at = min(place.column - 1, len(line))
        before, after = line[:at], line[at:]
        if len(line) > _WIDEST:
            before = f"...{before[-_AROUND:]}" if len(before) > _AROUND else before
            after = f"{after[:_AROUND]}..." if len(after) > _AROUND else after
        return f"{_shown(before + after)}\n{''.join(map(_pad, before))}^"

    def where(self, offset: int) -> str:
        """Return `name:line:column`."""
        place = self.place(offset)
        return f"{self.name}:{place.line}:{place.column}"


def _shown(line: str) -> str:
    # A control character of somebody's file must not reach the terminal.
    return "".join("\ufffd" if _is_control(letter) else letter for letter in line)


def _is_control(letter: str) -> bool:
    return letter != "\t" and unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}


def _pad(letter: str) -> str:
    """Return blanks as wide as this character is on a terminal."""
    if letter == "\t":
        return letter
    if unicodedata.combining(letter):
        return ""
    return "  " if unicodedata.east_asian_width(letter) in "WF" else " "
