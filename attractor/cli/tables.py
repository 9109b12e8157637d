"""Tables for people: aligned columns of printable text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield the rows as lines with aligned columns; a column that is empty in all is left out."""
    clean = [[in_line([cell]) for cell in row] for row in rows]
    kept = [
        at for at in range(len(clean[0])) if len(clean) == 1 or any(row[at] for row in clean[1:])
    ]
    widths = {at: max(len(row[at]) for row in clean) for at in kept}
    for row in clean:
        yield "  ".join(row[at].ljust(widths[at]) for at in kept).rstrip()


def in_line(words: Iterable[str]) -> str:
    """Return one printable line: a label may hold anything, and a terminal obeys some of it."""
    text = " ".join(words)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
