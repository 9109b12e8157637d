"""What came in since the last look: events, signals and results, folded into the state.

The order is what makes it safe: read, fold, save, and only then remove. A Runner that is killed in
between finds the same things again; events are known by name, signals by id, so that none counts
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from runner import events
from runner.children import CHECK, OPINION, Result
from runner.events import Event
from runner.facts import Checks, Opinion
from runner.orders import Order, obey
from runner.state import State
from runner.timeline import Timeline
from runner.view import fold

_OPINIONS: Final = {
    "done": Opinion.DONE,
    "working": Opinion.WORKING,
    "needs_input": Opinion.NEEDS_INPUT,
    "stuck": Opinion.STUCK,
}
_COLOURS: Final = {"green": Checks.GREEN, "red": Checks.RED, "error": Checks.RED}
ENDS: Final = frozenset({"attractor:pane-died", "SessionEnd"})
"""Events after which the session's process may be gone."""
_MOST_TEXT: Final = 4_000
_SHOWN: Final = (
    "tool_name",
    "agent_type",
    "source",
    "error",
    "reason",
    "notification_type",
    "ids",
)


def take_events(state: State, folder: str, timeline: Timeline) -> tuple[State, set[str]]:
    """Return the state after all events that wait, and what kinds these were.

    Their names are in its `applied`.
    """
    listing = events.waiting(folder)
    applied = set(state.applied)
    kinds = set()
    for name in listing.names:
        if name in applied:
            continue
        event = events.read(folder, name)
        if isinstance(event, Event):
            kinds.add(event.kind)
            if event.data.get("session_id") in (None, state.session_id):
                state = replace(state, view=fold(state.view, event))
            timeline.add("event", event.kind, _told(event))
        else:
            timeline.add("note", "an event that is none", {"name": name, "why": event})
    if listing.litter:
        events.consume(folder, listing.litter)
    if listing.flooded:
        timeline.add("note", "too many events at once; the rest is read later")
    return replace(state, applied=tuple(listing.names)), kinds


def _told(event: Event) -> Mapping[str, Any]:
    told = {key: event.data[key] for key in _SHOWN if event.data.get(key)}
    if event.agent_id:
        told["agent"] = event.agent_id
    command = event.data.get("tool_input")
    if isinstance(command, dict):
        for key in ("command", "file_path", "description"):
            if isinstance(command.get(key), str):
                told[key] = command[key][:200]
    return told


def take_orders(state: State, orders: Iterable[Order], timeline: Timeline) -> State:
    """Return the state after these signals."""
    for order in orders:
        if order.id not in state.heard:
            what = f"received {order.type or 'what is not for us'}"
            timeline.add("signal", what, {"text": order.text})
        state = obey(state, order)
    return state


def take_results(state: State, results: Iterable[Result], timeline: Timeline) -> State:
    """Return the state after these answers of our children."""
    for result in results:
        timeline.add("event", f"answer of {result.name}", result.said or {"why": "none came"})
        if result.name == f"{CHECK}{state.checked}":
            state = _checked(state, result)
        elif result.name == f"{OPINION}{state.opinion_turn}":
            state = _opined(state, result)
    return state


def _checked(state: State, result: Result) -> State:
    said = result.said or {}
    if said.get("head") != state.checked:
        # Nobody knows what the checks say, and that is not green.
        return replace(state, checks=Checks.RED, checks_text="the checks could not be run")
    colour = _COLOURS.get(str(said.get("status")), Checks.RED)
    text = f"{said.get('command', '')}\n{said.get('tail', '')}".strip()
    return replace(state, checks=colour, checks_text=text[-_MOST_TEXT:], evidence=result.path)


def _opined(state: State, result: Result) -> State:
    said = result.said or {}
    structured = said.get("structured") if said.get("ok") is True else None
    if not isinstance(structured, dict):
        return replace(state, opinion=Opinion.NONE, opinion_text="")
    opinion = _OPINIONS.get(str(structured.get("state")), Opinion.NONE)
    text = str(structured.get("text", ""))[:_MOST_TEXT]
    return replace(state, opinion=opinion, opinion_text=text)
