"""DBOS on SQLite: a workflow of steps, those of one layer side by side."""

from __future__ import annotations

import asyncio
import sys

sys.path.insert(0, sys.argv[1])

from dbos import DBOS
from peer_talk import serve

DBOS(config={"name": "bench", "system_database_url": "sqlite:///dbos.sqlite", "log_level": "ERROR"})


@DBOS.step()
def one() -> None:
    """Do nothing, durably."""


@DBOS.step()
async def beside() -> None:
    """Do nothing, durably, beside others."""


@DBOS.workflow()
def chain(widths: list[int]) -> int:
    """One step after another."""
    for _ in widths:
        one()
    return len(widths)


@DBOS.workflow()
async def layers(widths: list[int]) -> int:
    """Layers, one after another."""
    for width in widths:
        await asyncio.gather(*(beside() for _ in range(width)))
    return sum(widths)


def _run(widths: list[int]) -> None:
    if max(widths) == 1:
        chain(widths)
    else:
        asyncio.run(_layers(widths))


async def _layers(widths: list[int]) -> None:
    await layers(widths)


DBOS.launch()
serve(("dbos",), _run)
DBOS.destroy()
