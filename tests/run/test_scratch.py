"""A private folder that is gone afterwards, also after a kill."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from attractor.scratch import scratch

DEAD = 2**22 + 1  # above the highest number that a process can have here


@pytest.fixture(autouse=True)
def above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def old(folder: Path, seconds: float) -> Path:
    folder.mkdir()
    (folder / "prompt").write_text("secret", encoding="utf-8")
    at = folder.stat().st_mtime - seconds
    os.utime(folder, (at, at))
    return folder


def test_the_folder_is_private_and_gone_afterwards(above: Path, clock: Any) -> None:
    with scratch("ask", clock) as made:
        assert Path(made).stat().st_mode & 0o777 == 0o700
        assert Path(made).parent == above
    assert list(above.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(above: Path, clock: Any) -> None:
    gone = old(above / f"attractor-ask-{DEAD}-abc", 7200)
    kept = [
        old(above / f"attractor-ask-{os.getpid()}-abc", 7200),  # somebody is at work there
        old(above / f"attractor-ask-{DEAD}-new", 60),
        old(above / f"attractor-plan-{DEAD}-abc", 7200),
        old(above / f"attractor-ask-{DEAD}-a b", 7200),
        old(above / "elsewhere", 7200),
    ]
    (above / f"attractor-ask-{DEAD}-link").symlink_to(above / "elsewhere")
    clock.wall_ns = lambda: int((above / "elsewhere").stat().st_mtime * 1e9) + int(7200e9)
    with scratch("ask", clock):
        pass
    assert not gone.exists()
    assert all((each / "prompt").exists() for each in kept)
    assert (above / f"attractor-ask-{DEAD}-link").is_symlink()
