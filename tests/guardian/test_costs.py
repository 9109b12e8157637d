"""What one round costs follows what is open, not how large the run is or how long it has been.

Counted are calls of the Guardian's own functions, by the interpreter: nothing is timed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import guardian
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout
from attractor.run.records import Order
from guardian import assemble, post
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.sign import new_key, write_key

OURS = os.path.dirname(guardian.__file__)
PLACES = 2
ANSWERS = {
    "rubric": {"ok": True, "folder": "", "by": "hand", "files": {}, "scope": {}, "acceptance": {}},
    "tool": {"exit": 0, "tail": "", "seconds": 0.0, "commit": "", "tree": "", "log": ""},
}
TOOL = '[shape=box, handler="tool", command="true"]'


def fan(count: int) -> str:
    """Return a pipeline in which all is ready at once, and most of it has to wait."""
    tools = [f"t{each} {TOOL}; start -> t{each} -> finish;" for each in range(count)]
    return f"digraph g {{ start [shape=Mdiamond]; finish [shape=Msquare]; {' '.join(tools)} }}"


def diamonds(count: int) -> str:
    """Return a pipeline of decisions, one behind the other, each with a way back."""
    lines = ["start [shape=Mdiamond]; finish [shape=Msquare]; start -> t0;"]
    for each in range(count):
        to = f"t{each + 1}" if each + 1 < count else "finish"
        lines.append(f"t{each} {TOOL}; d{each} [shape=diamond]; t{each} -> d{each};")
        lines.append(f'd{each} -> {to} [condition="pass"]; d{each} -> t{each} [condition="fail"];')
    return f"digraph g {{ {' '.join(lines)} }}"


def calls_in(work: Callable[[], object]) -> int:
    """Return how many of the Guardian's functions were called."""
    count = 0

    def seen(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(OURS)

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def most_calls(house: type[Any], dot: str) -> int:
    """Return what the dearest round of a run called, but for the first few and the last few."""
    made = house(dot, max_parallel=PLACES)
    made.on_task = lambda name, spec: made.finish(name, ANSWERS[spec["kind"]])
    loop = made.guardian()
    counts: list[int] = []
    while loop.story.ended is None:
        counts.append(calls_in(loop.step))
        assert len(counts) < 1_000
    assert loop.story.ended["result"] == "validated"
    return max(counts[4:-4])


@pytest.mark.parametrize("shape", [fan, diamonds])
def test_a_round_of_a_large_run_calls_no_more_than_one_of_a_small_run(
    house: type[Any], shape: Callable[[int], str]
) -> None:
    small, large = (most_calls(house, shape(count)) for count in (20, 80))
    assert 0 < large <= 1.1 * small


class Looked(Sequence[Order]):
    """Orders that count how many of them are looked at."""

    def __init__(self, orders: list[Order]) -> None:
        self.orders, self.looks = orders, 0

    def __len__(self) -> int:
        return len(self.orders)

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return self.orders[at]

    def __iter__(self) -> Iterator[Order]:
        for each in self.orders:
            self.looks += 1
            yield each


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    made = RunLayout(str(tmp_path))
    write_key(made.key, new_key())
    for folder in (made.guardian_mailbox, made.terminal_mailbox):
        Mailbox(folder, clock=SystemClock()).create()
    return made


def test_of_all_that_was_ever_told_only_what_is_new_is_looked_at(
    layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "apart", lambda work, *_: work())
    letters = post.Post(layout, "r", SystemClock())
    told: list[Order] = []
    for seq in range(1, 60):
        for place in range(seq % 3):
            payload = {"pipeline_id": "r", "issue": f"{seq} {place}"}
            told.append(Order(seq, place, "", 0, "ESCALATION", payload))
        notices = Looked(list(told))
        letters.send([], notices, seq)
        assert notices.looks <= seq % 3 + 1
    box = Mailbox(layout.terminal_mailbox, key=letters._key, clock=SystemClock())
    said = [each.signal.payload.model_dump()["issue"] for each in box.drain()]
    assert said == [str(each.payload["issue"]) for each in told]


def test_the_guardian_keeps_one_entry_of_its_journal(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.jsonl", SystemClock()) as journal:
        for each in range(5):
            journal.append("Noted", {"what": str(each)})
        writer = assemble._Writer(journal)
        for each in range(5, 50):
            added = writer.append_all([("Noted", {"what": str(each)})] * 3)
            assert [entry.data["what"] for entry in added] == [str(each)] * 3
            assert len(journal.entries) == 1
    with Journal.open(tmp_path / "journal.jsonl", SystemClock()) as journal:
        assert len(journal.entries) == 5 + 3 * 45
