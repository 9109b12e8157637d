"""A Runner's signals: what it reads from its mailbox, and what it sends to the Guardian.

Only signals of this run, this node and this attempt are handed on; others are put on the timeline
and acknowledged, because nobody will ever want them. Signals are read and written in a forked
child. A signal's id follows from the run, node, attempt and its number, so one that is sent again
after a crash is recognised as the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from attractor.apart import apart
from attractor.digest import sha256
from attractor.run.assignment import Assignment
from runner.effects import Signal
from runner.orders import Order
from signals.clock import Clock
from signals.mailbox import Mailbox
from signals.sign import read_key

_SECONDS: Final = 30.0


# The key of each payload that holds what the session is told.
_TEXTS: Final = {
    "VALIDATION_PASSED": "new_status",
    "VALIDATION_FAILED": "feedback",
    "INPUT_RESPONSE": "response",
    "GUIDANCE": "message",
    "KILL_ORCHESTRATOR": "reason",
}


@final
class Post:
    """One Runner's way to the other layers."""

    def __init__(self, assignment: Assignment, clock: Clock) -> None:
        self._assignment = assignment
        self._clock = clock
        layout = assignment.layout
        key = read_key(layout.key)
        self._inbound = Mailbox(layout.runner_mailbox(assignment.node_id), key=key, clock=clock)
        self._outbound = Mailbox(layout.guardian_mailbox, key=key, clock=clock)

    @property
    def folder(self) -> str:
        """The mailbox to watch."""
        return self._inbound.folder

    def orders(self) -> list[Order]:
        """Return what waits, oldest first; what is not a signal goes to quarantine."""
        if not self._inbound.waiting():
            return []
        found = apart(self._read, self._clock, _SECONDS)
        return [Order(*each) for each in found]

    def _read(self) -> list[list[Any]]:
        orders = []
        for delivery in self._inbound.drain():
            signal = delivery.signal
            key = _TEXTS.get(signal.signal_type, "")
            text = getattr(signal.payload, key, None) or ""
            ours = signal.run_id in (None, self._assignment.run_id) and signal.node_id in (
                None,
                self._assignment.node_id,
            )
            kind = signal.signal_type if ours else ""
            orders.append([delivery.name, signal.id, kind, text, signal.attempt, signal.source])
        return orders

    def acknowledge(self, orders: list[Order]) -> None:
        """Put away what was obeyed; to be called when what it caused is durable."""
        if orders:
            self._inbound.acknowledge(*(each.name for each in orders))

    def send(self, signal: Signal) -> None:
        """Tell the Guardian."""
        apart(self._sending(signal), self._clock, _SECONDS)

    def _sending(self, signal: Signal) -> Callable[[], str]:
        given, assignment = signal, self._assignment

        def send() -> str:
            from signals import kinds

            payload = {key: value for key, value in given.payload.items() if value is not None}
            made = kinds.compose(
                "runner",
                "guardian",
                kinds.payload_of(given.type, payload),
                run_id=assignment.run_id,
                node_id=assignment.node_id,
                attempt=assignment.attempt,
            )
            named = made.model_copy(update={"id": self.id_of(given)})
            return self._outbound.send(named)

        return send

    def id_of(self, signal: Signal) -> str:
        """Return the id that this signal has, however often it is sent."""
        of = self._assignment
        text = f"{of.run_id}\0{of.node_id}\0{of.attempt}\0{signal.number}\0{signal.type}"
        return sha256(text.encode()).hexdigest()[:32]
