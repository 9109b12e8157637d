"""Moving a node: the journal is the truth, the DOT file shows it, and no hand edit is obeyed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import AttractorError, DamageError, InputError, StorageError
from attractor.pipeline.load import load
from attractor.run import checkpoint
from attractor.run.fold import fold
from attractor.run.held import Held
from attractor.run.journal import Journal, read
from attractor.run.states import IllegalTransition, NodeState
from attractor.run.transition import Request, adopt, sync, transition_node
from signals import atomic

PIPELINE = """\
// A comment that stays.
digraph p {
    start [shape=Mdiamond status=accepted]   // no comma, on purpose
    impl  [shape=box, label="The \\"work\\""];
    gate  [shape=hexagon];
    done  [shape=Msquare];  /* the end */
    start -> impl -> gate -> done
}
"""


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "p.dot"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def move(dot: Path, clock: Any) -> Any:
    def run(node: str, state: str, **more: Any) -> Any:
        path, dry_run = more.pop("path", dot), more.pop("dry_run", False)
        request = Request(node, NodeState(state), **more)
        return transition_node(str(path), request, clock, dry_run=dry_run)

    return run


def journal(dot: Path) -> list[Any]:
    return read(f"{dot}.journal.jsonl").entries


def shown(dot: Path) -> dict[str, str]:
    return {n: node.attrs.get("status", "pending") for n, node in load(dot)[1].nodes.items()}


def folded(dot: Path) -> dict[str, str]:
    return {node: state.value for node, state in fold(journal(dot)).statuses.items()}


def edit(dot: Path, old: str, new: str) -> None:
    text = dot.read_text()
    assert old in text
    dot.write_text(text.replace(old, new))


def miss_the_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill between append and rewrite leaves: the entry, and the old file."""
    monkeypatch.setattr(Held, "show", lambda *_: [])


def test_the_first_move_opens_a_journal_from_the_file_s_own_statuses(dot: Path, move: Any) -> None:
    moved = move("impl", "active")
    assert (moved.source, moved.seq, moved.event.value) == (NodeState.PENDING, 2, "dispatched")
    opened, entry = journal(dot)
    assert opened.event == "PipelineOpened"
    assert opened.data == {
        "file": "p.dot",
        "statuses": {
            "start": "accepted",
            "impl": "pending",
            "gate": "pending",
            "done": "pending",
        },
    }
    assert entry.data == {
        "node": "impl",
        "event": "dispatched",
        "from": "pending",
        "to": "active",
        "attempt": 1,
        "by": "person",
    }


def test_only_the_status_changes_in_the_file(dot: Path, move: Any) -> None:
    move("impl", "active")
    move("impl", "failed")
    assert shown(dot)["impl"] == "failed"
    was, now = PIPELINE.splitlines(), dot.read_text().splitlines()
    differing = [new for old, new in zip(was, now, strict=True) if old != new]
    assert len(differing) == 1
    assert differing[0].startswith('    impl  [shape=box, label="The \\"work\\""')


def test_a_move_says_which_nodes_became_ready(dot: Path, move: Any) -> None:
    move("impl", "active")
    move("impl", "impl_complete")
    assert move("impl", "validated").ready == ["gate"]


def test_reason_outcome_and_attempt_are_on_the_record(dot: Path, move: Any) -> None:
    move("impl", "active")
    move("impl", "failed", outcome="partial", reason="half of it")
    move("impl", "active")
    failed, again = journal(dot)[-2:]
    assert (failed.data["outcome"], failed.data["reason"]) == ("partial", "half of it")
    assert again.data["attempt"] == 2


def test_an_illegal_move_names_the_state_and_the_legal_ones_and_leaves_no_journal(
    dot: Path, move: Any
) -> None:
    with pytest.raises(IllegalTransition) as caught:
        move("impl", "validated")
    assert caught.value.problem == "a node that is pending cannot become validated"
    assert caught.value.legal == ("active",)
    assert "impl" in caught.value.where
    assert dot.read_text() == PIPELINE
    assert not os.path.exists(f"{dot}.journal.jsonl")


