"""Which checks a tree has: what is recognised, and what a missing program does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.project import found_checks
from attractor.project.found_checks import Found, detect, listing

EVERYTHING = ("pytest", "python3 -m pytest", "python3", "npm", "cargo", "go", "make")
UNITTEST = "import unittest\n\nclass T(unittest.TestCase): ...\n"


def has(*programs: str) -> Callable[[str], bool]:
    return programs.__contains__


@pytest.mark.parametrize(
    ("files", "checks"),
    [
        ({}, ()),
        ({"README.md": "pytest"}, ()),
        ({"pyproject.toml": "[project]\nname='x'"}, ()),
        ({"pyproject.toml": "[tool.pytest"}, ()),
        ({"pyproject.toml": "tool = 1"}, ()),
        ({"tests/test_a.py": ""}, ("pytest",)),
        ({"test_a.py": ""}, ("pytest",)),
        ({"test/a_test.py": ""}, ("pytest",)),
        ({"pytest.ini": ""}, ("pytest || test $? -eq 5",)),
        ({"setup.cfg": "[tool:pytest]\n"}, ("pytest || test $? -eq 5",)),
        (
            {"pyproject.toml": "[tool.pytest.ini_options]\nx = 1"},
            ("pytest || test $? -eq 5",),
        ),
        ({"pytest.ini": "", "tests/test_a.py": ""}, ("pytest",)),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, ("npm test",)),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}'}, ()),
        ({"package.json": '{"scripts": {"test": " "}}'}, ()),
        ({"package.json": '{"scripts": {"build": "x"}}'}, ()),
        ({"package.json": '{"scripts": []}'}, ()),
        ({"package.json": "["}, ()),
        ({"package.json": "[" * 100_000}, ()),
        ({"Cargo.toml": ""}, ("cargo test",)),
        ({"go.mod": ""}, ("go test ./...",)),
        ({"Makefile": "all: x\ntest: all\n\ttrue\n"}, ("make test",)),
        ({"Makefile": "test := 1\ntested: x\n"}, ()),
        ({"Makefile": "test: x\n", "go.mod": ""}, ("go test ./...",)),
        (
            {"tests/test_a.py": "", "package.json": '{"scripts": {"test": "x"}}'},
            ("pytest", "npm test"),
        ),
    ],
)
def test_what_a_tree_says_is_recognised(files: dict[str, str], checks: tuple[str, ...]) -> None:
    assert detect(files, has(*EVERYTHING)) == Found(checks)


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"package.json": '{"scripts": {"test": "x"}}'}, "npm"),
        ({"Cargo.toml": ""}, "cargo"),
        ({"go.mod": ""}, "go"),
        ({"Makefile": "test:\n"}, "make"),
        ({"tests/test_a.py": "import pytest"}, "pytest"),
        ({"tests/test_a.py": "def test_it(): ..."}, "pytest"),
        ({"tests/test_a.py": UNITTEST, "tests/test_b.py": "def test_it(): ..."}, "pytest"),
        ({"tests/test_a.py": UNITTEST, "pytest.ini": ""}, "pytest"),
    ],
)
def test_a_program_that_is_missing_is_a_note_and_no_check(
    files: dict[str, str], program: str
) -> None:
    found = detect(files, has("python3"))
    assert found.checks == ()
    (note,) = found.notes
    assert f"no {program} on this machine: it is not checked" in note


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("tests/test_a.py", "python3 -m unittest discover -s tests -p 'test_*.py'"),
        ("test_a.py", "python3 -m unittest discover -p 'test_*.py'"),
        ("test/a_test.py", "python3 -m unittest discover -s test -p '*_test.py'"),
    ],
)
def test_without_pytest_plain_unittests_are_run_by_unittest(path: str, command: str) -> None:
    assert detect({path: UNITTEST}, has("python3")) == Found((command,))


def test_pytest_as_a_module_is_as_good_as_the_program() -> None:
    found = detect({"test_a.py": "import pytest"}, has("python3", "python3 -m pytest"))
    assert found == Found(("python3 -m pytest",))


def test_a_listing_has_the_files_that_say_something_and_follows_no_link(tmp_path: Path) -> None:
    for name in ("tests/test_a.py", "tests/deep/test_b.py", "src/test_c.py", "a_test.py", "b.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "go.mod").symlink_to(tmp_path / "b.py")
    os.mkfifo(tmp_path / "Makefile")
    (tmp_path / "package.json").mkdir()
    (tmp_path / "test").symlink_to(tmp_path / "src")
    (tmp_path / "pyproject.toml").write_bytes(b"\xff" * 10)
    assert listing(str(tmp_path)) == {
        "Makefile": "",
        "a_test.py": "a_test.py",
        "pyproject.toml": "\ufffd" * 10,
        "tests/test_a.py": "tests/test_a.py",
    }


def test_a_program_is_there_when_the_path_has_it_and_no_folder_of_the_tree_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cargo"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "Cargo.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for folder, checks in ((f".:{os.sep}nowhere", ()), (str(tmp_path), ("cargo test",))):
        monkeypatch.setenv("PATH", folder)
        assert found_checks.found_checks(str(tmp_path)).checks == checks


@pytest.mark.parametrize(("status", "there"), [(0, True), (1, False)])
def test_a_module_is_there_when_its_python_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, there: bool
) -> None:
    program = tmp_path / "python3"
    program.write_text(f'#!/bin/sh\ntest "$*" = "-m pytest --version" || exit 9\nexit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert found_checks.is_there("python3 -m pytest") is there


@pytest.mark.timeout(30)
def test_a_test_of_nothing_but_empty_lines_is_read_in_time() -> None:
    text = "\n" * found_checks.MOST_BYTES
    found = detect({"test_a.py": text}, lambda program: program == "python3")
    assert found.checks == ()
