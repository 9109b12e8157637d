"""A run's keeper, from outside: whether one is alive, and that one is.

The keeper (`attractor/keeper.py`) starts the Guardian again when it dies; nobody else does. So
whoever wants something of a run whose processes are gone starts a keeper, and no more. Two that do
so at once start one: the second refuses, and ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.spawn import OwnProcess, start_own
from signals.owner import Liveness, Owner, liveness


def keeper(layout: RunLayout) -> tuple[Owner | None, Liveness]:
    """Return which process is, or was last, the run's keeper; DEAD where there is no record."""
    return _known(layout.keeper)


def guardian(layout: RunLayout) -> tuple[Owner | None, Liveness]:
    """Return which process is, or was last, the run's Guardian; DEAD where there is no record."""
    return _known(layout.owner)


def ensure_keeper(layout: RunLayout, environ: Mapping[str, str]) -> OwnProcess | None:
    """Start a keeper unless one is alive, and return it; None where it is not needed."""
    if keeper(layout)[1] is Liveness.ALIVE:
        return None
    return start_own("attractor.keeper", layout.root, log=layout.log, cwd="/", env=environ)


def log_tail(layout: RunLayout, lines: int = 20) -> str:
    """Return the last that keeper and Guardian said on their standard streams."""
    try:
        with open(layout.log, encoding="utf-8", errors="replace") as file:
            return "\n  ".join(file.read()[-20_000:].splitlines()[-lines:])
    except OSError:
        return ""


def _known(path: str) -> tuple[Owner | None, Liveness]:
    owner = Owner.from_json(read_object(path))
    if owner is None and not os.path.lexists(path):
        return None, Liveness.DEAD
    return owner, liveness(owner)
