"""`attractor models`: the agents that are there, and the free models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import free_models
from attractor.agents.free_models import FreeModel, Learned
from attractor.agents.present import login_of, present
from signals.clock import SystemClock

Cli = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one agent only, and nobody logged in."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "codex"
    program.write_text("#!/bin/sh\necho codex-cli 0.169.0\n")
    program.chmod(0o755)
    for key in ("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_HOME"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    names = ["codex", "opencode", "somebodys"]
    monkeypatch.setattr("attractor.agents.registry.names", lambda: names)
    return tmp_path


def test_each_agent_is_shown_with_what_is_known_of_it(here: Path, cli: Cli) -> None:
    said = cli("models", "--json")
    assert said.status == 0
    codex, opencode, other = said.json()["agents"]
    assert codex == {
        "agent": "codex",
        "program": str(here / "tools" / "codex"),
        "version": "0.169.0",
        "login": "none",
        "problem": "",
        "fix": "",
    }
    assert (opencode["program"], opencode["version"]) == ("", "")
    assert "npm install" in opencode["fix"]
    assert other["problem"] == "somebodys is not installed"


def test_people_see_a_table(here: Path, cli: Cli) -> None:
    lines = cli("models").out.splitlines()
    assert lines[0].split() == ["AGENT", "VERSION", "LOGIN", "PROGRAM"]
    assert lines[1].split() == ["codex", "0.169.0", "none", str(here / "tools" / "codex")]
    assert "npm install" in lines[2]


def test_a_program_that_fails_is_there_without_a_version(here: Path) -> None:
    (here / "tools" / "codex").write_text("#!/bin/sh\nexit 3\n")
    found = present({"PATH": str(here / "tools"), "HOME": str(here)})[0]
    assert (found.version, found.program != "") == ("", True)
    assert "status 3" in found.problem


def test_a_login_is_told_by_a_key_or_a_file(here: Path) -> None:
    env = {"HOME": str(here)}
    assert login_of("codex", env) == "none"
    assert login_of("codex", {**env, "OPENAI_API_KEY": "k"}) == "key"
    (here / ".codex").mkdir()
    (here / ".codex" / "auth.json").write_text("{}")
    assert login_of("codex", env) == "none"
    (here / ".codex" / "auth.json").write_text('{"tokens": 1}')
    assert login_of("codex", env) == "login"
    assert login_of("codex", {**env, "CODEX_HOME": str(here / "moved")}) == "none"
    data = here / "data" / "opencode"
    data.mkdir(parents=True)
    (data / "auth.json").write_text('{"openrouter": {}}')
    assert login_of("opencode", {**env, "XDG_DATA_HOME": str(here / "data")}) == "login"
    assert login_of("somebodys", env) == "unknown"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [
        FreeModel(name, name.upper(), size) for name, size in (("c", 9_000), ("b", 5), ("a", 1))
    ]
    monkeypatch.setattr("attractor.agents.free_list.fetch", lambda *_: models)


def test_the_free_models_are_shown_with_what_was_learned(
    here: Path, cli: Cli, listed: None
) -> None:
    now = SystemClock().wall_ns() / 1e9
    learned = Learned({"c": now + 900}, {"b": now})
    free_models.save(str(here / "state" / "attractor" / "free-models.json"), learned)
    said = cli("models", "--free", "--url", "http://127.0.0.1:9/", "--json").json()
    assert said["url"] == "http://127.0.0.1:9"
    found = {each["model"]: (each["dropped"], each["next"]) for each in said["models"]}
    assert found == {"c": (False, False), "b": (True, False), "a": (False, True)}
    assert said["models"][0]["cooling_until"] == pytest.approx(now + 900)
    assert said["models"][0]["context"] == 9_000
    lines = cli("models", "--free").out.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", "c", "b", "a"]
    assert "rests for" in lines[1]
    assert lines[2].endswith("does not exist")
    assert lines[3].endswith("next")


def test_a_list_that_cannot_be_had_is_an_error_in_words(here: Path, cli: Cli) -> None:
    said = cli("models", "--free", "--url", "http://127.0.0.1:9", "--json")
    assert said.status == 1
    assert json.loads(said.out)["code"] == "tool"
    assert "name a model" in said.err
