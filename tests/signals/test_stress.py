"""Many processes at one mailbox: each signal is received exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.watch import Watch

pytestmark = pytest.mark.stress

_DEADLINE_SECONDS = 100.0

# Waits for its stdin to end, so that all of them start together.
_SENDER = """
import sys
from signals.clock import SystemClock
from signals.kinds import Guidance, compose
from signals.mailbox import Mailbox
folder, me, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
mailbox = Mailbox(folder, clock=SystemClock())
ready = [
    compose("runner", "guardian", Guidance(node_id=f"{me}-{number}")) for number in range(count)
]
print("ready", flush=True)
sys.stdin.read()
for signal in ready:
    mailbox.send(signal)
"""

Start = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start senders that begin together; none outlives the test."""
    processes: list[subprocess.Popen[str]] = []

    def call(box: Path, senders: int, each: int) -> list[subprocess.Popen[str]]:
        argv = [sys.executable, "-I", "-c", _SENDER, os.fspath(box)]
        processes.extend(
            subprocess.Popen(
                [*argv, f"s{number}", str(each)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(senders)
        )
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        return processes

    yield call
    for process in processes:
        process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def make(tmp_path: Path) -> Mailbox:
    mailbox = Mailbox(tmp_path / "box", clock=SystemClock())
    mailbox.create()
    return mailbox


def expected(senders: int, each: int) -> Counter[str]:
    return Counter(f"s{sender}-{number}" for sender in range(senders) for number in range(each))


def receive(
    mailbox: Mailbox, total: int, begin: Callable[[], list[subprocess.Popen[str]]]
) -> tuple[list[Any], int]:
    """Drain whenever woken until all have come; return them, and how often it was woken."""
    received: list[Any] = []
    woken = 0
    clock = SystemClock()
    end = clock.monotonic() + _DEADLINE_SECONDS
    with Watch([mailbox.folder]) as watch:
        assert watch.degraded == ""
        # Only now: what is sent before the watch would wake nobody.
        senders = begin()
        while len(received) < total and clock.monotonic() < end:
            woken += watch.wait()
            batch = list(mailbox.drain())
            mailbox.acknowledge(*(name for name, _ in batch))
            received += [signal for _, signal in batch]
        received += [signal for _, signal in mailbox.drain()]
    assert [sender.wait(30) for sender in senders] == [0] * len(senders)
    return received, woken


def test_four_processes_send_10_000_signals_and_a_woken_reader_gets_each_once(
    tmp_path: Path, start: Start, record_property: Callable[[str, object], None]
) -> None:
    mailbox = make(tmp_path)
    began = SystemClock().monotonic()
    received, woken = receive(mailbox, 10_000, lambda: start(Path(mailbox.folder), 4, 2_500))
    seconds = SystemClock().monotonic() - began
    assert Counter(signal.payload.node_id for signal in received) == expected(4, 2_500)
    assert len({signal.id for signal in received}) == 10_000
    assert len(mailbox.processed()) == 10_000
    assert (mailbox.waiting(), mailbox.quarantined()) == ([], {})
    assert os.listdir(tmp_path / "box" / "tmp") == []
    assert woken > 0
    said = f"each received once, in {seconds:.1f} s, the reader woken {woken} times"
    shown = f"10,000 signals from 4 processes: {said}"
    record_property("shown", shown)


def test_each_senders_signals_arrive_in_its_own_order(tmp_path: Path, start: Start) -> None:
    mailbox = make(tmp_path)
    received, _ = receive(mailbox, 400, lambda: start(Path(mailbox.folder), 2, 200))
    for sender in ("s0", "s1"):
        mine = [s.payload.node_id for s in received if s.payload.node_id.startswith(sender)]
        assert mine == [f"{sender}-{number}" for number in range(200)]


# Claims a signal by taking the lease, as the processes of one run would.
_READER = """
import json, sys
from signals.clock import SystemClock
from signals.lease import lease
from signals.mailbox import Mailbox
folder, total = sys.argv[1], int(sys.argv[2])
mailbox = Mailbox(folder, clock=SystemClock())
got = []
while True:
    with lease(f"{folder}/reading", SystemClock(), 60):
        batch = list(mailbox.drain())
        mailbox.acknowledge(*(name for name, _ in batch))
        done = len(mailbox.processed()) >= total
    got += [signal.payload.node_id for _, signal in batch]
    if done:
        break
print(json.dumps(got))
"""


def test_eight_processes_hammer_one_mailbox_and_each_signal_is_received_once(
    tmp_path: Path, start: Start
) -> None:
    """Eight send; three more read, one at a time by lease: a mailbox has one reader."""
    mailbox = make(tmp_path)
    argv = [sys.executable, "-I", "-c", _READER, mailbox.folder, "1000"]
    readers = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        senders = start(Path(mailbox.folder), 8, 125)
        said = [reader.communicate(timeout=_DEADLINE_SECONDS)[0] for reader in readers]
        assert [process.wait(30) for process in [*senders, *readers]] == [0] * 11
    finally:
        for reader in readers:
            reader.kill()
            reader.wait(30)
    received = Counter(node for line in said for node in json.loads(line))
    assert received == expected(8, 125)
    assert mailbox.waiting() == []
