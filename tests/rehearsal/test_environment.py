"""A rehearsal has an environment of its own, out of which nothing leads to a real API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rehearsal import environment
from attractor.rehearsal.environment import find_claude, rehearsal_environment, seed_config

URL = "http://127.0.0.1:4711"


def test_only_what_is_listed_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "HTTPS_PROXY", "AWS_PROFILE"):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("LANG", "C.UTF-8")
    made = rehearsal_environment(URL, "/h", "/c", role="judge", path="/bin", extra={"MY": "1"})
    assert "the user's own" not in made.values()
    assert made["ANTHROPIC_BASE_URL"] == URL
    assert made["ANTHROPIC_CUSTOM_HEADERS"] == "x-attractor-role: judge"
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


@pytest.mark.parametrize("role", ["", "a b", "a\nx-other: b", "ä", "a" * 129])
def test_a_role_that_is_no_header_value_is_refused(role: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a role"):
        rehearsal_environment(URL, "/h", "/c", role=role)


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
        "import sys; from attractor.rehearsal.environment import find_claude; find_claude()\n"
        "sys.exit('claude_agent_sdk' in sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", program], timeout=60, check=True)
