"""What the other agents find around them leads to the scripted model, and nowhere else."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rehearsal import homes
from attractor.rehearsal.environment import agent_environment
from attractor.rehearsal.headers import Asker

URL = "http://127.0.0.1:4711"
ASKER = Asker("judge", "r 1", "n", 2)
BASE = f"{URL}/as/judge/=r%201/=n/2"
AGENTS = sorted(homes.HOMES)


def made(agent: str, home: Path) -> dict[str, str]:
    return agent_environment(agent, URL, str(home), asker=ASKER)


@pytest.mark.parametrize("agent", AGENTS)
def test_only_what_is_listed_goes_in(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = ("OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY", "HTTPS_PROXY", "CODEX_HOME")
    for name in theirs:
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("LANG", "C.UTF-8")
    env = made(agent, tmp_path)
    assert "the user's own" not in env.values()
    assert (env["HOME"], env["PATH"], env["LANG"]) == (str(tmp_path), "/somewhere", "C.UTF-8")
    assert env["TMPDIR"].startswith(str(tmp_path))
    assert Path(env["TMPDIR"]).is_dir()
    given = agent_environment(agent, f"{URL}/", str(tmp_path), asker=ASKER, path="/bin")
    assert given == env | {"PATH": "/bin"}


@pytest.mark.parametrize("agent", AGENTS)
def test_what_leaves_the_machine_is_led_to_the_scripted_model(agent: str, tmp_path: Path) -> None:
    env = made(agent, tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        assert env[name] == URL
    assert "127.0.0.1" in env["NO_PROXY"]


def addresses(agent: str, home: Path, env: Mapping[str, str]) -> list[str]:
    match agent:
        case "codex":
            said = tomllib.loads((home / ".codex/config.toml").read_text())
            provider = said["model_providers"][said["model_provider"]]
            assert (provider["wire_api"], env[provider["env_key"]]) == ("responses", "rehearsal")
            return [provider["base_url"].removesuffix("/v1")]
        case "gemini":
            for name in (
                str(home / ".gemini/settings.json"),
                env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"],
            ):
                said = json.loads(Path(name).read_text())
                assert said["security"] == {"auth": {"selectedType": "gemini-api-key"}}
            assert env["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
            return [env["GOOGLE_GEMINI_BASE_URL"], env["GOOGLE_VERTEX_BASE_URL"]]
        case _:
            said = json.loads(Path(env["OPENCODE_CONFIG"]).read_text())
            assert said["enabled_providers"] == list(said["provider"]) == ["anthropic"]
            assert said["model"].startswith("anthropic/")
            return [said["provider"]["anthropic"]["options"]["baseURL"].removesuffix("/v1")]


@pytest.mark.parametrize("agent", AGENTS)
def test_each_is_given_the_address_and_for_whom_it_asks(agent: str, tmp_path: Path) -> None:
    env = made(agent, tmp_path)
    assert set(addresses(agent, tmp_path, env)) == {BASE}


@pytest.mark.parametrize("agent", AGENTS)
def test_any_other_address_is_refused(agent: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a loopback address"):
        agent_environment(agent, "https://api.openai.com", str(tmp_path), asker=ASKER)
    assert not list(tmp_path.iterdir())


def test_an_agent_that_cannot_be_rehearsed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'other' cannot talk to the scripted model") as refused:
        made("other", tmp_path)
    assert "codex, gemini, opencode" in refused.value.fix


def test_what_an_administrator_forces_on_an_agent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = tmp_path / "managed.toml"
    home = replace(homes.codex(URL, "/h"), managed=(str(forced),))
    monkeypatch.setitem(homes.HOMES, "codex", lambda *_: home)
    assert made("codex", tmp_path)
    forced.write_text("")
    with pytest.raises(InputError, match="could lead a rehearsal away") as refused:
        made("codex", tmp_path)
    assert refused.value.where == str(forced)
