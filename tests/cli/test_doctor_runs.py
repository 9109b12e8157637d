"""`attractor doctor` says what a run would lack here, and which runs were left behind."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attractor import tools, tripwire
from attractor.run import trust
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout, run_layout
from attractor.run.request import Request, dump
from signals.owner import Owner
from signals.sign import new_key, write_key

Ask = Callable[[], tuple[int, dict[str, list[dict[str, str]]]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CLAUDE_CONFIG_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(made))
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "project"
    (made / ".git").mkdir(parents=True)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def ask(cli: Callable[..., Any], home: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setattr(tripwire, "examine", list)
    monkeypatch.setattr(tools, "version", lambda *_, **__: "9.9.9")

    def call() -> tuple[int, dict[str, list[dict[str, str]]]]:
        said = cli("doctor", "--json")
        found: dict[str, list[dict[str, str]]] = {}
        for check in said.json()["checks"]:
            found.setdefault(check["name"], []).append(check)
        return said.status, found

    return call


def one(found: tuple[int, dict[str, list[dict[str, str]]]], name: str) -> dict[str, str]:
    (check,) = found[1][name]
    return check


def test_a_login_that_nothing_shows_is_a_warning(ask: Ask, home: Path) -> None:
    check = one(ask(), "login")
    assert (check["level"], "log in" in check["fix"]) == ("warn", True)
    (home / ".claude.json").write_text(json.dumps({"oauthAccount": {"x": 1}}))
    assert one(ask(), "login")["level"] == "ok"


def test_a_project_that_is_not_trusted_is_a_warning_with_the_command(
    ask: Ask, home: Path, project: Path
) -> None:
    check = one(ask(), "trust")
    # Without a configuration of its own there is nowhere to write it.
    assert (check["level"], check["fix"]) == ("warn", "run `claude` here once and accept")
    (home / ".claude.json").write_text("{}")
    check = one(ask(), "trust")
    assert (check["level"], "attractor init --trust" in check["fix"]) == ("warn", True)
    trust.accept(str(project), {"HOME": str(home)})
    assert one(ask(), "trust")["level"] == "ok"


def test_outside_of_a_repository_no_run_can_start(ask: Ask, project: Path) -> None:
    assert one(ask(), "project") == {
        "name": "project",
        "level": "ok",
        "message": str(project.resolve()),
        "fix": "",
    }
    (project / ".git").rmdir()
    found = ask()
    assert (one(found, "project")["level"], "git init" in one(found, "project")["fix"]) == (
        "warn",
        True,
    )
    assert "trust" not in found[1]


def test_settings_that_cannot_be_read_fail_with_their_place(ask: Ask, project: Path) -> None:
    (project / ".attractor.yaml").write_text("model: opus\n")
    assert one(ask(), "settings")["message"] == "model"
    (project / ".attractor.yaml").write_text("\nmodle: opus\n")
    found = ask()
    assert (found[0], one(found, "settings")["level"]) == (1, "fail")
    assert ".attractor.yaml:2:1: " in one(found, "settings")["message"]
    assert "did you mean model" in one(found, "settings")["fix"]


def test_a_place_for_rubrics_that_cannot_be_written_fails(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one(ask(), "rubrics")["level"] == "ok"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    found = ask()
    assert (found[0], one(found, "rubrics")["level"]) == (1, "fail")
    assert "XDG_STATE_HOME" in one(found, "rubrics")["fix"]


def test_a_disk_that_is_nearly_full_is_a_warning(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(ask(), "disk")["level"] == "ok"
    full = SimpleNamespace(f_bavail=7, f_frsize=2**20)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    check = one(ask(), "disk")
    assert (check["level"], check["message"][:15]) == ("warn", "7 MiB are free,")


def test_a_library_that_is_missing_fails(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(ask(), "libraries")["level"] == "ok"
    find = importlib.util.find_spec
    lacks = lambda name: None if name == "gherkin" else find(name)  # noqa: E731 - one answer
    monkeypatch.setattr(importlib.util, "find_spec", lacks)
    found = ask()
    assert (found[0], one(found, "libraries")["message"]) == (1, "gherkin cannot be imported")


@pytest.fixture
def begun(project: Path, clock: Any) -> Callable[..., RunLayout]:
    """`begun(name, *events)`: a run of this project, with these entries in its journal."""

    def make(name: str, *events: str) -> RunLayout:
        layout = run_layout(str(project), name)
        os.makedirs(os.path.join(layout.root, "nodes"))
        write_key(layout.key, new_key())
        request = Request(
            run_id=name,
            project=str(project),
            run_root=layout.root,
            pipeline="p.dot",
            base_commit="a" * 40,
        )
        Path(layout.request).write_bytes(dump(request))
        with Journal.open(layout.journal, clock) as journal:
            for event in events:
                data = {"request": request.as_json(), "integration": "b"}
                ended = {"result": "failed", "exit": 1, "reason": "", "head": "h"}
                journal.append(event, ended if event == "RunEnded" else data)
        return layout

    return make


def test_a_run_that_nobody_sees_to_is_named_with_what_resumes_it(
    ask: Ask, begun: Callable[..., RunLayout]
) -> None:
    assert one(ask(), "runs")["level"] == "ok"
    begun("left-1", "RunStarted")
    begun("over-1", "RunStarted", "RunEnded")
    alive = begun("alive-1", "RunStarted")
    Path(alive.keeper).write_text(json.dumps(Owner.current().as_json()))
    check = one(ask(), "runs")
    assert (check["level"], check["fix"]) == ("warn", "attractor resume left-1")
    assert check["message"].startswith("left-1 has not ended")


def test_a_run_that_cannot_be_read_is_a_warning(ask: Ask, begun: Callable[..., RunLayout]) -> None:
    layout = begun("broken-1", "RunStarted")
    Path(layout.journal).write_text("broken\n")
    check = one(ask(), "runs")
    assert (check["level"], "broken-1 cannot be read" in check["message"]) == ("warn", True)
    assert check["fix"]


def test_a_node_that_was_rehearsed_alone_is_no_run(
    ask: Ask, begun: Callable[..., RunLayout]
) -> None:
    os.unlink(begun("alone-1", "RunStarted").request)
    assert one(ask(), "runs")["level"] == "ok"
