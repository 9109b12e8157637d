from __future__ import annotations

import json
import os
from typing import Any

import pytest

from runner.hooks import turn_end

STOP = {"session_id": "s", "hook_event_name": "Stop", "last_assistant_message": "done"}


def ids(node: Any) -> list[list[str]]:
    return [each.data["ids"] for each in node.stored() if each.kind == "attractor:delivered"]


def test_without_guidance_the_end_of_the_turn_is_stored_as_it_is(node: Any) -> None:
    answer = node.stop(STOP)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    (event,) = node.stored()
    assert (event.kind, event.data) == ("Stop", STOP)


def test_guidance_becomes_the_reason_to_go_on_and_is_recorded(node: Any) -> None:
    node.advise("say-001-00001", 'Look at "x".\né🦆')
    answer = node.stop(STOP)
    assert answer.status == 0
    assert json.loads(answer.out) == {"decision": "block", "reason": 'Look at "x".\né🦆'}
    (event,) = node.stored()
    assert event.kind == "attractor:delivered"
    assert event.data["ids"] == ["say-001-00001"]
    assert event.data["event"] == STOP
    assert event.data["last_assistant_message"] == "done"


def test_guidance_is_handed_over_while_background_tasks_run(node: Any) -> None:
    node.advise("g", "now")
    tasks = [{"id": "1", "type": "subagent", "status": "running"}]
    assert node.stop(STOP | {"background_tasks": tasks}).reason == "now"


def test_guidance_is_handed_over_once_even_if_it_stays_in_the_inbox(node: Any) -> None:
    node.advise("g-1", "first")
    assert node.stop().reason == "first"
    assert node.stop().out == ""
    node.advise("g-2", "second")
    assert node.stop().reason == "second"
    assert ids(node) == [["g-1"], ["g-2"]]


def test_a_marker_is_made_before_and_keeps_what_was_tried_from_a_second_time(node: Any) -> None:
    node.advise("g", "text")
    (node.events / ".delivered-g").touch()
    assert node.stop().out == ""
    assert [each.kind for each in node.stored()] == ["Stop"]


def test_several_are_handed_over_together_in_order(node: Any) -> None:
    for name in ("b", "a", "c"):
        node.advise(name, name.upper())
    assert node.stop().reason == "A\n\nB\n\nC"
    assert ids(node) == [["a", "b", "c"]]


def test_the_order_is_that_of_the_names_and_not_of_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_end.posix, "listdir", lambda _: ["b.json", "c.json", "a.json"])
    assert turn_end.waiting("x") == ["a.json", "b.json", "c.json"]


def test_what_does_not_fit_any_more_is_handed_over_next_time(node: Any) -> None:
    for name in ("a", "b", "c"):
        node.advise(name, name * 4_000)
    assert node.stop().reason == "a" * 4_000 + "\n\n" + "b" * 4_000
    assert node.stop().reason == "c" * 4_000


def test_what_claude_code_would_cut_stays_in_the_inbox(node: Any) -> None:
    node.advise("a-long", "é" * 10_000)
    node.advise("b-wide", "🦆" * 5_000)  # two units each, as Claude Code counts
    node.advise("c", "short")
    assert node.stop().reason == "short"
    assert not (node.events / ".delivered-a-long").exists()
    assert ids(node) == [["c"]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"[]",
        b'{"id": "x"}',
        b'{"id": 1, "text": "t"}',
        b'{"id": "../x", "text": "t"}',
        b'{"id": "", "text": "t"}',
        b'{"id": "x", "text": ""}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_guidance_is_passed_over(node: Any, content: bytes) -> None:
    (node.inbox / "a.json").write_bytes(content)
    node.advise("b", "good")
    answer = node.stop()
    assert (answer.reason, answer.err) == ("good", "")


def test_drafts_folders_and_other_files_are_passed_over(node: Any) -> None:
    (node.inbox / ".g.json.00000000").write_text('{"id": "g", "text": "draft"}')
    (node.inbox / ".g.json").write_text('{"id": "g", "text": "hidden"}')
    (node.inbox / "notes.txt").write_text("x")
    (node.inbox / "folder.json").mkdir()
    os.mkfifo(node.inbox / "fifo.json")
    answer = node.stop()
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert [each.kind for each in node.stored()] == ["Stop"]


def test_an_inbox_that_is_not_there_ends_the_turn(node: Any) -> None:
    node.inbox.rmdir()
    assert node.stop().out == ""
    assert [each.kind for each in node.stored()] == ["Stop"]


def test_an_event_that_is_no_json_hinders_nothing(node: Any) -> None:
    node.advise("g", "go on")
    answer = node.stop(b"garbage")
    assert (answer.status, answer.reason) == (0, "go on")
    assert ids(node) == [["g"]]


def test_a_large_event_is_shortened_with_guidance_and_without(node: Any) -> None:
    big = STOP | {"last_assistant_message": "x" * 400_000 + "<promise>NODE_COMPLETE</promise>"}
    node.stop(big)
    node.advise("g", "go on")
    node.stop(big)
    first, second = node.stored()
    assert (first.kind, second.kind) == ("Stop", "attractor:delivered")
    for event in (first, second):
        assert event.data["last_assistant_message"].endswith("<promise>NODE_COMPLETE</promise>")


def test_without_a_place_to_mark_nothing_is_handed_over(node: Any) -> None:
    node.advise("g", "go on")
    for path in node.events.iterdir():
        path.unlink()
    node.events.rmdir()
    answer = node.stop()
    assert (answer.status, answer.out) == (0, "")
    assert "the end of the turn was lost" in answer.err
