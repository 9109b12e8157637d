"""One value of the person's configuration is changed, on request, and nothing else of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import BusyError, InputError
from attractor.run import trust

NEW = '"hasTrustDialogAccepted": true'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "pröject"
    made.mkdir()
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".claude.json"


def accept(project: Path, state: Path) -> bool:
    return trust.accept(str(project), {"HOME": str(state.parent)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{"projects": {KEY: {NEW}}}'),
        ('{ "n": 1.0e3, "n": 7 }\n', '{ "projects": {KEY: {NEW}}, "n": 1.0e3, "n": 7 }\n'),
        ('{"projects": { } }', '{"projects": { KEY: {NEW}} }'),
        (
            '{\n  "projects": {\n    "/a": {"x": 1e999}\n  },\n  "u": "\\ud800"}',
            '{\n  "projects": {\n    KEY: {NEW},\n    "/a": {"x": 1e999}\n  },\n  "u": "\\ud800"}',
        ),
        ('{"projects": {KEY: {"k": "}"}}}', '{"projects": {KEY: {NEW, "k": "}"}}}'),
        (
            '{"projects": {KEY: {"hasTrustDialogAccepted" : false ,"k": 1}}}',
            '{"projects": {KEY: {"hasTrustDialogAccepted" : true ,"k": 1}}}',
        ),
    ],
)
def test_every_other_byte_stays(before: str, after: str, project: Path, state: Path) -> None:
    key = json.dumps(str(project), ensure_ascii=False)
    state.write_text(before.replace("KEY", key))
    assert accept(project, state) is True
    assert state.read_text() == after.replace("KEY", key).replace("NEW", NEW)
    assert trust.is_trusted(str(project), trust.read_state(str(state)))
    kept = state.read_bytes()
    assert accept(project, state) is False
    assert state.read_bytes() == kept


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"projects": []}', '{"projects": {KEY: 1}}', "\xff"]
)
def test_what_cannot_be_understood_is_refused_and_left(
    text: str, project: Path, state: Path
) -> None:
    data = text.replace("KEY", json.dumps(str(project))).encode("latin-1")
    state.write_bytes(data)
    with pytest.raises(InputError) as caught:
        accept(project, state)
    assert "run `claude`" in caught.value.fix
    assert state.read_bytes() == data


def test_a_file_that_was_changed_meanwhile_is_not_replaced(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text("{}")
    accepted = trust._accepted

    def slow(*words: Any) -> str:
        state.write_text('{"theirs": 1}')
        return accepted(*words)

    monkeypatch.setattr(trust, "_accepted", slow)
    with pytest.raises(BusyError):
        accept(project, state)
    assert state.read_text() == '{"theirs": 1}'
    assert sorted(path.name for path in state.parent.iterdir()) == [".claude.json", project.name]


def test_the_mode_stays_and_a_link_stays_a_link(project: Path, state: Path) -> None:
    real = state.with_name("real.json")
    real.write_text("{}")
    real.chmod(0o600)
    state.symlink_to(real)
    accept(project, state)
    assert (state.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o600)


def test_the_configuration_folder_counts_before_the_home() -> None:
    environ = {"CLAUDE_CONFIG_DIR": "/c", "HOME": "/h"}
    assert trust.state_file(environ) == "/c/.claude.json"
    assert trust.state_file({"HOME": "/h"}) == "/h/.claude.json"
