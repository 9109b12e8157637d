"""Kill a sender and a reader at every file operation: nothing lost, nothing torn, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals.clock import SystemClock
from signals.kinds import Guidance, compose
from signals.mailbox import Mailbox

pytestmark = pytest.mark.crash

_KEY = b"k" * 32

_READER = """
import os
from signals.clock import SystemClock
from signals.kinds import Guidance, compose
from signals.mailbox import Mailbox

# Builds the validators here, once, and not in every child.
compose("runner", "guardian", Guidance(node_id="n"))

def box(state):
    return Mailbox(state + "/box", key=b"k" * 32, clock=SystemClock())

def applied_ids(state):
    # The journal in small: whole lines count, a torn last one is cut off.
    fd = os.open(state + "/applied", os.O_RDWR | os.O_CREAT, 0o644)
    whole = os.read(fd, 1 << 20).rpartition(b"\\n")
    if whole[2]:
        os.ftruncate(fd, len(whole[0] + whole[1]))
    os.lseek(fd, 0, os.SEEK_END)
    return fd, whole[0].decode().split()

def read_all(state, at_once=1):
    mailbox, pending = box(state), []
    fd, applied = applied_ids(state)
    for name, signal in mailbox.drain():
        if signal.id not in applied:
            os.write(fd, f"{signal.id}\\n".encode())
            os.fsync(fd)
            tell({"applied": signal.id})
        pending.append(name)
        if len(pending) == at_once:
            mailbox.acknowledge(*pending)
            tell({"acknowledged": [*pending]})
            pending.clear()
    if pending:
        mailbox.acknowledge(*pending)
        tell({"acknowledged": [*pending]})
    os.close(fd)
    tell({
        "waiting": mailbox.waiting(),
        "processed": mailbox.processed(),
        "quarantined": mailbox.quarantined(),
        "ids": applied_ids(state)[1],
    })
"""

_SENDER = (
    _READER
    + """
def main(state):
    for number in range(3):
        message = compose("runner", "guardian", Guidance(node_id="n", message="m" * 100 * number))
        name = box(state).send(message).rpartition("/")[2]
        tell({"sent": name})
"""
)

_ACKNOWLEDGER = (
    _READER
    + """
def main(state, at_once):
    read_all(state, at_once)
"""
)


def _told(told: tuple[Any, ...], kind: str) -> list[Any]:
    return [value[kind] for value in told if kind in value]


def _create(state: Path) -> Mailbox:
    mailbox = Mailbox(state / "box", key=_KEY, clock=SystemClock())
    mailbox.create()
    return mailbox


def test_a_sent_signal_is_whole_or_absent_and_never_lost_once_send_returned(
    sweep: Callable[..., Any],
) -> None:
    counts: set[int] = set()

    def check(state: Path, death: Any) -> None:
        end = death.recovered[-1]
        sent = _told(death.told, "sent")
        assert end["quarantined"] == {}
        assert end["waiting"] == []
        assert set(sent) <= set(end["processed"])
        # The one that was being sent may be there; the sender will send it again.
        assert len(end["processed"]) - len(sent) in (0, 1)
        assert len(end["ids"]) == len(set(end["ids"])) == len(end["processed"])
        counts.add(len(end["processed"]))

    swept = sweep("send 3 signals", _SENDER, fresh=_create, check=check, recover="read_all")
    assert swept.points >= 3 * 6
    assert counts == {0, 1, 2, 3}


@pytest.mark.parametrize("at_once", [1, 4])
def test_what_is_read_is_applied_once_and_then_only_processed(
    sweep: Callable[..., Any], at_once: int
) -> None:
    def fresh(state: Path) -> None:
        mailbox = _create(state)
        for number in range(4):
            name = mailbox.send(compose("runner", "guardian", Guidance(node_id="n")))
            if number == 1:
                torn = Path(name).read_bytes()[:50]
                (
                    state / "box" / "20200101T000000.000000Z-runner-guardian-GUIDANCE.json"
                ).write_bytes(torn)
            if number == 2:
                forged = Path(name).read_bytes().replace(b'"n"', b'"N"')
                Path(name).write_bytes(forged)

    def check(state: Path, death: Any) -> None:
        end = death.recovered[-1]
        assert end["waiting"] == []
        assert len(end["processed"]) == len(end["ids"]) == len(set(end["ids"])) == 3
        assert not set(end["processed"]) & set(end["quarantined"])
        torn, forged = end["quarantined"].values()
        assert torn
        assert "forged" in forged
        # "applied" is told after it is durable: a second telling would be a second application.
        applied = _told(death.told + death.recovered, "applied")
        assert len(applied) == len(set(applied))
        acknowledged = [name for names in _told(death.told, "acknowledged") for name in names]
        assert set(acknowledged) <= set(end["processed"])
        assert not list((state / "box").glob("*.json"))

    swept = sweep(
        f"read 3 signals and 2 bad ones, acknowledge by {at_once}",
        _ACKNOWLEDGER,
        fresh=fresh,
        check=check,
        recover="read_all",
        arguments=[at_once],
    )
    assert swept.points > 20


def test_a_reader_that_applies_after_it_acknowledges_is_caught(
    sweep: Callable[..., Any], record_property: Any
) -> None:
    """The sweep above can fail: with the two steps exchanged a kill between them loses a signal."""
    wrong = _READER.replace(
        "        if signal.id", "        mailbox.acknowledge(name)\n        if signal.id"
    )

    def check(state: Path, death: Any) -> None:
        end = death.recovered[-1]
        assert len(end["ids"]) == len(end["processed"]) == 1

    def fresh(state: Path) -> None:
        _create(state).send(compose("runner", "guardian", Guidance(node_id="n")))

    program = wrong + "\ndef main(state):\n    read_all(state)\n"
    with pytest.raises(pytest.fail.Exception, match=r"[1-9] violations"):
        sweep("wrong on purpose", program, fresh=fresh, check=check, recover="read_all", show=False)
