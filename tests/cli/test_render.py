from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import render as verb

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


def test_a_pipe_is_written_into_and_stays_a_pipe(cli: Cli, file: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        said = cli("render", file, "-o", pipe, "--format", "dot")
        assert (said.status, said.out) == (0, f"wrote {pipe}\n")
        assert os.read(reader, 65_536).startswith(b"digraph")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["pipe", "work.dot"]


def test_a_picture_larger_than_the_pipe_reaches_a_slow_reader_whole(
    cli: Cli, file: Path, tmp_path: Path
) -> None:
    file.write_text("digraph { " + " ".join(f"node_{at};" for at in range(3_000)) + " }")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Never read from: it is there so that the verb finds a reader however slowly `cat` begins.
    ours = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    words = ["render", str(file), "--format", "dot", "-o", str(pipe)]
    try:
        with (
            subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader,
            subprocess.Popen([sys.executable, "-I", "-m", "attractor", *words]) as drawing,
        ):
            read, _ = reader.communicate(timeout=60)
            assert drawing.wait(60) == 0
    finally:
        os.close(ours)
    assert len(read) > 100_000
    assert read == cli("render", file, "--format", "dot").out.encode()


def test_a_pipe_that_nobody_reads_is_refused_at_once(cli: Cli, file: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = cli("render", file, "-o", pipe, "--format", "dot", "--json")
    assert said.status == 1
    assert said.json()["message"] == "nobody reads this pipe"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_reader_that_takes_nothing_is_not_waited_for_without_end(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "_READER_SECONDS", 0.05)
    file.write_text("digraph { " + " ".join(f"node_{at};" for at in range(3_000)) + " }")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        said = cli("render", file, "-o", pipe, "--format", "dot")
    finally:
        os.close(reader)
    assert said.status == 1
    assert "takes nothing more" in said.err


def test_a_device_is_written_into_and_stays_a_device(cli: Cli, file: Path, tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.close(os.open(device, os.O_WRONLY))
    except PermissionError:
        pytest.skip("no device may be made, or used, here")
    link = tmp_path / "link"
    link.symlink_to(device)
    for target in (device, link):
        said = cli("render", file, "-o", target, "--format", "dot")
        assert (said.status, said.out) == (0, f"wrote {target}\n")
        assert stat.S_ISCHR(device.stat().st_mode)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "null", "work.dot"]


def test_a_socket_is_no_picture(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        said = cli("render", file, "-o", path, "--format", "dot")
        assert said.status == 1
        assert "no file that a picture can be written to" in said.err
        assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_block_device_is_no_picture(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    try:
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 255))
    except PermissionError:
        monkeypatch.setattr(verb, "_kind_of", lambda _: stat.S_IFBLK)
    said = cli("render", file, "-o", disk, "--format", "dot")
    assert said.status == 1
    assert "no file that a picture can be written to" in said.err
