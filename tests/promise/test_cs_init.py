"""cs-init: what the shell has to export, and the state of a session."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest


def test_a_session_is_begun_as_in_the_original(project: Any, cs: Callable[..., Any]) -> None:
    said = cs("init", session=None)
    found = re.fullmatch(
        r'export CLAUDE_SESSION_ID="(session-\d{8}-\d{6}-\d+)"\n'
        r'export CLAUDE_SESSION_DIR="(.+)"\n',
        said.out,
    )
    assert found
    assert found[2] == str(project.state / "sessions" / found[1])
    link = project.state / "session-state.json"
    assert link.is_symlink()
    state = json.loads(link.read_text())
    assert (state["session_id"], state["max_iterations"]) == (found[1], 25)
    assert state["initiative"] is None


@pytest.mark.parametrize("name", ['my "own" $x', "Löschen/../x", "-", "a'b\nc`d`"])
def test_an_initiative_of_any_name_gives_valid_json_and_safe_exports(
    name: str, project: Any, cs: Callable[..., Any]
) -> None:
    said = cs("init", "--initiative", name, session=None)
    assert json.loads((project.state / "session-state.json").read_text())["initiative"] == name
    assert len(list((project.state / "sessions").iterdir())) == 1
    script = f'{said.out}printf %s "$CLAUDE_SESSION_DIR"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert (project.state / "sessions").samefile(f"{shell.stdout}/..")
    assert cs("init", "--show", "--json").json()["initiative"] == name


def test_the_exports_are_safe_in_a_folder_with_an_odd_name(
    project: Any, cs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = project.path / 'a "b" $(touch hit) `touch hit` \\ c'
    (odd / ".claude").mkdir(parents=True)
    monkeypatch.chdir(odd)
    script = cs("init", session=None).out + 'cd "$CLAUDE_SESSION_DIR"'
    subprocess.run(["/bin/sh", "-c", script], cwd=odd, check=True)
    assert not (odd / "hit").exists()


def test_inside_claude_code_the_session_keeps_its_id(project: Any, cs: Callable[..., Any]) -> None:
    inside = {"session": None, "CLAUDE_CODE_SESSION_ID": "0b5f-uuid"}
    first = cs("init", **inside)
    assert first.out.startswith('export CLAUDE_SESSION_ID="0b5f-uuid"\n')
    state = project.state / "session-state.json"
    changed = state.read_text().replace('"iteration": 1', '"iteration": 7')
    state.write_text(changed)
    assert cs("init", **inside).out == first.out
    assert state.read_text() == changed


def test_without_a_session_show_says_how_to_begin(cs: Callable[..., Any]) -> None:
    refused = cs("init", "--show", session=None)
    assert (refused.status, "cs-init" in refused.err) == (1, True)
    assert cs("init", "--initiative", " ").status == 1


def test_orphans_are_listed(cs: Callable[..., Any], make: Callable[..., str]) -> None:
    assert "No orphaned promises" in cs("init", "--check-orphans", session=None).out
    name = make()
    cs("promise", "--release", name)
    assert f"cs-promise --adopt {name}" in cs("init", "--check-orphans", session=None).out
    (orphan,) = cs("init", "--check-orphans", "--json").json()["orphans"]
    assert orphan["id"] == name
