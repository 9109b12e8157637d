"""`attractor checkpoint`: save, list and restore as people and scripts see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "p.dot"
    path.write_text("digraph p { a -> b [label=next] }\n")
    return path


def test_save_list_and_restore_speak_to_people(cli: Any, dot: Path) -> None:
    saved = cli("checkpoint", "save", dot, "--verify")
    assert (saved.status, saved.err) == (0, "")
    assert saved.out.endswith("Z.json: 2 pending, verified\n")
    name = saved.out.split()[1].rstrip(":")
    cli("transition", dot, "a", "active")
    listed = cli("checkpoint", "list", dot, "--verify").out
    assert listed.startswith(f"{name}  20")
    assert listed.endswith("entry 1  2 pending\n")
    restored = cli("checkpoint", "restore", dot, "--verify")
    assert restored.out == f"restored {name}: 2 pending\n  a: active -> pending\n"


def test_save_list_and_restore_speak_json(cli: Any, dot: Path) -> None:
    saved = cli("checkpoint", "save", dot, "--json").json()
    assert saved["status"] == "ok"
    assert Path(saved["path"]).name == saved["checkpoint"]
    assert (saved["seq"], saved["counts"]) == (1, {"pending": 2})
    cli("transition", dot, "a", "active")
    [listed] = cli("checkpoint", "list", dot, "--json").json()["checkpoints"]
    assert listed == {
        "checkpoint": saved["checkpoint"],
        "created_at": saved["created_at"],
        "seq": 1,
        "counts": {"pending": 2},
        "valid": True,
        "problem": "",
    }
    assert cli("checkpoint", "restore", dot, saved["checkpoint"], "--json").json() == {
        "status": "ok",
        "checkpoint": saved["checkpoint"],
        "restored_as": 4,
        "changed": [{"node": "a", "from": "active", "to": "pending"}],
        "verified": True,
        "note": "",
    }


def test_no_checkpoints_are_an_empty_list(cli: Any, dot: Path) -> None:
    assert "no checkpoints yet" in cli("checkpoint", "list", dot).out
    assert cli("checkpoint", "list", dot, "--json").json() == {"status": "ok", "checkpoints": []}
    assert sorted(path.name for path in dot.parent.iterdir()) == ["p.dot"]


def test_a_damaged_checkpoint_is_listed_as_such_and_not_restored(cli: Any, dot: Path) -> None:
    saved = cli("checkpoint", "save", dot, "--json").json()
    Path(saved["path"]).write_text("{")
    said = cli("checkpoint", "list", dot)
    assert (said.status, "DAMAGED" in said.out) == (0, True)
    [listed] = cli("checkpoint", "list", dot, "--json").json()["checkpoints"]
    assert listed["valid"] is False
    assert cli("checkpoint", "list", dot, "--verify").status == 1
    said = cli("checkpoint", "restore", dot, "--json")
    assert (said.status, said.json()["code"]) == (1, "damage")
    assert saved["checkpoint"] in said.json()["where"]


def test_verify_on_list_says_which_is_not_this_journal_s(cli: Any, dot: Path) -> None:
    cli("checkpoint", "save", dot)
    Path(f"{dot}.journal.jsonl").unlink()
    cli("transition", dot, "a", "active")
    assert cli("checkpoint", "list", dot).status == 0
    said = cli("checkpoint", "list", dot, "--verify")
    assert (said.status, "NOT VERIFIED" in said.out) == (1, True)
    refused = cli("checkpoint", "restore", dot)
    assert (refused.status, "repeat with --unverified" in refused.err) == (1, True)
    restored = cli("checkpoint", "restore", dot, "--unverified")
    assert (restored.status, "not verified: " in restored.out) == (0, True)


@pytest.mark.parametrize("words", [("save",), ("restore",), ("list",)])
def test_a_missing_file_is_status_1(cli: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert cli("checkpoint", *words, tmp_path / "none.dot").status == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("save", "--timeout", "nan"),
        ("restore", "--timeout", "nan"),
        ("restore", "--timeout", "inf"),
        ("restore", "--verify", "--unverified"),
    ],
)
def test_wrong_usage_is_status_2(cli: Any, dot: Path, words: tuple[str, ...]) -> None:
    assert cli("checkpoint", *words, dot).status == 2
    assert [path.name for path in dot.parent.iterdir()] == ["p.dot"]


def test_a_name_does_not_leave_its_line(cli: Any, dot: Path) -> None:
    cli("checkpoint", "save", dot)
    Path(f"{dot}.checkpoints/a\nb\x07.json").write_text("{}")
    assert len(cli("checkpoint", "list", dot).out.splitlines()) == 2


def test_it_works_as_a_process_of_its_own(attractor: Any, dot: Path) -> None:
    assert attractor("checkpoint", "save", "p.dot", "--verify").status == 0
    assert attractor("checkpoint", "restore", "p.dot", "--verify").status == 0
