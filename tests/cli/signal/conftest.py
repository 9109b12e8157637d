"""Where `attractor signal` finds signals: a flat folder, or a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import RunLayout
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox

HARNESS_NAME = "20260224T120000Z-runner-guardian-NEEDS_REVIEW.json"
HARNESS_BODY = """{
  "source": "runner",
  "target": "guardian",
  "signal_type": "NEEDS_REVIEW",
  "timestamp": "20260224T120000Z",
  "payload": {"node_id": "impl_auth", "commit_hash": "9e02049"}
}"""


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return tmp_path / "flat"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with its key, and mailboxes for all readers; one node was dispatched."""
    layout = RunLayout(os.fspath(tmp_path / "run-1"))
    os.mkdir(layout.root)
    sign.write_key(layout.key, sign.new_key())
    folders = [layout.guardian_mailbox, layout.terminal_mailbox, layout.runner_mailbox("build it")]
    for folder in folders:
        Mailbox(folder, clock=SystemClock()).create()
    return Path(layout.root)


@pytest.fixture
def send(cli: Callable[..., Any]) -> Callable[..., str]:
    """Send a signal to a place, and return the path of its file."""

    def call(
        *place: object,
        source: str = "runner",
        target: str = "guardian",
        signal_type: str = "NODE_COMPLETE",
        node: str = "build it",
    ) -> str:
        words = ("--source", source, "--target", target, "--type", signal_type, "--node", node)
        said = cli("signal", "send", *words, *place, "--json")
        assert said.status == 0, said.err
        path = said.json()["signal_file"]
        assert isinstance(path, str)
        return path

    return call


@pytest.fixture
def by_harness() -> Callable[[Path], Path]:
    """`by_harness(folder)`: put a signal there as the harness does, and return its path."""

    def put(folder: Path) -> Path:
        path = folder / HARNESS_NAME
        path.write_text(HARNESS_BODY)
        return path

    return put
