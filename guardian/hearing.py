"""What each signal does: one row for each type. Pure.

A signal that has an effect is in the journal with its id, so that it counts once; one that comes
again, is about an attempt that is over, or is not for a Guardian, is put away without a trace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from attractor.run.records import Decision
from attractor.run.states import NodeEvent, NodeState
from attractor.run.story import HAND_BACK, StoryEvent
from guardian.core import Core
from guardian.ending import MOST_GUIDED, fail
from guardian.wording import guidance, warning

_MOST_TEXT: Final = 4_000
_COMPLETE: Final = "COMPLETE"


class Heard(NamedTuple):
    """A signal, as the Guardian takes it."""

    id: str
    type: str
    source: str
    node: str
    attempt: int | None
    payload: Mapping[str, Any]


def hear(core: Core, signal: Heard) -> None:
    """Take in one signal."""
    if signal.id in core.story.core.applied or core.story.ended is not None:
        return
    rule = RULES[signal.type]
    if rule is None:
        return
    if signal.type in _OF_THE_RUN:
        rule(core, signal)
        return
    current = core.story.node(signal.node).attempt if signal.node in core.terms else None
    if current is None or current.closed or current.number != signal.attempt:
        return  # superseded, or never ours
    rule(core, signal)


def _note(core: Core, signal: Heard, **more: Any) -> None:
    payload = signal.payload
    said = {
        "type": signal.type,
        "signal_id": signal.id,
        "node": signal.node,
        "attempt": signal.attempt or 0,
        "text": _text(payload),
        "usage": payload.get("usage"),
        **more,
    }
    core.add(
        StoryEvent.SIGNAL_HEARD, {key: value for key, value in said.items() if value is not None}
    )


def _text(payload: Mapping[str, Any]) -> str:
    for key in ("reason", "question", "summary", "last_output", "response"):
        if isinstance(found := payload.get(key), str):
            return found[-_MOST_TEXT:]
    return ""


def _registered(core: Core, signal: Heard) -> None:
    said = {key: signal.payload.get(key) for key in ("session_id", "blindness", "worktree")}
    _note(core, signal, **said)


def _needs_review(core: Core, signal: Heard) -> None:
    commit = signal.payload.get("commit_hash")
    if core.story.state(signal.node) is not NodeState.ACTIVE or not commit:
        _note(core, signal)
        return
    core.move(
        signal.node,
        NodeEvent.REVIEW_REQUESTED,
        attempt=signal.attempt,
        commit=commit,
        reason=_text(signal.payload) or None,
        usage=signal.payload.get("usage"),
        signal_id=signal.id,
    )


def _needs_input(core: Core, signal: Heard) -> None:
    asked = {
        "question": str(signal.payload.get("question") or "")[:_MOST_TEXT],
        "options": signal.payload.get("options"),
    }
    said = core.task("answer", signal.node, asked)
    core.add(StoryEvent.TASK_BEGUN, {**said, "signal_id": signal.id})


def _violation(core: Core, signal: Heard) -> None:
    # A warning is given once; what is denied after it is told by the hook itself. Too many end the
    # attempt, which follows from their number.
    first = not core.attempt(signal.node).violations
    told = warning(_text(signal.payload))
    orders = [core.order(signal.node, "GUIDANCE", message=told)] if first else None
    _note(core, signal, orders=orders)


def _stuck(core: Core, signal: Heard) -> None:
    payload, current = signal.payload, core.attempt(signal.node)
    orders = None
    if payload.get("rung") == HAND_BACK and current.guided < MOST_GUIDED:
        seen = str(payload.get("last_output") or "")
        told = guidance(core.node(signal.node), seen, current.guided)
        orders = [core.order(signal.node, "GUIDANCE", message=told)]
    _note(core, signal, rung=payload.get("rung"), orders=orders)


def _exited(core: Core, signal: Heard) -> None:
    state = core.story.state(signal.node)
    reason = str(signal.payload.get("reason") or "the Runner has ended")[:_MOST_TEXT]
    complete = signal.payload.get("mode") == _COMPLETE
    said: dict[str, Any] = {
        "signal_id": signal.id,
        "usage": signal.payload.get("usage"),
        "wrote": signal.payload.get("wrote"),
    }
    if state is NodeState.ACTIVE:
        # Whatever it believes: nothing was accepted.
        why = "its Runner took it for complete, and it is not" if complete else reason
        if core.short:
            why = f"{why}; {core.short}"
        fail(core, signal.node, why, told=False, closed=True, free=bool(core.short), **said)
        return
    # What was handed in is judged all the same.
    said |= {"node": signal.node, "attempt": signal.attempt, "why": reason}
    core.add(
        StoryEvent.ATTEMPT_CLOSED, {key: value for key, value in said.items() if value is not None}
    )


def _response(core: Core, signal: Heard) -> None:
    try:
        said = json.loads(str(signal.payload.get("response")))
        name, option, note = str(said["decision"]), str(said["option"]), str(said.get("note", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    decision = core.story.decisions.get(name)
    if decision is None or not decision.open:
        return
    if decision.options and option not in decision.options:
        return
    answered(core, decision, option, by=signal.source, note=note, signal_id=signal.id)


def answered(
    core: Core, decision: Decision, option: str, *, by: str, note: str = "", signal_id: str = ""
) -> None:
    """Put an answer on the record."""
    said: dict[str, Any] = {"id": decision.id, "node": decision.node, "option": option}
    said |= {"note": note, "by": by}
    if decision.kind == "input":
        text = f"{option}\n{note}".strip()
        said["orders"] = [core.order(decision.node, "INPUT_RESPONSE", response=text)]
    core.add(StoryEvent.DECISION_ANSWERED, said | ({"signal_id": signal_id} if signal_id else {}))


def _stop(core: Core, signal: Heard) -> None:
    if core.story.stopping is None:
        reason = str(signal.payload.get("reason") or "stopped by a person")
        core.add(
            StoryEvent.STOPPING, {"reason": reason, "result": "stopped", "signal_id": signal.id}
        )


_OF_THE_RUN: Final = frozenset({"INPUT_RESPONSE", "STOP_RUN"})

RULES: Final[Mapping[str, Callable[[Core, Heard], None] | None]] = {
    "AGENT_CRASHED": _note,
    "AGENT_REGISTERED": _registered,
    "AGENT_TERMINATED": _note,
    "INPUT_RESPONSE": _response,
    "NEEDS_INPUT": _needs_input,
    "NEEDS_REVIEW": _needs_review,
    "NODE_COMPLETE": _note,  # news: what is done, the Guardian says
    "ORCHESTRATOR_CRASHED": _note,
    "ORCHESTRATOR_STUCK": _stuck,
    "RUNNER_EXITED": _exited,
    "STOP_RUN": _stop,
    "VALIDATION_COMPLETE": _note,
    "VIOLATION": _violation,
    # What only a Guardian says, or says to somebody else.
    "ESCALATION": None,
    "GUARDIAN_ERROR": None,
    "GUIDANCE": None,
    "KILL_ORCHESTRATOR": None,
    "MERGE_COMPLETE": None,
    "MERGE_FAILED": None,
    "MERGE_READY": None,
    "PIPELINE_COMPLETE": None,
    "VALIDATION_FAILED": None,
    "VALIDATION_PASSED": None,
}
"""Every type there is; a test keeps the two lists alike."""
