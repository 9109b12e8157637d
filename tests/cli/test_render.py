from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is missing")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "work.dot"
    path.write_text('digraph g { a [status="active", timeout=900s] a -> b }')
    return path


@needs_graphviz
def test_svg_goes_beside_the_pipeline(cli: Cli, file: Path) -> None:
    said = cli("render", file)
    picture = file.with_suffix(".svg")
    assert (said.status, said.out) == (0, f"wrote {picture}\n")
    assert "<svg" in picture.read_text()
    assert sorted(os.listdir(file.parent)) == ["work.dot", "work.svg"]


@needs_graphviz
def test_svg_goes_where_it_is_told(cli: Cli, file: Path, tmp_path: Path) -> None:
    said = cli("render", file, "-o", tmp_path / "x.svg", "--json")
    assert said.json() == {
        "status": "ok",
        "file": str(file),
        "output": str(tmp_path / "x.svg"),
        "format": "svg",
        "nodes": 2,
        "edges": 1,
    }
    assert "<svg" in cli("render", file, "-o", "-").out


@needs_graphviz
def test_a_picture_is_replaced_as_a_whole(cli: Cli, file: Path) -> None:
    picture = file.with_suffix(".svg")
    picture.write_text("x" * 1_000_000)
    assert cli("render", file).status == 0
    assert picture.read_text().rstrip().endswith("</svg>")


def test_dot_goes_to_stdout_and_needs_no_graphviz(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = cli("render", file, "--format", "dot")
    assert said.status == 0
    assert "lightblue" in said.out
    assert os.listdir(file.parent) == ["work.dot"]


def test_a_missing_graphviz_is_said_with_the_remedy(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = cli("render", file)
    assert said.status == 1
    assert "dot is not installed" in said.err
    assert "graphviz" in said.err
    assert os.listdir(file.parent) == ["work.dot"]


@pytest.mark.parametrize("link", [False, True])
def test_the_picture_never_overwrites_its_pipeline(cli: Cli, file: Path, link: bool) -> None:
    target = file
    if link:
        target = file.with_name("link.svg")
        target.symlink_to(file)
    before = file.read_bytes()
    said = cli("render", file, "-o", target, "--format", "dot")
    assert said.status == 1
    assert "would overwrite its pipeline" in said.err
    assert file.read_bytes() == before


def test_a_folder_is_no_picture(cli: Cli, file: Path) -> None:
    said = cli("render", file, "-o", file.parent)
    assert said.status == 1
    assert "this is a folder" in said.err


def test_a_missing_folder_is_said(cli: Cli, file: Path) -> None:
    said = cli("render", file, "-o", file.parent / "gone" / "x.dot", "--format", "dot")
    assert said.status == 1
    assert "the folder does not exist" in said.err


def test_the_picture_and_json_cannot_both_have_stdout(cli: Cli, file: Path) -> None:
    assert cli("render", file, "--format", "dot", "--json").status == 2


@pytest.mark.parametrize("content", ["hello", "graph g { a -- b }", 'digraph g { a [label="x }'])
def test_what_is_no_pipeline_is_not_drawn(cli: Cli, file: Path, content: str) -> None:
    file.write_text(content)
    said = cli("render", file, "--json")
    assert said.status == 1
    assert said.json()["line"] == 1
    assert os.listdir(file.parent) == ["work.dot"]


def test_a_missing_pipeline_is_said(cli: Cli, tmp_path: Path) -> None:
    said = cli("render", tmp_path / "gone.dot")
    assert said.status == 1
    assert "gone.dot" in said.err
