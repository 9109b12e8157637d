"""The lease of a pipeline: one writer of everything that lies beside its DOT file.

Whoever has it finds no drafts of writers that were killed: they are swept away first, which only
the one writer may do.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

from attractor.run.layout import Layout
from attractor.run.plain import refuse_link, sweep
from signals.clock import Clock
from signals.lease import lease

_CHECKPOINT: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.json")


@contextlib.contextmanager
def alone(layout: Layout, clock: Clock, timeout_seconds: float) -> Iterator[None]:
    """Hold the lease for the length of a `with` block."""
    record = f"{layout.lock}.owner.json"
    refuse_link(layout.lock)
    refuse_link(record)
    folder, dot = os.path.split(layout.dot)
    journal = os.path.basename(layout.journal)
    ours = {dot, journal, os.path.basename(record)}
    with lease(layout.lock, clock, timeout_seconds):
        sweep(folder, lambda name: name in ours or name.startswith(f"{journal}.torn-"))
        if not os.path.islink(layout.checkpoints):
            sweep(layout.checkpoints, lambda name: _CHECKPOINT.fullmatch(name) is not None)
        yield