def test_a_gate_is_its_own_verdict_and_work_is_not(move: Any) -> None:
    move("gate", "active")
    assert move("gate", "validated").event.value == "gate_passed"
    move("impl", "active")
    with pytest.raises(IllegalTransition):
        move("impl", "validated")


def test_an_unknown_node_is_refused_with_near_names(move: Any) -> None:
    with pytest.raises(InputError, match="there is no node 'imp'") as caught:
        move("imp", "active")
    assert "impl" in caught.value.fix


def test_the_exit_stays_closed_until_every_gate_is_validated(move: Any) -> None:
    with pytest.raises(InputError, match=r"gate \(pending\)") as caught:
        move("done", "active")
    assert caught.value.details["gates"] == ["gate"]
    move("gate", "active")
    move("gate", "validated")
    assert move("done", "active").target is NodeState.ACTIVE


@pytest.mark.parametrize(
    ("state", "outcome"), [("active", "pass"), ("impl_complete", "pass"), ("failed", "pass")]
)
def test_an_outcome_that_cannot_be_is_refused(move: Any, state: str, outcome: str) -> None:
    if state != "active":
        move("impl", "active")
    with pytest.raises(InputError, match="outcome"):
        move("impl", state, outcome=outcome)


def test_a_dry_run_says_the_same_and_leaves_only_the_lock(dot: Path, move: Any) -> None:
    moved = move("impl", "active", dry_run=True)
    assert (moved.target, moved.seq) == (NodeState.ACTIVE, 0)
    assert dot.read_text() == PIPELINE
    assert not os.path.exists(f"{dot}.journal.jsonl")


def test_a_missed_rewrite_is_repaired_by_the_next_command(
    dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "active")
    assert shown(dot)["impl"] == "pending"
    move("gate", "active")
    assert shown(dot) == folded(dot)
    assert shown(dot)["impl"] == "active"


def test_a_missed_rewrite_is_repaired_before_the_next_append(
    dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "active")

    def at_append(self: Held, *events: Any) -> Any:
        assert shown(dot)["impl"] == "active"
        raise KeyboardInterrupt

    monkeypatch.setattr(Held, "record", at_append)
    with pytest.raises(KeyboardInterrupt):
        move("gate", "active")


def test_a_dry_run_repairs_nothing(dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "active")
    before = dot.read_text()
    assert move("impl", "failed", dry_run=True).source is NodeState.ACTIVE
    assert dot.read_text() == before


def test_a_status_edited_by_hand_is_reported_and_not_obeyed(dot: Path, move: Any) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    text, entries = dot.read_text(), journal(dot)
    with pytest.raises(InputError) as caught:
        move("impl", "impl_complete")
    said = caught.value
    assert "'gate' is validated in the file, but pending in its journal" in said.problem
    assert f"attractor transition {dot} gate --adopt" in said.fix
    assert said.details["nodes"] == [{"node": "gate", "journal": "pending", "file": "validated"}]
    assert (dot.read_text(), journal(dot)) == (text, entries)


def test_an_edit_beside_a_missed_rewrite_is_reported(
    dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=failed]")
    with pytest.raises(InputError, match="'gate' is failed in the file"):
        move("impl", "failed")


def test_adopting_takes_an_edit_over_on_the_record(dot: Path, move: Any, clock: Any) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    [taken] = adopt(str(dot), [], clock)
    assert (taken.node, taken.journal, taken.file) == ("gate", NodeState.PENDING, "validated")
    assert journal(dot)[-1].data == {"statuses": {"gate": "validated"}, "was": {"gate": "pending"}}
    assert move("gate", "accepted").source is NodeState.VALIDATED


def test_adopting_by_name_leaves_the_other_edits_reported(dot: Path, move: Any, clock: Any) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    edit(dot, "[shape=Msquare]", "[shape=Msquare, status=active]")
    assert [each.node for each in adopt(str(dot), ["done"], clock)] == ["done"]
    with pytest.raises(InputError, match="'gate' is validated"):
        move("impl", "failed")


