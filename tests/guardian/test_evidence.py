"""A quotation counts only where it stands, and looking it up leads nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian import evidence
from guardian.evidence import Quotation, look_up, record

CODE = """import os


def greet(name):
    return f'Hello, {name}!'


def other():
    return 1
"""
CHECKS = "status: green\n$ pytest -q\n2 passed\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "part" / "deep").mkdir(parents=True)
    (made / "hello.py").write_text(CODE)
    (made / "part" / "deep" / "x.txt").write_text("far below\n")
    (made / "part" / "hello.py").write_text("print('the other one')\n")
    (made / ".git").write_text("gitdir: /somewhere/else\n")
    (tmp_path / "secret").write_text("the key of the house\n")
    return made


def one(tree: Path, file: object, quote: object, line: object = 1, target: str = "") -> Quotation:
    given = [{"file": file, "line": line, "quote": quote}]
    (found,) = look_up(str(tree), target, CHECKS, given)
    return found


def test_a_quotation_that_stands_there_is_found_with_its_line(tree: Path) -> None:
    found = one(tree, "hello.py", "return f'Hello, {name}!'")
    assert (found.found, found.place) == (True, "hello.py:5")


@pytest.mark.parametrize(
    "quote",
    [
        "def greet(name):     return",
        "def\ngreet(name):\n\n\n  return",
        "  def greet(name):\r\n return ",
    ],
)
def test_white_space_does_not_matter(tree: Path, quote: str) -> None:
    assert one(tree, "hello.py", quote).place == "hello.py:4"


@pytest.mark.parametrize(
    ("hint", "line"), [(1, 5), (8, 9), (99, 9), ("x", 5), (None, 5), (True, 5)]
)
def test_the_line_is_a_hint_only(tree: Path, hint: object, line: int) -> None:
    assert one(tree, "hello.py", "return ", hint).why == ""
    assert one(tree, "hello.py", "return", hint).line == line


@pytest.mark.parametrize(
    ("file", "quote"),
    [
        ("hello.py", "return f'Hello, nobody!'"),
        ("hello.py", "RETURN 1"),
        ("hello.py", "import os def other"),
        ("hello.py", "def greet(na me)"),
        ("missing.py", "import os"),
        ("part", "anything"),
        ("", "import os"),
        ("checks", "3 passed"),
    ],
)
def test_what_does_not_stand_there_is_not_found(tree: Path, file: str, quote: str) -> None:
    assert not one(tree, file, quote).found


@pytest.mark.parametrize("quote", ["", "  ", "os", " o s ", "\u200b\u200b\u200b", "\0\0\0\0"])
def test_what_shows_fewer_than_three_characters_proves_nothing(tree: Path, quote: str) -> None:
    assert "too short" in one(tree, "hello.py", quote).why


@pytest.mark.parametrize(
    "given",
    [None, 1, "x", [], {}, {"file": "hello.py"}, {"quote": "import os"}, {"file": 1, "quote": 2}],
)
def test_what_is_no_quotation_is_not_found(tree: Path, given: object) -> None:
    (found,) = look_up(str(tree), "", CHECKS, [given])
    assert not found.found


def test_the_results_of_the_checks_can_be_quoted(tree: Path) -> None:
    assert one(tree, "checks", "2 passed").place == "checks:3"
    given = [{"file": "checks", "quote": "2 passed"}]
    assert not look_up(str(tree), "", "", given)[0].found


def test_a_file_that_is_called_checks_can_be_quoted_too(tree: Path) -> None:
    (tree / "checks").write_text("a file of the work\n")
    assert one(tree, "checks", "a file of the work").found


def test_a_path_counts_from_the_folder_of_the_work_or_from_the_top(tree: Path) -> None:
    assert one(tree, "hello.py", "the other one", target="part").file == "part/hello.py"
    assert one(tree, "part/hello.py", "the other one", target="part").file == "part/hello.py"
    assert one(tree, "../hello.py", "import os", target="part").file == "hello.py"
    assert one(tree, "./part//deep/x.txt", "far below").file == "part/deep/x.txt"
    assert one(tree, str(tree / "hello.py"), "import os").file == "hello.py"


@pytest.mark.parametrize(
    "file", ["../secret", "part/../../secret", "{}/secret", "/etc/passwd", "x\0y"]
)
def test_nothing_outside_of_the_tree_is_read(tree: Path, file: str) -> None:
    found = one(tree, file.format(tree.parent), "the key of the house")
    assert not found.found
    assert "tree" in found.why


@pytest.mark.parametrize("file", [".git", ".GIT", "part/.git/config"])
def test_what_is_gits_own_is_no_evidence(tree: Path, file: str) -> None:
    (tree / "part" / ".git").mkdir()
    (tree / "part" / ".git" / "config").write_text("gitdir: here\n")
    (tree / ".GIT").write_text("gitdir: here\n")
    assert "git's own" in one(tree, file, "gitdir:").why


def test_no_link_is_followed(tree: Path) -> None:
    (tree / "file").symlink_to(tree.parent / "secret")
    (tree / "folder").symlink_to(tree.parent)
    (tree / "inside").symlink_to("hello.py")
    for file in ("file", "folder/secret"):
        assert not one(tree, file, "the key of the house").found
    assert not one(tree, "inside", "import os").found


def test_a_pipe_without_a_writer_and_a_device_hold_nothing_up(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert one(tree, "pipe", "anything").why == "it is not a plain file"


def test_bytes_that_are_no_text_are_looked_through(tree: Path) -> None:
    (tree / "data").write_bytes(b"\xff\xfe\0\0 but here are words \x80\n")
    assert one(tree, "data", "here are words").found


def test_what_lies_beyond_the_bound_is_not_found(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "_MOST_BYTES", 100)
    (tree / "long").write_text("first\n" + "x" * 200 + "\nlast words\n")
    assert one(tree, "long", "first").found
    assert not one(tree, "long", "last words").found


def test_only_so_many_quotations_are_looked_up(tree: Path) -> None:
    many = [{"file": "hello.py", "quote": "import os"}] * 100
    assert len(look_up(str(tree), "", CHECKS, many)) == evidence.MOST_QUOTES


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_quotation_is_found_only_if_its_words_are_in_the_text(quote: str, text: str) -> None:
    (found,) = look_up("/nowhere", "", text, [{"file": "checks", "quote": quote}])
    if found.found:
        assert " ".join(quote.split()) in " ".join(text.split())


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=5))
def test_any_object_is_looked_up_without_failing(given: Any) -> None:
    assert not [
        each
        for each in look_up("/nowhere", given if isinstance(given, str) else "", "", given)
        if each.found
    ]


def kept(path: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Path(path).read_text())
    return value


def test_rounds_are_kept_one_after_another(tmp_path: Path) -> None:
    folder = str(tmp_path / "n" / "1")
    for number in range(3):
        parts: dict[str, dict[str, Any]] = {
            evidence.REPORT: {"score": number},
            evidence.SCORES: {"scenarios": []},
        }
        path = record(folder, {"task": f"t{number}", "round": number}, parts)
    said = kept(path)
    assert (said["round"], said["score"]) == (2, 2)
    assert [(each["round"], each["score"]) for each in said["earlier"]] == [(0, 0), (1, 1)]
    assert sorted(os.listdir(folder)) == [evidence.SCORES, evidence.REPORT]


def test_a_task_that_was_done_again_is_kept_once(tmp_path: Path) -> None:
    for score in (1, 2):
        path = record(str(tmp_path), {"task": "t"}, {evidence.REPORT: {"score": score}})
    assert (kept(path)["score"], kept(path)["earlier"]) == (2, [])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"earlier": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / evidence.REPORT).write_bytes(data)
    path = record(str(tmp_path), {"task": "t"}, {evidence.REPORT: {"score": 1}})
    assert (kept(path)["score"], kept(path)["earlier"]) == (1, [])


def test_the_oldest_is_left_out_when_it_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "_MOST_RECORD", 2_000)
    for number in range(10):
        path = record(str(tmp_path), {"task": number}, {evidence.REPORT: {"text": "x" * 500}})
    assert os.path.getsize(path) <= 2_000
    earlier = [each["task"] for each in kept(path)["earlier"]]
    assert earlier == [7, 8]
