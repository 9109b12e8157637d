"""Turns that lead nowhere stop; one at a time may show that they lead somewhere again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.limits import Limits
from runner.breaker import Breaker, State, TurnRecord, left, record, settled

LIMITS = Limits()
NOW = 1_800_000_000.0
IDLE = TurnRecord(progress=False, effort=10)
GOOD = TurnRecord(progress=True, effort=10)


def after(*turns: TurnRecord, limits: Limits = LIMITS) -> Breaker:
    breaker = Breaker()
    for turn in turns:
        breaker = record(breaker, turn, NOW, limits)
    return breaker


def failing(error: str, *, progress: bool = True) -> TurnRecord:
    return TurnRecord(progress=progress, error=error, effort=10)


def doing(*efforts: int, progress: bool = False) -> list[TurnRecord]:
    return [TurnRecord(progress=progress, effort=effort) for effort in efforts]


CLOSED = [
    [],
    [GOOD] * 20,
    [IDLE, IDLE],
    [IDLE, IDLE, GOOD, IDLE, IDLE],
    [failing("a"), failing("a")],
    [failing("a"), failing("b"), failing("a"), failing("b")],
    [failing("a"), failing("a"), GOOD, failing("a"), failing("a")],
    [failing("")] * 9,
    doing(100, 50),
    doing(100, 60, progress=True) + doing(25),
    doing(100, 50, 25, progress=True),
    doing(100, progress=True) + doing(50, 30),
    doing(0, progress=True) + doing(0, 0),
    doing(100, 50, progress=True) + doing(25),
]
OPEN = [
    ([IDLE, IDLE, IDLE], "3 turns in a row made no progress"),
    ([GOOD, IDLE, IDLE, IDLE], "no progress"),
    ([failing("a"), failing("a"), failing("a")], "same error: a"),
    ([GOOD, failing("x", progress=False), failing("x"), failing("x")], "same error: x"),
    (doing(100, progress=True) + doing(50, 25), "shrinks without progress: 100, 50, 25"),
    (doing(100, progress=True) + doing(10, 0), "shrinks"),
    (doing(2, progress=True) + doing(1, 0), "shrinks"),
]


@pytest.mark.parametrize("turns", CLOSED)
def test_it_stays_closed(turns: list[TurnRecord]) -> None:
    breaker = after(*turns)
    assert (breaker.state, breaker.why, breaker.trips) == (State.CLOSED, "", 0)
    assert left(breaker, NOW) == 0


@pytest.mark.parametrize(("turns", "why"), OPEN)
def test_it_opens_at_the_last_of_these_turns(turns: list[TurnRecord], why: str) -> None:
    assert after(*turns[:-1]).state is State.CLOSED
    breaker = after(*turns)
    assert (breaker.state, breaker.trips) == (State.OPEN, 1)
    assert why in breaker.why
    assert left(breaker, NOW) == 60


def test_the_limits_are_the_nodes_own() -> None:
    patient = Limits(max_no_progress=5, max_same_error=4)
    assert after(*[IDLE] * 4, limits=patient).state is State.CLOSED
    assert after(*[IDLE] * 5, limits=patient).state is State.OPEN
    assert after(*[failing("a")] * 3, limits=patient).state is State.CLOSED
    assert after(*[failing("a")] * 4, limits=patient).state is State.OPEN


def test_it_rests_and_then_lets_one_turn_decide() -> None:
    opened = after(IDLE, IDLE, IDLE)
    assert settled(opened, NOW + 59) == opened
    assert left(opened, NOW + 59) == 1
    half = settled(opened, NOW + 60)
    assert half.state is State.HALF_OPEN
    assert left(half, NOW + 60) == 0
    closed = record(half, GOOD, NOW + 70, LIMITS)
    assert (closed.state, closed.trips, closed.no_progress, closed.why) == (State.CLOSED, 0, 0, "")
    again = record(half, IDLE, NOW + 70, LIMITS)
    assert (again.state, again.trips, again.opened_at) == (State.OPEN, 2, NOW + 70)
    assert "no progress either" in again.why


def test_progress_that_ends_in_the_same_error_does_not_close_it() -> None:
    half = settled(after(*[failing("a")] * 3), NOW + 60)
    again = record(half, failing("a"), NOW + 70, LIMITS)
    assert (again.state, again.trips) == (State.OPEN, 2)
    assert record(half, failing("b"), NOW + 70, LIMITS).state is State.CLOSED


def test_a_turn_that_begins_by_itself_while_it_is_open_counts_too() -> None:
    opened = after(IDLE, IDLE, IDLE)
    assert record(opened, GOOD, NOW + 1, LIMITS).state is State.CLOSED
    assert record(opened, IDLE, NOW + 1, LIMITS).opened_at == NOW + 1


def test_a_clock_that_was_set_back_costs_one_rest_at_most() -> None:
    opened = after(IDLE, IDLE, IDLE)
    back = NOW - 9_000
    assert left(opened, back) == 60
    kept = settled(opened, back)
    assert left(kept, back + 60) == 0


def test_a_restart_waits_only_for_what_is_left() -> None:
    opened = after(IDLE, IDLE, IDLE)
    again = Breaker.from_json(opened.as_json())
    assert again == opened
    assert left(again, NOW + 45) == 15


@pytest.mark.parametrize(
    "junk",
    [
        None,
        [],
        "closed",
        {"state": "ajar"},
        {"no_progress": "3"},
        {"no_progress": True},
        {"opened_at": float("nan")},
        {"opened_at": 10**400},
        {"efforts": 3},
        {"efforts": ["1"]},
        {"why": None},
    ],
)
def test_junk_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="breaker"):
        Breaker.from_json(junk)


def test_an_older_record_and_a_newer_one_can_be_read() -> None:
    assert Breaker.from_json({}) == Breaker()
    assert Breaker.from_json({"trips": 2, "colour": "red"}) == Breaker(trips=2)


TURNS = st.builds(
    TurnRecord,
    progress=st.booleans(),
    error=st.sampled_from(["", "a", "b"]),
    effort=st.integers(-5, 100),
)


@given(st.lists(st.tuples(TURNS, st.floats(0, 100)), max_size=40))
def test_whatever_happens_it_lets_a_turn_begin_after_its_rest(
    history: list[tuple[TurnRecord, float]],
) -> None:
    breaker, now = Breaker(), NOW
    for turn, wait in history:
        now += wait
        breaker = settled(record(breaker, turn, now, LIMITS), now)
        assert 0 <= left(breaker, now) <= LIMITS.breaker_open
        assert left(settled(breaker, now + 60), now + 60) == 0
        assert (breaker.state is State.CLOSED) == (breaker.why == "")
        assert len(breaker.efforts) <= 3
        assert Breaker.from_json(breaker.as_json()) == breaker
