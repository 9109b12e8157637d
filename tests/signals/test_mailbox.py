from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals import atomic, kinds, mailbox
from signals.errors import ProtocolError, StorageError
from signals.mailbox import Mailbox

NOW = "20260225T061320.000000Z"
"""What the stopped clock shows."""


# Sending and receiving


def test_what_is_sent_is_delivered_and_once_acknowledged_never_again(
    box: Mailbox, folder: Path, guidance: Any, text: Any, tree: Any
) -> None:
    path = box.send(guidance())
    [(name, signal)] = box.drain()
    assert path == os.path.join(folder, name)
    assert text(signal) == "go on"
    box.acknowledge(name)
    assert (list(box.drain()), tree(folder)) == ([], [f"processed/{name}"])


def test_what_is_not_acknowledged_is_delivered_again(box: Mailbox, guidance: Any) -> None:
    box.send(guidance())
    assert list(box.drain()) == list(box.drain()) != []


def test_sending_fills_in_the_time_an_id_and_the_signature(signed: Mailbox, guidance: Any) -> None:
    signed.send(guidance(run_id="r", attempt=2))
    [(name, signal)] = signed.drain()
    assert name == f"{NOW}-guardian-runner-GUIDANCE.json"
    assert (signal.timestamp, signal.run_id, signal.attempt, signal.node_id) == (
        NOW,
        "r",
        2,
        "build",
    )
    assert len(signal.id) == 32
    assert signal.mac is not None


def test_an_id_that_is_set_is_kept_so_that_sending_again_is_harmless(
    box: Mailbox, guidance: Any
) -> None:
    signal = guidance().model_copy(update={"id": "chosen-before"})
    box.send(signal)
    box.send(signal)
    assert [delivery.signal.id for delivery in box.drain()] == ["chosen-before"] * 2


def test_signals_of_one_microsecond_are_all_kept_in_the_order_sent(
    folder: Path, clock: Any, guidance: Any, text: Any
) -> None:
    first, second = Mailbox(folder, clock=clock), Mailbox(folder, clock=clock)
    first.create()
    for number in range(10):
        (first if number % 3 else second).send(guidance(str(number)))
    texts = [text(delivery.signal) for delivery in first.drain()]
    assert sorted(texts) == [str(number) for number in range(10)]


def test_one_sender_keeps_its_order_through_a_clock_that_stands(
    box: Mailbox, guidance: Any, text: Any
) -> None:
    for number in range(10):
        box.send(guidance(str(number)))
    assert [text(found.signal) for found in box.drain()] == [str(number) for number in range(10)]


def test_a_sender_does_not_use_a_name_again_that_was_taken_away(
    box: Mailbox, folder: Path, guidance: Any
) -> None:
    for _ in range(2):
        box.acknowledge(os.path.basename(box.send(guidance())))
    later = NOW.replace("000000Z", "000001Z")
    assert box.processed() == [f"{stamp}-guardian-runner-GUIDANCE.json" for stamp in (NOW, later)]


def test_a_clock_set_back_far_is_believed(
    box: Mailbox, clock: Any, guidance: Any, text: Any
) -> None:
    box.send(guidance("first"))
    clock.advance(-3600)
    box.send(guidance("second"))
    assert [text(delivery.signal) for delivery in box.drain()] == ["second", "first"]


def test_a_sender_gives_up_in_words_when_no_name_is_free(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch, guidance: Any
) -> None:
    def taken(*_: object, **__: object) -> str:
        raise FileExistsError

    monkeypatch.setattr("signals.mailbox.publish", taken)
    with pytest.raises(StorageError, match="all taken"):
        box.send(guidance())


def test_a_signal_that_cannot_be_written_leaves_nothing(
    box: Mailbox, folder: Path, guidance: Any, tree: Any
) -> None:
    with pytest.raises(ProtocolError, match="the limit is"):
        box.send(guidance("x" * 2**20))
    assert tree(folder) == []


def test_sending_into_no_mailbox_says_so(tmp_path: Path, clock: Any, guidance: Any) -> None:
    with pytest.raises(StorageError, match="the folder does not exist"):
        Mailbox(tmp_path / "absent", clock=clock).send(guidance())


def test_listing_no_mailbox_says_so(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(StorageError, match="cannot list the mailbox"):
        Mailbox(tmp_path / "absent", clock=clock).waiting()


def test_a_file_in_place_of_a_mailbox_is_named(tmp_path: Path, clock: Any) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "tmp").write_text("")
    with pytest.raises(StorageError, match="this is not a folder"):
        Mailbox(tmp_path / "box", clock=clock).create()


def test_the_oldest_comes_first(box: Mailbox, folder: Path, put: Any) -> None:
    stamps = ["20260224T120000.000002Z", "20260224T120000.000001Z", "20250224T120000.999999Z"]
    names = [put(folder, stamp) for stamp in stamps]
    assert box.waiting() == [name for name, _ in box.drain()] == names[::-1]


