"""Where the memory of a project is; pure."""

from __future__ import annotations

import os

from attractor.memory.architect import NAME
from attractor.run.layout import state_folder


def home(project: str, *, rehearsed: bool) -> str:
    """Return what stands for the project here: what is only rehearsed has a memory of its own."""
    return os.path.join(state_folder(project), "rehearsed") if rehearsed else project


def page(project: str) -> str:
    """Return the page that people read."""
    return os.path.join(project, NAME)


def store(project: str) -> str:
    """Return the store behind it."""
    return os.path.join(state_folder(project), "memory.db")


def folder(project: str) -> str:
    """Return the folder with the lock, and with what was kept aside."""
    return os.path.join(state_folder(project), "memory")


def aside(project: str) -> str:
    """Return the folder of what could not be used and is kept as it was."""
    return os.path.join(folder(project), "aside")


def lock(project: str) -> str:
    """Return the lease of whoever changes the page."""
    return os.path.join(folder(project), "lock")
