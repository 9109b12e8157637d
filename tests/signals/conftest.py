"""A mailbox, and what is put into it by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals import kinds, sign
from signals.body import encode
from signals.mailbox import Mailbox
from signals.names import name_of

KEY = bytes(range(32))


def _guidance(message: str = "go on", **envelope: Any) -> kinds.Signal:
    payload = kinds.Guidance(node_id="build", message=message)
    return kinds.compose("guardian", "runner", payload, **envelope)


def _text(signal: kinds.Signal) -> str | None:
    assert isinstance(signal.payload, kinds.Guidance)
    return signal.payload.message


def _put(folder: Path, stamp: str, message: str = "go on", *, key: bytes | None = None) -> str:
    """Write a signal as its sender would, at a time of our choosing."""
    signal = _guidance(message).filled(timestamp=stamp)
    body = signal.as_body()
    if key is not None:
        body["mac"] = sign.mac(key, body)
    (folder / name_of(signal)).write_bytes(encode(body))
    return name_of(signal)


def _tree(folder: Path) -> list[str]:
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


@pytest.fixture
def guidance() -> Callable[..., kinds.Signal]:
    return _guidance


@pytest.fixture
def text() -> Callable[[kinds.Signal], str | None]:
    """`text(signal)`: what a guidance says."""
    return _text


@pytest.fixture
def put() -> Callable[..., str]:
    """`put(folder, stamp, message, key=...)`: write a signal as its sender would, at that time."""
    return _put


@pytest.fixture
def tree() -> Callable[[Path], list[str]]:
    """`tree(folder)`: all files in it."""
    return _tree
