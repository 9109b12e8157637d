"""Settings: read whole, changed one line at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from attractor.beads import config
from attractor.errors import DamageError, InputError

TEXT = "# ours\nissue-prefix: at   # short\nno-db: true\nsync:\n  branch: main\n"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / config.FILE).write_text(TEXT)
    return str(tmp_path)


def test_a_change_touches_one_line(folder: str) -> None:
    config.change(folder, "no-db", "false")
    config.change(folder, "status.custom", "in_review:active,parked")
    config.change(folder, "actor", "a: b # c")
    text = Path(folder, config.FILE).read_text()
    assert text == TEXT.replace("true", "false") + (
        'status.custom: in_review:active,parked\nactor: "a: b # c"\n'
    )
    settings = config.read(folder)
    assert settings["actor"] == "a: b # c"
    assert settings["no-db"] is False
    assert config.custom(settings, "status.custom") == ["in_review", "parked"]
    config.change(folder, "status.custom", None)
    config.change(folder, "actor", None)
    assert Path(folder, config.FILE).read_text() == TEXT.replace("true", "false")


@pytest.mark.parametrize("value", ["x", None])
def test_what_is_more_than_a_line_is_not_changed(folder: str, value: str | None) -> None:
    with pytest.raises((InputError, DamageError)):
        config.change(folder, "sync", value)
    assert Path(folder, config.FILE).read_text() == TEXT


@pytest.mark.parametrize("value", ["null", "1.0", "yes", "2026-01-01", "", "[a", "- x", "~", "'"])
def test_a_value_comes_back_as_the_text_that_was_set(folder: str, value: str) -> None:
    config.change(folder, "key", value)
    assert config.shown(config.read(folder)["key"]) == value


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    for data in (b"a: [", b"- x\n", b"\xff"):
        (tmp_path / config.FILE).write_bytes(data)
        with pytest.raises(DamageError) as caught:
            config.read(str(tmp_path))
        assert caught.value.where.endswith(config.FILE)


def test_the_prefix_is_the_setting_or_the_folder_s_name(tmp_path: Path) -> None:
    folder = str(tmp_path / "My App!" / ".beads")
    assert config.read(folder) == {}
    assert config.prefix_of(folder, {}) == "my-app"
    assert config.prefix_of(folder, {"issue-prefix": "x-"}) == "x"
    assert config.prefix_of("/.beads", {}) == "bd"
    assert config.canonical("issue_prefix") == "issue-prefix"
    with pytest.raises(InputError):
        config.canonical("a b")
