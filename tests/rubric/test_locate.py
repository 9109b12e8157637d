"""A rubric is found where it may be, and what agents could read is said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.rubric import locate
from attractor.rubric.locate import Place

PLACES = [
    "repo/acceptance-tests/PRD-X",
    "repo/pipelines/acceptance-tests/PRD-X",
    "project/acceptance-tests/PRD-X",
]
Git = Callable[..., None]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """`git("add", ...)`: in the folder `project`, which is a repository with one commit."""
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)

    def call(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=project, check=True, timeout=30)

    call("init", "-q")
    call("commit", "-q", "--allow-empty", "-m", "first")
    return call


def put(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text("prd_id: PRD-X\n")


def find(tmp_path: Path, given: str = "") -> Place:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    pipeline = str(tmp_path / "repo" / "pipelines" / "p.dot")
    return locate.find("PRD-X", pipeline, str(tmp_path / "project"), environ, given)


def findings(tmp_path: Path, place: Place) -> list[locate.Finding]:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    return locate.findings(place, "PRD-X", str(tmp_path / "project"), environ)


@pytest.mark.parametrize("at", range(len(PLACES)))
def test_the_first_place_that_has_one_counts(tmp_path: Path, at: int) -> None:
    for place in PLACES[at:]:
        put(tmp_path / place)
    assert find(tmp_path) == Place(str(tmp_path / PLACES[at]), exists=True)


def test_where_there_is_none_it_belongs_into_the_state_folder(tmp_path: Path) -> None:
    (tmp_path / PLACES[0]).mkdir(parents=True)  # without a manifest it is no rubric
    place = find(tmp_path)
    assert not place.exists
    assert Path(place.folder).is_relative_to(tmp_path / "state" / "attractor" / "rubrics")
    put(Path(place.folder))
    assert find(tmp_path) == Place(place.folder, exists=True)


def test_two_projects_of_one_name_have_two_places() -> None:
    environ = {"XDG_STATE_HOME": "/state"}
    first, second = (locate.state_place("P", f"/{each}/work", environ) for each in "ab")
    assert first != second


@pytest.mark.parametrize("state", ["", "relative"])
def test_a_state_folder_that_is_not_absolute_does_not_count(state: str) -> None:
    environ = {"XDG_STATE_HOME": state, "HOME": "/home/ada"}
    found = locate.state_place("P", "/work", environ)
    assert found.startswith("/home/ada/.local/state/attractor/rubrics/work-")


def test_the_folder_that_is_given_counts(tmp_path: Path) -> None:
    put(tmp_path / PLACES[0])
    assert find(tmp_path, str(tmp_path / "mine")) == Place(str(tmp_path / "mine"), exists=False)


def test_without_a_name_there_is_no_place(tmp_path: Path) -> None:
    assert locate.find("", "p.dot", str(tmp_path), {}) == Place("", exists=False)


def test_a_rubric_outside_of_the_project_is_well(tmp_path: Path, git: Git) -> None:
    put(tmp_path / PLACES[0])
    assert findings(tmp_path, find(tmp_path)) == []


def test_one_that_is_committed_in_the_project_is_fatal_and_the_fix_moves_it(
    tmp_path: Path, git: Git
) -> None:
    put(tmp_path / PLACES[2])
    git("add", ".")
    git("commit", "-q", "-m", "rubric")
    (found,) = findings(tmp_path, find(tmp_path))
    assert found.fatal
    command = found.fix.removeprefix("move it out: ").partition(";")[0]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    env |= {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(["sh", "-c", command], env=env, check=True, timeout=30, capture_output=True)
    assert find(tmp_path).exists
    assert find(tmp_path).folder.startswith(str(tmp_path / "state"))
    (left,) = findings(tmp_path, find(tmp_path))
    assert not left.fatal
    assert "history" in left.problem


def test_one_that_is_not_committed_is_a_warning(tmp_path: Path, git: Git) -> None:
    put(tmp_path / PLACES[2])
    (found,) = findings(tmp_path, find(tmp_path))
    assert (found.fatal, "mv " in found.fix) == (False, True)


def test_one_that_will_be_written_into_the_project_is_a_warning(tmp_path: Path, git: Git) -> None:
    (found,) = findings(tmp_path, find(tmp_path, str(tmp_path / "project" / "mine")))
    assert (found.fatal, "mv " in found.fix) == (False, False)


def test_a_project_that_is_no_repository_is_for_others_to_complain_about(tmp_path: Path) -> None:
    put(tmp_path / PLACES[2])
    assert findings(tmp_path, find(tmp_path)) == []


def test_the_project_is_the_checkout_that_one_stands_in(tmp_path: Path, git: Git) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    assert locate.project_of(str(inner)) == str(tmp_path / "project")
    assert locate.project_of(str(tmp_path)) == str(tmp_path)
