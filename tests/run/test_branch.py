from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attractor.run.branch import integration_branch, node_branch, run_folder

NAMES = st.one_of(st.text(max_size=8), st.text(alphabet="aAbB.%-/ino\u00e9", max_size=300))
AWKWARD = [
    "",
    ".",
    "..",
    "a..b",
    "a.lock",
    "a.",
    "-a",
    "@",
    "a@{1}",
    "a b",
    "a/b",
    "x~^:?*[\\",
    "\n\0\x7f",
    "\u00e9\U0001f600",
    "." * 500,
    "x" * 5000,
    "integration",
    "Integration",
]


def test_a_run_and_a_node_are_read_from_the_branch_where_their_names_are_plain() -> None:
    assert node_branch("r1", "add_login-form") == "attractor/r1/add_login-form"
    assert integration_branch("r1") == "attractor/r1/integration"
    assert run_folder("r1") == "attractor/r1"


@pytest.mark.parametrize("name", AWKWARD)
def test_git_accepts_the_branch_of_any_node(name: str) -> None:
    for branch in (node_branch(name, name), integration_branch(name)):
        git = ["git", "check-ref-format", "--branch", branch]
        done = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
        assert (done.returncode, done.stdout.rstrip("\n")) == (0, branch), done.stderr


@settings(deadline=None)
@given(NAMES)
@example("." * 190)
def test_a_name_becomes_one_part_with_room_for_a_lock_beside_it(name: str) -> None:
    home, run, node = node_branch("r", name).split("/")
    assert (home, run) == ("attractor", "r")
    assert 0 < len(f"{node}.lock") <= 255
    assert "." not in node


@settings(deadline=None)
@given(st.lists(NAMES, unique=True, min_size=2, max_size=6))
@example(["a.b", "a%2eb"])
@example(["integration", "%69ntegration", "Integration"])
@example(["." * 300, "." * 301])
@example(["a", "A"])
def test_no_two_branches_of_a_run_meet_even_where_case_is_ignored(names: list[str]) -> None:
    branches = [node_branch("r", name) for name in names] + [integration_branch("r")]
    assert len({branch.lower() for branch in branches}) == len(branches)
