"""Prefect with the temporary server that it starts itself, on SQLite: a flow of tasks."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, sys.argv[1])
os.environ |= {
    "PREFECT_HOME": os.path.join(os.getcwd(), "home"),
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
}

from peer_talk import serve
from prefect import flow, task
from prefect.futures import wait


@task
def one() -> None:
    """Do nothing."""


@flow
def layers(widths: list[int]) -> int:
    """Layers, one after another."""
    for width in widths:
        if width == 1:
            one()
        else:
            wait([one.submit() for _ in range(width)])
    return sum(widths)


serve(("prefect",), layers)
