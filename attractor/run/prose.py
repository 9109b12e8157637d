"""How a text for people is set: as Markdown, or for a terminal.

Pure. What comes from agents and from files is made safe to show: it is printable, stays in its line
and is of bounded length; in Markdown it is also escaped, so that it can mark up nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, final

from attractor.run.columns import columns

_MOST_TEXT: Final = 300
# Underscores only where they are no part of a word.
_MARKING: Final = re.compile(r"[\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_])")


class Style(Protocol):
    """How text is set."""

    def heading(self, text: str, level: int) -> Iterator[str]: ...
    def text(self, text: object, most: int = _MOST_TEXT) -> str: ...
    def code(self, text: object) -> str: ...
    def command(self, text: str) -> Iterator[str]: ...
    def table(self, rows: Sequence[Sequence[str]]) -> Iterator[str]: ...


@final
class Markdown:
    """For SUCCESS.md and for pull requests."""

    def heading(self, text: str, level: int) -> Iterator[str]:
        yield from (f"{'#' * level} {text}", "")

    def text(self, text: object, most: int = _MOST_TEXT) -> str:
        return _MARKING.sub(lambda found: f"\\{found[0]}", in_line(text, most))

    def code(self, text: object) -> str:
        # A pipe would end the cell of a table, also in here.
        inner = in_line(text, _MOST_TEXT).replace("`", "'").replace("|", "\\|")
        return f"`{inner}`" if inner else ""

    def command(self, text: str) -> Iterator[str]:
        yield from ("```sh", _exact(text), "```", "")

    def table(self, rows: Sequence[Sequence[str]]) -> Iterator[str]:
        head, *body = rows
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(row)} |" for row in body)
        yield ""


@final
class Plain:
    """For a terminal, of a width where that is known."""

    def __init__(self, width: int = 0) -> None:
        self._width = width

    def heading(self, text: str, level: int) -> Iterator[str]:
        del level
        yield text

    def text(self, text: object, most: int = _MOST_TEXT) -> str:
        return in_line(text, most)

    def code(self, text: object) -> str:
        return in_line(text, _MOST_TEXT)

    def command(self, text: str) -> Iterator[str]:
        yield from (f"    {_exact(text)}", "")

    def table(self, rows: Sequence[Sequence[str]]) -> Iterator[str]:
        yield from columns(rows, self._width, "  ")
        yield ""


def in_line(text: object, most: int) -> str:
    """Return what can be shown of a text in one line: printable, and not too long."""
    shown = "".join(each if each.isprintable() else " " for each in str(text))
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def _exact(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
