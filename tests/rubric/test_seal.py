"""A seal tells of every change to a rubric's files, and only real files are sealed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rubric import seal


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    made = tmp_path / "rubric"
    (made / "more").mkdir(parents=True)
    for name, data in files.items():
        (made / name).write_bytes(data)
    (made / "more" / "note.txt").write_text("x")
    return made


def sealed(folder: Path) -> dict[str, str]:
    return seal.hashes(seal.read(str(folder)))


def test_the_seal_is_the_sha256_of_every_file(folder: Path) -> None:
    found = sealed(folder)
    assert [*found] == ["greets.feature", "manifest.yaml", "more/note.txt", "refuses.feature"]
    assert found["more/note.txt"] == hashlib.sha256(b"x").hexdigest()
    assert seal.check(str(folder), found) == []


def test_what_was_changed_added_and_removed_is_named(folder: Path) -> None:
    before = sealed(folder)
    (folder / "manifest.yaml").write_text("changed")
    (folder / "greets.feature").unlink()
    (folder / "new.feature").write_text("")
    assert seal.check(str(folder), before) == [
        "greets.feature is missing",
        "manifest.yaml was changed",
        "new.feature was added",
    ]


def test_a_folder_that_is_gone_is_not_as_it_was(folder: Path) -> None:
    before = sealed(folder)
    folder.rename(folder.with_name("away"))
    assert len(seal.check(str(folder), before)) == 1


def test_what_systems_leave_anywhere_does_not_count(folder: Path) -> None:
    before = sealed(folder)
    (folder / ".DS_Store").write_text("x")
    (folder / ".git").mkdir()
    assert seal.check(str(folder), before) == []


@pytest.mark.parametrize("kind", ["link", "folder_link", "pipe"])
def test_what_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    before = sealed(folder)
    odd = folder / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(folder / "manifest.yaml" if kind == "link" else tmp_path)
    with pytest.raises(InputError, match="no plain file"):
        sealed(folder)
    assert seal.check(str(folder), before) == [f"{odd}: this is no plain file"]


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "MOST_FILES", 4)
    sealed(folder)
    (folder / "one_more").write_text("")
    with pytest.raises(InputError, match="more than 4 files"):
        sealed(folder)


def test_too_many_bytes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    monkeypatch.setattr(seal, "MOST_BYTES", size)
    sealed(folder)
    (folder / "one_more").write_text("x")
    with pytest.raises(InputError, match="MiB"):
        sealed(folder)


def test_folders_without_end_are_refused(folder: Path) -> None:
    folder.joinpath(*"abcde").mkdir(parents=True)
    with pytest.raises(InputError, match="folders inside of folders"):
        sealed(folder)
