"""A session as its hooks show it: the fold of its events, and of nothing else.

Pure. Events may come late, twice, out of order, or be invented by the session itself: nothing
here fails on one, nothing grows without bound, and nothing that the fold says is proof of work.
Only the main thread's events move the turn; a worker's show that something moves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

from runner.facts import Turn

if TYPE_CHECKING:
    from runner.events import Event

_MOST_TOOLS: Final = 200
_MOST_RECEIPTS: Final = 20
_MOST_VIOLATIONS: Final = 20
_MOST_TEXT: Final = 20_000
_MARK: Final = re.compile(r"\[[0-9A-Za-z_-]{8,32}\]")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the events say so far, since the session was started last."""

    turn: Turn = Turn.STARTING
    turns: int = 0  # that have ended, in this attempt
    last_event_at: float = 0.0
    progress_at: float = 0.0
    turn_ended_at: float = 0.0
    tools: Mapping[str, float] = field(default_factory=dict)  # calls under way, since when
    calls: int = 0  # tool calls in this turn
    background: int = 0
    mates: tuple[str, ...] = ()  # workers that have begun and not come to rest
    dialog: str = ""
    message: str = ""
    failure: str = ""
    failure_text: str = ""
    violations: int = 0
    unsaid: tuple[str, ...] = ()  # violations that were not signalled yet
    receipts: tuple[str, ...] = ()  # the marks in the newest prompts
    delivered: tuple[str, ...] = ()  # guidance that the Stop hook gave


def fold(view: View, event: Event) -> View:
    """Return the view after one more event."""
    seen = replace(view, last_event_at=max(view.last_event_at, event.at))
    meaning = _MEANINGS.get(event.kind)
    return meaning(seen, event) if meaning else seen


def _submitted(view: View, event: Event) -> View:
    if event.agent_id:
        return view
    marks = _MARK.findall(_text(event.data, "prompt"))[:_MOST_RECEIPTS]
    receipts = (*view.receipts, *marks)[-_MOST_RECEIPTS:]
    calls = view.calls if view.turn is Turn.BUSY else 0
    return _begun(replace(view, receipts=receipts, calls=calls))


def _begun(view: View) -> View:
    # A prompt is no progress: it may be ours.
    return replace(view, turn=Turn.BUSY, dialog="", failure="", failure_text="")


def _calling(view: View, event: Event) -> View:
    tools = dict(view.tools)
    if len(tools) < _MOST_TOOLS:
        tools[_text(event.data, "tool_use_id")] = event.at
    moved = replace(view, tools=tools, calls=view.calls + 1, dialog="")
    return moved if event.agent_id else replace(moved, turn=Turn.BUSY)


def _called(view: View, event: Event) -> View:
    tools = {key: at for key, at in view.tools.items() if key != _text(event.data, "tool_use_id")}
    moved = replace(view, tools=tools, dialog="", progress_at=max(view.progress_at, event.at))
    return moved if event.agent_id else replace(moved, turn=Turn.BUSY)


def _worked(view: View, event: Event) -> View:
    return replace(view, progress_at=max(view.progress_at, event.at))


def _mate_began(view: View, event: Event) -> View:
    mates = tuple(each for each in view.mates if each != event.agent_id)
    return _worked(replace(view, mates=(*mates, event.agent_id)[-_MOST_TOOLS:]), event)


def _mate_rested(view: View, event: Event) -> View:
    mates = tuple(each for each in view.mates if each != event.agent_id)
    return _worked(replace(view, mates=mates), event)


def _denied(view: View, event: Event) -> View:
    reason = _text(event.data, "reason")[:1000] or "a denied tool call"
    unsaid = view.unsaid
    if reason not in unsaid and len(unsaid) < _MOST_VIOLATIONS:
        unsaid = (*unsaid, reason)
    return replace(view, violations=view.violations + 1, unsaid=unsaid)


def _ended(view: View, event: Event) -> View:
    if event.agent_id:
        return view
    return replace(
        view,
        turn=Turn.ENDED,
        turns=view.turns + 1,
        turn_ended_at=event.at,
        background=_running(view, event.data.get("background_tasks")),
        message=_text(event.data, "last_assistant_message")[-_MOST_TEXT:],
        tools={},
        dialog="",
    )


def _running(view: View, tasks: object) -> int:
    """Count the work behind an ended turn; a teammate is "running" even while it rests."""
    kinds: list[object] = [
        task.get("type")
        for task in (tasks if isinstance(tasks, list) else ())
        if isinstance(task, dict) and task.get("status") == "running"
    ]
    mates = len(view.mates) if "teammate" in kinds else 0
    return sum(kind != "teammate" for kind in kinds) + mates


def _delivered(view: View, event: Event) -> View:
    given = event.data.get("ids")
    ids = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    kept = (*view.delivered, *ids)[-_MOST_RECEIPTS:]
    return _begun(replace(view, delivered=kept, tools={}))


def _failed(view: View, event: Event) -> View:
    if event.agent_id:
        return view
    text = _text(event.data, "error_details") or _text(event.data, "last_assistant_message")
    return replace(
        view,
        turn=Turn.FAILED,
        turns=view.turns + 1,
        turn_ended_at=event.at,
        failure=_text(event.data, "error")[:100] or "unknown",
        failure_text=text[-_MOST_TEXT:],
        tools={},
        dialog="",
    )


def _asked(view: View, event: Event) -> View:
    kind = _text(event.data, "notification_type")
    if event.kind == "Notification" and kind not in ("permission_prompt", "elicitation_dialog"):
        return view
    what = _text(event.data, "message") or _text(event.data, "tool_name")
    return replace(view, dialog=what[:1000] or "a dialog")


_MEANINGS: Final[Mapping[str, Callable[[View, Event], View]]] = {
    "UserPromptSubmit": _submitted,
    "PreToolUse": _calling,
    "PostToolUse": _called,
    "PostToolUseFailure": _called,
    "SubagentStart": _mate_began,
    "SubagentStop": _mate_rested,
    "TeammateIdle": _mate_rested,
    "TaskCompleted": _worked,
    "Stop": _ended,
    "StopFailure": _failed,
    "Notification": _asked,
    "PermissionRequest": _asked,
    "attractor:denied": _denied,
    "attractor:delivered": _delivered,
}


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
