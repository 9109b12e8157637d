"""A new run: a whole one, or none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from attractor import draft as drafts
from attractor.errors import InputError
from attractor.run import begin as begins
from attractor.run import request as requests
from attractor.run.begin import begin, is_run, name_run
from attractor.run.layout import current_run, run_layout
from attractor.run.locate import find_run, run_called, runs_of
from attractor.run.request import Request
from signals import atomic
from signals.mailbox import Mailbox
from signals.sign import read_key

TEXT = "digraph p { start -> done }\n"
BEGUN = 1_795_269_901_000_000_000  # 2026-11-21 14:05:01 UTC


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(folder)], timeout=30, check=True)
    return folder


def request(project: Path, name: str = "hello-1", **more: Any) -> Request:
    root = run_layout(str(project), name).root
    return Request(
        run_id=name,
        project=str(project),
        run_root=root,
        pipeline="/p/hello.dot",
        base_commit="0" * 40,
        **more,
    )


def left_behind(project: Path) -> list[str]:
    runs = project / ".claude" / "attractor" / "runs"
    return os.listdir(runs) if runs.exists() else []


def free(name: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [
        ("pipelines/hello.dot", "hello-20261121-140501"),
        ("/a/My Größe.v2.dot", "my-gr-e-v2-20261121-140501"),
        (f"{'x' * 90}.dot", f"{'x' * 30}-20261121-140501"),
        ("../.dot", "dot-20261121-140501"),
        ("ÄÖ.dot", "run-20261121-140501"),
    ],
)
def test_a_run_is_named_after_its_pipeline_and_its_time(
    pipeline: str, name: str, clock: Any
) -> None:
    clock.now_ns = BEGUN
    assert name_run(pipeline, clock, os.urandom, free) == name


def test_a_name_that_is_taken_gets_something_more(clock: Any) -> None:
    clock.now_ns = BEGUN
    taken = {"hello-20261121-140501", "hello-20261121-140501-0101"}
    turns = iter([b"\1\1", b"\2\2"])
    found = name_run("hello.dot", clock, lambda _: next(turns), taken.__contains__)
    assert found == "hello-20261121-140501-0202"


def test_a_run_has_all_that_it_needs(project: Path, clock: Any) -> None:
    asked = request(project, max_parallel=7)
    begin(asked, TEXT, clock, scenario="turns: []\n")
    layout = asked.layout
    assert requests.load(layout.request) == asked
    assert Path(layout.dot).read_text() == TEXT
    assert Path(layout.root, "scenario.yaml").read_text() == "turns: []\n"
    assert len(read_key(layout.key)) == 32
    for folder in (layout.guardian_mailbox, layout.terminal_mailbox):
        assert Mailbox(folder, clock=clock).waiting() == []
    assert stat.S_IMODE(os.stat(layout.root).st_mode) == 0o700
    assert os.readlink(current_run(str(project))) == "runs/hello-1"
    assert runs_of(str(project)) == ["hello-1"]
    assert find_run(None, str(project)).root == layout.root
    assert run_called("hello-1", str(project)) == layout
    assert ".claude/attractor/" in (project / ".git/info/exclude").read_text().splitlines()


def test_the_newest_run_is_the_current_one(project: Path, clock: Any) -> None:
    for name in ("hello-1", "hello-2"):
        begin(request(project, name), TEXT, clock)
    assert find_run(None, str(project)).root.endswith("hello-2")


def test_a_run_that_is_there_is_never_written_over(project: Path, clock: Any) -> None:
    begin(request(project), TEXT, clock)
    with pytest.raises(InputError, match="is there already"):
        begin(request(project), "digraph other {}", clock)
    assert Path(request(project).layout.dot).read_text() == TEXT
    assert left_behind(project) == ["hello-1"]


def test_two_that_make_the_same_run_at_once_make_one(project: Path, clock: Any) -> None:
    os.makedirs(project / ".claude/attractor/runs/.hello-1.draft")
    clock.now_ns = os.stat(project / ".claude/attractor/runs/.hello-1.draft").st_mtime_ns
    assert is_run(str(project))("hello-1")
    with pytest.raises(InputError, match="is there already"):
        begin(request(project), TEXT, clock)


class CutError(BaseException):
    """Stands for the end of the process: no handler of ours may take it for an error."""


@pytest.mark.parametrize("step", range(5))
def test_what_cannot_be_finished_leaves_nothing(
    project: Path, clock: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    steps = [
        (atomic, "replace"),
        (begins.sign, "write_key"),
        (Mailbox, "create"),
        (begins.requests, "dump"),
        (drafts, "publish"),
    ]

    def cut(*_: object, **__: object) -> None:
        raise CutError

    monkeypatch.setattr(*steps[step], cut)
    with pytest.raises(CutError):
        begin(request(project), TEXT, clock)
    assert left_behind(project) == []
    assert not os.path.lexists(current_run(str(project)))


def test_a_draft_of_somebody_who_was_killed_is_no_run_and_goes_an_hour_later(
    project: Path, clock: Any
) -> None:
    begin(request(project), TEXT, clock)
    runs = project / ".claude/attractor/runs"
    draft = runs / ".hello-2.draft"
    os.rename(runs / "hello-1", draft)
    assert runs_of(str(project)) == []
    assert run_called("hello-2", str(project)) is None
    clock.now_ns = draft.stat().st_mtime_ns + 10**9
    begin(request(project, "hello-3"), TEXT, clock)
    assert draft.exists()
    clock.advance(3_700)
    begin(request(project, "hello-4"), TEXT, clock)
    assert not draft.exists()
    assert runs_of(str(project)) == ["hello-3", "hello-4"]


def test_what_has_the_name_of_the_link_and_is_none_is_left_alone(project: Path, clock: Any) -> None:
    (project / ".claude/attractor/current").mkdir(parents=True)
    begin(request(project), TEXT, clock)
    assert (project / ".claude/attractor/current").is_dir()
    assert not (project / ".claude/attractor/current").is_symlink()


def test_a_run_without_its_request_is_none_of_a_whole_pipeline(project: Path, clock: Any) -> None:
    asked = request(project)
    begin(asked, TEXT, clock)
    os.unlink(asked.layout.request)
    assert run_called("hello-1", str(project)) is None


def test_a_run_that_was_rehearsed_is_found_by_its_name_from_anywhere(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    made = tmp_path / "data/attractor/rehearsals/hello-1/project"
    subprocess.run(["git", "init", "-q", str(made)], timeout=30, check=True)
    asked = request(made)
    begin(asked, TEXT, clock)
    assert find_run("hello-1", str(tmp_path)).root == asked.run_root
    with pytest.raises(InputError):
        find_run("hello-2", str(tmp_path))


def test_the_request_reads_back_as_it_was_written(project: Path, clock: Any) -> None:
    asked = request(project, budget_usd=1.5, faults=("reject@a",), settings=("sandbox=off",))
    begin(asked, TEXT, clock)
    said = json.loads(Path(asked.layout.request).read_text())
    assert (said["budget_usd"], said["faults"]) == (1.5, ["reject@a"])
    assert requests.load(asked.layout.request) == asked
