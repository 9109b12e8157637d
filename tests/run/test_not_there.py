"""Which reviewers and judges that are named cannot be had, and who does their work."""

from __future__ import annotations

from pathlib import Path

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.run import config
from attractor.run.not_there import not_there
from attractor.run.preflight import Finding
from attractor.run.run_preflight import work_settings


class Machine:
    """What is installed, and who is logged in."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._home = folder / "bin", folder / "home"
        self._bin.mkdir()
        self._home.mkdir()
        self.environ = {"PATH": str(self._bin), "HOME": str(self._home)}

    def install(self, name: str, *, login: bool = True) -> None:
        path = self._bin / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        if login:
            self.environ[{"codex": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}[name]] = "x"

    def findings(self, said: str, *, rehearsed: bool = False) -> list[Finding]:
        graph = build(parse(f"digraph g {{ {said}; a [shape=box]; b [shape=box]; }}"))
        found = [
            *not_there(
                work_settings(graph, config.load(None, {})),
                rehearsed=rehearsed,
                environ=self.environ,
            )
        ]
        assert all(each.fix and each.where and not each.fatal for each in found)
        return found

    def problems(self, said: str, *, rehearsed: bool = False) -> list[str]:
        return [each.problem for each in self.findings(said, rehearsed=rehearsed)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("said", ["", 'review="self"', 'review="self,claude"'])
@pytest.mark.parametrize("rehearsed", [True, False])
def test_where_nobody_else_is_named_there_is_nothing_to_say(
    machine: Machine, said: str, rehearsed: bool
) -> None:
    assert machine.findings(said, rehearsed=rehearsed) == []


def test_who_is_there_and_logged_in_is_not_named(machine: Machine) -> None:
    machine.install("codex")
    machine.install("gemini")
    assert machine.findings('review="self,codex,gemini"; judge_agent="gemini"') == []


@pytest.mark.parametrize(
    ("review", "stands_in"),
    [
        ("self,gemini,codex", "nobody stands in for them: the review by self is the only one"),
        ("gemini,codex", "the node's own agent stands in for them, in a fresh session"),
    ],
)
def test_who_is_not_installed_is_named_with_who_stands_in(
    machine: Machine, review: str, stands_in: str
) -> None:
    missing = "gemini is not installed, codex is not installed"
    assert machine.problems(f'review="{review}"') == [f"{missing}; {stands_in}"]


def test_the_next_that_is_there_stands_in(machine: Machine) -> None:
    machine.install("codex")
    assert machine.problems('review="self,gemini,codex"') == [
        "gemini is not installed; codex stands in for it"
    ]


def test_who_comes_later_than_one_that_is_there_is_hardly_missed(machine: Machine) -> None:
    machine.install("gemini")
    assert machine.problems('review="gemini,codex"') == [
        "codex is not installed; gemini is asked before it"
    ]


def test_who_shows_no_login_cannot_be_had(machine: Machine) -> None:
    machine.install("gemini", login=False)
    machine.install("codex")
    assert machine.problems('review="self,gemini,codex"') == [
        "gemini shows no login; codex stands in for it"
    ]


def test_in_a_rehearsal_claude_code_stands_in_and_a_login_is_not_needed(machine: Machine) -> None:
    machine.install("codex", login=False)
    assert machine.problems('review="self,codex,gemini"', rehearsed=True) == [
        "gemini is not installed; in this rehearsal Claude Code stands in for it"
    ]


@pytest.mark.parametrize("rehearsed", [True, False])
def test_a_judge_that_cannot_be_had_is_named(machine: Machine, rehearsed: bool) -> None:
    says = "in this rehearsal Claude Code stands in for it" if rehearsed else "nothing is judged"
    (found,) = machine.problems('judge_agent="gemini"', rehearsed=rehearsed)
    assert found.startswith("gemini is not installed, and it is to judge")
    assert says in found


def test_a_reviewer_of_another_package_is_not_known_to_be_missing(machine: Machine) -> None:
    assert machine.findings('review="self,theirs"') == []
