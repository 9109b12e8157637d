"""Checkpoints: what is saved comes back, through the journal, or is refused and named."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import DamageError, InputError
from attractor.pipeline.load import load
from attractor.run.checkpoint import LATEST, listing, restore, save
from attractor.run.checkpoint_format import load as load_checkpoint
from attractor.run.checkpoint_format import unverified
from attractor.run.fold import fold
from attractor.run.held import Held
from attractor.run.journal import read
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node

PIPELINE = """\
digraph p {
    goal="ship it"
    node [shape=box]; edge [color=gray]
    subgraph inner { node [shape=note]; r }
    start [shape=Mdiamond, status=accepted];
    d [shape=diamond]; // decides
    impl [bead_id="b-1", promise_ac="AC-1", label="two\\nlines"];
    start -> impl -> d;  r -> d
    d -> good [condition=pass]; d -> bad [condition=fail]
}
"""


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "p.dot"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def move(dot: Path, clock: Any) -> Any:
    def run(node: str, *states: str, outcome: Any = None) -> None:
        for state in states:
            said = outcome if state == states[-1] else None
            transition_node(str(dot), Request(node, NodeState(state), said), clock)

    return run


HARNESS = '{"version": "1.0.0", "created_at": "", "nodes": [{"id": %s, "status": "pending"}]}'


def entries(dot: Path) -> list[Any]:
    return read(f"{dot}.journal.jsonl").entries


def shown(dot: Path) -> dict[str, str]:
    return {n: node.attrs.get("status", "pending") for n, node in load(dot)[1].nodes.items()}


def edited(path: str, **changes: Any) -> None:
    body = json.loads(Path(path).read_text()) | changes
    Path(path).write_text(json.dumps(body))


def test_a_checkpoint_has_the_harness_s_keys_and_ours(dot: Path, clock: Any) -> None:
    saved = save(str(dot), clock)
    body = json.loads(Path(saved.path).read_text())
    assert list(body) == [
        "version",
        "created_at",
        "source_file",
        "graph_name",
        "graph_attrs",
        "defaults",
        "nodes",
        "edges",
        "content_hash",
        "journal",
        "outcomes",
        "hash",
    ]
    assert (body["version"], body["graph_name"]) == ("1.0.0", "p")
    assert body["source_file"] == str(dot.resolve())
    assert body["graph_attrs"] == {"goal": "ship it"}
    assert body["defaults"] == {"node": {"shape": "box"}, "edge": {"color": "gray"}}
    [impl] = [node for node in body["nodes"] if node["id"] == "impl"]
    attrs = impl.pop("all_attrs")
    assert impl == {
        "id": "impl",
        "handler": "codergen",
        "status": "pending",
        "shape": "box",
        "label": "two lines",
        "bead_id": "b-1",
        "worker_type": "",
        "promise_ac": "AC-1",
    }
    assert attrs["status"] == "pending"
    assert body["edges"][-1] == {
        "src": "d",
        "dst": "bad",
        "attrs": {"color": "gray", "condition": "fail"},
    }
    assert body["journal"] == {"seq": 1, "sum": entries(dot)[0].sum}


def test_saving_is_recorded_after_the_file_is_there(
    dot: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    record = Held.record

    def at_append(self: Held, *events: Any) -> Any:
        seen.append([each.problem for each in listing(str(dot), verify=True)])
        return record(self, *events)

    monkeypatch.setattr(Held, "record", at_append)
    saved = save(str(dot), clock)
    assert seen == [[""]]
    assert entries(dot)[-1].event == "CheckpointSaved"
    assert entries(dot)[-1].data["checkpoint"] == saved.name


def test_two_checkpoints_of_one_moment_do_not_collide(dot: Path, clock: Any) -> None:
    first, second = save(str(dot), clock), save(str(dot), clock)
    assert [each.name for each in listing(str(dot))] == [second.name, first.name]


def test_restoring_goes_back_through_the_journal(dot: Path, clock: Any, move: Any) -> None:
    move("impl", "active")
    saved = save(str(dot), clock)
    move("impl", "failed")
    move("r", "active")
    done = restore(str(dot), LATEST, clock)
    assert done.changed == {
        "r": (NodeState.ACTIVE, NodeState.PENDING),
        "impl": (NodeState.FAILED, NodeState.ACTIVE),
    }
    assert done.note == ""
    assert shown(dot)["impl"] == "active"
    last = entries(dot)[-1]
    assert (last.event, last.seq, last.data["checkpoint"]) == (
        "CheckpointRestored",
        done.seq,
        saved.name,
    )
    statuses = fold(entries(dot)).statuses
    assert {node: state.value for node, state in statuses.items()} == shown(dot)


def test_restoring_brings_outcomes_back_but_never_an_earlier_attempt(
    dot: Path, clock: Any, move: Any
) -> None:
    move("d", "active", "failed", outcome="partial")
    save(str(dot), clock)
    move("d", "active")
    assert fold(entries(dot)).outcomes == {}
    restore(str(dot), LATEST, clock)
    state = fold(entries(dot))
    assert (state.outcomes, state.attempts) == ({"d": "partial"}, {"d": 2})


def test_a_restore_that_missed_its_rewrite_is_repaired(
    dot: Path, clock: Any, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(str(dot), clock)
    move("impl", "active")
    move("r", "active")
    with monkeypatch.context() as killed:
        killed.setattr(Held, "show", lambda *_: [])
        restore(str(dot), LATEST, clock)
    assert shown(dot)["r"] == "active"
    move("d", "active")
    assert (shown(dot)["r"], shown(dot)["impl"]) == ("pending", "pending")


def test_after_a_restore_one_node_set_back_is_an_edit_and_no_missed_rewrite(
    dot: Path, clock: Any, move: Any
) -> None:
    save(str(dot), clock)
    move("impl", "active")
    move("r", "active")
    restore(str(dot), LATEST, clock)
    text = dot.read_text().replace("r [status=pending", "r [status=active")
    dot.write_text(text.replace('r [status="pending"', "r [status=active"))
    assert (shown(dot)["r"], shown(dot)["impl"]) == ("active", "pending")
    with pytest.raises(InputError, match="'r' is active in the file, but pending"):
        move("d", "active")


def test_a_restore_is_repaired_also_where_one_of_its_nodes_is_gone(
    dot: Path, clock: Any, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(str(dot), clock)
    move("impl", "active")
    move("good", "active")
    with monkeypatch.context() as killed:
        killed.setattr(Held, "show", lambda *_: [])
        restore(str(dot), LATEST, clock)
    lines = dot.read_text().replace("d -> good [condition=pass];", "").splitlines()
    dot.write_text("\n".join(line for line in lines if "good [" not in line))
    assert "good" not in shown(dot)
    move("d", "active")
    assert shown(dot)["impl"] == "pending"


@pytest.mark.parametrize("by", ["name", "stem", "path"])
def test_a_checkpoint_is_found_by_name_or_path(dot: Path, clock: Any, by: str) -> None:
    first = save(str(dot), clock)
    save(str(dot), clock)
    which = {"name": first.name, "stem": first.name.removesuffix(".json"), "path": first.path}[by]
    assert restore(str(dot), which, clock).checkpoint.name == first.name


def test_the_list_shows_time_place_and_counts_newest_first(
    dot: Path, clock: Any, move: Any
) -> None:
    save(str(dot), clock)
    clock.advance(5)
    move("impl", "active")
    save(str(dot), clock)
    newest, oldest = (each.checkpoint for each in listing(str(dot)))
    assert newest is not None
    assert oldest is not None
    assert newest.created_at > oldest.created_at
    assert (oldest.seq, newest.seq) == (1, 3)
    assert oldest.counts() == {"pending": 5, "accepted": 1}
    assert newest.counts() == {"pending": 4, "active": 1, "accepted": 1}


def test_other_nodes_than_the_graph_s_are_named_and_refused(
    dot: Path, clock: Any, move: Any
) -> None:
    move("impl", "active")
    save(str(dot), clock)
    move("impl", "failed")
    dot.write_text(dot.read_text().replace("r -> d", "other -> d").replace("; r }", "; }"))
    text, before = dot.read_text(), entries(dot)
    with pytest.raises(InputError) as caught:
        restore(str(dot), LATEST, clock)
    assert "r only in the checkpoint; other only in the graph" in caught.value.problem
    assert (dot.read_text(), entries(dot)) == (text, before)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text[: len(text) // 2], "it is not JSON"),
        (lambda _: "", "it is not JSON"),
        (lambda _: "[]", "it is not an object"),
        (lambda _: "[" * 100_000, "it is not JSON"),
        (lambda text: text.replace('"pending"', '"accepted"', 1), "its hash does not match"),
        (lambda text: text.replace('"1.0.0"', '"2.0.0"'), "its hash does not match"),
        (lambda _: '{"version": "1.0.0"}', "it is not a checkpoint"),
        (lambda _: '{"version": "2.0", "created_at": "", "nodes": []}', "its version is 2.0"),
        (lambda _: '{"version": "1.0.0", "nodes": [{"id": "a", "status": "x"}]}', "not a check"),
        (lambda _: HARNESS % r'"a\ud800"', "it is not a checkpoint"),
        (lambda _: HARNESS % "1", "it is not a checkpoint"),
    ],
)
def test_a_corrupt_checkpoint_is_named_and_nothing_changes(
    dot: Path, clock: Any, move: Any, spoil: Any, problem: str
) -> None:
    saved = save(str(dot), clock)
    move("impl", "active")
    Path(saved.path).write_text(spoil(Path(saved.path).read_text()))
    text, before = dot.read_text(), entries(dot)
    with pytest.raises(DamageError, match=problem) as caught:
        restore(str(dot), LATEST, clock)
    assert caught.value.where == saved.path
    assert (dot.read_text(), entries(dot)) == (text, before)
    [listed] = listing(str(dot))
    assert listed.checkpoint is None
    assert problem in listed.problem


def test_no_checkpoint_yet_says_how_to_save_one(dot: Path, clock: Any) -> None:
    with pytest.raises(InputError, match="no checkpoints yet") as caught:
        restore(str(dot), LATEST, clock)
    assert "attractor checkpoint save" in caught.value.fix


def test_a_name_that_is_none_says_how_to_list_them(dot: Path, clock: Any) -> None:
    save(str(dot), clock)
    with pytest.raises(InputError, match="no checkpoint 'x'") as caught:
        restore(str(dot), "x", clock)
    assert "attractor checkpoint list" in caught.value.fix


def original(dot: Path) -> Path:
    """A checkpoint as the original harness writes it: no journal, a hash of the DOT text."""
    nodes = [{"id": n, "status": "accepted", "all_attrs": {}} for n in load(dot)[1].nodes]
    body = {
        "version": "1.0.0",
        "created_at": "2026-02-24T12:00:00+00:00",
        "source_file": "/elsewhere/p.dot",
        "graph_name": "p",
        "graph_attrs": {},
        "defaults": {},
        "nodes": nodes,
        "edges": [],
        "content_hash": "0123456789abcdef",
    }
    path = dot.with_name("p-checkpoint-20260224-120000.json")
    path.write_text(json.dumps(body))
    return path


def test_a_checkpoint_of_the_original_harness_restores_as_unverified_with_a_note(
    dot: Path, clock: Any
) -> None:
    done = restore(str(dot), str(original(dot)), clock, accept_unverified=True)
    assert "names no journal entry" in done.note
    assert set(shown(dot).values()) == {"accepted"}


def test_a_checkpoint_that_names_no_entry_is_refused(dot: Path, clock: Any) -> None:
    with pytest.raises(DamageError, match="cannot be verified") as caught:
        restore(str(dot), str(original(dot)), clock)
    assert "--unverified" in caught.value.fix
    assert dot.read_text() == PIPELINE


def test_a_checkpoint_robbed_of_journal_and_hash_is_refused(
    dot: Path, clock: Any, move: Any
) -> None:
    saved = save(str(dot), clock)
    move("impl", "active")
    body = json.loads(Path(saved.path).read_text())
    del body["journal"], body["hash"]
    Path(saved.path).write_text(json.dumps(body).replace('"pending"', '"accepted"'))
    with pytest.raises(DamageError, match="cannot be verified"):
        restore(str(dot), LATEST, clock)
    assert shown(dot)["impl"] == "active"


def test_verify_sees_another_journal(dot: Path, clock: Any, move: Any) -> None:
    saved = save(str(dot), clock)
    Path(f"{dot}.journal.jsonl").unlink()
    clock.advance(1)
    move("impl", "active")
    [listed] = listing(str(dot), verify=True)
    assert "entry 1, after which it was taken, is not in this journal" in listed.problem
    with pytest.raises(DamageError):
        restore(str(dot), saved.name, clock)
    done = restore(str(dot), saved.name, clock, accept_unverified=True)
    assert done.note == listed.problem


@pytest.mark.parametrize("change", ["status", "outcome", "seq"])
def test_verify_compares_with_the_fold_up_to_the_named_entry(
    dot: Path, clock: Any, move: Any, change: str
) -> None:
    move("d", "active", "failed", outcome="fail")
    saved = save(str(dot), clock)
    assert unverified(saved, entries(dot)) == ""
    first = entries(dot)[0]
    forged: dict[str, Any] = {
        "status": {"statuses": saved.statuses | {"d": NodeState.ACTIVE}},
        "outcome": {"outcomes": {}},
        "seq": {"seq": first.seq, "sum": first.sum},
    }[change]
    fields = {name: getattr(saved, name) for name in saved.__slots__}
    assert unverified(type(saved)(**(fields | forged)), entries(dot)) != ""


def test_saving_refuses_a_status_edited_by_hand(dot: Path, clock: Any, move: Any) -> None:
    move("impl", "active")
    dot.write_text(dot.read_text().replace("d [shape=diamond]", "d [shape=diamond status=failed]"))
    with pytest.raises(InputError, match="edited by hand"):
        save(str(dot), clock)
    assert listing(str(dot)) == []


def test_a_draft_left_by_a_killed_save_is_swept_and_never_listed(dot: Path, clock: Any) -> None:
    first = save(str(dot), clock)
    draft = Path(f"{dot}.checkpoints/.20260101T000000.000000Z.json.0123abcd")
    draft.write_text("{half")
    kept = draft.with_name(".mine.json.0123abcd")
    kept.write_text("no draft of ours")
    assert [each.name for each in listing(str(dot))] == [first.name]
    save(str(dot), clock)
    assert (draft.exists(), kept.exists()) == (False, True)


def test_saving_removes_nothing_that_it_did_not_write(
    dot: Path, clock: Any, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "precious.md").write_text("a year of work")
    folder = Path(f"{dot}.checkpoints")
    folder.mkdir()
    (folder / "tmp").symlink_to("../docs")
    save(str(dot), clock)
    (folder / "tmp").unlink()
    (folder / "tmp" / "inner").mkdir(parents=True)
    (folder / "tmp" / "notes").write_text("mine")
    save(str(dot), clock)
    assert (docs / "precious.md").read_text() == "a year of work"
    assert sorted(os.listdir(folder / "tmp")) == ["inner", "notes"]
    assert len(listing(str(dot))) == 2


@pytest.mark.parametrize("what", ["link", "file"])
def test_a_folder_of_checkpoints_that_is_none_is_refused(
    dot: Path, clock: Any, tmp_path: Path, what: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = Path(f"{dot}.checkpoints")
    if what == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.write_text("")
    for run in (
        lambda: save(str(dot), clock),
        lambda: listing(str(dot)),
        lambda: restore(str(dot), LATEST, clock),
    ):
        with pytest.raises(InputError, match="a symbolic link" if what == "link" else "no folder"):
            run()
    assert list(elsewhere.iterdir()) == []


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_link_without_end(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_file_of_ten_gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("trap", "problem"),
    [
        (a_fifo, "no plain file"),
        (a_link_without_end, "a symbolic link"),
        (a_file_of_ten_gigabytes, "larger than 1 GiB"),
        (os.mkdir, "no plain file"),
    ],
)
def test_what_is_no_plain_file_is_listed_with_the_reason_and_not_restored(
    dot: Path, clock: Any, trap: Any, problem: str
) -> None:
    saved = save(str(dot), clock)
    trap(Path(f"{dot}.checkpoints/9.json"))
    first, second = listing(str(dot))
    assert (first.name, first.checkpoint, second.name) == ("9.json", None, saved.name)
    assert problem in first.problem
    with pytest.raises(InputError, match=problem):
        restore(str(dot), LATEST, clock)
    assert restore(str(dot), saved.name, clock).note == ""


def test_a_path_that_leads_to_a_checkpoint_may_be_a_link(
    dot: Path, clock: Any, tmp_path: Path
) -> None:
    saved = save(str(dot), clock)
    link = tmp_path / "before-the-holidays.json"
    link.symlink_to(saved.path)
    assert restore(str(dot), str(link), clock).checkpoint.name == saved.name


@pytest.mark.parametrize("seq", ['"abc"', "[]", "null", "1e400", "1.0", "true", "0", "-1", "{}"])
def test_a_number_that_is_none_is_damage_also_under_the_right_hash(
    dot: Path, clock: Any, seq: str
) -> None:
    saved = save(str(dot), clock)
    body = json.loads(Path(saved.path).read_text())
    body["journal"]["seq"] = json.loads(seq)
    del body["hash"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["hash"] = hashlib.sha256(text.encode()).hexdigest()
    Path(saved.path).write_text(json.dumps(body))
    with pytest.raises(DamageError, match="it is not a checkpoint"):
        restore(str(dot), LATEST, clock, accept_unverified=True)


def test_a_saved_checkpoint_reads_back_as_it_was(dot: Path, clock: Any, move: Any) -> None:
    move("impl", "active")
    saved = save(str(dot), clock, verify=True)
    assert load_checkpoint(saved.path) == saved
    assert saved.statuses == fold(entries(dot)).statuses
