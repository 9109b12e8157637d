"""`attractor transition`: what it prints, what it refuses, and with which status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.run.journal import read
from signals.clock import SystemClock
from signals.lease import lease

PIPELINE = """\
digraph p {
    impl; gate [shape=hexagon]; done [shape=Msquare]
    impl -> gate -> done
}
"""


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "p.dot"
    path.write_text(PIPELINE)
    return path


def edit_by_hand(dot: Path) -> None:
    dot.write_text(dot.read_text().replace("gate [", "gate [status=validated "))


def test_a_move_prints_old_and_new_and_what_became_ready(cli: Any, dot: Path) -> None:
    assert cli("transition", dot, "impl", "active").out == "impl: pending -> active\n"
    cli("transition", dot, "impl", "impl_complete")
    said = cli("transition", dot, "impl", "validated")
    assert said.out == "impl: impl_complete -> validated\nready now: gate\n"
    assert (said.status, said.err) == (0, "")


def test_json_gives_the_whole_move(cli: Any, dot: Path) -> None:
    said = cli("transition", dot, "impl", "active", "--json", "--reason", "go")
    assert said.json() == {
        "status": "ok",
        "node": "impl",
        "from": "pending",
        "to": "active",
        "event": "dispatched",
        "seq": 2,
        "ready": [],
    }
    assert read(f"{dot}.journal.jsonl").entries[1].data["reason"] == "go"


def test_an_outcome_is_recorded(cli: Any, dot: Path) -> None:
    cli("transition", dot, "gate", "active")
    assert cli("transition", dot, "gate", "validated", "--outcome", "partial").status == 0
    assert read(f"{dot}.journal.jsonl").entries[-1].data["outcome"] == "partial"


def test_a_dry_run_changes_nothing_and_says_would(cli: Any, dot: Path) -> None:
    said = cli("transition", dot, "impl", "active", "--dry-run")
    assert said.out == "would move impl: pending -> active\n"
    assert cli("transition", dot, "impl", "active", "--dry-run", "--json").json()["dry_run"] is True
    assert dot.read_text() == PIPELINE


def test_an_illegal_move_is_refused_with_the_legal_states(cli: Any, dot: Path) -> None:
    said = cli("transition", dot, "impl", "validated", "--json")
    assert said.status == 1
    error = said.json()
    assert error["status"] == "error"
    assert error["message"] == "a node that is pending cannot become validated"
    assert error["legal"] == ["active"]
    assert "it can become active" in said.err


def test_the_finalize_gate_names_the_gates(cli: Any, dot: Path) -> None:
    said = cli("transition", dot, "done", "active")
    assert said.status == 1
    assert "not validated yet: gate (pending)" in said.err


def test_an_unknown_state_or_node_is_refused_with_a_near_one(cli: Any, dot: Path) -> None:
    said = cli("transition", dot, "impl", "activ")
    assert (said.status, "did you mean active?" in said.err) == (1, True)
    said = cli("transition", dot, "inpl", "active")
    assert (said.status, "did you mean impl?" in said.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("impl",),
        ("impl", "active", "more"),
        ("--sync", "impl"),
        ("--sync", "--adopt"),
        ("--adopt", "--reason", "x"),
        ("impl", "active", "--outcome", "maybe"),
        ("impl", "active", "--timeout", "-1"),
        ("impl", "active", "--timeout", "nan"),
        ("impl", "active", "--timeout", "inf"),
    ],
)
def test_wrong_usage_is_status_2_and_changes_nothing(
    cli: Any, dot: Path, words: tuple[str, ...]
) -> None:
    said = cli("transition", dot, *words)
    assert (said.status, said.out) == (2, "")
    assert dot.read_text() == PIPELINE


def test_a_hand_edit_is_reported_then_adopted(cli: Any, dot: Path) -> None:
    cli("transition", dot, "impl", "active")
    edit_by_hand(dot)
    said = cli("transition", dot, "impl", "failed")
    assert said.status == 1
    assert f"attractor transition {dot} gate --adopt" in said.err
    assert cli("transition", dot, "gate", "--adopt").out == "adopted: gate: pending -> validated\n"
    assert cli("transition", dot, "gate", "accepted").status == 0


def test_a_hand_edit_is_put_back_by_sync(cli: Any, dot: Path) -> None:
    cli("transition", dot, "impl", "active")
    edit_by_hand(dot)
    said = cli("transition", dot, "--sync", "--dry-run")
    assert said.out == "would be put back: gate: validated -> pending\n"
    assert cli("transition", dot, "--sync", "--json").json() == {
        "status": "ok",
        "restored": [{"node": "gate", "journal": "pending", "file": "validated"}],
    }
    assert "shows what its journal says" in cli("transition", dot, "--sync").out


def test_adopting_after_a_crash_does_not_undo_a_move_that_was_reported(cli: Any, dot: Path) -> None:
    cli("transition", dot, "impl", "active")
    before = dot.read_text()
    assert cli("transition", dot, "impl", "impl_complete").status == 0
    dot.write_text(before.replace("gate [", "gate [status=validated "))
    assert cli("transition", dot, "--adopt").out == "adopted: gate: pending -> validated\n"
    said = cli("status", dot)
    assert (said.err, "impl_complete 1" in said.out) == ("", True)


def test_adopting_nothing_says_so(cli: Any, dot: Path) -> None:
    cli("transition", dot, "impl", "active")
    assert cli("transition", dot, "--adopt", "--json").json() == {"status": "ok", "adopted": []}


HOLDER = """
import sys
from signals.clock import SystemClock
from signals.lease import lease
with lease(sys.argv[1], SystemClock(), 5):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_busy_file_is_refused_and_names_the_holder(cli: Any, dot: Path) -> None:
    argv = [sys.executable, "-I", "-c", HOLDER, f"{dot}.lock"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said = cli("transition", dot, "impl", "active", "--timeout", "0", "--json")
        assert said.status == 1
        assert said.json()["pid"] == holder.pid
        holder.communicate(timeout=30)
    assert cli("transition", dot, "impl", "active", "--timeout", "0").status == 0


def test_the_lease_lies_beside_the_real_file(cli: Any, dot: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.dot"
    link.parent.mkdir()
    link.symlink_to(dot)
    with lease(f"{dot}.lock", SystemClock(), 0), pytest.raises(RuntimeError, match="already holds"):
        cli("transition", link, "impl", "active", "--timeout", "0")


@pytest.mark.parametrize(
    "content", [b"", b"not DOT", b"digraph a {} digraph b {}", b'digraph { a [x="', b"\xff\xfe"]
)
def test_what_is_no_pipeline_is_refused_in_words(cli: Any, dot: Path, content: bytes) -> None:
    dot.write_bytes(content)
    said = cli("transition", dot, "impl", "active", "--json")
    assert (said.status, said.json()["status"]) == (1, "error")
    assert dot.read_bytes() == content


def test_it_works_as_a_process_of_its_own_through_a_relative_path(
    attractor: Any, dot: Path
) -> None:
    said = attractor("transition", "p.dot", "impl", "active", "--json")
    assert (said.status, json.loads(said.out)["seq"]) == (0, 2)
    assert attractor("transition", "p.dot", "impl", "accepted").status == 1
