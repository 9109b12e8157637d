from __future__ import annotations

import errno
import importlib.resources
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.pipeline.lint import lint

Cli = Callable[..., Any]


def test_the_template_lints_without_a_word(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "work.dot"
    assert cli("new", file).status == 0
    document = parse(file.read_text())
    assert lint(build(document), document.warnings) == []
    said = cli("lint", file, "--strict")
    assert said.status == 0, said


def test_every_node_and_every_attribute_of_the_template_is_known_to_us(
    cli: Cli, tmp_path: Path
) -> None:
    cli("new", tmp_path / "work.dot")
    rows = cli("status", tmp_path / "work.dot", "--json").json()["nodes"]
    handlers = [row["handler"] for row in rows]
    assert handlers == ["start", "codergen", "wait.system3", "wait.human", "conditional", "exit"]
    assert {row["status"] for row in rows} == {"pending"}


def test_the_template_can_be_worked_from_start_to_exit(cli: Cli, tmp_path: Path) -> None:
    cli("new", tmp_path / "work.dot")
    said = cli("status", tmp_path / "work.dot", "--deps-met", "--json").json()
    assert [row["node_id"] for row in said["nodes"]] == ["start"]


def test_the_pipeline_is_named_after_its_file_unless_told_otherwise(
    cli: Cli, tmp_path: Path
) -> None:
    cli("new", tmp_path / "login.dot")
    assert parse((tmp_path / "login.dot").read_text()).name == "login"
    cli("new", tmp_path / "other.dot", "--name", 'a "name" \\', "--prd", "PRD-7")
    graph = build(parse((tmp_path / "other.dot").read_text()))
    assert graph.name == graph.attrs["label"] == 'a "name" \\'
    assert graph.attrs["prd_ref"] == "PRD-7"


def test_a_hyphen_prints_the_template_and_writes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("new", "-", "--name", "x")
    assert parse(said.out).name == "x"
    assert os.listdir(tmp_path) == []


def test_without_a_name_it_writes_pipeline_dot(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("new", "--json").json() == {"status": "ok", "file": "pipeline.dot"}
    assert os.listdir(tmp_path) == ["pipeline.dot"]


def test_an_existing_file_is_never_overwritten(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "work.dot"
    file.write_text("mine")
    said = cli("new", file)
    assert said.status == 1
    assert "the file exists already" in said.err
    assert file.read_text() == "mine"
    assert os.listdir(tmp_path) == ["work.dot"]


def test_a_dangling_link_is_not_followed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "work.dot").symlink_to(tmp_path / "elsewhere")
    assert cli("new", tmp_path / "work.dot").status == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "/"])
def test_a_folder_is_no_file(cli: Cli, tmp_path: Path, name: str) -> None:
    said = cli("new", f"{tmp_path}{name}")
    assert said.status == 1
    assert "this is a folder" in said.err


def test_a_missing_folder_is_said(cli: Cli, tmp_path: Path) -> None:
    said = cli("new", tmp_path / "gone" / "work.dot")
    assert said.status == 1
    assert "the folder does not exist" in said.err


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.write

    def refuse(fd: int, data: bytes) -> int:
        if not data:  # asks whether stdout could be written
            return real(fd, data)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", refuse)
    said = cli("new", tmp_path / "work.dot", "--json")
    monkeypatch.undo()
    assert said.status == 1
    assert said.json()["code"] == "storage"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[2J"])
def test_an_unprintable_name_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    said = cli("new", tmp_path / "work.dot", "--name", name)
    assert said.status == 1
    assert "cannot be a pipeline's name" in said.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("prd", ["", "a b", '"', "../x"])
def test_an_odd_requirements_id_is_refused(cli: Cli, tmp_path: Path, prd: str) -> None:
    said = cli("new", tmp_path / "work.dot", "--prd", prd)
    assert said.status == 1
    assert "cannot be the id of requirements" in said.err


def test_printing_and_json_do_not_go_together(cli: Cli) -> None:
    assert cli("new", "-", "--json").status == 2


def test_the_template_is_part_of_the_package() -> None:
    files = importlib.resources.files("attractor.pipeline")
    assert files.joinpath("template.dot").is_file()


@pytest.mark.parametrize("name", [".dot", ".gv", "..dot", "sub/.dot"])
def test_an_ending_without_a_name_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    said = cli("new", tmp_path / name)
    assert said.status == 1
    assert "this is an ending without a name" in said.err
    assert "work.dot" in said.err
    assert os.listdir(tmp_path) == ["sub"]
    assert os.listdir(tmp_path / "sub") == []


def test_a_hidden_file_with_a_name_is_written(cli: Cli, tmp_path: Path) -> None:
    assert cli("new", tmp_path / ".draft.dot").status == 0
    assert os.listdir(tmp_path) == [".draft.dot"]
