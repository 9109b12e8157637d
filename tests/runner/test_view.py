"""What a session's events say, folded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.events import Event
from runner.facts import Turn
from runner.view import View, fold


def happen(view: View, *happenings: tuple[str, dict[str, Any]], at: float = 10.0) -> View:
    for number, (kind, data) in enumerate(happenings):
        agent = data.pop("agent", "")
        event = Event(name=f"{number}", at=at + number, kind=kind, data=data, agent_id=agent)
        view = fold(view, event)
    return view


PROMPT = ("UserPromptSubmit", {"prompt": "Do it"})


def test_a_prompt_begins_a_turn_and_stop_ends_it_with_its_last_message() -> None:
    busy = happen(View(), PROMPT)
    assert (busy.turn, busy.turns) == (Turn.BUSY, 0)
    ended = happen(busy, ("Stop", {"last_assistant_message": "Done."}), at=20)
    assert (ended.turn, ended.turns, ended.message) == (Turn.ENDED, 1, "Done.")
    assert ended.turn_ended_at == 20


def test_a_tool_call_is_under_way_until_it_ends_and_its_end_is_progress() -> None:
    calling = happen(View(), PROMPT, ("PreToolUse", {"tool_use_id": "a"}))
    assert calling.tools == {"a": 11.0}
    assert calling.progress_at == 0.0
    called = happen(calling, ("PostToolUse", {"tool_use_id": "a"}), at=15)
    assert called.tools == {}
    assert called.progress_at == 15.0


def test_a_workers_events_move_the_clock_but_never_the_turn() -> None:
    ended = happen(View(), PROMPT, ("Stop", {}))
    after = happen(
        ended,
        ("PreToolUse", {"agent": "w1", "tool_use_id": "a"}),
        ("Stop", {"agent": "w1"}),
        ("UserPromptSubmit", {"agent": "w1", "prompt": "x"}),
        at=30,
    )
    assert (after.turn, after.turns) == (Turn.ENDED, 1)
    assert after.last_event_at == 32


def test_a_failed_turn_names_its_error_and_the_next_prompt_forgets_it() -> None:
    said = {"error": "rate_limit", "last_assistant_message": "API Error: 429"}
    failed = happen(View(), PROMPT, ("StopFailure", said))
    assert (failed.turn, failed.failure) == (Turn.FAILED, "rate_limit")
    assert failed.failure_text == "API Error: 429"
    assert happen(failed, PROMPT, at=20).failure == ""


def test_only_running_tasks_count_as_background_work() -> None:
    tasks = [{"type": "subagent", "status": "running"}, {"type": "shell", "status": "completed"}]
    assert happen(View(), PROMPT, ("Stop", {"background_tasks": tasks})).background == 1


def test_a_teammate_that_rests_is_no_background_work_though_its_task_runs() -> None:
    tasks = [{"type": "teammate", "status": "running"}]
    working = happen(View(), PROMPT, ("SubagentStart", {"agent": "bob@s"}))
    assert happen(working, ("Stop", {"background_tasks": tasks})).background == 1
    rested = happen(working, ("TeammateIdle", {"agent": "bob@s"}))
    assert happen(rested, ("Stop", {"background_tasks": tasks})).background == 0


def test_a_denial_is_a_violation_once_for_each_reason() -> None:
    denied = ("attractor:denied", {"reason": "wrote a file"})
    view = happen(View(), PROMPT, denied, denied, ("attractor:denied", {"reason": "read a key"}))
    assert view.violations == 3
    assert view.unsaid == ("wrote a file", "read a key")


def test_delivered_guidance_keeps_the_turn_going_and_is_remembered() -> None:
    view = happen(View(), PROMPT, ("attractor:delivered", {"ids": ["say-1", 7]}))
    assert (view.turn, view.delivered) == (Turn.BUSY, ("say-1",))


def test_the_marks_of_a_prompt_are_its_receipt_whatever_is_around_them() -> None:
    prompt = '\n<pasted_content id="b5">\nMessage [say-001-00002] from you\n</pasted_content>'
    view = happen(View(), ("UserPromptSubmit", {"prompt": prompt}))
    assert view.receipts == ("[say-001-00002]",)


@pytest.mark.parametrize(
    ("kind", "data", "dialog"),
    [
        ("PermissionRequest", {"tool_name": "Bash"}, "Bash"),
        ("Notification", {"notification_type": "permission_prompt", "message": "May I?"}, "May I?"),
        ("Notification", {"notification_type": "idle_prompt", "message": "Waiting"}, ""),
    ],
)
def test_a_dialog_is_known_by_name(kind: str, data: dict[str, Any], dialog: str) -> None:
    view = happen(View(), PROMPT, (kind, data))
    assert view.dialog == dialog
    assert happen(view, ("PostToolUse", {})).dialog == ""


KINDS = st.sampled_from(
    [
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "Stop",
        "StopFailure",
        "Notification",
        "attractor:denied",
        "attractor:delivered",
        "TeammateIdle",
        "SubagentStart",
        "Invented",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = ["prompt", "tool_use_id", "background_tasks", "ids", "reason", "error", "transcript_path"]


@given(
    st.lists(
        st.tuples(KINDS, st.dictionaries(st.sampled_from(KEYS), JSON), st.sampled_from(["", "w1"])),
        max_size=40,
    )
)
def test_no_event_that_a_session_may_invent_breaks_or_bloats_the_view(
    said: list[tuple[str, dict[str, Any], str]],
) -> None:
    view = View()
    for number, (kind, data, agent) in enumerate(said):
        view = fold(view, Event(name="x", at=float(number), kind=kind, data=data, agent_id=agent))
    assert len(view.receipts) <= 20
    assert len(view.tools) <= 200
    assert view.last_event_at <= max(0, len(said) - 1)
