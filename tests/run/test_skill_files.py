"""What a pipeline says of how its nodes are to be done is in the run, or the run is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.run import skill_files
from attractor.run.begin import begin
from attractor.run.layout import RunLayout, run_layout
from attractor.run.request import Request


def _graph(name: str) -> Graph:
    text = f'digraph p {{ start [shape=Mdiamond]; a [skill_file="{name}"]; start -> a }}'
    return build(parse(text, "p"))


def test_a_file_beside_the_pipeline_is_read(tmp_path: Path) -> None:
    (tmp_path / "skills" / "a").mkdir(parents=True)
    (tmp_path / "skills" / "a" / "SKILL.md").write_text("do it well")
    found = skill_files.read(str(tmp_path / "p.dot"), _graph("skills/a/SKILL.md"))
    assert found == ({"a": b"do it well"}, [])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.md", "cannot be read"),
        ("../secret.md", "leads out"),
        ("/etc/hostname", "leads out"),
        ("link.md", "leads out"),
        ("folder", "is no plain file"),
        ("pipe", "is no plain file"),
        ("huge.md", "is larger than 64 KiB"),
        ("binary.md", "is no plain text"),
    ],
)
def test_what_is_none_is_told_with_its_node(name: str, problem: str, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "huge.md").write_text("x" * (skill_files.MOST_BYTES + 1))
    (folder / "binary.md").write_bytes(b"a\x00b")
    found, findings = skill_files.read(str(folder / "p.dot"), _graph(name))
    assert found == {}
    (finding,) = findings
    assert finding.fatal
    assert problem in finding.problem
    assert "skill_file of a" in finding.problem


def test_a_run_has_them_by_the_names_of_its_nodes(tmp_path: Path, clock: Any) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    root = run_layout(str(tmp_path), "p-1").root
    request = Request(
        run_id="p-1",
        project=str(tmp_path),
        run_root=root,
        pipeline="/p.dot",
        base_commit="0" * 40,
    )
    begin(request, "digraph p {}", clock, skills={"../Odd": b"do it well"})
    path = Path(RunLayout(root).skill("../Odd"))
    assert path.read_bytes() == b"do it well"
    assert path.parent == Path(root, "skills")


def test_a_node_without_one_has_none(tmp_path: Path) -> None:
    assert skill_files.read(str(tmp_path / "p.dot"), _graph("")) == ({}, [])
