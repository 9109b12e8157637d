"""How what we say reaches a session."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from attractor.run.limits import Limits
from runner.facts import Turn
from runner.speech import ENTERS, PASTES, Saying, Speech, Way, add, done, due, mark, next_at, spoken
from runner.view import View

LIMITS = Limits(receipt_within=5)
ONE = add(Speech(), Saying(id="say-001-00001", text="Go on", why="test"))
IDLE = View(turn=Turn.ENDED)
BUSY = View(turn=Turn.BUSY)


def test_guidance_for_a_busy_session_waits_in_the_inbox_for_the_end_of_its_turn() -> None:
    assert due(ONE, BUSY, 0, LIMITS) is Way.INBOX
    waiting = done(ONE, Way.INBOX, 0)
    assert due(waiting, BUSY, 100, LIMITS) is None
    given_by_hook = replace(BUSY, delivered=("say-001-00001",))
    assert due(waiting, given_by_hook, 100, LIMITS) is Way.SAID
    assert done(waiting, Way.SAID, 100).queue == ()


def test_guidance_that_the_stop_hook_missed_is_pasted_when_the_turn_is_over() -> None:
    waiting = done(ONE, Way.INBOX, 0)
    assert due(waiting, IDLE, 1, LIMITS) is Way.PASTE


def test_what_is_urgent_is_pasted_into_a_running_turn_but_never_into_one_that_starts() -> None:
    urgent = add(Speech(), Saying(id="say-001-00001", text="Stop!", why="test", urgent=True))
    assert due(urgent, BUSY, 0, LIMITS) is Way.PASTE
    assert due(urgent, View(turn=Turn.STARTING), 0, LIMITS) is Way.INBOX


def test_a_paste_counts_only_with_its_receipt() -> None:
    pasted = done(ONE, Way.PASTE, 10)
    assert due(pasted, IDLE, 11, LIMITS) is None
    assert due(pasted, replace(IDLE, receipts=("[say-009-00009]",)), 11, LIMITS) is None
    assert due(pasted, replace(IDLE, receipts=(mark("say-001-00001"),)), 11, LIMITS) is Way.SAID


def test_without_a_receipt_enter_comes_first_then_another_paste_then_it_has_failed() -> None:
    speech, ways, now = ONE, [], 0.0
    while speech.queue:
        way = due(speech, IDLE, now, LIMITS)
        if way is None:
            following = next_at(speech, LIMITS)
            assert following is not None
            assert following > now
            now = following
            continue
        ways.append(way)
        speech = done(speech, way, now)
    paste = [Way.PASTE, *[Way.ENTER] * ENTERS]
    assert ways == [*paste * PASTES, Way.FAILED]


def test_a_clock_that_was_set_back_does_not_hurry_anything() -> None:
    pasted = done(ONE, Way.PASTE, 1000)
    assert due(pasted, IDLE, 10, LIMITS) is None


def test_the_same_thing_is_in_the_queue_once() -> None:
    assert add(ONE, Saying(id="say-001-00001", text="Go on", why="again")) == ONE


def test_the_queue_survives_the_disk() -> None:
    pasted = done(ONE, Way.PASTE, 10)
    assert Speech.from_json(pasted.as_json()) == pasted


@given(st.text())
def test_nothing_that_is_said_can_be_a_command_or_end_the_paste(text: str) -> None:
    said = spoken("say-001-00001", text, "a reason")
    assert said.startswith("Message [say-001-00001]")
    assert said.endswith("End of the message.")
    assert all(each == "\n" or each.isprintable() or ord(each) > 0x9F for each in said)
    assert "\x1b" not in said
    assert "\r" not in said
