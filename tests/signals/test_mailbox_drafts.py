"""What killed senders leave in a mailbox is swept, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals.mailbox import Mailbox

NOW = "20260225T061320.000000Z"
"""What the stopped clock shows."""
DRAFT = f".{NOW}-guardian-runner-GUIDANCE.json.0123abcd"
HOUR_NS = 3600 * 10**9


def old(path: Path, clock: Any) -> None:
    then = clock.now_ns - HOUR_NS - 10**9
    os.utime(path, ns=(then, then), follow_symlinks=False)


@pytest.mark.parametrize("name", [DRAFT, ".bad name.json.reason.0123abcd"])
def test_drafts_are_swept_once_they_are_an_hour_old(
    box: Mailbox, folder: Path, clock: Any, name: str, tree: Any
) -> None:
    (folder / "tmp" / name).write_text("")
    os.utime(folder / "tmp" / name, ns=(clock.now_ns - HOUR_NS + 10**9,) * 2)
    box.sweep()
    assert tree(folder) == [f"tmp/{name}"]
    old(folder / "tmp" / name, clock)
    box.sweep()
    assert tree(folder) == []


def test_what_a_killed_sender_leaves_is_what_the_reader_sweeps(
    box: Mailbox, folder: Path, clock: Any, monkeypatch: pytest.MonkeyPatch, guidance: Any
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(os, "unlink", lambda _: None)  # between the link and the unlink
        name = os.path.basename(box.send(guidance()))
        (folder / "bad.json").write_text("{")
        box.quarantine("bad.json", "bad")
    left = sorted((folder / "tmp").iterdir())
    assert len(left) == 2
    for draft in left:
        old(draft, clock)
    assert [delivery.name for delivery in box.drain()] == [name]
    assert list((folder / "tmp").iterdir()) == []


def test_only_old_regular_files_that_are_drafts_by_name_are_swept(
    box: Mailbox, folder: Path, clock: Any, tree: Any
) -> None:
    tmp = folder / "tmp"
    theirs = [
        "notes.txt",
        "report.json",
        ".hidden",
        ".report.json.0123abcd",
        ".a-b-c-d.json.0123abcd",
        DRAFT[1:],
        DRAFT[:-1],
        f"{DRAFT}0",
        f"{DRAFT[:-8]}0123ABCD",
        DRAFT.removesuffix(".0123abcd"),
        DRAFT.replace("GUIDANCE", "SOMETHING"),
        DRAFT.replace("GUIDANCE.json", "GUIDANCE.2.json"),
        DRAFT.replace("guardian", "-"),
        DRAFT.replace(NOW, "yesterday"),
        ".x.reason.0123abcd",
    ]
    for name in theirs:
        (tmp / name).write_text("precious")
        old(tmp / name, clock)
    (tmp / DRAFT).symlink_to("notes.txt")
    old(tmp / DRAFT, clock)
    (tmp / f"{DRAFT[:-1]}0").mkdir()
    os.mkfifo(tmp / f"{DRAFT[:-1]}1")
    old(tmp / f"{DRAFT[:-1]}1", clock)
    before = tree(folder)
    assert list(box.drain()) == []
    assert tree(folder) == before


def test_nothing_behind_a_symlinked_tmp_is_swept(box: Mailbox, folder: Path, clock: Any) -> None:
    (folder / "tmp").rename(folder.parent / "elsewhere")
    (folder / "tmp").symlink_to("../elsewhere")
    precious = folder.parent / "elsewhere" / DRAFT
    precious.write_text("precious")
    old(precious, clock)
    assert list(box.drain()) == []
    assert precious.exists()


@pytest.mark.parametrize("odd", [lambda path: path.write_text(""), lambda _: None])
def test_a_tmp_that_is_no_folder_hinders_no_reader(
    box: Mailbox, folder: Path, odd: Callable[[Path], object], put: Any
) -> None:
    name = put(folder, NOW)
    (folder / "tmp").rmdir()
    odd(folder / "tmp")
    assert [delivery.name for delivery in box.drain()] == [name]


def test_only_the_first_drain_sweeps(box: Mailbox, folder: Path, clock: Any, tree: Any) -> None:
    assert list(box.drain()) == []
    (folder / "tmp" / DRAFT).write_text("")
    old(folder / "tmp" / DRAFT, clock)
    assert list(box.drain()) == []
    assert tree(folder) == [f"tmp/{DRAFT}"]
    box.sweep()
    assert tree(folder) == []
