"""The workers: ours, the project's and the person's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run.assignment import Assignment
from runner import crew
from signals.clock import SystemClock

GOOD = "---\nname: painter\ndescription: Paints.\n---\nYou paint.\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """`write(text, name=..., folder=...)`: a definition; returns its folder."""

    def make(text: str | bytes, name: str = "painter", folder: str = "project") -> str:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        (place / f"{name}.md").write_bytes(data)
        return str(place)

    return make


def assigned(tmp_path: Path, **fields: Any) -> Assignment:
    made = Assignment(
        run_id="r1",
        node_id="build",
        attempt=1,
        project=str(tmp_path),
        run_root=str(tmp_path / "run"),
        base_commit="0" * 40,
        branch="attractor/r1/build",
        worktree=str(tmp_path / ".claude" / "worktrees" / "build"),
    )
    return replace(made, **fields)


def test_ours_are_whole_and_fit_into_an_argument() -> None:
    found = crew.crew(crew.OURS, [crew.HERE])
    assert sorted(Path(crew.HERE).glob("*.md")) == [
        Path(crew.HERE) / f"{name}.md" for name in crew.OURS
    ]
    for each in found.values():
        assert each["model"] == "inherit"
        assert {"Read", "Edit", "Bash"} <= set(each["tools"])
        assert "Agent" not in each["tools"]  # workers do the work
        assert "Commit" in each["prompt"]
    assert json.loads(crew.as_argument(found)) == found
    assert len(crew.as_argument(found)) < 20_000


def test_the_project_comes_before_the_person_and_both_before_us(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    project = write("---\ndescription: Mine.\n---\nOf the project.", "worker")
    person = write("---\ndescription: Mine.\n---\nOf the person.", "worker", "person")
    write("---\ndescription: Mine.\n---\nOf the person.", "tdd-test-engineer", "person")
    folders = [project, person, crew.HERE]
    found = crew.crew(crew.OURS, folders)
    assert found["worker"]["prompt"] == "Of the project."
    assert found["tdd-test-engineer"]["prompt"] == "Of the person."
    assert found["frontend-dev-expert"]["prompt"].startswith("You build user interfaces.")
    assert crew.folders_of("/p", {"HOME": "/h"}) == [
        "/p/.claude/agents",
        "/h/.claude/agents",
        crew.HERE,
    ]
    assert crew.folders_of("/p", {"HOME": "/h", "CLAUDE_CONFIG_DIR": "/c"})[1] == "/c/agents"
    assert crew.folders_of("/p", {}) == ["/p/.claude/agents", crew.HERE]


def test_a_definition_is_taken_over_as_claude_code_takes_it(write: Callable[..., str]) -> None:
    text = (
        "---\r\nname: painter\r\ndescription: 'Paints: doors'\r\ntools: Read, Edit,\r\n"
        "disallowedTools: [Bash]\r\nmodel: opus\r\nmaxTurns: 7\r\nhooks: {Stop: []}\r\n"
        "color: red\r\n---\r\n\r\nYou paint.\r\n---\r\nStill you.\r\n"
    )
    found = crew.crew(["painter"], [write("\ufeff" + text)])["painter"]
    assert found == {
        "description": "Paints: doors",
        "prompt": "You paint.\r\n---\r\nStill you.",
        "tools": ["Read", "Edit"],
        "disallowedTools": ["Bash"],
        "model": "opus",
        "maxTurns": 7,
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("You paint.", "has no head"),
        ("---\nname: painter\ndescription: x\nYou paint.", "has no head"),
        ("---\n- a\n---\nx", "has no head"),
        ("---\nname: [\n---\nx", "is not YAML"),
        ("---\nname: !!python/object:os.system x\n---\nx", "is not YAML"),
        ("---\nname: other\ndescription: x\n---\nx", "says `name: other`"),
        ("---\nname: painter\n---\nx", "lacks a description"),
        ("---\ndescription: x\n---\n \n", "lacks a description, or a text"),
        ("---\ndescription: [x]\n---\nx", "lacks a description"),
        ("---\ndescription: x\ntools: 7\n---\nx", "'tools', which is not a list"),
        ("---\ndescription: x\ntools: [7]\n---\nx", "'tools', which is not a list"),
        ("---\ndescription: x\nmaxTurns: true\n---\nx", "'maxTurns', which is not a number"),
        ("---\ndescription: x\nmodel: 7\n---\nx", "'model', which is not a word"),
        (b"---\ndescription: \xff\n---\nx", "is not UTF-8"),
        ("---\ndescription: x\n---\n" + "x" * 70_000, "is larger than"),
        ("---\ndescription: " + "[" * 30_000 + "\n---\nx", "is not YAML"),
    ],
)
def test_a_definition_that_cannot_be_used_is_refused_by_its_place(
    write: Callable[..., str], text: str, problem: str
) -> None:
    folder = write(text)
    with pytest.raises(InputError, match=problem) as caught:
        crew.crew(["painter"], [folder])
    assert caught.value.where == f"{folder}/painter.md"


def test_a_worker_that_nobody_defines_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no worker 'painter'") as caught:
        crew.crew(["painter"], [str(tmp_path), crew.HERE])
    assert "tdd-test-engineer" in caught.value.fix
    assert f"{tmp_path}/NAME.md" in caught.value.fix


@pytest.mark.parametrize("name", ["../painter", "a/b", "", ".hidden", "x" * 101, "a:b", "a\0b"])
def test_a_name_that_would_lead_elsewhere_is_refused(write: Callable[..., str], name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        crew.crew([name], [write(GOOD)])


def test_definitions_that_do_not_fit_into_an_argument_are_refused(
    write: Callable[..., str],
) -> None:
    long = "---\ndescription: x\n---\n" + "x" * 60_000
    folder = write(long, "a")
    write(long, "b")
    assert crew.crew(["a"], [folder])
    with pytest.raises(InputError, match="120000 can be given"):
        crew.crew(["a", "b"], [folder])


def test_the_node_s_worker_is_loaded_beside_ours_in_a_child(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    (tmp_path / ".claude").mkdir()
    write(GOOD, folder=".claude/agents")
    found = crew.load(assigned(tmp_path, worker_type="painter"), {}, SystemClock())
    assert set(found) == {*crew.OURS, "painter"}
    assert set(crew.load(assigned(tmp_path), {}, SystemClock())) == set(crew.OURS)
    with pytest.raises(InputError, match="no worker 'plumber'"):
        crew.load(assigned(tmp_path, worker_type="plumber"), {}, SystemClock())


def test_a_skill_is_missing_unless_its_file_is_in_the_worktree(tmp_path: Path) -> None:
    one = assigned(tmp_path, skills=("doors", "hinges", "../doors"))
    for place in ("skills/doors", "doors"):
        folder = Path(one.worktree) / ".claude" / place
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text("x")
    assert crew.missing_skills(one) == ("hinges", "../doors")
