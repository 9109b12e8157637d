"""A rehearsal has an environment of its own, out of which nothing leads to a real API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.rehearsal import environment
from attractor.rehearsal.environment import rehearsal_environment, seed_config
from attractor.rehearsal.headers import Asker
from attractor.tools import find_claude

URL = "http://127.0.0.1:4711"


def test_only_what_is_listed_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "HTTPS_PROXY", "AWS_PROFILE"):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("LANG", "C.UTF-8")
    made = rehearsal_environment(
        URL, "/h", "/c", asker=Asker("judge", "r1", "a b"), path="/bin", extra={"MY": "1"}
    )
    assert "the user's own" not in made.values()
    assert made["ANTHROPIC_BASE_URL"] == URL
    assert made["ANTHROPIC_CUSTOM_HEADERS"] == Asker("judge", "r1", "a b").headers()
    assert (made["HOME"], made["CLAUDE_CONFIG_DIR"], made["PATH"]) == ("/h", "/c", "/bin")
    assert (made["LANG"], made["MY"]) == ("C.UTF-8", "1")
    assert made["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert ("IS_SANDBOX" in made) is (os.geteuid() == 0)


def test_the_path_is_the_user_s_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere")
    assert rehearsal_environment(URL, "/h", "/c")["PATH"] == "/somewhere"


@pytest.mark.parametrize(
    "url", [URL, "http://127.0.0.1:1/", "http://[::1]:80", "http://127.9.9.9:1"]
)
def test_an_address_of_this_machine_is_taken(url: str) -> None:
    assert rehearsal_environment(url, "/h", "/c")["ANTHROPIC_BASE_URL"] == url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com",
        "http://api.anthropic.com:80",
        "https://127.0.0.1:1",
        "http://127.0.0.1",
        "http://127.0.0.1:x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1@api.anthropic.com:80",
        "http://api.anthropic.com@127.0.0.1:80",
        "http://127.0.0.1.example.com:80",
        "http://localhost:80",
        "http://0.0.0.0:80",
        "http://10.0.0.1:80",
        "http://[::1:80",
        "127.0.0.1:80",
        "",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not a loopback address"):
        rehearsal_environment(url, "/h", "/c")
    with pytest.raises(InputError, match="not a loopback address"):
        environment.settings(url)


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_CUSTOM_HEADERS",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
        "HOME",
        "https_proxy",
        "AWS_REGION",
        "NODE_OPTIONS",
    ],
)
def test_what_could_lead_elsewhere_cannot_be_added(name: str) -> None:
    with pytest.raises(InputError, match=name):
        rehearsal_environment(URL, "/h", "/c", extra={name: "x"})


@pytest.mark.parametrize("name", ["CLAUDE_CODE_MAX_RETRIES", "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP"])
def test_how_a_session_behaves_can_be_changed(name: str) -> None:
    assert rehearsal_environment(URL, "/h", "/c", extra={name: "9"})[name] == "9"


@pytest.fixture
def sound() -> dict[str, Any]:
    """What a session is rightly started with."""
    environ = rehearsal_environment(URL, "/h", "/c", extra={"ATTRACTOR_NODE": "n"})
    return {"environ": environ, "given": environment.settings(URL), "managed": ()}


def test_what_our_settings_say_the_environment_says_too() -> None:
    asker = Asker("judge", "r")
    said = environment.settings(URL, asker)["env"]
    made = rehearsal_environment(URL, "/h", "/c", asker=asker)
    assert said == {name: made[name] for name in said}


def test_a_session_as_we_make_it_is_let_start(sound: dict[str, Any], tmp_path: Path) -> None:
    put(tmp_path / ".claude" / "settings.json", {"env": {"AWS_PROFILE": "dev"}, "model": "opus"})
    environment.refuse_real(**sound, folders=[str(tmp_path), str(tmp_path / "missing")])


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("part", ["environ", "settings"])
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ANTHROPIC_BASE_URL", "https://api.anthropic.com", "not a loopback address"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:1", "ANTHROPIC_BASE_URL could lead"),
        ("ANTHROPIC_AUTH_TOKEN", "sk-ant-real", "ANTHROPIC_AUTH_TOKEN is no rehearsal's"),
        ("ANTHROPIC_API_KEY", "sk-ant-real", "ANTHROPIC_API_KEY could lead"),
        ("CLAUDE_CODE_USE_BEDROCK", "1", "CLAUDE_CODE_USE_BEDROCK could lead"),
        ("https_proxy", "http://proxy:3128", "https_proxy could lead"),
    ],
)
def test_a_session_with_a_way_out_does_not_start(
    part: str, name: str, value: str, problem: str, sound: dict[str, Any]
) -> None:
    env = sound["environ"] if part == "environ" else sound["given"]["env"]
    env[name] = value
    with pytest.raises(InputError, match=problem) as caught:
        environment.refuse_real(**sound, folders=[])
    assert caught.value.fix


def test_a_session_whose_settings_were_forgotten_does_not_start(sound: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not a loopback address"):
        environment.refuse_real(sound["environ"], {}, [])


AWAY = [
    ({"env": {"ANTHROPIC_BEDROCK_BASE_URL": "https://b"}}, "ANTHROPIC_BEDROCK_BASE_URL in its"),
    ({"env": {"CLAUDE_CODE_USE_SOMETHING_NEW": 1}}, "CLAUDE_CODE_USE_SOMETHING_NEW in its `env`"),
    ({"env": {"CLAUDE_CODE_CUSTOM_OAUTH_URL": "https://b"}}, "CLAUDE_CODE_CUSTOM_OAUTH_URL"),
    ({"env": {"FTP_PROXY": "http://p"}}, "FTP_PROXY in its `env`"),
    ({"forceLoginMethod": "claudeai"}, "forceLoginMethod"),
]


@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
@pytest.mark.parametrize(("said", "problem"), AWAY)
def test_settings_of_the_project_that_ours_do_not_beat_are_refused(
    said: dict[str, Any], problem: str, name: str, sound: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / ".claude" / name
    put(path, said)
    with pytest.raises(InputError, match=problem) as caught:
        environment.refuse_real(**sound, folders=["/nowhere", str(tmp_path)])
    assert caught.value.where == str(path)
    assert "remove it" in caught.value.fix


@pytest.mark.parametrize(
    "said",
    [
        {"env": {"ANTHROPIC_BASE_URL": "https://b", "CLAUDE_CODE_USE_BEDROCK": "1"}},
        {"env": {"HTTPS_PROXY": "http://p", "http_proxy": "http://p"}, "apiKeyHelper": "vault"},
        {"env": {"ANTHROPIC_MODEL": "m", "ANTHROPIC_DEFAULT_OPUS_MODEL": "m", "NO_PROXY": "x"}},
        {"env": {"CLAUDE_CODE_USE_SOMETHING_NEW": "0"}},
    ],
)
def test_settings_of_the_project_that_ours_beat_or_that_lead_nowhere_are_let_be(
    said: dict[str, Any], sound: dict[str, Any], tmp_path: Path
) -> None:
    put(tmp_path / ".claude" / "settings.json", said)
    environment.refuse_real(**sound, folders=[str(tmp_path)])


@pytest.mark.parametrize("name", ["managed-settings.json", "managed-settings.d/10-proxy.json"])
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        *AWAY,
        ({"env": {"ANTHROPIC_BASE_URL": "https://b"}}, "ANTHROPIC_BASE_URL in its `env`"),
        ({"env": {"HTTPS_PROXY": "http://p"}}, "HTTPS_PROXY in its `env`"),
        ({"apiKeyHelper": "vault"}, "apiKeyHelper"),
    ],
)
def test_settings_of_the_administrator_beat_ours_and_so_are_refused(
    said: dict[str, Any], problem: str, name: str, sound: dict[str, Any], tmp_path: Path
) -> None:
    put(tmp_path / name, said)
    with pytest.raises(InputError, match=problem) as caught:
        environment.refuse_real(**{**sound, "managed": [str(tmp_path)]}, folders=[])
    assert caught.value.where == str(tmp_path / name)
    assert "administrator" in caught.value.fix


def test_the_administrator_s_settings_are_looked_for_where_claude_code_reads_them() -> None:
    assert "/etc/claude-code" in environment.MANAGED


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"\xff", b"[" * 100_000, b"{}" + b" " * 2_100_000, None]
)
def test_settings_that_cannot_be_checked_are_refused(
    data: bytes | None, sound: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / ".claude" / "settings.json"
    path.parent.mkdir()
    if data is None:
        os.mkfifo(path)
    else:
        path.write_bytes(data)
    with pytest.raises(InputError, match="these settings cannot be checked"):
        environment.refuse_real(**sound, folders=[str(tmp_path)])


def test_a_seeded_configuration_trusts_the_project_under_both_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    seed_config(str(tmp_path / "config"), str(tmp_path / "link"))
    state = json.loads((tmp_path / "config" / ".claude.json").read_text())
    assert state["hasCompletedOnboarding"] is True
    real = (tmp_path / "real").resolve()
    assert set(state["projects"]) == {str(tmp_path / "link"), str(real)}
    assert all(each["hasTrustDialogAccepted"] for each in state["projects"].values())
    settings = json.loads((tmp_path / "config" / "settings.json").read_text())
    assert settings == {"skipDangerousModePermissionPrompt": True}
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o700


def test_a_used_configuration_is_not_seeded_again(tmp_path: Path) -> None:
    (tmp_path / ".claude.json").write_text('{"oauthAccount": {}}')
    with pytest.raises(InputError, match="already a configuration"):
        seed_config(str(tmp_path), "/p")
    assert (tmp_path / ".claude.json").read_text() == '{"oauthAccount": {}}'


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder from which modules are imported, before all others."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def program(path: Path) -> str:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_bundled_claude_comes_before_the_one_on_the_path(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = program(packages / "claude_agent_sdk" / "_bundled" / "claude")
    (packages / "claude_agent_sdk" / "__init__.py").write_text("raise SystemExit\n")
    monkeypatch.delitem(sys.modules, "claude_agent_sdk", raising=False)
    installed = program(packages / "bin" / "claude")
    monkeypatch.setenv("PATH", str(packages / "bin"))
    assert find_claude() == bundled
    Path(bundled).unlink()
    assert find_claude() == installed
    Path(installed).unlink()
    assert find_claude() is None


def test_looking_for_claude_does_not_import_the_sdk() -> None:
    program = (
        "import sys; from attractor.tools import find_claude; find_claude()\n"
        "sys.exit('claude_agent_sdk' in sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", program], timeout=60, check=True)
