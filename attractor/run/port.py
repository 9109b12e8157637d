"""A port of this machine alone, for the scripted model of a run."""

from __future__ import annotations

import socket
from typing import Final

_LOOPBACK: Final = "127.0.0.1"


def free_address() -> str:
    """Return the address of a port that is free now; whoever binds it later may find it taken."""
    with socket.socket() as found:
        found.bind((_LOOPBACK, 0))
        return f"http://{_LOOPBACK}:{found.getsockname()[1]}"
