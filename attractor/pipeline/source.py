"""Text with a name, and the places in it that errors point at."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, final

_WIDEST: Final = 160
_AROUND: Final = 70
_not_a_tab = re.compile(r"[^\t]").sub


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
        starts = self._line_starts
        return starts[line] - 1 if line < len(starts) else len(self.text)

    def excerpt(self, offset: int) -> str:
        """Return the line that holds `offset`, and below it a caret under the character.

        Of a very long line only the part around the character is read and shown.
        """
        place = self.place(offset)
        start = self._line_starts[place.line - 1]
        end = self._shown_end(start, self.line_end(place.line))
        at = min(start + place.column - 1, end)
        left, right = start, end
        if end - start > _WIDEST:
            left, right = max(start, at - _AROUND), min(end, at + _AROUND)
        before = "..." * (left > start) + self.text[left:at]
        after = self.text[at:right] + "..." * (right < end)
        return f"{_shown(before + after)}\n{_blanks(before)}^"

    def _shown_end(self, start: int, end: int) -> int:
        """Return `end`, or where the carriage returns before it begin."""
        tail = self.text[max(start, end - _AROUND) : end]
        return end - len(tail) + len(tail.rstrip("\r"))

    def where(self, offset: int) -> str:
        """Return `name:line:column`."""
        place = self.place(offset)
        return f"{self.name}:{place.line}:{place.column}"


def _shown(line: str) -> str:
    # A control character of somebody's file must not reach the terminal.
    if line.replace("\t", "").isprintable():
        return line
    return "".join("\ufffd" if _is_control(letter) else letter for letter in line)


def _is_control(letter: str) -> bool:
    return letter != "\t" and unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}


def _blanks(text: str) -> str:
    """Return blanks as wide as this text is on a terminal."""
    return _not_a_tab(" ", text) if text.isascii() else "".join(map(_pad, text))


def _pad(letter: str) -> str:
    if letter == "\t":
        return letter
    if unicodedata.combining(letter):
        return ""
    return "  " if unicodedata.east_asian_width(letter) in "WF" else " "
