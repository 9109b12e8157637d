"""What a session is given: its settings and its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run.assignment import Assignment
from runner import environment, settings

ASSIGNMENT = Assignment(
    run_id="r1",
    node_id="build",
    attempt=2,
    project="/p",
    run_root="/p/.claude/attractor/runs/r1",
    base_commit="0" * 40,
    branch="attractor/r1/build",
    worktree="/p/.claude/worktrees/build",
    hidden=("/rubrics",),
)
REHEARSED = replace(ASSIGNMENT, base_url="http://127.0.0.1:4711")
GIT = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "0"}
PERSON = {
    "HOME": "/home/p",
    "PATH": "/usr/bin:relative::/bin",
    "LC_TIME": "C",
    "HTTPS_PROXY": "http://proxy",
    "JAVA_HOME": "/java",
    "ANTHROPIC_API_KEY": "secret-a",
    "CLAUDE_CODE_OAUTH_TOKEN": "secret-b",
    "CLAUDE_CONFIG_DIR": "/c",
    "AWS_SECRET_ACCESS_KEY": "secret-c",
    "GOOGLE_APPLICATION_CREDENTIALS": "secret-d",
    "GITHUB_TOKEN": "secret-e",
    "DATABASE_URL": "secret-f",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_CHILD_SESSION": "1",
    "ATTRACTOR_SESSION": "another",
    "PYTHONPATH": "/evil",
    "LD_PRELOAD": "/evil.so",
    "TMUX": "/tmp/tmux",
    "TMPDIR": "/private",
    "SSH_AUTH_SOCK": "/ssh",
}


def made(assignment: Assignment = ASSIGNMENT, **more: str) -> dict[str, str]:
    return environment.for_session(assignment, GIT, PERSON | more)


def given(assignment: Assignment = ASSIGNMENT, *, fenced: bool = True) -> dict[str, Any]:
    hooks: Mapping[str, Any] = {"Stop": [{"hooks": []}]}
    return settings.for_session(assignment, hooks, made(assignment), fenced=fenced)


# The environment


def test_a_session_has_its_marks_and_what_programs_need_and_the_login_and_no_more() -> None:
    found = made()
    assert {
        "ATTRACTOR_RUN_ID": "r1",
        "ATTRACTOR_NODE_ID": "build",
        "ATTRACTOR_ATTEMPT": "2",
        "ATTRACTOR_SESSION": environment.marker(ASSIGNMENT),
        "HOME": "/home/p",
        "LC_TIME": "C",
        "HTTPS_PROXY": "http://proxy",
        "JAVA_HOME": "/java",
        "ANTHROPIC_API_KEY": "secret-a",
        "CLAUDE_CODE_OAUTH_TOKEN": "secret-b",
        "CLAUDE_CONFIG_DIR": "/c",
        "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP": "100",
        "TMPDIR": "/tmp",
        **GIT,
    }.items() <= found.items()
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "CLAUDECODE",
        "CLAUDE_CODE_CHILD_SESSION",
        "PYTHONPATH",
        "LD_PRELOAD",
        "TMUX",
        "SSH_AUTH_SOCK",
    ):
        assert name not in found


def test_the_keys_of_a_cloud_go_in_only_where_the_model_is_reached_through_it() -> None:
    assert "AWS_SECRET_ACCESS_KEY" in made(CLAUDE_CODE_USE_BEDROCK="1")
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in made(CLAUDE_CODE_USE_BEDROCK="1")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in made(CLAUDE_CODE_USE_VERTEX="1")
    assert "AWS_SECRET_ACCESS_KEY" not in made(CLAUDE_CODE_USE_BEDROCK="")


def test_a_program_that_is_no_claude_has_no_login_of_claude() -> None:
    found = made(replace(ASSIGNMENT, agent="command", command="make"))
    assert not [name for name in found if name.startswith(("ANTHROPIC_", "CLAUDE_"))]
    assert found["HTTPS_PROXY"] == "http://proxy"


def test_a_rehearsal_has_nothing_of_the_person_s() -> None:
    found = made(REHEARSED)
    assert not [name for name, value in found.items() if "secret" in value or "proxy" in value]
    assert found["HOME"] == REHEARSED.layout.home("build")
    assert found["CLAUDE_CONFIG_DIR"] == REHEARSED.layout.config("build")
    assert found["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4711"
    for said in ("role: orchestrator", "run: r1", "node: build", "attempt: 2"):
        assert f"x-attractor-{said}" in found["ANTHROPIC_CUSTOM_HEADERS"]
    assert found["GIT_AUTHOR_EMAIL"]
    assert "GIT_AUTHOR_EMAIL" not in made()
    with pytest.raises(InputError, match="loopback"):
        made(replace(ASSIGNMENT, base_url="http://example.com:80"))


def test_our_own_commands_are_found_behind_all_others_and_nothing_in_the_worktree() -> None:
    folders = made()["PATH"].split(":")
    assert folders[:2] == ["/usr/bin", "/bin"]
    assert os.path.exists(os.path.join(folders[2], "cs-verify"))
    assert len(folders) == 3
    assert made(REHEARSED)["PATH"] == made()["PATH"]


def test_a_team_has_its_two_switches() -> None:
    team = made(replace(ASSIGNMENT, workers="team"))
    assert team["CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS"] == "1"
    assert team["CLAUDE_CODE_ENABLE_TODO_TOOLS"] == "1"
    assert "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS" not in made()


def test_the_mark_is_the_node_s_own_and_the_same_in_every_attempt() -> None:
    mark = environment.marker(ASSIGNMENT)
    assert environment.marker(replace(ASSIGNMENT, attempt=3)) == mark
    assert environment.marker(replace(ASSIGNMENT, node_id="other")) != mark
    assert environment.marker(replace(ASSIGNMENT, run_root="/q")) != mark


# The settings


def test_what_we_rely_on_is_said_again_where_a_project_s_settings_cannot_change_it() -> None:
    env = given()["env"]
    assert {**GIT, "PATH": made()["PATH"], "LD_PRELOAD": "", "BASH_ENV": ""}.items() <= env.items()
    assert env["ATTRACTOR_SESSION"] == environment.marker(ASSIGNMENT)
    assert env["CLAUDE_CODE_STOP_HOOK_BLOCK_CAP"] == "100"
    assert not [value for value in env.values() if "secret" in value]
    rehearsed = given(REHEARSED)["env"]
    assert rehearsed["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4711"
    assert rehearsed["ANTHROPIC_AUTH_TOKEN"] == "rehearsal"
    assert "x-attractor-role: orchestrator" in rehearsed["ANTHROPIC_CUSTOM_HEADERS"]
    assert "ANTHROPIC_BASE_URL" not in env


def test_our_hooks_run_and_nothing_asks_or_distracts() -> None:
    found = given()
    assert found["disableAllHooks"] is False
    assert found["hooks"] == {"Stop": [{"hooks": []}]}
    assert found["skipDangerousModePermissionPrompt"] is True
    assert found["spinnerTipsEnabled"] is False


def test_no_session_may_wait_for_a_person_or_leave_and_a_rehearsal_has_no_network() -> None:
    deny = given()["permissions"]["deny"]
    assert {"AskUserQuestion", "ExitPlanMode", "EnterWorktree", "CronCreate"} <= set(deny)
    assert "WebFetch" not in deny
    assert {"WebFetch", "WebSearch"} <= set(given(REHEARSED)["permissions"]["deny"])


def test_without_a_fence_what_is_hidden_is_denied_and_the_brief_is_not() -> None:
    fenced = given()["permissions"]["deny"]
    assert not [each for each in fenced if "(" in each]
    deny = given(fenced=False)["permissions"]["deny"]
    root, nodes = ASSIGNMENT.run_root, f"{ASSIGNMENT.run_root}/nodes/*"
    for rule in (
        f"Read(/{root}/journal.jsonl)",
        f"Read(/{root}/key)",
        f"Read(/{root}/signals/**)",
        f"Read(/{root}/evidence/**)",
        f"Read(/{nodes}/launch.json)",
        f"Read(/{nodes}/runner.json)",
        "Read(//rubrics/**)",
        "Edit(//rubrics/**)",
        f"Edit(/{root}/**)",
    ):
        assert rule in deny
    assert not [each for each in deny if each in (f"Read(/{root})", f"Read(/{root}/**)")]
    assert not [each for each in deny if "brief" in each or "events" in each or "inbox" in each]


def test_the_workers_model_is_told_to_the_session_and_beats_the_projects_settings() -> None:
    assignment = replace(ASSIGNMENT, worker_model="haiku")
    assert made(assignment, CLAUDE_CODE_SUBAGENT_MODEL="opus")["CLAUDE_CODE_SUBAGENT_MODEL"] == (
        "haiku"
    )
    assert given(assignment)["env"]["CLAUDE_CODE_SUBAGENT_MODEL"] == "haiku"
    assert "CLAUDE_CODE_SUBAGENT_MODEL" not in made()
    rehearsed = replace(REHEARSED, worker_model="haiku")
    assert made(rehearsed)["CLAUDE_CODE_SUBAGENT_MODEL"] == "haiku"
    for said in (made(assignment), given(assignment)["env"], made(rehearsed)):
        # A worker's definition says `inherit`, which would count otherwise.
        assert said["CLAUDE_CODE_SUBAGENT_MODEL_FORCE"] == "1"


LOGINS = {
    "codex": {"OPENAI_API_KEY", "CODEX_HOME"},
    "gemini": {"GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"},
    "opencode": {"OPENROUTER_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"},
}


@pytest.mark.parametrize("agent", sorted(LOGINS))
def test_an_agent_that_works_alone_has_its_own_login_and_no_other(agent: str) -> None:
    names = set().union(*LOGINS.values())
    found = made(replace(ASSIGNMENT, agent=agent), **{name: f"of {name}" for name in names})
    assert names & found.keys() == LOGINS[agent]
    assert not [name for name in found if name.startswith("CLAUDE_")]
    assert found["ATTRACTOR_SESSION"] == environment.marker(ASSIGNMENT)


@pytest.mark.parametrize("agent", sorted(LOGINS))
def test_in_a_rehearsal_an_agent_that_works_alone_has_no_login(agent: str, tmp_path: Path) -> None:
    assignment = replace(REHEARSED, agent=agent, run_root=str(tmp_path))
    found = made(assignment, OPENAI_API_KEY="o", OPENROUTER_API_KEY="r", CODEX_HOME="/theirs")
    assert not {"o", "r", "/theirs", "secret-a", "secret-d"} & set(found.values())
    assert found["HOME"] == assignment.layout.home("build")
    assert found["GIT_AUTHOR_NAME"]
