"""What the main checkout ignores because of us: our folders, in a file of this clone alone.

Nothing that is committed is touched, and nothing is written where it says so already.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from signals import atomic
from signals.atomic import storage_errors

OURS: Final = (
    ".claude/worktrees/",
    ".claude/attractor/",
    ".claude/completion-state/",
    "/.attractor/",
)


def hide_ours(common: str, *more: str) -> None:
    """Let the repository with this git folder ignore our folders, and what else is named."""
    path = os.path.join(common, "info", "exclude")
    with storage_errors("write", path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        text = b""
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            text = file.read()
    lines = text.splitlines()
    missing = [name for name in (*OURS, *more) if name.encode() not in lines]
    if missing:
        end = b"" if not text or text.endswith(b"\n") else b"\n"
        lines_of_ours = "".join(f"{name}\n" for name in missing).encode()
        atomic.replace(path, text + end + lines_of_ours)
