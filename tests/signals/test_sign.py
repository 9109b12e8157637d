from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals import sign
from signals.errors import StorageError

KEY = bytes(range(32))
BODY: dict[str, Any] = {"b": [1, {"x": "ü"}], "a": 1.5, "payload": {}}


def test_the_mac_is_the_one_that_any_other_implementation_would_compute() -> None:
    # printf '{"a":1.5,"b":[1,{"x":"\\u00fc"}],"payload":{}}' | openssl dgst -sha256 -mac HMAC ...
    assert sign.mac(KEY, BODY) == "d4e91b0ec18f2076e1b2ae5efa333c36db988abe909cf736af147d91edad1e47"


def test_a_signed_body_verifies_whatever_the_order_of_its_keys() -> None:
    signed = BODY | {"mac": sign.mac(KEY, BODY)}
    assert sign.verify(KEY, signed)
    assert sign.verify(KEY, dict(reversed(signed.items())))


@pytest.mark.parametrize(
    "change", [{"a": 2}, {"new": None}, {"payload": {"x": 1}}, {"b": [{"x": "ü"}, 1]}]
)
def test_any_change_breaks_the_signature(change: dict[str, Any]) -> None:
    assert not sign.verify(KEY, BODY | {"mac": sign.mac(KEY, BODY)} | change)


def test_a_missing_key_of_the_body_breaks_the_signature() -> None:
    signed = BODY | {"mac": sign.mac(KEY, BODY)}
    del signed["a"]
    assert not sign.verify(KEY, signed)


@pytest.mark.parametrize("claimed", [None, 1, "", "ü" * 64, "0" * 64, b"0" * 64, [], "0" * 63])
def test_whatever_stands_in_place_of_a_mac_does_not_verify(claimed: object) -> None:
    assert not sign.verify(KEY, BODY | {"mac": claimed})


def test_a_body_that_is_not_json_does_not_verify() -> None:
    assert not sign.verify(KEY, {"a": float("nan"), "mac": "0" * 64})


def test_another_key_does_not_verify() -> None:
    assert not sign.verify(sign.new_key(), BODY | {"mac": sign.mac(KEY, BODY)})


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()))
def test_what_was_signed_always_verifies(body: dict[str, Any]) -> None:
    assert sign.verify(KEY, body | {"mac": sign.mac(KEY, body)})


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path, key = tmp_path / "key", sign.new_key()
    sign.write_key(path, key)
    assert sign.read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_no_umask_opens_or_closes_a_key(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        sign.write_key(tmp_path / "key", KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_is_private_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    really = os.open

    def watched(path: str, flags: int, mode: int = 0o777) -> int:
        fd = really(path, flags, mode)
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode) & 0o077)
        return fd

    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "open", watched)
        sign.write_key(tmp_path / "key", KEY)
    finally:
        os.umask(before)
    assert modes[0] == 0


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    sign.write_key(tmp_path / "key", KEY)
    with pytest.raises(StorageError, match="already a key"):
        sign.write_key(tmp_path / "key", sign.new_key())
    assert sign.read_key(tmp_path / "key") == KEY
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_key_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write the key: the folder does not exist"):
        sign.write_key(tmp_path / "absent" / "key", KEY)


def odd_key(path: Path, what: str) -> None:
    match what:
        case "symlink":
            (path.parent / "real").write_bytes(KEY)
            path.symlink_to("real")
        case "fifo":
            os.mkfifo(path, 0o600)
        case "folder":
            path.mkdir()
        case "short":
            path.write_bytes(KEY[:-1])
            path.chmod(0o600)
        case "long":
            path.write_bytes(KEY + b"\n")
            path.chmod(0o600)
        case "open to others":
            path.write_bytes(KEY)
            path.chmod(0o640)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("symlink", "symbolic link"),
        ("fifo", "not a regular file"),
        ("folder", "not a regular file"),
        ("short", "32 bytes"),
        ("long", "32 bytes"),
        ("open to others", "others may read it"),
        ("absent", "there is no key"),
    ],
)
def test_an_unfit_key_is_refused(tmp_path: Path, what: str, says: str) -> None:
    odd_key(tmp_path / "key", what)
    with pytest.raises(StorageError, match=says):
        sign.read_key(tmp_path / "key")
