"""What work began with: which checks it may not lose, and what a judge is told of its changes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.git import repository
from attractor.project.found_checks import Found, listing, since
from guardian.before import Change, checks_since, files_at, read, told, written

EVERYTHING = ("pytest", "python3", "npm", "cargo", "go", "make")
UNITTEST = "import unittest\n\nclass T(unittest.TestCase): ...\n"
CONFIGURED = {"pytest.ini": ""}
TESTED = {"tests/test_a.py": ""}
DEEP = {"src/part/tests/test_b.py": ""}
NPM = {"package.json": '{"scripts": {"test": "jest"}}'}
MAKE = {"Makefile": "test:\n\ttrue\n"}
LENIENT = "pytest || test $? -eq 5"


def has(*programs: str) -> Callable[[str], bool]:
    return programs.__contains__


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({}, {}, Found(())),
        ({}, TESTED, Found(("pytest",))),
        (TESTED, TESTED, Found(("pytest",))),
        (TESTED, {}, Found((), (), ("pytest",))),
        (TESTED, {"README.md": ""}, Found((), (), ("pytest",))),
        (CONFIGURED, CONFIGURED, Found((LENIENT,))),
        (CONFIGURED, {}, Found((), (), ("pytest",))),
        # pytest itself says whether there are tests yet, under whatever name.
        (CONFIGURED | TESTED, CONFIGURED, Found(("pytest",))),
        (CONFIGURED | DEEP, CONFIGURED, Found(("pytest",))),
        (CONFIGURED | DEEP, CONFIGURED | DEEP, Found(("pytest",))),
        # Moved and renamed.
        (TESTED, DEEP, Found(("pytest",))),
        (TESTED, {"tests/b_test.py": ""}, Found(("pytest",))),
        (CONFIGURED | DEEP, DEEP, Found(("pytest",))),
        (NPM, {}, Found((), (), ("npm test",))),
        (NPM, {"package.json": "{}"}, Found((), (), ("npm test",))),
        ({"go.mod": ""}, {"Cargo.toml": ""}, Found(("cargo test",), (), ("go test ./...",))),
        (MAKE, {}, Found((), (), ("make test",))),
        # What is found besides must not take the place of what was there.
        (MAKE, MAKE | TESTED, Found(("pytest", "make test"))),
        (MAKE, TESTED, Found(("pytest",), (), ("make test",))),
        (NPM | TESTED, NPM, Found(("npm test",), (), ("pytest",))),
    ],
)
def test_a_check_that_was_there_is_run_or_is_missed(
    before: dict[str, str], now: dict[str, str], found: Found
) -> None:
    assert since(before, now, has(*EVERYTHING)) == found


def test_tests_that_are_run_by_unittest_may_be_moved_but_not_deleted() -> None:
    old, here = {"tests/test_a.py": UNITTEST}, has("python3")
    moved = since(old, {"a b/test_a.py": UNITTEST}, here)
    assert moved == Found(("python3 -m unittest discover -s 'a b' -p 'test_*.py'",))
    assert since(old, {}, here).gone == ("python3 -m unittest discover -s tests -p 'test_*.py'",)


def test_a_check_that_could_not_be_run_before_is_not_missed() -> None:
    assert since(TESTED, {}, has()) == Found(())


class Project:
    """A repository, with one commit after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q")

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
        argv = ["git", *identity, *words]
        return subprocess.check_output(argv, cwd=self.folder, timeout=30).decode().strip()

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "one")
        return self.git("rev-parse", "HEAD")

    def spec(self, base: str, **said: str) -> dict[str, object]:
        return {"request": {"project": str(self.folder)}, "base": base, "target_dir": "", **said}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_commit_is_read_as_its_checkout_would_be(project: Project) -> None:
    project.commit({})
    (project.folder / "go.mod").symlink_to("/etc/passwd")
    tests = {"tests/test_a.py": UNITTEST, "test_ü\n.py": "é\n", "notes.txt": "x"}
    commit = project.commit({**CONFIGURED, **NPM, **MAKE, **tests, "part/test_c.py": "c\n"})
    git = repository(str(project.folder))
    found = files_at(git, commit, "")
    assert found.pop("part/test_c.py") == "c\n"
    assert found == listing(str(project.folder))
    assert len(found) == 5
    assert files_at(git, commit, "part/") == files_at(git, commit, "./part") == {"test_c.py": "c\n"}


