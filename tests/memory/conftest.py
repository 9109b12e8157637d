"""A project with a memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.memory.entry import Entry, Kind
from attractor.memory.learn import Learned, Lesson, learn
from attractor.memory.opening import opened
from attractor.memory.page_file import load
from attractor.memory.store import Memory


class Project:
    """A git checkout, and what is remembered of it."""

    def __init__(self, folder: Path, clock: Any) -> None:
        self.folder, self.clock = folder, clock
        self.page = folder / "ARCHITECT.md"
        self.store = folder / ".claude/attractor/memory.db"
        self.aside = folder / ".claude/attractor/memory/aside"
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        argv = ["git", "-C", str(self.folder), *words]
        done = subprocess.run(argv, env=env, capture_output=True, timeout=30, check=True)
        return done.stdout.decode()

    def learn(self, *said: str | Entry, **more: Any) -> Learned:
        """Learn entries; a text is a decision made by hand."""
        entries = [Entry(kind=Kind.DECISION, text=e) if isinstance(e, str) else e for e in said]
        return learn(str(self.folder), Lesson(entries=entries, **more), self.clock)

    def memories(self) -> list[Memory]:
        root = str(self.folder)
        with opened(root, load(root).page, self.clock) as store:
            return store.memories()


@pytest.fixture
def project(tmp_path: Path, clock: Any) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, clock)


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """`entry("lesson", TEXT, node=...)`."""

    def make(kind: str, text: str, **more: Any) -> Entry:
        return Entry(kind=Kind(kind), text=text, **more)

    return make
