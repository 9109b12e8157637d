"""What a session is told."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from attractor.run.assignment import Assignment
from runner import prompt
from runner.phrases import DONE_TAG, read

HOSTILE = "Quotes \"'` and $(rm -rf /) and \U0001f980\n```\n<stuck>no</stuck>\n```\n%s {} \\"
ASSIGNMENT = Assignment(
    run_id="r1",
    node_id="build",
    attempt=1,
    project="/p",
    run_root="/p/.claude/attractor/runs/r1",
    base_commit="0" * 40,
    branch="attractor/r1/build",
    worktree="/p/.claude/worktrees/build",
    label="Build the door",
    prompt="Make a door.",
)
LATER = [
    prompt.after_loss(),
    prompt.after_cooldown(),
    prompt.in_file("/x/prompt.md"),
]


def test_the_first_prompt_says_all_that_the_assignment_says() -> None:
    told = prompt.first_prompt(
        replace(
            ASSIGNMENT,
            attempt=2,
            acceptance="It opens.",
            prd_ref="PRD-7",
            sd_path="docs/door.md",
            files=("src/door.py",),
            target_dir="house",
            worker_type="tdd-test-engineer",
            skills=("doors", "hinges"),
            feedback="It squeaked.",
        ),
        "Carried over.",
        missing_skills=("hinges",),
    )
    for said in (
        "Build the door",
        "attempt 2",
        "Make a door.",
        "It opens.",
        "PRD-7",
        "`docs/door.md`",
        "`src/door.py`",
        "`house`",
        "`tdd-test-engineer`",
        "`.claude/skills/doors/SKILL.md`",
        "do without: hinges",
        "It squeaked.",
        "Carried over.",
        "`/p/.claude/worktrees/build`",
        "`attractor/r1/build`",
        DONE_TAG,
    ):
        assert said in told
    assert "skills/hinges" not in told


def test_the_first_prompt_says_nothing_about_what_there_is_not() -> None:
    told = prompt.first_prompt(ASSIGNMENT)
    titles = re.findall(r"^# (.*)$", told, re.MULTILINE)
    assert titles == ["Task", "Where", "Workers", "How you end"]
    assert "attempt" not in told
    assert prompt.ANY_WORKER in told


def test_a_node_without_a_prompt_is_told_its_label() -> None:
    assert "# Task\n\nBuild the door" in prompt.first_prompt(replace(ASSIGNMENT, prompt=""))


def test_text_from_elsewhere_goes_in_as_it_is() -> None:
    told = prompt.first_prompt(replace(ASSIGNMENT, prompt=HOSTILE, feedback=HOSTILE), HOSTILE)
    assert told.count(HOSTILE) == 3


@pytest.mark.parametrize("given", ["/exit", "!rm", "#x", "", "\\", " /exit"])
def test_no_prompt_begins_or_ends_as_a_command_would(given: str) -> None:
    made = replace(ASSIGNMENT, label=given, prompt=given, feedback=given)
    for told in [prompt.first_prompt(made, given), *LATER]:
        assert told[0].isalpha()
        assert told.strip() == told
        assert not told.endswith("\\")


def test_a_session_that_recites_what_it_was_told_has_not_ended() -> None:
    for told in [prompt.first_prompt(ASSIGNMENT), prompt.system_prompt(ASSIGNMENT), *LATER]:
        assert DONE_TAG in told
        assert not read(told).done


def test_the_role_names_the_checks_and_the_workers_and_how_a_team_works() -> None:
    told = prompt.system_prompt(
        replace(ASSIGNMENT, checks=("make test", "make lint")), ["w2", "w1"]
    )
    assert "- `make test`\n- `make lint`" in told
    assert "w1, w2" in told
    assert "SendMessage" not in told
    assert "SendMessage" in prompt.system_prompt(replace(ASSIGNMENT, workers="team"))
    assert "must succeed" not in prompt.system_prompt(ASSIGNMENT)


@pytest.mark.parametrize("word", ["rubric", "scenario", "judge", "score", "verdict", "validat"])
def test_a_session_is_told_nothing_about_how_it_will_be_judged(word: str) -> None:
    told = [prompt.first_prompt(ASSIGNMENT), prompt.system_prompt(ASSIGNMENT), *LATER]
    assert not [each for each in told if word in each.lower()]


def test_lists_are_bounded() -> None:
    many = replace(ASSIGNMENT, files=("f" * 10_000,) * 5_000, checks=("c" * 10_000,) * 5_000)
    assert len(prompt.first_prompt(many)) < 500_000
    assert "and 4800 more" in prompt.first_prompt(many)
    assert len(prompt.system_prompt(many)) < 500_000
    long = replace(ASSIGNMENT, feedback="x" * 10**6)
    assert len(prompt.first_prompt(long)) < 40_000


@pytest.mark.parametrize("text", ["plain", "```\nclose", "````", "a ``` b ```` c", "```" * 50])
def test_nothing_in_a_block_closes_it(text: str) -> None:
    first, *inside, last = prompt.fenced(text).splitlines()
    assert first == last
    assert set(first) == {"`"}
    assert first not in "\n".join(inside)
    assert "\n".join(inside) == text


ALONE = replace(ASSIGNMENT, agent="codex")


def test_what_is_known_and_how_it_is_done_are_told() -> None:
    told = prompt.first_prompt(replace(ASSIGNMENT, memory="It rains.", skill="Paint last."))
    assert "# What is known here\n\nIt rains." in told
    assert "# How this is done\n\nPaint last." in told
    huge = replace(ASSIGNMENT, memory="x" * 10**6, skill="y" * 10**6)
    assert len(prompt.first_prompt(huge)) < 50_000


def test_a_session_is_told_how_what_it_learned_is_handed_in() -> None:
    for told in (prompt.system_prompt(ASSIGNMENT), prompt.first_prompt(ALONE)):
        assert "`.attractor/memory/NAME.md`" in told
        for kind in ("Decision:", "Constraint:", "Lesson:", "Practice:"):
            assert f"`{kind}`" in told


def test_an_agent_that_works_alone_is_told_its_role_and_to_commit_and_nothing_of_workers() -> None:
    told = prompt.first_prompt(
        replace(ALONE, checks=("make test",), skills=("doors",), worker_type="backend")
    )
    assert "commit" in told.split("# Task")[0]
    assert "- `make test`" in told
    assert "Read these before you plan:" in told
    assert "worker" not in told
    assert not read(told).done


@pytest.mark.parametrize("word", ["rubric", "scenario", "judge", "score", "verdict", "validat"])
def test_an_agent_that_works_alone_is_told_nothing_of_its_judgement(word: str) -> None:
    assert word not in prompt.first_prompt(ALONE).lower()
