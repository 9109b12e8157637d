"""One edit from the lock to the log: nothing that somebody saved meanwhile is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import revise
from attractor.pipeline.load import load
from attractor.run.fold import fold
from attractor.run.journal import read

Cli = Callable[..., Any]

PIPELINE = """\
digraph p {
    start [shape=Mdiamond, handler="start"];
    check [shape=box, handler="codergen", bead_id="B-1", worker_type="ux-designer"];
    finish [shape=Msquare, handler="exit"];
    start -> check -> finish;
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.dot"
    path.write_text(PIPELINE)
    return path


def saves_during(monkeypatch: pytest.MonkeyPatch, file: Path, times: int) -> None:
    """An editor that saves just before the edited file takes its place."""
    left = [times]
    real = revise.replace

    def replace(path: str, data: bytes, **more: Any) -> None:
        if left[0]:
            left[0] -= 1
            file.write_text(file.read_text().replace("}\n", "    // my precious edit\n}\n"))
        real(path, data, **more)

    monkeypatch.setattr(revise, "replace", replace)


@pytest.mark.parametrize(
    "words",
    [
        ("node", "add", "FILE", "new", "--force"),
        ("node", "modify", "FILE", "check", "--label", "new"),
        ("edge", "add", "FILE", "start", "finish", "--label", "new"),
    ],
)
def test_what_somebody_saves_during_an_edit_stays(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    saves_during(monkeypatch, file, 1)
    assert cli(*(file if word == "FILE" else word for word in words)).status == 0
    text = file.read_text()
    assert ("// my precious edit" in text, "new" in text) == (True, True)
    assert len(Path(f"{file}.ops.jsonl").read_text().splitlines()) == 1


def test_a_file_that_is_saved_again_and_again_is_left_alone(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves_during(monkeypatch, file, 1000)
    said = cli("node", "add", file, "new", "--force", "--json")
    assert said.status == 1
    assert "the file was changed meanwhile" in said.json()["message"]
    assert "do the same again" in said.json()["fix"]
    assert "new" not in load(file)[1].nodes
    assert not os.path.exists(f"{file}.ops.jsonl")


def test_a_node_that_comes_back_is_in_the_state_that_the_journal_keeps(
    cli: Cli, file: Path
) -> None:
    cli("transition", file, "check", "active")
    cli("transition", file, "check", "impl_complete")
    cli("transition", file, "check", "validated")
    assert cli("node", "remove", file, "check", "--force").status == 0
    said = cli("node", "add", file, "check", "--force")
    assert said.status == 0
    assert "the journal has been keeping node 'check' as validated" in said.err
    assert load(file)[1].nodes["check"].attrs["status"] == "validated"
    logged = [json.loads(line) for line in Path(f"{file}.ops.jsonl").read_text().splitlines()]
    assert logged[-1]["status"] == "validated"
    assert cli("transition", file, "start", "active").status == 0
    assert fold(read(f"{file}.journal.jsonl").entries).statuses["check"].value == "validated"


def test_a_dry_run_shows_the_state_that_the_journal_keeps(cli: Cli, file: Path) -> None:
    cli("transition", file, "check", "active")
    cli("node", "remove", file, "check", "--force")
    said = cli("node", "add", file, "check", "--dry-run", "--force")
    assert 'status="active"' in said.out or "status=active" in said.out
    assert "check" not in load(file)[1].nodes


def test_a_new_node_beside_a_journal_is_as_it_was_asked_for(cli: Cli, file: Path) -> None:
    cli("transition", file, "check", "active")
    said = cli("node", "add", file, "new", "--force")
    assert (said.status, "the journal" in said.err) == (0, False)
    assert load(file)[1].nodes["new"].attrs["status"] == "pending"


def test_a_damaged_journal_stops_a_node_that_comes_back(cli: Cli, file: Path) -> None:
    cli("transition", file, "check", "active")
    journal = Path(f"{file}.journal.jsonl")
    journal.write_text(journal.read_text().replace("dispatched", "invented"))
    before = file.read_text()
    assert cli("node", "add", file, "new", "--force", "--json").json()["code"] == "damage"
    assert cli("node", "modify", file, "check", "--label", "x").status == 0
    assert file.read_text() != before


@pytest.mark.timeout(20)
@pytest.mark.parametrize("trap", ["link", "fifo", "folder"])
def test_the_log_is_never_written_through_a_trap(
    cli: Cli, file: Path, tmp_path: Path, trap: str
) -> None:
    victim, log = tmp_path / "bashrc", Path(f"{file}.ops.jsonl")
    victim.write_text("")
    if trap == "link":
        log.symlink_to(victim)
    elif trap == "fifo":
        os.mkfifo(log)
    else:
        log.mkdir()
    said = cli("node", "add", file, "new", "--force")
    assert said.status == 0
    assert f"note: the edit is done, but {log} could not be written" in said.err
    assert trap != "link" or "this is a symbolic link" in said.err
    assert victim.read_text() == ""


def test_an_edit_sweeps_the_drafts_of_killed_writers(cli: Cli, file: Path, tmp_path: Path) -> None:
    (tmp_path / ".p.dot.0123abcd").write_text("half")
    cli("node", "add", file, "new", "--force")
    assert not (tmp_path / ".p.dot.0123abcd").exists()