# Acknowledging


def test_a_crash_before_the_unlink_is_finished_by_acknowledging_again(
    box: Mailbox, folder: Path, guidance: Any, tree: Any
) -> None:
    name = os.path.basename(box.send(guidance()))
    os.link(folder / name, folder / "processed" / name)
    [(again, _)] = box.drain()
    box.acknowledge(again)
    assert tree(folder) == [f"processed/{name}"]


def test_the_same_content_in_processed_is_not_kept_twice(
    box: Mailbox, folder: Path, put: Any, tree: Any
) -> None:
    name = put(folder, NOW)
    (folder / "processed" / name).write_bytes((folder / name).read_bytes())
    box.acknowledge(name)
    assert tree(folder) == [f"processed/{name}"]


def test_another_content_under_the_same_name_is_kept_beside_it(
    box: Mailbox, folder: Path, put: Any, tree: Any
) -> None:
    stem = put(folder, NOW).removesuffix(".json")
    for message in ("one", "two", "three"):
        box.acknowledge(put(folder, NOW, message))
    names = [f"{stem}.2.json", f"{stem}.3.json", f"{stem}.json"]
    assert tree(folder) == [f"processed/{name}" for name in names]
    assert box.processed() == names


def test_acknowledging_twice_is_harmless(box: Mailbox, folder: Path, put: Any, tree: Any) -> None:
    name = put(folder, NOW)
    box.acknowledge(name)
    box.acknowledge(name)
    assert tree(folder) == [f"processed/{name}"]


def test_many_are_acknowledged_at_once(box: Mailbox, folder: Path, put: Any) -> None:
    names = [put(folder, f"20260224T12000{number}Z") for number in range(5)]
    box.acknowledge(*names)
    assert box.processed() == names
    assert box.waiting() == []


def test_acknowledging_what_never_was_is_an_error(box: Mailbox) -> None:
    with pytest.raises(StorageError, match="no such signal to acknowledge"):
        box.acknowledge(f"{NOW}-guardian-runner-GUIDANCE.json")


@pytest.mark.parametrize("name", ["../key", "/etc/passwd", "", ".", ".."])
@pytest.mark.parametrize("do", ["read", "acknowledge", "quarantine"])
def test_a_name_never_leads_out_of_the_mailbox(box: Mailbox, do: str, name: str) -> None:
    arguments = (name, "reason") if do == "quarantine" else (name,)
    with pytest.raises(ProtocolError, match="not the name of a signal"):
        getattr(box, do)(*arguments)


