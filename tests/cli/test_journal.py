from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.journal import Journal, read

Cli = Callable[..., Any]


@pytest.fixture
def dot(tmp_path: Path, clock: Any) -> Path:
    """A bare DOT file with a journal of four entries beside it."""
    path = tmp_path / "p.dot"
    path.write_text("digraph p { a -> b }")
    with Journal.open(f"{path}.journal.jsonl", clock) as journal:
        journal.append("PipelineOpened", {"statuses": {"a": "pending", "b": "pending"}})
        journal.append("NodeMoved", {"node": "a", "from": "pending", "to": "active"})
        journal.append("NodeMoved", {"node": "b", "from": "pending", "to": "active"})
        journal.append("NoteTaken", {"node": "a", "text": "two words \x1b[2J\u202e\x9b", "no": []})
    return path


def journal_of(dot: Path) -> Path:
    return dot.with_name(f"{dot.name}.journal.jsonl")


def test_show_prints_the_entries_as_they_are_stored(cli: Cli, dot: Path) -> None:
    said = cli("journal", "show", dot, "--json")
    stored = [json.loads(line) for line in journal_of(dot).read_text().splitlines()]
    assert (said.status, said.json()) == (0, stored)
    assert list(said.json()[0]) == ["seq", "at", "event", "data", "prev", "sum"]


def test_show_prints_a_line_an_entry_for_people(cli: Cli, dot: Path) -> None:
    said = cli("journal", "show", dot)
    assert said.status == 0
    assert said.out.splitlines()[1] == (
        "     2  2026-02-25T06:13:20.000000Z  NodeMoved  node=a from=pending to=active"
    )


def test_what_an_entry_says_cannot_steer_the_terminal(cli: Cli, dot: Path) -> None:
    line = cli("journal", "show", dot, "--last", "1").out.rstrip("\n")
    assert line.isprintable()
    assert line.endswith(r'NoteTaken  node=a no=[] text="two words \u001b[2J\u202e\u009b"')


@pytest.mark.parametrize(
    ("options", "seqs"),
    [
        (["--node", "a"], [1, 2, 4]),
        (["--node", "b"], [1, 3]),
        (["--node", "nobody"], []),
        (["--last", "2"], [3, 4]),
        (["--last", "99"], [1, 2, 3, 4]),
        (["--node", "a", "--last", "1"], [4]),
    ],
)
def test_show_can_be_narrowed(cli: Cli, dot: Path, options: list[str], seqs: list[int]) -> None:
    assert [each["seq"] for each in cli("journal", "show", dot, "--json", *options).json()] == seqs


def test_show_says_when_there_is_nothing_to_show(cli: Cli, dot: Path) -> None:
    assert cli("journal", "show", dot, "--node", "nobody").out == "no entries\n"