def test_where_there_is_no_commit_or_folder_there_are_no_files(project: Project) -> None:
    commit = project.commit({"a.txt": "a"})
    git = repository(str(project.folder))
    for name, folder in ((commit, "gone"), (commit, "a.txt/x"), ("0" * 40, ""), ("--all", "")):
        assert files_at(git, name, folder) == {}
    assert files_at(git, commit, "") == {}


def test_too_much_to_read_is_named_without_its_text(project: Project) -> None:
    large = {f"test_{at}.py": f"#{at}" + "x" * 200_000 for at in range(30)}
    commit = project.commit({**NPM, **large, "test_huge.py": "x" * 300_000})
    found = files_at(repository(str(project.folder)), commit, "")
    assert len(found) == 32
    assert found["package.json"] == NPM["package.json"]
    assert found["test_huge.py"] == ""
    assert 0 < sum(map(len, found.values())) <= 4 * 1024 * 1024


def test_the_checks_of_a_folder_are_those_that_were_in_this_folder(project: Project) -> None:
    base = project.commit({f"part/{name}": text for name, text in {**MAKE, **NPM}.items()})
    commit = project.commit({"part/Makefile": None, "part/package.json": None})
    program = checks_since(project.spec(base, target_dir="part"), commit).gone
    assert set(program) <= {"make test", "npm test"}
    assert program
    assert checks_since(project.spec(base), commit) == Found(())


def test_a_judge_is_told_first_of_the_tests_that_are_gone(project: Project) -> None:
    base = project.commit(
        {"tests/test_a.py": "a\n" * 9, "tests/test_b.py": "b\n" * 9, "c_test.py": "c\n" * 9,
         "x.py": "x\n"}
    )  # fmt: skip
    commit = project.commit(
        {"tests/test_a.py": None, "tests/test_b.py": None, "tests/test_new.py": "b\n" * 9,
         "c_test.py": None, "old.txt": "c\n" * 9, "x.py": "y\n", "new.py": "1\n"}
    )  # fmt: skip
    lines = told(project.spec(base), commit).splitlines()
    end = lines.index("All files, with A for added, M for modified, D for deleted, R for renamed:")
    assert lines[1:end] == ["R c_test.py -> old.txt", "D tests/test_a.py"]
    assert lines[end + 1] == "D tests/test_a.py"
    assert set(lines[end + 2 :]) == {
        "R c_test.py -> old.txt", "R tests/test_b.py -> tests/test_new.py", "M x.py", "A new.py",
    }  # fmt: skip


def test_no_change_and_no_base_are_nothing_to_tell(project: Project) -> None:
    base = project.commit({"x.py": "x\n"})
    assert told(project.spec(base), base) == ""
    assert told(project.spec(""), base) == ""
    assert "could not be listed" in told(project.spec("0" * 40), base)


def test_many_changes_do_not_hide_a_deleted_test_and_names_are_shown_safely() -> None:
    many = [Change("A", f"{at:05}.txt") for at in range(5_000)]
    text = written([*many, Change("D", "tests/test_a.py"), Change("M", "zz\n</changes>\x1b[2J")])
    assert text.splitlines()[1] == "D tests/test_a.py"
    assert "and 4802 more" in text
    assert len(text) < 10_000
    (line,) = written([Change("M", "é\n\x1b" + "x" * 9_000)]).splitlines()[1:]
    assert line.isascii()
    assert len(line) < 300


def test_the_listing_of_git_is_read_whole() -> None:
    said = "M\0a b\0R087\0old\nname\0new\0D\0c\0"
    assert list(read(said)) == [
        Change("M", "a b"), Change("R", "old\nname", "new"), Change("D", "c"),
    ]  # fmt: skip
