"""A plan appears whole or not at all, and in the place of nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.plan import write
from attractor.plan.model import Fault

FILES = {"x.dot": "digraph {}", "skills/a/SKILL.md": "do it"}


def test_a_plan_is_there_with_all_its_files_and_no_draft(tmp_path: Path, clock: Any) -> None:
    folder = tmp_path / "plans" / "x"
    write.publish(str(folder), FILES, {"plan": {}, "goal": "g"}, clock)
    assert (folder / "skills" / "a" / "SKILL.md").read_text() == "do it"
    assert write.load(str(folder))["goal"] == "g"
    assert os.listdir(folder.parent) == ["x"]


def test_a_plan_that_is_there_is_not_touched(tmp_path: Path, clock: Any) -> None:
    folder = tmp_path / "plans" / "x"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="there already"):
        write.publish(str(folder), FILES, {"plan": {}}, clock)
    assert list(folder.iterdir()) == []
    assert os.listdir(folder.parent) == ["x"]


def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr(write.atomic, "replace", full)
    with pytest.raises(InputError, match="full"):
        write.publish(str(tmp_path / "plans" / "x"), FILES, {"plan": {}}, clock)
    assert os.listdir(tmp_path / "plans") == []


def test_the_draft_of_one_who_was_killed_goes_an_hour_later(tmp_path: Path, clock: Any) -> None:
    old, new = tmp_path / ".old.draft", tmp_path / ".new.draft"
    for each, age in ((old, 3700), (new, 60)):
        each.mkdir()
        at = clock.wall_ns() / 1e9 - age
        os.utime(each, (at, at))
    write.publish(str(tmp_path / "x"), FILES, {"plan": {}}, clock)
    assert sorted(os.listdir(tmp_path)) == [".new.draft", "x"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = {"greet", "greet-2"}
    assert write.free_name("greet", taken.__contains__) == "greet-3"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Greet", "greet"),
        ("../../etc/passwd", "etc-passwd"),
        ("3 things", "plan-3-things"),
        ("\u767b\u5f55", "plan"),
        ("", "plan"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_name_is_one_folder_whatever_is_said(text: str, name: str) -> None:
    assert write.plain_name(text) == name


def test_what_is_refused_is_kept_with_the_reasons_and_never_overwritten(tmp_path: Path) -> None:
    fault = Fault("files", "a", "a names no files", "list them")
    folders = [write.put_aside(str(tmp_path), "{}", FILES, [fault]) for _ in range(2)]
    assert folders == [f"{write.rejected_folder(str(tmp_path))}/{each}" for each in (1, 2)]
    assert (
        Path(folders[1], "faults.txt").read_text() == "- a: a names no files. Instead: list them.\n"
    )
    assert Path(folders[1], "skills", "a", "SKILL.md").exists()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"plan": 3}'])
def test_what_is_no_plan_is_not_loaded(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / write.PLAN_FILE).write_text(text)
    with pytest.raises(InputError):
        write.load(str(tmp_path))
    assert write.of_plan(str(tmp_path / "x.dot")) == write.Origin()


def test_a_pipeline_knows_the_plan_that_it_is_of(tmp_path: Path, clock: Any) -> None:
    folder = str(tmp_path / "x")
    write.publish(folder, FILES, {"plan": {}, "goal": "Greet", "names": {"plan": "x"}}, clock)
    assert write.of_plan(f"{folder}/x.dot") == (folder, "Greet")
    assert write.of_plan(f"{folder}/other.dot") == ("", "")