def test_setting_the_last_moved_node_back_is_adopted_only_by_name(
    dot: Path, move: Any, clock: Any
) -> None:
    before = dot.read_text()
    move("impl", "active")
    dot.write_text(before)
    assert [each.node for each in adopt(str(dot), ["impl"], clock)] == ["impl"]
    assert shown(dot)["impl"] == folded(dot)["impl"] == "pending"


def test_adopting_all_repairs_a_missed_rewrite_and_takes_nothing(
    dot: Path, move: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "active")
    assert adopt(str(dot), [], clock) == []
    assert shown(dot)["impl"] == "active"


def test_a_dry_run_of_adopting_or_syncing_changes_nothing(dot: Path, move: Any, clock: Any) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    text, entries = dot.read_text(), journal(dot)
    assert [each.node for each in adopt(str(dot), [], clock, dry_run=True)] == ["gate"]
    assert [each.node for each in sync(str(dot), clock, dry_run=True)] == ["gate"]
    assert (dot.read_text(), journal(dot)) == (text, entries)


def test_adopting_something_that_is_no_state_is_refused_with_its_place(
    dot: Path, move: Any, clock: Any
) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=finished]")
    with pytest.raises(InputError, match="'finished', which is not a state") as caught:
        adopt(str(dot), [], clock)
    assert caught.value.where == f"{dot}:5:5"


def test_a_file_that_starts_with_no_state_is_refused_before_anything_is_written(
    dot: Path, move: Any
) -> None:
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=finished]")
    with pytest.raises(InputError, match="not a state"):
        move("impl", "active")
    assert not os.path.exists(f"{dot}.journal.jsonl")


def test_sync_puts_the_journal_s_statuses_back(dot: Path, move: Any, clock: Any) -> None:
    move("impl", "active")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    entries = journal(dot)
    [put_back] = sync(str(dot), clock)
    assert (put_back.node, put_back.file) == ("gate", "validated")
    assert (shown(dot), journal(dot)) == (folded(dot), entries)


def test_sync_without_a_journal_says_so(dot: Path, clock: Any) -> None:
    with pytest.raises(InputError, match="no journal"):
        sync(str(dot), clock)


def test_a_node_added_to_the_graph_starts_from_its_own_status(dot: Path, move: Any) -> None:
    move("impl", "active")
    edit(dot, "    gate ", "    new [status=failed]\n    gate ")
    assert move("new", "pending").source is NodeState.FAILED
    added, moved = journal(dot)[-2:]
    assert (added.event, added.data) == ("NodesAdded", {"statuses": {"new": "failed"}})
    assert moved.data["node"] == "new"


def test_a_node_taken_out_of_the_graph_stays_in_the_journal(dot: Path, move: Any) -> None:
    move("gate", "active")
    gone = dot.read_text()
    lines = [line.replace("-> gate ", "") for line in gone.splitlines() if "gate  [" not in line]
    dot.write_text("\n".join(lines))
    move("impl", "active")
    assert folded(dot)["gate"] == "active"
    with pytest.raises(InputError, match="no node 'gate'"):
        move("gate", "failed")


