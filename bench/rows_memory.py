"""How well memories are ranked, against plain ways; and what asking costs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import memory_ranks
from measure import Line, Row, paired

from attractor.memory import recall

MEMORIES = 5_000


def rows() -> Iterator[Row | Line]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        found = memory_ranks.measure(os.path.join(folder, "memory.db"))
        ours = found.pop("ours")
        for name, theirs in found.items():
            plain = f"plain {name}"
            yield Line("memories: MRR of 32 questions", f"{ours[0]:.3f}", plain, f"{theirs[0]:.3f}")
            yield Line("memories: recall@3", f"{ours[1]:.3f}", plain, f"{theirs[1]:.3f}")
        yield _cost(folder)


def _cost(folder: str) -> Row:
    memories = [
        {"id": n, "kind": "lesson", "days": n % 400, "shown": n % 3, "helped": n % 2, "text": text}
        for n, text in enumerate(
            f"lesson {n} of orders and of part {n % 97}" for n in range(MEMORIES)
        )
    ]
    store, _ = memory_ranks.filled(os.path.join(folder, "many.db"), memories)
    try:
        return paired(
            f"ask {MEMORIES:,} memories, ranked",
            lambda: recall.search(store, "orders part 17", memory_ranks.NOW),
            "the same, plain full-text rank",
            lambda: store.matches("orders part 17"),
        )
    finally:
        store.close()
