"""Signals, against the bare system calls that their guarantees need."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from measure import Row, paired

from signals.clock import SystemClock
from signals.kinds import parse
from signals.mailbox import Mailbox
from signals.sign import new_key
from signals.watch import Watch

FULL = 5_000
SENDS = 50
WAKES = 200


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        yield _publish(folder)
        yield _drain(folder)
        if sys.platform == "linux":
            yield from _wake(folder)


def _signal(number: int) -> bytes:
    body = {
        "source": "runner",
        "target": "guardian",
        "signal_type": "NEEDS_REVIEW",
        "timestamp": "20260224T120000Z",
        "payload": {"node_id": f"n{number}", "commit_hash": "c0ffee", "summary": "ready"},
    }
    return json.dumps(body, indent=2).encode()


def _mailbox(folder: str) -> Mailbox:
    box = Mailbox(tempfile.mkdtemp(dir=folder), key=new_key(), clock=SystemClock())
    box.create()
    return box


def _publish(folder: str) -> Row:
    box = _mailbox(folder)
    signal = parse(_signal(1))
    bare = tempfile.mkdtemp(dir=folder)
    numbers = iter(range(10**9))
    body = _signal(1)

    def system_calls() -> None:
        for _ in range(SENDS):
            name = f"{next(numbers)}.json"
            draft, final = os.path.join(bare, f".{name}"), os.path.join(bare, name)
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, body)
            os.fsync(fd)
            os.close(fd)
            os.link(draft, final)
            os.unlink(draft)
            fd = os.open(bare, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)

    def ours() -> None:
        for _ in range(SENDS):
            box.send(signal)

    return paired(
        f"publish {SENDS} signals, signed and fsynced",
        ours,
        "the bare system calls",
        system_calls,
        budget="<= 1.3x",
        pairs=11,
    )


def _drain(folder: str) -> Row:
    box = _mailbox(folder)
    signal = parse(_signal(1))
    with _without_fsync():
        for _ in range(FULL):
            box.send(signal)
    path = box.folder

    def bare() -> list[object]:
        found = []
        for name in sorted(os.listdir(path)):
            if name.endswith(".json"):
                with open(os.path.join(path, name), "rb") as file:
                    found.append(json.loads(file.read()))
        return found

    def ours() -> list[object]:
        found: list[object] = list(box.drain())
        if len(found) != FULL:
            raise AssertionError
        return found

    return paired(
        f"drain {FULL} signals, verified and parsed",
        ours,
        "list + read + json.loads",
        bare,
        budget="<= 2x",
    )


@contextlib.contextmanager
def _without_fsync() -> Iterator[None]:
    real, os.fsync = os.fsync, lambda _: None
    try:
        yield
    finally:
        os.fsync = real


def _wake(folder: str) -> Iterator[Row]:
    from inotify import RawInotify

    ours_box, bare = _mailbox(folder), tempfile.mkdtemp(dir=folder)
    draft = os.path.join(folder, "draft.json")
    with open(draft, "wb") as file:
        file.write(_signal(1))
    raw = RawInotify(bare)

    def raw_reader() -> None:
        raw.wait()
        for name in os.listdir(bare):
            with open(os.path.join(bare, name), "rb") as file:
                json.loads(file.read())

    with Watch([ours_box.folder]) as watch:

        def our_reader() -> None:
            while not (found := list(ours_box.drain())):
                watch.wait(10.0)
            for delivery in found:
                ours_box.acknowledge(delivery.name)

        ours, theirs = [], []
        signal = parse(_signal(1))
        with _without_fsync():
            for _ in range(WAKES):
                ours.append(_latency(our_reader, lambda: ours_box.send(signal)))
                theirs.append(_latency(raw_reader, lambda: os.link(draft, f"{bare}/a.json")))
                os.unlink(f"{bare}/a.json")
    raw.close()
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    yield Row(
        "publish -> the sleeping reader holds the signal",
        "raw inotify, the same without signing",
        statistics.median(ours),
        statistics.median(theirs),
        ratio,
        "<= 6x",
    )


def _latency(reader: Callable[[], None], publish: Callable[[], object]) -> float:
    """Return the seconds from just before publishing until the waiting reader is done."""
    done: list[float] = []
    asleep = threading.Event()

    def wait() -> None:
        asleep.set()
        reader()
        done.append(time.perf_counter())

    thread = threading.Thread(target=wait)
    thread.start()
    asleep.wait()
    time.sleep(0.005)  # let the reader reach its system call; not part of what is measured
    start = time.perf_counter()
    publish()
    thread.join(30)
    return done[0] - start
