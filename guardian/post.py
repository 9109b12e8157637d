"""The Guardian's signals: what it reads from its mailbox, and what it tells Runners and terminal.

Signals are read and written in a forked child, because of what that imports. An order's id follows
from the run and its place in the journal, so one that is sent again after a crash is recognised as
the same. Up to which entry everything was sent is kept in a file: what is sent twice is harmless,
what is never sent is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, final

from attractor.apart import apart
from attractor.digest import sha256
from attractor.run.layout import RunLayout
from attractor.run.records import Order
from guardian.hearing import Heard
from signals import atomic
from signals.clock import Clock
from signals.mailbox import Mailbox
from signals.sign import read_key

SENT: Final = "sent.json"
"""The file in the run's folder that says up to which entry everything was sent."""
_SECONDS: Final = 60.0
_MOST_AT_ONCE: Final = 500
_MOST_RECORD: Final = 4096


@final
class Post:
    """One Guardian's way to the other layers."""

    def __init__(self, layout: RunLayout, run_id: str, clock: Clock) -> None:
        self._layout = layout
        self._run_id = run_id
        self._clock = clock
        self._key = read_key(layout.key)
        self._inbound = Mailbox(layout.guardian_mailbox, key=self._key, clock=clock)
        self._path = os.path.join(layout.root, SENT)
        self._sent = self._read_sent()

    @property
    def folder(self) -> str:
        """The mailbox to watch."""
        return self._inbound.folder

    def heard(self) -> list[tuple[str, Heard]]:
        """Return what waits with its files, oldest first; of a flood not all at once.

        What is not a signal, or is of another run, goes to quarantine or is put away.
        """
        if not self._inbound.waiting():
            return []
        found = apart(self._read, self._clock, _SECONDS)
        return [(name, Heard(*rest)) for name, *rest in found]

    def _read(self) -> list[list[Any]]:
        found = []
        for delivery in self._inbound.drain():
            signal = delivery.signal
            ours = signal.run_id in (None, self._run_id)
            payload = signal.payload.model_dump(exclude_none=True)
            kind = signal.signal_type if ours else "GUIDANCE"  # which a Guardian never heeds
            node = signal.node_id or ""
            found.append(
                [delivery.name, signal.id, kind, signal.source, node, signal.attempt, payload]
            )
            if len(found) >= _MOST_AT_ONCE:
                break
        return found

    def acknowledge(self, names: Sequence[str]) -> None:
        """Put away what was heard; to be called when what it caused is durable."""
        if names:
            self._inbound.acknowledge(*names)

    def send(self, orders: Sequence[Order], notices: Sequence[Order], seq: int) -> None:
        """Send what was not sent yet, of the entries up to this one."""
        due = [*self._unsent(orders), *self._unsent(notices)]
        if due:
            apart(lambda: self._sending(due), self._clock, _SECONDS)
        if due or seq - self._sent > _MOST_AT_ONCE:
            atomic.replace(self._path, json.dumps({"seq": seq}).encode())
        self._sent = seq

    def _unsent(self, told: Sequence[Order]) -> list[Order]:
        """Return the newest; all that was ever told stands before them, and is not looked at."""
        return [*takewhile(lambda each: each.seq > self._sent, reversed(told))][::-1]

    def _sending(self, due: Sequence[Order]) -> None:
        from signals import kinds

        for each in due:
            # To the terminal, where it is to no node.
            target = "runner" if each.node else "terminal"
            layout = self._layout
            folder = layout.runner_mailbox(each.node) if each.node else layout.terminal_mailbox
            box = Mailbox(folder, key=self._key, clock=self._clock)
            made = kinds.compose(
                "guardian",
                target,
                kinds.payload_of(each.type, each.payload),
                run_id=self._run_id,
                node_id=each.node or None,
                attempt=each.attempt or None,
            )
            box.send(made.model_copy(update={"id": self.id_of(each)}))

    def id_of(self, order: Order) -> str:
        """Return the id that this order has, however often it is sent."""
        text = f"{self._run_id}\0{order.seq}\0{order.place}\0{order.type}"
        return sha256(text.encode()).hexdigest()[:32]

    def create(self, node: str) -> None:
        """Make the mailbox of a node's Runner."""
        Mailbox(self._layout.runner_mailbox(node), clock=self._clock).create()

    def _read_sent(self) -> int:
        try:
            with open(self._path, "rb") as file:
                seq = json.loads(file.read(_MOST_RECORD))["seq"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return seq if type(seq) is int else 0
