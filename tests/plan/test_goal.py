"""A goal is what a person says, or what their documents say; what cannot be one is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError, UsageError
from attractor.plan import goal


def _never(_: str) -> str:
    raise AssertionError("nobody should have been asked")


def test_what_is_said_comes_before_what_the_environment_says(tmp_path: Path) -> None:
    around = {goal.GOAL_VARIABLE: "Something else entirely"}
    assert goal.read("Greet people by name", (), around).text == "Greet people by name"
    assert goal.read("  ", (), around).text == "Something else entirely"


def test_a_goal_that_is_given_comes_before_that_of_a_document(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("## Goal\nSomething else entirely")
    found = goal.read("Greet people by name", [str(tmp_path / "notes.md")], {})
    assert found.text == "Greet people by name"


@pytest.mark.parametrize("said", ["", "  \n", "login", "Login!", "...", "a.b", "v2.0", "a / -"])
def test_a_goal_that_is_empty_or_one_word_is_refused_where_nobody_can_be_asked(said: str) -> None:
    with pytest.raises(UsageError) as refused:
        goal.read(said, (), {})
    assert refused.value.exit_status == 2
    assert "--goal" in refused.value.where


def test_a_person_is_asked_once_what_done_looks_like() -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return "a session lasts a day"

    found = goal.read("login", (), {}, ask)
    assert found.text == "login\n\na session lasts a day"
    assert questions == ["What does it look like when 'login' is done?"]


def test_one_who_says_nothing_to_it_is_refused() -> None:
    with pytest.raises(UsageError):
        goal.read("login", (), {}, lambda _: "  ")
    with pytest.raises(UsageError):
        goal.read("", (), {}, lambda _: "login")


def test_a_language_without_spaces_is_no_single_word() -> None:
    assert not goal.is_vague("\u521b\u5efa\u767b\u5f55\u9875\u9762")
    assert goal.is_vague("\u767b\u5f55")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# A\n\n## Goal\n\nGreet people.\n\n### How\n\nKindly.\n\n## Next\n\nNo.", "Greet people"),
        ("# A\n\n## objective ##\nGreet people.\n", "Greet people"),
        ("## Requirements\n\n- greet people\n\n# Else\nNo.", "- greet people"),
        ("## Requirements\n\nThe last.\n\n## Goal\n\nGreet people.\n", "Greet people"),
        ("```\n## Goal\nNot this one.\n```\n## Goal\nGreet people.\n", "Greet people"),
        ("## Goal\n\n## Goal\n\nGreet people.\n", "Greet people"),
        ("# Goal\n\nGreet people.\n\n# Next\nNo.", "Greet people"),
        ("#### Goals\nGreet people.\n## Next\nNo.", "Greet people"),
        ("## Goal:\nGreet people.\n", "Greet people"),
        ("## **Goal:** Greet people\nby name.\n## Next\nNo.", "Greet people\nby name."),
        ("A\n=\n\nGoal\n----\n\nGreet people.\n\nNext\n----\n\nNo.", "Greet people"),
        ("## Goal\n<!-- fill it in -->\n\n## Objective\nGreet people.\n", "Greet people"),
        ("## Goal\n<!-- in a\nline -->\nGreet people.\n", "Greet people"),
        ("## Goal\n\n### How\n\n## Objective\nGreet people.\n", "Greet people"),
        ("## Goal\n<!-- never closed\n\n## Objective\nGreet people.\n", "Greet people"),
    ],
)
def test_a_goal_that_is_not_given_is_taken_from_below_its_heading(
    text: str, wanted: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text(text)
    found = goal.read("", [str(tmp_path / "notes.md")], {}, _never).text
    assert found.startswith(wanted)
    assert "No." not in found


def test_of_documents_without_such_a_heading_it_is_said_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Goalkeepers\n\nNone.\n\nGoal of it\n----\nNone.\n")
    with pytest.raises(UsageError, match="below a heading Goal, Objective or Requirements") as no:
        goal.read("", [str(tmp_path / "notes.md")], {})
    assert "1 read" in no.value.problem
    assert "`## Goal`" in no.value.fix


def test_the_environment_names_documents_too(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("## Goal\nGreet people.")
    (tmp_path / "two.md").write_text("Kindly.")
    paths = os.pathsep.join([str(tmp_path / "one.md"), str(tmp_path / "two.md")])
    found = goal.read("", (), {goal.CONTEXT_VARIABLE: paths})
    assert [each.text for each in found.documents] == ["## Goal\nGreet people.", "Kindly."]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "No such file"),
        (b"\x89PNG\x00\x01", "no plain text"),
        (b"caf\xe9 au lait", "not UTF-8: byte 4"),
    ],
)
def test_a_document_that_cannot_be_read_is_named(
    data: bytes | None, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "context"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=problem) as refused:
        goal.read("Greet people", [str(path)], {})
    assert refused.value.where == str(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no plain file"):
        goal.read("Greet people", [str(tmp_path / "pipe")], {})


def test_a_huge_document_is_cut_between_two_characters_and_it_is_said_how_much_counts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "huge.md"
    path.write_text("x" + "\u00e4" * goal.MOST_OF_FILE)
    found = goal.read("Greet people", [str(path)], {})
    (document,) = found.documents
    assert document.text == "x" + "\u00e4" * (goal.MOST_OF_FILE // 2 - 1)
    size = path.stat().st_size
    assert found.notes == (f"{path}: its first {goal.MOST_OF_FILE} bytes of {size} are taken",)


def test_of_a_folder_the_text_files_are_taken_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("two")
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.txt").write_text("three")
    (tmp_path / "logo.png").write_bytes(b"\x00\x01")
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "d.md").write_text("four")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "sub" / "linked").symlink_to("/etc")
    (tmp_path / "sub" / "build").mkdir()
    os.mkfifo(tmp_path / "pipe")
    found = goal.read("Greet people", [str(tmp_path)], {})
    assert [each.text for each in found.documents] == ["one", "two", "three"]
    made = "left out: by its name it is made, not written; name it to have it"
    assert sorted(found.notes) == [
        f"{tmp_path}/link.md: left out: it is a link",
        f"{tmp_path}/logo.png: left out: this is no plain text",
        f"{tmp_path}/node_modules: {made}",
        f"{tmp_path}/pipe: left out: it is no plain file",
        f"{tmp_path}/sub/build: {made}",
        f"{tmp_path}/sub/linked: left out: it is a link",
    ]
    named = goal.read("Greet people", [str(tmp_path / "node_modules")], {})
    assert [each.text for each in named.documents] == ["four"]


def test_of_many_that_are_left_out_there_are_not_as_many_notes(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number}.md").symlink_to("/etc/passwd")
    *_, last = goal.read("Greet people", [str(tmp_path)], {}).notes
    assert last == "51 more notes"


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_folder_that_is_named_and_cannot_be_read_is_an_error_and_one_below_it_a_note(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "docs" / below
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    if not below:
        with pytest.raises(InputError, match="cannot be read: Permission denied") as refused:
            goal.read("Greet people", [str(tmp_path / "docs")], {})
        assert refused.value.where == str(closed)
        return
    notes = goal.read("Greet people", [str(tmp_path / "docs")], {}).notes
    assert f"{closed}: left out: it cannot be read: Permission denied" in notes


def test_all_documents_together_are_bounded_and_the_first_that_is_left_out_is_named(
    tmp_path: Path,
) -> None:
    for number in range(goal.MOST_FILES + 5):
        (tmp_path / f"{number:03}.md").write_text(f"number {number}")
    found = goal.read("Greet people", [str(tmp_path)], {})
    assert len(found.documents) == goal.MOST_FILES
    assert found.notes[-1].startswith(f"{tmp_path}/{goal.MOST_FILES:03}.md: left out")


def test_the_same_document_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    found = goal.read("Greet people", [str(tmp_path / "a.md"), str(tmp_path)], {})
    assert len(found.documents) == 1


def test_a_goal_that_is_a_whole_document_belongs_into_a_file() -> None:
    with pytest.raises(UsageError, match="more than"):
        goal.read("very " * goal.MOST_GOAL, (), {})


def test_a_goal_that_is_not_utf_8_is_refused_whoever_says_it() -> None:
    for said, ask in (("greet caf\udce9 people", _never), ("greet", lambda _: "caf\udce9")):
        with pytest.raises(UsageError, match="not UTF-8"):
            goal.read(said, (), {}, ask)


def test_a_name_of_any_bytes_is_told_so_that_it_can_be_written(tmp_path: Path) -> None:
    for name, data in ((b"caf\xe9.md", b"x"), (b"tea\xe9.md", b"\0")):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(data)
    found = goal.read("Greet people", [str(tmp_path)], {})
    told = [*(each.name for each in found.documents), *found.notes]
    assert "".join(told).encode()
    assert len(told) == 2
