"""`attractor config show`: what counts, and where it came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.config import SETTINGS

DOT = """digraph p {
  stuck_after = "10m"
  start [shape=Mdiamond]
  work [label="w", cooldown_min="2m", cooldown_max="3h", checks="pytest -q"]
  start -> work
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with nothing in it, and a home without settings; we are inside of it."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "p.dot").write_text(DOT)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in SETTINGS:
        monkeypatch.delenv(f"ATTRACTOR_{name.upper()}", raising=False)
    return folder


def line(out: str, name: str) -> list[str]:
    return next(each.split(None, 2) for each in out.splitlines() if each.startswith(f"{name} "))


@pytest.mark.usefixtures("project")
def test_everything_is_shown_with_its_origin(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    (project / ".attractor.yaml").write_text("sandbox: required\n")
    monkeypatch.setenv("ATTRACTOR_MAX_ATTEMPTS", "5")
    said = cli("config", "show", "--pipeline", "p.dot", "--node", "work", "--set", "model=opus")
    assert said.status == 0
    assert line(said.out, "model")[1:] == ["opus", "command line (--set model)"]
    assert line(said.out, "max_attempts")[1:] == ["5", "environment ($ATTRACTOR_MAX_ATTEMPTS)"]
    assert line(said.out, "cooldown_min")[1:] == [
        "2m",
        "node attribute (the attribute cooldown_min)",
    ]
    assert line(said.out, "stuck_after")[1] == "10m"
    assert "graph attribute" in line(said.out, "stuck_after")[2]
    assert line(said.out, "sandbox")[1:] == [
        "required",
        f"project ({project}/.attractor.yaml:1:1)",
    ]
    assert line(said.out, "agent")[1:] == ["claude", "default"]
    assert said.out.count("\n") == len(SETTINGS) + 3
    assert "config.yaml (not there)" in said.out


@pytest.mark.usefixtures("project")
def test_the_document_says_the_same(cli: Callable[..., Any], project: Path) -> None:
    said = cli("config", "show", "--json", "--pipeline", "p.dot", "--node", "work").json()
    assert [each["name"] for each in said["settings"]] == list(SETTINGS)
    found = {each["name"]: each for each in said["settings"]}
    assert found["cooldown_max"] == {
        "name": "cooldown_max",
        "value": 10_800.0,
        "text": "3h",
        "source": "node attribute",
        "where": "the attribute cooldown_max",
        "variable": "ATTRACTOR_COOLDOWN_MAX",
        "about": SETTINGS["cooldown_max"].about,
    }
    assert found["checks"]["value"] == ["pytest -q"]
    assert said["files"][1] == {"path": f"{project}/.attractor.yaml", "exists": False}


@pytest.mark.usefixtures("project")
def test_one_setting_can_be_asked_for(cli: Callable[..., Any]) -> None:
    said = cli("config", "show", "stuck_after", "model")
    assert said.out == "stuck_after  5m  default\nmodel        -   default\n"


@pytest.mark.usefixtures("project")
def test_a_list_stays_in_its_line(cli: Callable[..., Any]) -> None:
    said = cli("config", "show", "checks", "--set", "checks=a\nb")
    assert said.out == "checks  a\\nb  command line (--set checks)\n"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["colour"], "there is no setting 'colour'"),
        (["--node", "work"], "--node names a node of a pipeline"),
        (["--pipeline", "p.dot", "--node", "wark"], "there is no node 'wark'"),
        (["--pipeline", "q.dot"], "There is no such file"),
        (["--set", "colour=red"], "there is no setting 'colour'"),
        (["--set", "model"], "is not NAME=VALUE"),
        (["--set", "stuck_after=soon"], "stuck_after cannot be 'soon'"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    cli: Callable[..., Any], arguments: list[str], message: str
) -> None:
    said = cli("config", "show", *arguments, "--json")
    assert said.status == 1
    assert message in said.json()["message"]
    assert said.json()["fix"]
    assert message in said.err


def test_a_broken_file_is_named_with_its_line(cli: Callable[..., Any], project: Path) -> None:
    (project / ".attractor.yaml").write_text("model: x\nsandbox: never\n")
    said = cli("config", "show")
    assert said.status == 1
    assert f"{project}/.attractor.yaml:2:1: sandbox cannot be 'never'" in said.err


def test_it_runs_as_a_process_of_its_own(attractor: Callable[..., Any], tmp_path: Path) -> None:
    said = attractor("config", "show", "agent", env={"HOME": str(tmp_path)})
    assert (said.status, said.out) == (0, "agent  claude  default\n")