def test_every_name_for_a_file_means_one_lock_and_one_journal(
    dot: Path, move: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.dot"
    link.symlink_to(dot)
    move("impl", "active", path=link)
    monkeypatch.chdir(folder)
    move("impl", "impl_complete", path="link.dot")
    monkeypatch.chdir(tmp_path)
    move("impl", "validated", path="./p.dot")
    assert len(journal(dot)) == 4
    assert sorted(os.listdir(folder)) == ["link.dot"]
    assert link.is_symlink()
    assert shown(dot) == folded(dot)


def test_a_rewrite_that_fails_says_that_the_move_is_done_and_not_to_be_repeated(
    dot: Path, move: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, data: bytes, **_: Any) -> None:
        fix = "free some space, then do the same again"
        raise StorageError("cannot write: the disk is full", where=path, fix=fix)

    with monkeypatch.context() as broken:
        broken.setattr("attractor.run.held.replace", full)
        with pytest.raises(AttractorError, match="on record as entry 2 of the journal") as caught:
            move("impl", "active")
    error = caught.value
    assert (error.code, error.details["seq"]) == ("not_shown", 2)
    assert "the disk is full" in error.problem
    assert error.fix.startswith("do not do it again.")
    assert ("--sync" in error.fix, "do the same again" in error.fix) == (True, False)
    assert (shown(dot)["impl"], folded(dot)["impl"]) == ("pending", "active")
    sync(str(dot), clock)
    assert shown(dot) == folded(dot)


def saves_during(
    monkeypatch: pytest.MonkeyPatch, dot: Path, *edits: tuple[str, str], times: int = 1
) -> None:
    """An editor that saves when all is ready but the very last step."""
    left = [times]
    real = atomic._write_new

    def write_new(path: str, *rest: Any) -> None:
        real(path, *rest)
        if os.path.basename(path).startswith(".p.dot.") and "owner" not in path and left[0]:
            left[0] -= 1
            for old, new in edits:
                edit(dot, old, new)

    monkeypatch.setattr(atomic, "_write_new", write_new)


def test_what_somebody_saves_during_a_move_stays(
    dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves_during(monkeypatch, dot, ("// A comment that stays.", "// A comment that comes."))
    move("impl", "active")
    assert dot.read_text().startswith("// A comment that comes.\n")
    assert shown(dot) == folded(dot)
    assert folded(dot)["impl"] == "active"
    assert os.listdir(dot.parent).count(".p.dot") == 0


def test_what_somebody_saves_again_and_again_is_never_overwritten(
    dot: Path, move: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as busy:
        saves_during(busy, dot, ("digraph p {", "digraph p { // again"), times=1000)
        with pytest.raises(AttractorError, match="the file was changed meanwhile") as caught:
            move("impl", "active")
    assert caught.value.code == "not_shown"
    assert (shown(dot)["impl"], folded(dot)["impl"]) == ("pending", "active")
    sync(str(dot), clock)
    assert "// again" in dot.read_text()
    assert shown(dot) == folded(dot)


def test_a_status_written_during_a_move_is_reported_by_the_next(
    dot: Path, move: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves_during(
        monkeypatch,
        dot,
        ("gate  [shape=hexagon]", "gate  [shape=hexagon, status=failed]"),
        ("impl  [shape=box", "impl  [status=validated, shape=box"),
    )
    move("impl", "active")
    assert (shown(dot)["impl"], shown(dot)["gate"]) == ("validated", "failed")
    with pytest.raises(InputError, match="'impl' is validated in the file, but active") as caught:
        move("impl", "failed")
    assert [each["node"] for each in caught.value.details["nodes"]] == ["impl", "gate"]


@pytest.mark.parametrize("text", ["", "digraph p {", None])
def test_a_file_that_becomes_unreadable_during_a_move_is_left_so(
    dot: Path, move: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    record = Held.record

    def then_spoilt(self: Held, *events: Any) -> Any:
        entry = record(self, *events)
        if text is None:
            dot.unlink()
        else:
            dot.write_text(text)
        return entry

    with monkeypatch.context() as editing:
        editing.setattr(Held, "record", then_spoilt)
        with pytest.raises(AttractorError, match="on record as entry 2") as caught:
            move("impl", "active")
    assert caught.value.code == "not_shown"
    assert (dot.read_text() if dot.exists() else None) == text
    dot.write_text(PIPELINE)
    assert [each.node for each in sync(str(dot), clock)] == ["impl"]
    assert shown(dot)["impl"] == "active"


def test_adopting_an_edit_beside_a_missed_rewrite_does_not_undo_the_move(
    dot: Path, move: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    move("impl", "active")
    with monkeypatch.context() as killed:
        miss_the_rewrite(killed)
        move("impl", "impl_complete")
    edit(dot, "gate  [shape=hexagon]", "gate  [shape=hexagon, status=validated]")
    with pytest.raises(InputError, match="edited by hand") as caught:
        move("impl", "validated")
    assert [each["node"] for each in caught.value.details["nodes"]] == ["gate"]
    assert [each.node for each in adopt(str(dot), [], clock)] == ["gate"]
    assert (folded(dot)["impl"], folded(dot)["gate"]) == ("impl_complete", "validated")
    assert shown(dot) == folded(dot)


def test_a_pipeline_with_very_many_names_gets_a_journal(dot: Path, clock: Any) -> None:
    names = [f"n{at}_{'x' * 500}" for at in range(3000)]
    dot.write_text(f"digraph p {{ {'; '.join(names)} }}")
    request = Request(names[0], NodeState.ACTIVE)
    assert transition_node(str(dot), request, clock).seq == 2
    checkpoint.save(str(dot), clock)
    assert checkpoint.restore(str(dot), "latest", clock).note == ""


def test_drafts_of_killed_writers_are_swept_and_nothing_else(
    dot: Path, move: Any, tmp_path: Path
) -> None:
    drafts = [
        ".p.dot.0123abcd",
        ".p.dot.lock.owner.json.0123abcd",
        ".p.dot.journal.jsonl.torn-20260101T000000.000000Z.2.0123abcd",
    ]
    others = [".p.dot.swp", ".other.dot.0123abcd", "p.dot.0123abcd", ".p.dot.0123abcg"]
    for name in [*drafts, *others]:
        (tmp_path / name).write_text("")
    (tmp_path / ".p.dot.00000000").mkdir()
    (tmp_path / ".p.dot.11111111").symlink_to(".p.dot.swp")
    move("impl", "active")
    kept = [*others, ".p.dot.00000000", ".p.dot.11111111"]
    ours = ["p.dot", "p.dot.journal.jsonl", "p.dot.lock"]
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, *ours])


@pytest.mark.parametrize("name", ["p.dot.lock", "p.dot.lock.owner.json", "p.dot.journal.jsonl"])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_of_ours_is_written_through_a_link(
    dot: Path, move: Any, tmp_path: Path, name: str, there: bool
) -> None:
    victim = tmp_path / "bashrc"
    if there:
        victim.write_text("")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(InputError, match="this is a symbolic link"):
        move("impl", "active")
    assert (tmp_path / name).is_symlink()
    assert victim.exists() == there
    assert not there or victim.read_text() == ""
    assert dot.read_text() == PIPELINE


def test_a_damaged_journal_stops_the_move_and_changes_nothing(dot: Path, move: Any) -> None:
    move("impl", "active")
    path = Path(f"{dot}.journal.jsonl")
    path.write_text(path.read_text().replace('"to":"active"', '"to":"failed"'))
    text = dot.read_text()
    with pytest.raises(DamageError, match="line 2"):
        move("impl", "failed")
    assert dot.read_text() == text


def test_an_impossible_entry_is_refused_with_its_line(dot: Path, move: Any, clock: Any) -> None:
    move("impl", "active")
    with Journal.open(f"{dot}.journal.jsonl", clock) as writer:
        writer.append("NodeMoved", {"node": "impl", "from": "failed", "to": "pending"})
    text = dot.read_text()
    with pytest.raises(DamageError, match="but the node is active") as caught:
        move("impl", "failed")
    assert caught.value.where == f"{dot}.journal.jsonl:3"
    assert dot.read_text() == text


def test_what_is_no_pipeline_is_refused_and_gets_no_lock(tmp_path: Path, clock: Any) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# A project\n")
    for run in (
        lambda: transition_node(str(readme), Request("a", NodeState.ACTIVE), clock),
        lambda: checkpoint.save(str(readme), clock),
        lambda: sync(str(readme), clock),
    ):
        with pytest.raises(InputError):
            run()
    assert os.listdir(tmp_path) == ["README.md"]


@pytest.mark.parametrize("what", ["missing", "folder", "-"])
def test_what_is_no_file_is_refused_and_gets_no_lock(
    tmp_path: Path, clock: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError):
        transition_node(what, Request("a", NodeState.ACTIVE), clock)
    assert os.listdir(tmp_path) == ["folder"]
