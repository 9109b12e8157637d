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


def left(folder: Path) -> Path:
    folder.mkdir()
    (folder / "prompt").write_text("secret", encoding="utf-8")
    return folder


def test_the_folder_is_private_and_gone_afterwards(above: Path) -> None:
    with scratch("ask") as made:
        assert Path(made).stat().st_mode & 0o777 == 0o700
        assert Path(made).parent == above
    assert list(above.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(above: Path) -> None:
    gone = left(above / f"attractor-ask-{DEAD}-abc")
    kept = [
        left(above / f"attractor-ask-{os.getpid()}-abc"),  # somebody is at work there
        left(above / f"attractor-plan-{DEAD}-abc"),
        left(above / f"attractor-ask-{DEAD}-a b"),
        left(above / "elsewhere"),
    ]
    (above / f"attractor-ask-{DEAD}-link").symlink_to(above / "elsewhere")
    with scratch("ask"):
        pass
    assert not gone.exists()
    assert all((each / "prompt").exists() for each in kept)
    assert (above / f"attractor-ask-{DEAD}-link").is_symlink()


def test_what_somebody_holds_stays_though_no_process_here_has_its_number(above: Path) -> None:
    with scratch("ask") as made:
        # Processes of another container have numbers that nobody has here.
        held = above / f"attractor-ask-{DEAD}-abc"
        os.rename(made, held)
        with scratch("ask"):
            pass
        assert held.exists()
    with scratch("ask"):
        pass
    assert not held.exists()


def test_a_folder_that_is_taken_for_left_before_it_is_held_is_made_anew(
    above: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = tempfile.mkdtemp

    def removed_at_once(*words: Any, **more: Any) -> str:
        made.append(real(*words, **more))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", removed_at_once)
    with scratch("ask") as folder:
        assert os.listdir(folder) == []
    assert len(made) == 2
