"""The person's login goes to the agent; what a session left in the environment does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.person import own_login


def write(folder: Path, value: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / "settings.json").write_text(text)


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDECODE",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP",
        "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS",
        "CLAUDE_CODE_NEW_IN_2030",
        "CLAUDE_PROJECT_DIR",
        "CLAUDE_ENV_FILE",
        "CLAUDE_PID",
        "ATTRACTOR_RUN_ID",
    ],
)
def test_what_an_outer_session_left_is_dropped(name: str) -> None:
    assert own_login({name: "x", "PATH": "/bin"}).env == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LANG",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_MODEL",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_SKIP_VERTEX_AUTH",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "AWS_PROFILE",
        "HTTPS_PROXY",
    ],
)
def test_a_login_and_a_choice_are_kept(name: str) -> None:
    assert own_login({name: "/nowhere"}).env == {name: "/nowhere"}


@pytest.mark.parametrize("variable", ["HOME", "CLAUDE_CONFIG_DIR"])
def test_a_login_in_the_users_settings_is_taken_over(variable: str, tmp_path: Path) -> None:
    folder = tmp_path / ".claude" if variable == "HOME" else tmp_path
    write(
        folder,
        {
            "apiKeyHelper": "/bin/key",
            "model": "opus",
            "env": {"ANTHROPIC_BASE_URL": "https://gateway", "AWS_REGION": "eu", "DEBUG": "1"},
            "hooks": {"Stop": []},
            "permissions": {"allow": ["Bash"]},
            "enabledPlugins": {"x": True},
        },
    )
    login = own_login({variable: str(tmp_path), "ANTHROPIC_BASE_URL": "https://old"})
    assert login.settings == {"apiKeyHelper": "/bin/key", "model": "opus"}
    assert login.env == {
        variable: str(tmp_path),
        "ANTHROPIC_BASE_URL": "https://gateway",
        "AWS_REGION": "eu",
    }


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"env": []}', "[" * 100_000])
def test_settings_that_cannot_be_read_count_as_none(text: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    login = own_login({"CLAUDE_CONFIG_DIR": str(tmp_path)})
    assert (login.env, login.settings) == ({"CLAUDE_CONFIG_DIR": str(tmp_path)}, {})


def test_settings_are_never_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / ".claude", {"apiKeyHelper": "/bin/evil"})
    write(tmp_path / "config", {"apiKeyHelper": "/bin/evil"})
    monkeypatch.chdir(tmp_path)
    assert own_login({}).settings == {}
    assert own_login({"CLAUDE_CONFIG_DIR": "config"}).settings == {}
