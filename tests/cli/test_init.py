from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.promise import settings, stop_hook
from attractor.promise.settings import Hook

Cli = Callable[..., Any]
BACKUP = "settings.json.attractor-backup"
ODD = b'\xef\xbb\xbf{"model" : "x",\r\n "n": 1.0e3, "u": "\\u00e9",   "list":[1,2]}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def file(folder: Path) -> Path:
    """The settings of a project that has some."""
    (folder / ".claude").mkdir()
    (folder / ".claude" / "settings.json").write_bytes(ODD)
    return folder / ".claude" / "settings.json"


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def hook_in(path: Path) -> Hook | None:
    return settings.installed(path.read_text(), "x")


def test_it_installs_this_python_and_this_hook(cli: Cli, folder: Path) -> None:
    said = cli("init", "--hooks-only", folder)
    assert said.status == 0, said
    hook = hook_in(folder / ".claude" / "settings.json")
    assert hook == Hook(sys.executable, stop_hook.__file__)
    assert os.path.isabs(hook.file)
    assert "attractor init --undo" in said.out


def test_without_a_folder_it_installs_here(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    said = cli("init", "--hooks-only", "--json").json()
    assert (said["status"], said["changed"]) == ("ok", True)
    assert hook_in(folder / said["file"])


def test_a_second_time_writes_nothing(cli: Cli, folder: Path, file: Path) -> None:
    cli("init", "--hooks-only", folder)
    before, stat = tree(folder), file.stat()
    said = cli("init", "--hooks-only", folder)
    assert "already in" in said.out
    assert tree(folder) == before
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_undo_gives_back_every_byte_and_the_mode(cli: Cli, folder: Path, file: Path) -> None:
    file.chmod(0o640)
    before = tree(folder)
    cli("init", "--hooks-only", folder)
    assert (folder / ".claude" / BACKUP).read_bytes() == ODD
    assert json.loads(file.read_text("utf-8-sig"))["model"] == "x"
    said = cli("init", "--undo", folder)
    assert "is as it was before" in said.out
    assert tree(folder) == before
    assert file.stat().st_mode & 0o777 == 0o640


def test_undo_takes_away_what_was_not_there(cli: Cli, folder: Path) -> None:
    cli("init", "--hooks-only", folder)
    assert cli("init", "--undo", folder).status == 0
    assert tree(folder) == {}


def test_undo_leaves_an_empty_folder_that_was_there(cli: Cli, folder: Path) -> None:
    (folder / ".claude").mkdir()
    cli("init", "--hooks-only", folder)
    cli("init", "--undo", folder)
    assert tree(folder) == {".claude": None}


def test_undo_leaves_a_folder_that_others_use_meanwhile(cli: Cli, folder: Path) -> None:
    cli("init", "--hooks-only", folder)
    (folder / ".claude" / "completion-state").mkdir()
    cli("init", "--undo", folder)
    assert tree(folder) == {".claude": None, ".claude/completion-state": None}


def test_undo_of_a_changed_file_takes_out_our_entries_only(
    cli: Cli, folder: Path, file: Path
) -> None:
    cli("init", "--hooks-only", folder)
    changed = json.loads(file.read_text("utf-8-sig")) | {"mine": True}
    file.write_text(json.dumps(changed, indent=2))
    said = cli("init", "--undo", folder)
    assert "only our entries were taken out" in said.out
    assert BACKUP in said.out
    wanted = {"model": "x", "n": 1000.0, "u": "é", "list": [1, 2], "mine": True}
    assert json.loads(file.read_text()) == wanted
    assert (folder / ".claude" / BACKUP).read_bytes() == ODD


def test_after_a_changed_file_the_next_round_is_exact_again(
    cli: Cli, folder: Path, file: Path
) -> None:
    cli("init", "--hooks-only", folder)
    file.write_text(file.read_text() + "\n")
    cli("init", "--undo", folder)
    before = tree(folder)
    cli("init", "--hooks-only", folder)
    assert (folder / ".claude" / f"{BACKUP}-2").exists()
    cli("init", "--undo", folder)
    assert tree(folder) == before


def test_a_moved_python_is_brought_up_to_date_and_undo_is_still_exact(
    cli: Cli, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(folder)
    cli("init", "--hooks-only", folder)
    monkeypatch.setattr(sys, "executable", "/elsewhere/python3")
    assert "up to date" in cli("init", "--hooks-only", folder).out
    hook = hook_in(file)
    assert hook
    assert hook.python == "/elsewhere/python3"
    assert len(json.loads(file.read_text("utf-8-sig"))["hooks"]["Stop"]) == 1
    cli("init", "--undo", folder)
    assert tree(folder) == before


def test_a_backup_that_was_changed_is_not_put_back(cli: Cli, folder: Path, file: Path) -> None:
    cli("init", "--hooks-only", folder)
    (folder / ".claude" / BACKUP).write_text("{broken")
    assert cli("init", "--undo", folder).status == 0
    assert hook_in(file) is None
    assert json.loads(file.read_text("utf-8-sig"))["model"] == "x"


def test_undo_without_the_hook_changes_nothing(cli: Cli, folder: Path, file: Path) -> None:
    before = tree(folder)
    said = cli("init", "--undo", folder, "--json")
    assert (said.status, said.json()["changed"]) == (0, False)
    assert tree(folder) == before
    file.unlink()
    assert cli("init", "--undo", folder).status == 0


def test_print_shows_the_result_and_writes_nothing(cli: Cli, folder: Path, file: Path) -> None:
    before = tree(folder)
    said = cli("init", "--print", folder)
    assert tree(folder) == before
    cli("init", "--hooks-only", folder)
    assert said.out.encode() == file.read_bytes()


def test_print_and_undo_do_not_go_together(cli: Cli, folder: Path) -> None:
    assert cli("init", "--print", "--undo", folder).status == 2


@pytest.mark.parametrize("words", [["--hooks-only"], ["--print"], ["--undo"]])
@pytest.mark.parametrize(
    ("data", "place"), [(b'{\n"a": ,', ":2:6"), (b"{\n// x\n}", ":2:1"), (b'{"a": "\n\xff"}', ":2")]
)
def test_a_file_that_cannot_be_understood_is_named_and_left(
    data: bytes, place: str, words: list[str], cli: Cli, folder: Path, file: Path
) -> None:
    file.write_bytes(data)
    before = tree(folder)
    said = cli("init", *words, folder)
    assert said.status == 1
    assert f"settings.json{place}: " in said.err
    assert tree(folder) == before


def test_a_settings_file_behind_a_link_is_changed_where_it_lies(
    cli: Cli, folder: Path, file: Path, tmp_path: Path
) -> None:
    real = tmp_path / "dotfiles.json"
    file.rename(real)
    file.symlink_to(real)
    cli("init", "--hooks-only", folder)
    assert file.is_symlink()
    assert hook_in(real)
    cli("init", "--undo", folder)
    assert file.is_symlink()
    assert real.read_bytes() == ODD


def test_a_fifo_or_a_folder_is_not_a_settings_file(cli: Cli, folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    assert "this is not a file" in cli("init", "--hooks-only", folder).err
    file.unlink()
    file.mkdir()
    assert "this is not a file" in cli("init", "--hooks-only", folder).err


def test_what_is_no_folder_is_refused(cli: Cli, folder: Path) -> None:
    assert "this is not a folder" in cli("init", "--hooks-only", folder / "gone").err


def test_the_home_folder_is_refused(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    said = cli("init", "--hooks-only", folder)
    assert said.status == 1
    assert "home folder" in said.err
    assert tree(folder) == {}


def test_the_backup_is_readable_by_no_more_people_than_the_settings(
    cli: Cli, folder: Path, file: Path
) -> None:
    file.chmod(0o600)
    cli("init", "--hooks-only", folder)
    assert (folder / ".claude" / BACKUP).stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(folder / ".claude")) == ["settings.json", BACKUP]


def test_a_fifo_for_a_backup_is_named_and_not_awaited(cli: Cli, folder: Path, file: Path) -> None:
    cli("init", "--hooks-only", folder)
    backup = folder / ".claude" / BACKUP
    backup.unlink()
    os.mkfifo(backup)
    before = file.read_bytes()
    said = cli("init", "--undo", folder)
    assert (said.status, "this is not a file" in said.err) == (1, True)
    assert BACKUP in said.err
    assert file.read_bytes() == before


def test_settings_of_any_size_are_not_read(cli: Cli, folder: Path, file: Path) -> None:
    os.truncate(file, 1 << 40)
    said = cli("init", "--hooks-only", folder)
    assert (said.status, "is larger than" in said.err) == (1, True)


@pytest.mark.parametrize("there", [True, False])
def test_an_installation_with_the_stop_hook_alone_is_completed_and_undone(
    there: bool, cli: Cli, folder: Path, file: Path
) -> None:
    if not there:
        file.unlink()
    before = tree(folder)

    def as_the_first_version_did() -> None:
        hook = Hook(sys.executable, stop_hook.__file__)
        old = ODD.decode() if there else None
        text = settings.merged(old, hook, "x", settings.FIRST_EVENTS).text
        (folder / ".claude" / BACKUP).write_bytes(ODD if there else b"")
        file.write_bytes(text.encode())

    as_the_first_version_did()
    assert "as it was before" in cli("init", "--undo", folder).out
    as_the_first_version_did()
    assert "up to date" in cli("init", "--hooks-only", folder).out
    assert set(json.loads(file.read_text("utf-8-sig"))["hooks"]) == {"Stop", "SessionStart"}
    assert "as it was before" in cli("init", "--undo", folder).out
    left = tree(folder)
    left.pop(f".claude/{BACKUP}", None)
    assert left == before
