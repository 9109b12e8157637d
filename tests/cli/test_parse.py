"""`attractor parse` prints a pipeline as it is understood, and says why where it is none."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.pipeline import load as load_module

PIPELINE = """digraph demo {
    goal = "ship it";
    node [shape=box];
    start [shape=Mdiamond]
    start -> work -> done [weight=1];
    subgraph cluster { label="Loop A"; work [prompt="two\\nlines"]; }
    done [shape=Msquare];
}
"""


def test_json_gives_the_graph_with_defaults_in_source_order(tmp_path: Path, attractor: Any) -> None:
    (tmp_path / "p.dot").write_text(PIPELINE)
    said = attractor("parse", "p.dot", "--json")
    assert (said.status, said.err) == (0, "")
    assert said.json() == {
        "name": "demo",
        "attrs": {"goal": "ship it"},
        "nodes": [
            {"id": "start", "attrs": {"shape": "Mdiamond"}},
            {
                "id": "work",
                "attrs": {"shape": "box", "prompt": "two\nlines", "class": "loop-a"},
            },
            {"id": "done", "attrs": {"shape": "Msquare"}},
        ],
        "edges": [
            {"from": "start", "to": "work", "attrs": {"weight": "1"}},
            {"from": "work", "to": "done", "attrs": {"weight": "1"}},
        ],
    }


def test_people_get_a_listing(tmp_path: Path, cli: Any) -> None:
    file = tmp_path / "p.dot"
    file.write_text(PIPELINE)
    said = cli("parse", file)
    assert said.status == 0
    assert said.out.startswith("demo: 3 nodes, 2 edges (strongdm)\n    goal = ship it\n")
    assert "work (codergen)\n    shape = box\n    prompt = two lines\n" in said.out
    assert "start -> work\n    weight = 1\n" in said.out


def test_a_listing_cannot_steer_the_terminal_nor_forge_a_line(tmp_path: Path, cli: Any) -> None:
    file = tmp_path / "p.dot"
    file.write_text('digraph "g\x1b[2J" { "a\\nb\x9b" [label="x\u202ey\x1b]0;z\x07"] }')
    said = cli("parse", file)
    assert said.status == 0
    assert all(line.isprintable() for line in said.out.split("\n"))
    assert r"label = x\u202ey\u001b]0;z\u0007" in said.out
    assert r"g\u001b[2J: 1 node" in said.out
    assert cli("parse", file, "--json").json()["nodes"][0]["attrs"]["label"] == (
        "x\u202ey\x1b]0;z\x07"
    )


def test_a_dash_reads_standard_input(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"digraph { a -- b }")

    monkeypatch.setattr(sys, "stdin", Input())
    said = cli("parse", "-")
    assert said.status == 1
    assert "<stdin>:1:13: This is an undirected edge." in said.err


def test_an_error_shows_the_line_and_a_caret_and_an_object(tmp_path: Path, attractor: Any) -> None:
    (tmp_path / "p.dot").write_text('digraph {\n    a [label="b]\n}\n')
    said = attractor("parse", "p.dot", "--json")
    assert said.status == 1
    assert said.err == (
        "error: p.dot:2:14: This string is not closed.\n"
        '        a [label="b]\n'
        "                 ^\n"
        '  Write `"` where it should end.\n'
    )
    found = said.json()
    assert (found["code"], found["line"], found["column"]) == ("dot", 2, 14)


def test_a_file_that_is_not_utf8_is_refused_with_its_place(tmp_path: Path, cli: Any) -> None:
    file = tmp_path / "p.dot"
    file.write_bytes(b'digraph {\n a [label="\xe9"]\n}')
    said = cli("parse", file, "--json")
    assert said.status == 1
    assert "Byte 21 (in line 2) is not UTF-8." in said.err
    assert (said.json()["byte_offset"], said.json()["line"]) == (21, 2)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda _path: None, "There is no such file."),
        (lambda path: path.mkdir(), "This is a folder."),
        (os.mkfifo, "This is not a plain file."),
        (lambda path: path.symlink_to(path), "It cannot be opened: Too many levels"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, cli: Any, make: Any, problem: str) -> None:
    make(tmp_path / "p.dot")
    said = cli("parse", tmp_path / "p.dot")
    assert said.status == 1
    assert problem in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, cli: Any) -> None:
    file = tmp_path / "p.dot"
    file.write_text("digraph {}")
    file.chmod(0)
    assert "You may not read this file." in cli("parse", file).err


def test_a_refused_permission_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    # Undone at once: pytest itself opens files.
    with monkeypatch.context() as patch:
        patch.setattr(load_module.os, "open", refuse)
        with pytest.raises(InputError, match="You may not read this file"):
            load_module.load("p.dot")


def test_a_file_that_is_too_large_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.dot"
    with file.open("wb") as large:
        large.truncate(64 * 1024 * 1024 + 1)
    with monkeypatch.context() as patch:
        patch.setattr(load_module.os, "read", None)
        with pytest.raises(InputError, match="larger than 64 MiB"):
            load_module.load(file)


def test_a_file_name_with_a_nul_is_refused(cli: Any) -> None:
    assert "cannot be opened" in cli("parse", "a\0b").err


def test_wrong_usage_is_told_from_a_wrong_file(cli: Any) -> None:
    assert cli("parse").status == 2
