"""A file that is no signal, or not a genuine one: put aside with its reason; nobody waits."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals import kinds, mailbox
from signals.body import encode
from signals.errors import ProtocolError, StorageError
from signals.mailbox import Mailbox

NOW = "20260225T061320.000000Z"
"""What the stopped clock shows."""


GOOD = encode(
    kinds.compose("guardian", "runner", kinds.Guidance(node_id="build", message="go on"))
    .filled(timestamp=NOW)
    .as_body()
)


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
    box: Mailbox, folder: Path, what: str, monkeypatch: pytest.MonkeyPatch, put: Any
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
    box: Mailbox, folder: Path, put: Any, tree: Any
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
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch, put: Any, tree: Any
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
def test_an_impossible_name_starves_nobody(box: Mailbox, folder: Path, name: str, put: Any) -> None:
    (folder / name).write_text("{}")
    good = put(folder, NOW)
    assert [delivery.name for delivery in box.drain()] == [good]
    assert box.waiting() == [good]
    assert list(box.quarantined().values()) == ["signal_type is missing"]


def test_a_quarantine_cut_short_is_finished_by_the_next_reader(
    box: Mailbox, folder: Path, tree: Any
) -> None:
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


def test_quarantining_what_is_gone_does_nothing(box: Mailbox, folder: Path, tree: Any) -> None:
    box.quarantine(f"{NOW}-guardian-runner-GUIDANCE.json", "bad")
    assert tree(folder) == []


def test_a_disk_error_ends_the_drain_and_puts_nothing_aside(
    box: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch, put: Any, tree: Any
) -> None:
    name = put(folder, NOW)

    def ill(_path: str) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("signals.mailbox.read_file", ill)
    with pytest.raises(StorageError, match="Too many open files"):
        list(box.drain())
    assert tree(folder) == [name]


def test_a_signal_that_another_reader_took_meanwhile_is_passed_by(
    box: Mailbox, folder: Path, put: Any
) -> None:
    names = [put(folder, f"20260224T12000{number}Z") for number in range(3)]
    drained = box.drain()
    assert next(drained).name == names[0]
    os.unlink(folder / names[1])
    assert [delivery.name for delivery in drained] == [names[2]]


def test_reading_by_name_says_what_is_wrong_and_moves_nothing(
    box: Mailbox, folder: Path, text: Any, put: Any, tree: Any
) -> None:
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
    ("key", "says"),
    [(None, "forged: it has no mac"), (bytes(32), "forged: its mac is wrong")],
)
def test_what_does_not_carry_the_signature_is_put_aside_as_forged(
    signed: Mailbox, folder: Path, key: bytes | None, says: str, put: Any, guidance: Any, text: Any
) -> None:
    name = put(folder, NOW, key=key)
    signed.send(guidance("genuine"))
    assert [text(delivery.signal) for delivery in signed.drain()] == ["genuine"]
    assert signed.quarantined() == {name: says}


def test_a_genuine_signal_that_was_changed_is_forged(
    signed: Mailbox, folder: Path, guidance: Any
) -> None:
    path = Path(signed.send(guidance("leave it")))
    path.write_bytes(path.read_bytes().replace(b"leave it", b"drop it!"))
    assert list(signed.drain()) == []
    assert signed.quarantined() == {path.name: "forged: its mac is wrong"}


def test_a_genuine_signal_under_another_name_is_put_aside(
    signed: Mailbox, folder: Path, guidance: Any
) -> None:
    path = Path(signed.send(guidance()))
    path.rename(folder / "20200101T000000Z-guardian-runner-GUIDANCE.json")
    assert list(signed.drain()) == []
    [reason] = signed.quarantined().values()
    assert reason.startswith("name and body disagree")
