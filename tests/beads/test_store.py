"""The folder: found, locked, and written once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.beads import store as stores
from attractor.beads.lines import Lines
from attractor.beads.store import BusyError, Store, find, init
from attractor.errors import InputError, StorageError
from signals import atomic
from signals.clock import SystemClock

CLOCK = SystemClock()
PROCESSES, CLAIMS = 16, 200
DEADLINE_SECONDS = 100

# Each takes the beads in an order of its own, so that the races are spread over all of them.
CLAIMER = """
import random, sys
from attractor.beads.edit import Act, ClaimError, claim
from attractor.beads.store import Store
from signals.clock import SystemClock

folder, me, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store, clock = Store(folder), SystemClock()
names = [f"at-{number:03}" for number in range(count)]
random.Random(me).shuffle(names)
print("ready", flush=True)
sys.stdin.readline()
for name in names:
    try:
        with store.change(clock, timeout_seconds=60) as lines:
            claim(lines, name, Act(me, clock.wall_ns()))
        print("won", name)
    except ClaimError as error:
        print("lost", name, error.details["assignee"])
"""


@pytest.mark.stress
def test_of_many_processes_that_claim_one_bead_exactly_one_wins(
    stored: Callable[..., Store], bead: Callable[..., Any], tmp_path: Path
) -> None:
    store = stored(*(bead(f"at-{number:03}") for number in range(CLAIMS)))
    program = tmp_path / "claimer.py"
    program.write_text(CLAIMER)
    argv = [sys.executable, "-I", str(program), store.folder]
    racers = [
        subprocess.Popen(
            [*argv, f"racer-{number}", str(CLAIMS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        said = {}
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for number, racer in enumerate(racers):
            out, _ = racer.communicate(timeout=DEADLINE_SECONDS)
            assert racer.returncode == 0
            said[f"racer-{number}"] = [line.split() for line in out.splitlines()]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    issues = store.read().issues
    won = {name: who for who, rows in said.items() for word, name, *_ in rows if word == "won"}
    assert Counter(row[0] for rows in said.values() for row in rows) == {
        "won": CLAIMS,
        "lost": CLAIMS * (PROCESSES - 1),
    }
    assert won == {name: issue["assignee"] for name, issue in issues.items()}
    lost = [row for rows in said.values() for row in rows if row[0] == "lost"]
    assert all(won[name] == owner for _, name, owner in lost)
    assert {issue["status"] for issue in issues.values()} == {"in_progress"}


def test_a_change_writes_once_and_none_if_nothing_changed(
    stored: Callable[..., Store], bead: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored(bead("at-a"))
    written: list[bytes] = []
    monkeypatch.setattr(stores, "replace", lambda _path, data: written.append(data))
    with store.change(CLOCK) as lines:
        lines.put(bead("at-b"))
        lines.put(bead("at-c"))
    with store.change(CLOCK) as lines:
        lines.put(bead("at-a"))
    with pytest.raises(InputError), store.change(CLOCK) as lines:
        _put_and_fail(lines, bead("at-d"))
    assert len(written) == 1


def _put_and_fail(lines: Lines, issue: dict[str, Any]) -> None:
    lines.put(issue)
    raise InputError("refused after all")


def test_reading_ten_thousand_reads_the_file_once_and_takes_no_lock(
    stored: Callable[..., Store], bead: Callable[..., Any]
) -> None:
    store = stored(*(bead(f"at-{number}") for number in range(10_000)))
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: Any) -> None:
        if watching and event in {"open", "fcntl.flock"}:
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        assert len(store.read().issues) == 10_000
    finally:
        watching = False
    assert opened == [store.path]


def test_who_waits_too_long_is_told(stored: Callable[..., Store], bead: Callable[..., Any]) -> None:
    store = stored(bead("at-a"))
    with store.lock(CLOCK):
        assert list(store.read().issues) == ["at-a"]
        with pytest.raises(BusyError, match="another process"), store.change(CLOCK, 0.02):
            pytest.fail("two at once")
    with store.change(CLOCK, 0.02) as lines:
        assert lines.issues


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "issues.jsonl").mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        Store(str(tmp_path)).read()
    with pytest.raises(StorageError, match="cannot lock"), Store(str(tmp_path / "x")).lock(CLOCK):
        pytest.fail("there is no such folder")


def test_drafts_of_the_dead_are_swept_by_the_next_writer(
    stored: Callable[..., Store], bead: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored(bead("at-a"))
    monkeypatch.setattr(atomic, "_unlink_quietly", lambda _path: None)
    monkeypatch.setattr(atomic.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    with pytest.raises(StorageError), store.change(CLOCK) as lines:
        lines.put(bead("at-b"))
    monkeypatch.undo()
    assert [name for name in os.listdir(store.folder) if name.startswith(".issues")] != []
    with store.change(CLOCK) as lines:
        lines.put(bead("at-b"))
    assert sorted(os.listdir(store.folder)) == ["config.yaml", "issues.jsonl"]


def test_a_missing_file_is_an_empty_store(tmp_path: Path) -> None:
    assert Store(str(tmp_path)).read().issues == {}


def test_the_name_of_the_file_comes_from_the_metadata(tmp_path: Path) -> None:
    for text, name in (
        (json.dumps({"jsonl_export": "beads.jsonl"}), "beads.jsonl"),
        (json.dumps({"jsonl_export": "../x.jsonl"}), "issues.jsonl"),
        ("[1]", "issues.jsonl"),
        ("{", "issues.jsonl"),
    ):
        (tmp_path / "metadata.json").write_text(text)
        assert Store(str(tmp_path)).path == str(tmp_path / name)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    home = tmp_path / "outer"
    for folder in (".beads", "repo/.beads", "repo/src/deep", "bare/.git", "tree/src"):
        (home / folder).mkdir(parents=True)
    (home / "repo/.git/worktrees/tree").mkdir(parents=True)
    (home / "tree/.git").write_text(f"gitdir: {home}/repo/.git/worktrees/tree\n")
    return home


def test_the_nearest_store_upwards_is_meant(project: Path) -> None:
    def found(where: str, **environ: str) -> str:
        return os.path.relpath(find(str(project / where), environ).folder, project)

    assert found("repo/src/deep") == "repo/.beads"
    assert found("") == ".beads"
    assert found("repo", BEADS_DIR=str(project / ".beads")) == ".beads"
    assert found("repo", BEADS_DB=str(project / ".beads/beads.db")) == ".beads"
    # A linked worktree without its own uses that of its main checkout.
    assert found("tree/src") == "repo/.beads"
    (project / "tree/.beads").mkdir()
    assert found("tree/src") == "tree/.beads"
    (project / "repo/.beads/redirect").write_text("../.beads\n")
    assert found("repo") == ".beads"


def test_a_repository_without_beads_does_not_use_those_around_it(project: Path) -> None:
    with pytest.raises(InputError, match=r"no \.beads folder") as caught:
        find(str(project / "bare"), {})
    assert "attractor bd init" in caught.value.fix
    with pytest.raises(InputError):
        find(str(project), {"BEADS_DIR": str(project / "nowhere")})


def test_init_leaves_alone_what_is_there(tmp_path: Path, bead: Callable[..., Any]) -> None:
    folder = tmp_path / ".beads"
    store = init(str(folder), "at")
    with store.change(CLOCK) as lines:
        lines.put(bead("at-a"))
    (folder / ".gitignore").write_text("mine\n")
    again = init(str(folder), "other")
    assert list(again.read().issues) == ["at-a"]
    assert (folder / ".gitignore").read_text() == "mine\n"
    assert "issue-prefix: at" in (folder / "config.yaml").read_text()


def test_a_dolt_database_is_noticed(tmp_path: Path) -> None:
    assert Store(str(tmp_path)).dolt == ""
    (tmp_path / "embeddeddolt").mkdir()
    assert Store(str(tmp_path)).dolt == "embeddeddolt"


def test_this_project_s_own_store_is_read(root: Path) -> None:
    store = find(str(root), {})
    assert store.folder == str(root / ".beads")
    assert store.read().damage == []


def test_a_linked_worktree_may_name_its_main_checkout_from_where_it_is(tmp_path: Path) -> None:
    init(str(tmp_path / "main" / ".beads"), "at")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../main/.git/worktrees/tree\n")
    assert find(str(tree), {}).folder == str(tmp_path / "main" / ".beads")
