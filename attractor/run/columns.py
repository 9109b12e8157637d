"""Tables and lines of text in a terminal of some width. Pure.

No word is cut: where a table is too wide, its cells are broken between words, and only where that
is not enough behind hyphens. What cannot be broken stays as wide as it is, and so does all where no
width is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_GAP: Final = "  "
_COMMAND: Final = "    "
_HYPHENATED: Final = re.compile(r"[^-]*-|[^-]+")


def columns(rows: Sequence[Sequence[str]], width: int = 0, indent: str = "") -> Iterator[str]:
    """Yield rows of as many cells each as aligned lines; 0 stands for any width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - len(indent) - len(_GAP) * (len(widths) - 1)
    if width and sum(widths) > room:
        widths = _narrowed(rows, widths, room)
        rows = [line for row in rows for line in _broken(row, widths)]
    for row in rows:
        cells = (cell.ljust(most) for cell, most in zip(row, widths, strict=True))
        yield f"{indent}{_GAP.join(cells)}".rstrip()


def wrapped(line: str, width: int) -> Iterator[str]:
    """Yield a line of text as lines that are not wider; a command stays in one, to be copied."""
    if not width or len(line) <= width or line.startswith(_COMMAND):
        yield line
        return
    import textwrap  # only for what is too wide

    text = line.lstrip()
    lead = line[: len(line) - len(text)]
    more = {"- ": "  ", "> ": "> "}.get(text[:2], "")
    yield from textwrap.wrap(
        line,
        width,
        subsequent_indent=lead + more,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _narrowed(rows: Sequence[Sequence[str]], widths: list[int], room: int) -> list[int]:
    """Return widths that fit, or come nearest to it."""
    found = [*widths]
    for hyphens in (False, True):
        least = [
            max(_longest(cell, hyphens=hyphens) for cell in column)
            for column in zip(*rows, strict=True)
        ]
        while sum(found) > room:
            at = max(range(len(found)), key=lambda each: found[each] - least[each])
            if found[at] <= least[at]:
                break
            found[at] -= 1
    return found


def _longest(cell: str, *, hyphens: bool) -> int:
    text = cell.replace("-", "- ") if hyphens else cell
    return max(map(len, text.split()), default=0)


def _lines(cell: str, most: int) -> list[str]:
    """Return a cell as lines; words that are too long are broken behind hyphens."""
    if len(cell) <= most:
        return [cell]
    lines = [""]
    for word in cell.split():
        parts = [word] if len(word) <= most else _HYPHENATED.findall(word)
        for at, part in enumerate(parts):
            gap = " " if lines[-1] and not at else ""
            if lines[-1] and len(lines[-1]) + len(gap) + len(part) > most:
                lines.append(part)
            else:
                lines[-1] += gap + part
    return lines


def _broken(row: Sequence[str], widths: Sequence[int]) -> Iterator[list[str]]:
    """Yield the lines that a row takes."""
    cells = [_lines(cell, most) for cell, most in zip(row, widths, strict=True)]
    for at in range(max(map(len, cells))):
        yield [cell[at] if at < len(cell) else "" for cell in cells]
