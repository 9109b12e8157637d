from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals import atomic, kinds, mailbox, sign
from signals.body import encode
from signals.errors import ProtocolError, StorageError
from signals.mailbox import Mailbox
from signals.names import name_of

KEY = bytes(range(32))
NOW = "20260225T061320.000000Z"
"""What the stopped clock shows."""


def guidance(message: str = "go on", **envelope: Any) -> kinds.Signal:
    payload = kinds.Guidance(node_id="build", message=message)
    return kinds.compose("guardian", "runner", payload, **envelope)


def text(signal: kinds.Signal) -> str | None:
    assert isinstance(signal.payload, kinds.Guidance)
    return signal.payload.message


def put(folder: Path, stamp: str, message: str = "go on", *, key: bytes | None = None) -> str:
    """Write a signal as its sender would, at a time of our choosing."""
    signal = guidance(message).filled(timestamp=stamp)
    body = signal.as_body()
    if key is not None:
        body["mac"] = sign.mac(key, body)
    (folder / name_of(signal)).write_bytes(encode(body))
    return name_of(signal)


def tree(folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "box"


@pytest.fixture
def box(folder: Path, clock: Any) -> Mailbox:
    made = Mailbox(folder, clock=clock)
    made.create()
    return made


@pytest.fixture
def signed(folder: Path, clock: Any) -> Mailbox:
    made = Mailbox(folder, key=KEY, clock=clock)
    made.create()
    return made


# Sending and receiving


def test_what_is_sent_is_delivered_and_once_acknowledged_never_again(
    box: Mailbox, folder: Path
) -> None:
    path = box.send(guidance())
    [(name, signal)] = box.drain()
    assert path == os.path.join(folder, name)
    assert text(signal) == "go on"
    box.acknowledge(name)
    assert (list(box.drain()), tree(folder)) == ([], [f"processed/{name}"])


def test_what_is_not_acknowledged_is_delivered_again(box: Mailbox) -> None:
    box.send(guidance())
    assert list(box.drain()) == list(box.drain()) != []


def test_sending_fills_in_the_time_an_id_and_the_signature(signed: Mailbox) -> None:
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


def test_an_id_that_is_set_is_kept_so_that_sending_again_is_harmless(box: Mailbox) -> None:
    signal = guidance().model_copy(update={"id": "chosen-before"})
    box.send(signal)
    box.send(signal)
    assert [delivery.signal.id for delivery in box.drain()] == ["chosen-before"] * 2


def test_signals_of_one_microsecond_are_all_kept_in_the_order_sent(
    folder: Path, clock: Any
) -> None:
    first, second = Mailbox(folder, clock=clock), Mailbox(folder, clock=clock)
    first.create()
    for number in range(10):
        (first if number % 3 else second).send(guidance(str(number)))
    texts = [text(delivery.signal) for delivery in first.drain()]
    assert sorted(texts) == [str(number) for number in range(10)]


def test_one_sender_keeps_its_order_through_a_clock_that_stands(box: Mailbox) -> None:
    for number in range(10):
        box.send(guidance(str(number)))
    assert [text(found.signal) for found in box.drain()] == [str(number) for number in range(10)]


def test_a_sender_does_not_use_a_name_again_that_was_taken_away(box: Mailbox, folder: Path) -> None:
    for _ in range(2):
        box.acknowledge(os.path.basename(box.send(guidance())))
    later = NOW.replace("000000Z", "000001Z")
    assert box.processed() == [f"{stamp}-guardian-runner-GUIDANCE.json" for stamp in (NOW, later)]


def test_a_clock_set_back_far_is_believed(box: Mailbox, clock: Any) -> None:
    box.send(guidance("first"))
    clock.advance(-3600)
    box.send(guidance("second"))
    assert [text(delivery.signal) for delivery in box.drain()] == ["second", "first"]


def test_a_sender_gives_up_in_words_when_no_name_is_free(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object, **__: object) -> str:
        raise FileExistsError

    monkeypatch.setattr("signals.mailbox.publish", taken)
    with pytest.raises(StorageError, match="all taken"):
        box.send(guidance())


def test_a_signal_that_cannot_be_written_leaves_nothing(box: Mailbox, folder: Path) -> None:
    with pytest.raises(ProtocolError, match="the limit is"):
        box.send(guidance("x" * 2**20))
    assert tree(folder) == []


def test_sending_into_no_mailbox_says_so(tmp_path: Path, clock: Any) -> None:
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


def test_the_oldest_comes_first(box: Mailbox, folder: Path) -> None:
    stamps = ["20260224T120000.000002Z", "20260224T120000.000001Z", "20250224T120000.999999Z"]
    names = [put(folder, stamp) for stamp in stamps]
    assert box.waiting() == [name for name, _ in box.drain()] == names[::-1]


# Acknowledging


def test_a_crash_before_the_unlink_is_finished_by_acknowledging_again(
    box: Mailbox, folder: Path
) -> None:
    name = os.path.basename(box.send(guidance()))
    os.link(folder / name, folder / "processed" / name)
    [(again, _)] = box.drain()
    box.acknowledge(again)
    assert tree(folder) == [f"processed/{name}"]


def test_the_same_content_in_processed_is_not_kept_twice(box: Mailbox, folder: Path) -> None:
    name = put(folder, NOW)
    (folder / "processed" / name).write_bytes((folder / name).read_bytes())
    box.acknowledge(name)
    assert tree(folder) == [f"processed/{name}"]


def test_another_content_under_the_same_name_is_kept_beside_it(box: Mailbox, folder: Path) -> None:
    stem = put(folder, NOW).removesuffix(".json")
    for message in ("one", "two", "three"):
        box.acknowledge(put(folder, NOW, message))
    names = [f"{stem}.2.json", f"{stem}.3.json", f"{stem}.json"]
    assert tree(folder) == [f"processed/{name}" for name in names]
    assert box.processed() == names


def test_acknowledging_twice_is_harmless(box: Mailbox, folder: Path) -> None:
    name = put(folder, NOW)
    box.acknowledge(name)
    box.acknowledge(name)
    assert tree(folder) == [f"processed/{name}"]


def test_many_are_acknowledged_at_once(box: Mailbox, folder: Path) -> None:
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
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = put(folder, NOW)
    done = recorded(monkeypatch, folder)
    box.acknowledge(name)
    assert done == ["link processed/NAME", "fsync processed", "unlink NAME", "fsync ."]


def test_the_reason_of_a_quarantine_is_durable_before_the_file_is_gone(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
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
    box: Mailbox, folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
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
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_block_that_fails_leaves_the_signal_waiting(box: Mailbox, folder: Path) -> None:
    name = put(folder, NOW)
    with pytest.raises(BrokenPipeError), box.acknowledging(name):
        raise BrokenPipeError
    assert box.waiting() == [name]
    with box.acknowledging(name):
        assert box.waiting() == [name]
    assert (box.waiting(), box.processed()) == ([], [name])


# Bad files


GOOD = encode(guidance().filled(timestamp=NOW).as_body())


def link_to_a_good_one(path: Path) -> None:
    (path.parent.parent / "elsewhere.json").write_bytes(GOOD)
    path.symlink_to("../elsewhere.json")


def bind_a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)  # a whole path may be too long for a socket


BAD: dict[str, tuple[bytes | Callable[[Path], object], str]] = {
    "empty": (b"", "it is not JSON"),
    "cut off": (GOOD[:-2], "it is not JSON"),
    "not utf-8": (b'{"source": "\xff"}', "it is not UTF-8: byte 12"),
    "too large": (b" " * 2 * 2**20, "it has more than 1048576 bytes"),
    "endless": (
        lambda path: path.touch() or os.truncate(path, 2**36),
        "it has more than 1048576 bytes",
    ),
    "deep": (b"[" * 500_000, "it is nested too deeply"),
    "unknown type": (b'{"signal_type": "HELLO"}', "there is no signal type 'HELLO'"),
    "newer": (
        GOOD.replace(b'"schema_version": 1', b'"schema_version": 2'),
        "written by a newer Attractor",
    ),
    "another name": (GOOD.replace(NOW.encode(), b"20200101T000000Z"), "name and body disagree"),
    "symlink": (link_to_a_good_one, "it is a symbolic link"),
    "dangling symlink": (lambda path: path.symlink_to("nowhere"), "it is a symbolic link"),
    "fifo": (os.mkfifo, "it is not a regular file"),
    "socket": (bind_a_socket, "it is not a regular file"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_put_aside_with_its_reason_and_starves_nobody(
    box: Mailbox, folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    name = f"{NOW}-guardian-runner-GUIDANCE.json"
    make, says = BAD[what]
    make(folder / name) if callable(make) else (folder / name).write_bytes(make)
    before, after = put(folder, "20200101T000001Z"), put(folder, "20290101T000000Z")
    assert [delivery.name for delivery in box.drain()] == [before, after]
    assert box.waiting() == [before, after]
    [(kept, reason)] = box.quarantined().items()
    assert kept == name
    assert reason.startswith(says)
    assert os.path.lexists(folder / "quarantine" / name)
    said = json.loads((folder / "quarantine" / f"{name}.reason").read_bytes())
    assert (said["name"], said["at"]) == (name, "2026-02-25T06:13:20.000000Z")


def test_a_folder_named_like_a_signal_is_reported_once_and_passed_by(
    box: Mailbox, folder: Path
) -> None:
    name = f"{NOW}-guardian-runner-GUIDANCE.json"
    (folder / name).mkdir()
    after = put(folder, "20290101T000000Z")
    for _ in range(2):
        assert [delivery.name for delivery in box.drain()] == [after]
    assert tree(folder) == [after, f"quarantine/{name}.reason"]
    assert box.quarantined() == {name: "it is not a regular file; it was left in place"}


def test_what_was_reported_once_is_passed_by_even_when_the_disk_is_full(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / f"{NOW}-guardian-runner-GUIDANCE.json").mkdir()
    assert list(box.drain()) == []

    def full(*_: object, **__: object) -> str:
        raise StorageError("the disk is full")

    monkeypatch.setattr(mailbox, "publish", full)
    assert list(box.drain()) == []


def test_a_file_that_may_not_be_linked_is_reported_once_and_passed_by(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, really = put(folder, NOW), os.link
    (folder / name).write_bytes(b"")

    def refused(source: str, goal: str, **options: Any) -> None:
        if os.fspath(source).endswith(name):
            raise PermissionError(errno.EPERM, "protected_hardlinks")
        really(source, goal, **options)

    monkeypatch.setattr(os, "link", refused)
    for _ in range(2):
        assert list(box.drain()) == []
    assert tree(folder) == [name, f"quarantine/{name}.reason"]


def test_a_json_file_with_another_name_is_put_aside(box: Mailbox, folder: Path) -> None:
    (folder / "notes.json").write_text("{}")
    assert list(box.drain()) == []
    assert list(box.quarantined()) == ["notes.json"]


@pytest.mark.parametrize("name", ["x" * 250 + ".json", "\udcff.json"])
def test_an_impossible_name_starves_nobody(box: Mailbox, folder: Path, name: str) -> None:
    (folder / name).write_text("{}")
    good = put(folder, NOW)
    assert [delivery.name for delivery in box.drain()] == [good]
    assert box.waiting() == [good]
    assert list(box.quarantined().values()) == ["signal_type is missing"]


def test_a_quarantine_cut_short_is_finished_by_the_next_reader(box: Mailbox, folder: Path) -> None:
    name = f"{NOW}-guardian-runner-GUIDANCE.json"
    (folder / name).write_bytes(b"")
    os.link(folder / name, folder / "quarantine" / name)
    assert list(box.drain()) == []
    assert tree(folder) == [f"quarantine/{name}", f"quarantine/{name}.reason"]


def test_two_bad_files_of_one_name_are_both_kept(box: Mailbox, folder: Path) -> None:
    name = f"{NOW}-guardian-runner-GUIDANCE.json"
    for content in (b"one", b"two"):
        (folder / name).write_bytes(content)
        assert list(box.drain()) == []
    kept = [name, name.replace(".json", ".2.json")]
    assert [(folder / "quarantine" / each).read_bytes() for each in kept] == [b"one", b"two"]
    assert sorted(box.quarantined()) == sorted(kept)


def test_quarantining_what_is_gone_does_nothing(box: Mailbox, folder: Path) -> None:
    box.quarantine(f"{NOW}-guardian-runner-GUIDANCE.json", "bad")
    assert tree(folder) == []


def test_a_disk_error_ends_the_drain_and_puts_nothing_aside(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = put(folder, NOW)

    def ill(_path: str) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("signals.mailbox.read_file", ill)
    with pytest.raises(StorageError, match="Too many open files"):
        list(box.drain())
    assert tree(folder) == [name]


def test_a_signal_that_another_reader_took_meanwhile_is_passed_by(
    box: Mailbox, folder: Path
) -> None:
    names = [put(folder, f"20260224T12000{number}Z") for number in range(3)]
    drained = box.drain()
    assert next(drained).name == names[0]
    os.unlink(folder / names[1])
    assert [delivery.name for delivery in drained] == [names[2]]


def test_reading_by_name_says_what_is_wrong_and_moves_nothing(box: Mailbox, folder: Path) -> None:
    good = put(folder, NOW)
    assert text(box.read(good)) == "go on"
    (folder / "bad.json").write_text("{")
    with pytest.raises(ProtocolError, match="it is not JSON"):
        box.read("bad.json")
    with pytest.raises(StorageError, match="cannot read the signal"):
        box.read("absent.json")
    assert tree(folder) == [good, "bad.json"]


# Forgery


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (lambda folder: put(folder, NOW), "forged: it has no mac"),
        (lambda folder: put(folder, NOW, key=bytes(32)), "forged: its mac is wrong"),
    ],
)
def test_what_does_not_carry_the_signature_is_put_aside_as_forged(
    signed: Mailbox, folder: Path, forge: Callable[[Path], str], says: str
) -> None:
    name = forge(folder)
    signed.send(guidance("genuine"))
    assert [text(delivery.signal) for delivery in signed.drain()] == ["genuine"]
    assert signed.quarantined() == {name: says}


def test_a_genuine_signal_that_was_changed_is_forged(signed: Mailbox, folder: Path) -> None:
    path = Path(signed.send(guidance("leave it")))
    path.write_bytes(path.read_bytes().replace(b"leave it", b"drop it!"))
    assert list(signed.drain()) == []
    assert signed.quarantined() == {path.name: "forged: its mac is wrong"}


def test_a_genuine_signal_under_another_name_is_put_aside(signed: Mailbox, folder: Path) -> None:
    path = Path(signed.send(guidance()))
    path.rename(folder / "20200101T000000Z-guardian-runner-GUIDANCE.json")
    assert list(signed.drain()) == []
    [reason] = signed.quarantined().values()
    assert reason.startswith("name and body disagree")


def test_a_harness_signal_is_forged_where_there_is_a_key(signed: Mailbox, folder: Path) -> None:
    (folder / HARNESS_NAME).write_text(HARNESS_BODY)
    assert list(signed.drain()) == []
    assert signed.quarantined() == {HARNESS_NAME: "forged: it has no mac"}


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


def test_a_signal_of_the_harness_is_delivered_and_acknowledged(flat: Mailbox, folder: Path) -> None:
    [(name, signal)] = flat.drain()
    assert signal.payload == kinds.NeedsReview(
        node_id="impl_auth", evidence_path="/tmp/evidence", commit_hash="9e02049", summary="café"
    )
    flat.acknowledge(name)
    assert tree(folder) == [f"processed/{HARNESS_NAME}"]


def test_what_is_not_for_this_reader_is_left_alone(flat: Mailbox, folder: Path) -> None:
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


# Old drafts

DRAFT = f".{NOW}-guardian-runner-GUIDANCE.json.0123abcd"
HOUR_NS = 3600 * 10**9


def old(path: Path, clock: Any) -> None:
    then = clock.now_ns - HOUR_NS - 10**9
    os.utime(path, ns=(then, then), follow_symlinks=False)


@pytest.mark.parametrize("name", [DRAFT, ".bad name.json.reason.0123abcd"])
def test_drafts_are_swept_once_they_are_an_hour_old(
    box: Mailbox, folder: Path, clock: Any, name: str
) -> None:
    (folder / "tmp" / name).write_text("")
    os.utime(folder / "tmp" / name, ns=(clock.now_ns - HOUR_NS + 10**9,) * 2)
    box.sweep()
    assert tree(folder) == [f"tmp/{name}"]
    old(folder / "tmp" / name, clock)
    box.sweep()
    assert tree(folder) == []


def test_what_a_killed_sender_leaves_is_what_the_reader_sweeps(
    box: Mailbox, folder: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(os, "unlink", lambda _: None)  # between the link and the unlink
        name = os.path.basename(box.send(guidance()))
        (folder / "bad.json").write_text("{")
        box.quarantine("bad.json", "bad")
    left = sorted((folder / "tmp").iterdir())
    assert len(left) == 2
    for draft in left:
        old(draft, clock)
    assert [delivery.name for delivery in box.drain()] == [name]
    assert list((folder / "tmp").iterdir()) == []


def test_only_old_regular_files_that_are_drafts_by_name_are_swept(
    box: Mailbox, folder: Path, clock: Any
) -> None:
    tmp = folder / "tmp"
    theirs = [
        "notes.txt",
        "report.json",
        ".hidden",
        ".report.json.0123abcd",
        ".a-b-c-d.json.0123abcd",
        DRAFT[1:],
        DRAFT[:-1],
        f"{DRAFT}0",
        f"{DRAFT[:-8]}0123ABCD",
        DRAFT.removesuffix(".0123abcd"),
        DRAFT.replace("GUIDANCE", "SOMETHING"),
        DRAFT.replace("GUIDANCE.json", "GUIDANCE.2.json"),
        DRAFT.replace("guardian", "-"),
        DRAFT.replace(NOW, "yesterday"),
        ".x.reason.0123abcd",
    ]
    for name in theirs:
        (tmp / name).write_text("precious")
        old(tmp / name, clock)
    (tmp / DRAFT).symlink_to("notes.txt")
    old(tmp / DRAFT, clock)
    (tmp / f"{DRAFT[:-1]}0").mkdir()
    os.mkfifo(tmp / f"{DRAFT[:-1]}1")
    old(tmp / f"{DRAFT[:-1]}1", clock)
    before = tree(folder)
    assert list(box.drain()) == []
    assert tree(folder) == before


def test_nothing_behind_a_symlinked_tmp_is_swept(box: Mailbox, folder: Path, clock: Any) -> None:
    (folder / "tmp").rename(folder.parent / "elsewhere")
    (folder / "tmp").symlink_to("../elsewhere")
    precious = folder.parent / "elsewhere" / DRAFT
    precious.write_text("precious")
    old(precious, clock)
    assert list(box.drain()) == []
    assert precious.exists()


@pytest.mark.parametrize("odd", [lambda path: path.write_text(""), lambda _: None])
def test_a_tmp_that_is_no_folder_hinders_no_reader(
    box: Mailbox, folder: Path, odd: Callable[[Path], object]
) -> None:
    name = put(folder, NOW)
    (folder / "tmp").rmdir()
    odd(folder / "tmp")
    assert [delivery.name for delivery in box.drain()] == [name]


def test_only_the_first_drain_sweeps(box: Mailbox, folder: Path, clock: Any) -> None:
    assert list(box.drain()) == []
    (folder / "tmp" / DRAFT).write_text("")
    old(folder / "tmp" / DRAFT, clock)
    assert list(box.drain()) == []
    assert tree(folder) == [f"tmp/{DRAFT}"]
    box.sweep()
    assert tree(folder) == []


def test_listing_does_not_load_the_models() -> None:
    code = "import sys, signals.mailbox, signals.names; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