def recorded(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Record what is done to the names in a mailbox, in order."""
    done: list[str] = []

    def watch(module: Any, name: str, show: Callable[..., str]) -> None:
        really = getattr(module, name)

        def recording(*arguments: Any, **options: Any) -> Any:
            answer = really(*arguments, **options)
            done.append(show(*arguments))
            return answer

        monkeypatch.setattr(module, name, recording)

    def short(path: str) -> str:
        relative = os.path.relpath(path, folder)
        named = re.sub(rf"\.?{re.escape(NOW)}-guardian-runner-GUIDANCE\.json", "NAME", relative)
        return re.sub(r"\.[0-9a-f]{8}$", ".DRAFT", named)

    watch(os, "link", lambda _source, goal, **_: f"link {short(goal)}")
    watch(os, "unlink", lambda path, **_: f"unlink {short(path)}")
    for module in (atomic, mailbox):
        watch(module, "fsync_folder", lambda path: f"fsync {short(path)}")
    return done


def test_a_signal_is_durably_processed_before_it_is_gone(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch, put: Any
) -> None:
    name = put(folder, NOW)
    done = recorded(monkeypatch, folder)
    box.acknowledge(name)
    assert done == ["link processed/NAME", "fsync processed", "unlink NAME", "fsync ."]


def test_the_reason_of_a_quarantine_is_durable_before_the_file_is_gone(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch, put: Any
) -> None:
    name = put(folder, NOW)
    done = recorded(monkeypatch, folder)
    box.quarantine(name, "bad")
    assert done == [
        "link quarantine/NAME",
        "link quarantine/NAME.reason",
        "unlink tmp/NAME.reason.DRAFT",
        "fsync quarantine",
        "unlink NAME",
        "fsync .",
    ]


@pytest.mark.parametrize("how", ["before", "meanwhile"])
def test_a_reason_that_another_wrote_is_made_durable_before_the_file_is_gone(
    box: Mailbox, folder: Path, how: str, monkeypatch: pytest.MonkeyPatch, put: Any
) -> None:
    name = put(folder, NOW)
    os.link(folder / name, folder / "quarantine" / name)  # as a crash leaves it, not yet fsynced
    (folder / "quarantine" / f"{name}.reason").write_text("{}")
    if how == "meanwhile":
        monkeypatch.setattr(os.path, "lexists", lambda _: False)
    done = recorded(monkeypatch, folder)
    box.quarantine(name, "bad")
    assert [step for step in done if "DRAFT" not in step] == [
        "fsync quarantine",
        "unlink NAME",
        "fsync .",
    ]


def test_what_refuses_to_acknowledge_is_met_before_the_block_begins(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch, put: Any
) -> None:
    name = put(folder, NOW)
    entered = []
    with pytest.raises(StorageError, match="no such signal"), box.acknowledging("gone.json"):
        entered.append("gone")
    (folder / "processed").rmdir()
    (folder / "processed").write_text("")
    with pytest.raises(StorageError, match="not a folder"), box.acknowledging(name):
        entered.append("odd")
    (folder / "processed").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        with pytest.raises(StorageError, match="permission denied"), box.acknowledging(name):
            entered.append("refused")
    assert entered == []


def test_a_block_that_fails_leaves_the_signal_waiting(box: Mailbox, folder: Path, put: Any) -> None:
    name = put(folder, NOW)
    with pytest.raises(BrokenPipeError), box.acknowledging(name):
        raise BrokenPipeError
    assert box.waiting() == [name]
    with box.acknowledging(name):
        assert box.waiting() == [name]
    assert (box.waiting(), box.processed()) == ([], [name])


# The flat folder of the harness

HARNESS_NAME = "20260224T120000Z-runner-guardian-NEEDS_REVIEW.json"
HARNESS_BODY = """{
  "source": "runner",
  "target": "guardian",
  "signal_type": "NEEDS_REVIEW",
  "timestamp": "20260224T120000Z",
  "payload": {
    "node_id": "impl_auth",
    "evidence_path": "/tmp/evidence",
    "commit_hash": "9e02049",
    "summary": "caf\\u00e9"
  }
}"""


@pytest.fixture
def flat(folder: Path, clock: Any) -> Mailbox:
    """The folder as the harness leaves it: no tmp/, no quarantine/."""
    (folder / "processed").mkdir(parents=True)
    (folder / HARNESS_NAME).write_text(HARNESS_BODY)
    return Mailbox(folder, target="guardian", clock=clock)


def test_a_signal_of_the_harness_is_delivered_and_acknowledged(
    flat: Mailbox, folder: Path, tree: Any
) -> None:
    [(name, signal)] = flat.drain()
    assert signal.payload == kinds.NeedsReview(
        node_id="impl_auth", evidence_path="/tmp/evidence", commit_hash="9e02049", summary="café"
    )
    flat.acknowledge(name)
    assert tree(folder) == [f"processed/{HARNESS_NAME}"]


def test_what_is_not_for_this_reader_is_left_alone(flat: Mailbox, folder: Path, tree: Any) -> None:
    others = [
        "20260224T120000Z-guardian-runner-GUIDANCE.json",
        "20260224T120000Z-runner-guardian-NEEDS_INPUT.json.tmp",
        "notes.json",
        ".hidden-a-guardian-X.json",
    ]
    for name in others:
        (folder / name).write_text("junk")
    assert [delivery.name for delivery in flat.drain()] == [HARNESS_NAME]
    assert tree(folder) == sorted([*others, HARNESS_NAME])


def test_a_corrupt_file_of_the_harness_is_put_aside_in_a_folder_made_for_it(
    flat: Mailbox, folder: Path
) -> None:
    corrupt = "20260224T115959Z-runner-guardian-NEEDS_REVIEW.json"
    (folder / corrupt).write_text("{")
    assert [delivery.name for delivery in flat.drain()] == [HARNESS_NAME]
    assert list(flat.quarantined()) == [corrupt]


def test_the_harness_finds_in_our_signal_everything_that_it_reads(
    flat: Mailbox, folder: Path
) -> None:
    flat.create()
    payload = kinds.OrchestratorStuck(node_id="build", duration_seconds=300.0, last_output="…")
    path = flat.send(kinds.compose("runner", "guardian", payload))
    stamp, source, target, signal_type = os.path.basename(path)[:-5].split("-", 3)
    body = json.loads(Path(path).read_text("utf-8"))
    assert (body["timestamp"], body["source"], body["target"], body["signal_type"]) == (
        stamp,
        source,
        target,
        signal_type,
    )
    assert body["payload"] == {
        "node_id": "build",
        "duration_seconds": 300.0,
        "last_output": "…",
    }


def test_a_harness_signal_is_forged_where_there_is_a_key(signed: Mailbox, folder: Path) -> None:
    (folder / HARNESS_NAME).write_text(HARNESS_BODY)
    assert list(signed.drain()) == []
    assert signed.quarantined() == {HARNESS_NAME: "forged: it has no mac"}


def test_listing_does_not_load_the_models() -> None:
    code = "import sys, signals.mailbox, signals.names; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
