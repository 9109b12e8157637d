"""Agents are found by name, ours as everybody's."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from attractor.agents import claude_cli, claude_sdk, registry
from attractor.agents.answer import NotInstalledError
from attractor.errors import InputError


def test_ours_are_among_them() -> None:
    assert registry.find("claude") is claude_cli.ask
    assert registry.find("claude-sdk") is claude_sdk.ask


def test_an_unknown_agent_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NotInstalledError, match="no agent 'aider'") as caught:
        registry.find("aider")
    assert "claude, claude-sdk" in caught.value.fix


def plant(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = EntryPoints(EntryPoint(name, value, registry.GROUP) for name, value in points)
    monkeypatch.setattr(registry, "entry_points", found.select)


def test_another_package_can_bring_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ("mine", "attractor.agents.claude_cli:ask"))
    assert registry.names() == ["mine"]
    assert registry.find("mine") is claude_cli.ask


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ("claude", "one:ask"), ("claude", "two:ask"))
    with pytest.raises(InputError, match="several agents 'claude': one:ask, two:ask"):
        registry.find("claude")


def test_where_there_is_none_at_all_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(NotInstalledError) as caught:
        registry.find("claude")
    assert "install attractor again" in caught.value.fix


@pytest.mark.parametrize(
    ("module", "costly"),
    [
        ("attractor.agents.__main__", {"claude_agent_sdk", "pydantic", "asyncio", "jsonschema"}),
        ("attractor.agents.registry", {"claude_agent_sdk", "pydantic", "asyncio", "jsonschema"}),
        ("attractor.agents.claude_cli", {"claude_agent_sdk", "pydantic", "asyncio"}),
        ("attractor.agents.claude_sdk", {"claude_agent_sdk", "pydantic", "asyncio"}),
    ],
)
def test_nothing_costly_is_imported_before_it_is_needed(
    module: str, costly: set[str], tmp_path: Path
) -> None:
    program = f"import {module}, sys; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert costly & set(said.stdout.split()) == set()