def test_a_journal_is_found_by_dot_file_run_folder_or_its_own_name(
    cli: Cli, dot: Path, tmp_path: Path
) -> None:
    run = tmp_path / ".claude/attractor/runs/r1"
    run.mkdir(parents=True)
    (run / "journal.jsonl").write_bytes(journal_of(dot).read_bytes())
    (run / "pipeline.dot").write_text("digraph p { a -> b }")
    current = run.parent.parent / "current"
    current.symlink_to("runs/r1")
    link = tmp_path / "elsewhere.dot"
    link.symlink_to(dot)
    files = [dot, journal_of(dot), link, run, current]
    for file in [*files, *(folder / name for folder in (run, current) for name in os.listdir(run))]:
        assert cli("journal", "verify", file, "--json").json() == {
            "valid": True,
            "entries": 4,
            "torn": "",
        }


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_without_a_file_the_current_run_is_meant(
    cli: Cli, night_run: Callable[..., Any], verb: str
) -> None:
    run = night_run()
    named = cli("journal", verb, run.layout.root, "--json")
    said = cli("journal", verb, "--json")
    assert (said.status, said.out) == (0, named.out)
    os.chdir(run.layout.root)
    assert cli("journal", verb, "--json").out == named.out


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_without_a_file_and_a_run_it_says_what_to_name(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("journal", verb, "--json")
    assert (said.status, said.json()["code"]) == (1, "input")
    assert said.json()["fix"] == "name a DOT file, a run's folder, or a journal file"


def test_verify_says_that_all_is_well(cli: Cli, dot: Path) -> None:
    said = cli("journal", "verify", dot)
    assert (said.status, said.err) == (0, "")
    assert said.out == f"{journal_of(dot)}: 4 entries, all valid\n"


def test_a_torn_end_is_valid_with_a_note_and_left_as_it_is(cli: Cli, dot: Path) -> None:
    path = journal_of(dot)
    path.write_bytes(path.read_bytes() + b'{"at"')
    before = path.read_bytes()
    said = cli("journal", "verify", dot, "--json")
    assert said.status == 0
    assert (said.json()["valid"], said.json()["entries"]) == (True, 4)
    assert said.json()["torn"].startswith("line 5 is incomplete (5 bytes")
    assert "note: line 5 is incomplete" in cli("journal", "verify", dot).out
    shown = cli("journal", "show", dot)
    assert (shown.status, len(shown.out.splitlines())) == (0, 4)
    assert "note: line 5 is incomplete" in shown.err
    assert path.read_bytes() == before
    assert len(list(dot.parent.iterdir())) == 2


def test_damage_is_named_with_its_line_and_exit_1(cli: Cli, dot: Path) -> None:
    path = journal_of(dot)
    path.write_text(path.read_text().replace('"node":"b"', '"node":"c"'))
    before = path.read_bytes()
    said = cli("journal", "verify", dot, "--json")
    found = said.json()
    assert said.status == 1
    assert (found["valid"], found["entries"], found["line"]) == (False, 2, 3)
    assert "its sum does not match" in found["message"]
    assert found["where"] == f"{path}:3"
    for verb in ("verify", "show"):
        said = cli("journal", verb, dot)
        assert (said.status, said.out) == (1, "")
        assert f"{path}:3" in said.err
        assert "line 3 of the journal is damaged" in said.err
    assert cli("journal", "show", dot, "--json").json()["code"] == "damage"
    assert path.read_bytes() == before


def test_the_way_out_of_damage_that_the_error_names_works(cli: Cli, dot: Path) -> None:
    path = journal_of(dot)
    dot.write_text("digraph p { a [status=active]; b [status=active]; a -> b }")
    assert cli("checkpoint", "save", dot).status == 0
    path.write_text(path.read_text().replace('"node":"b"', '"node":"c"'))
    refused = cli("checkpoint", "restore", dot)
    assert refused.status == 1
    assert "move it away" in refused.err
    assert "attractor checkpoint restore --unverified" in refused.err
    path.rename(f"{path}.damaged")
    assert cli("checkpoint", "restore", dot, "--unverified").status == 0
    assert cli("journal", "verify", dot).status == 0


def test_a_journal_that_is_well_signed_but_impossible_is_damage(
    cli: Cli, dot: Path, clock: Any
) -> None:
    with Journal.open(journal_of(dot), clock) as writer:
        writer.append("NodeMoved", {"node": "nobody", "from": "failed", "to": "pending"})
        at = writer.entries[-1].seq
    said = cli("journal", "verify", dot, "--json")
    assert (said.status, said.json()["valid"], said.json()["line"]) == (1, False, at)
    assert "'nobody', which no entry before it mentions" in said.json()["message"]
    assert cli("journal", "verify", dot).status == 1


def test_no_file_and_no_journal_are_told_apart(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "new.dot").write_text("digraph p { a }")
    said = cli("journal", "show", tmp_path / "new.dot")
    assert (said.status, "has no journal yet" in said.err) == (1, True)
    for name in ("gone.dot", "gone.jsonl"):
        said = cli("journal", "verify", tmp_path / name, "--json")
        assert (said.status, said.json()["message"]) == (1, "there is no such file")


@pytest.mark.parametrize("last", ["0", "-1", "x"])
def test_a_wrong_number_is_wrong_usage(cli: Cli, dot: Path, last: str) -> None:
    assert cli("journal", "show", dot, "--last", last).status == 2


def test_it_works_as_a_process_of_its_own_beside_a_writer(
    attractor: Cli, dot: Path, clock: Any
) -> None:
    with Journal.open(journal_of(dot), clock) as journal:
        said = attractor("journal", "show", "p.dot", "--json")
        journal.append("NoteTaken", {})
    assert (said.status, len(said.json())) == (0, 4)
    assert attractor("journal", "verify", "p.dot", "--json").json()["entries"] == 5
    assert len(read(journal_of(dot)).entries) == 5
