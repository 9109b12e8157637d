"""What ARCHITECT.md alone says, where the store behind it cannot be used.

Nothing is known then of who was shown what, and of what is flagged. A line that looks like a secret
is left out.
"""

from __future__ import annotations

from attractor.memory import words
from attractor.memory.architect import Page
from attractor.memory.entry import IMPORTANCE, Entry
from attractor.memory.rank import Row, Score, rank
from attractor.memory.secrecy import found_secrets


def entries(page: Page) -> list[Entry]:
    """Return what counts, in the order of the page."""
    return [each for each in page.entries() if not found_secrets(each.text)]


def search(page: Page, query: str, now: float) -> list[tuple[Entry, Score]]:
    """Return what shares words with a text, the best first; of equals the later one."""
    asked, every = words.content(query), entries(page)
    fits = [float(len(asked & words.content(each.text))) for each in every]
    rows = [
        Row(at, 0.0, IMPORTANCE[each.kind], 0, 0, fit)
        for at, (each, fit) in enumerate(zip(every, fits, strict=True))
        if fit > 0
    ]
    return [(every[each.id], each) for each in rank(rows, now)]
