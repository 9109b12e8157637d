"""Tables for people: aligned columns of printable text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attractor.cli.output import width
from attractor.run.columns import columns


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield the rows as lines with aligned columns; a column that is empty in all is left out.

    In a terminal that is too narrow for them cells are broken between words.
    """
    clean = [[in_line([cell]) for cell in row] for row in rows]
    kept = [
        at for at in range(len(clean[0])) if len(clean) == 1 or any(row[at] for row in clean[1:])
    ]
    yield from columns([[row[at] for at in kept] for row in clean], width())


def in_line(words: Iterable[str]) -> str:
    """Return one printable line: a label may hold anything, and a terminal obeys some of it."""
    text = " ".join(words)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
