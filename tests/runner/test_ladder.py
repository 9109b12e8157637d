"""A session that is stuck is asked first, and given time on every rung."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.limits import Limits
from runner.decide import Kind, Rung
from runner.ladder import Ladder, due_at, progressed, settled, step, words
from signals.kinds import OrchestratorStuck

LIMITS = Limits()
NOW = 1_800_000_000.0
TROUBLE = (Kind.STUCK, Kind.CRASHED)


def climbed(*times: float, kind: Kind = Kind.STUCK) -> list[Rung | None]:
    """What is done when the session is in trouble at each of these times."""
    ladder, done = Ladder(), []
    for at in times:
        ladder, rung = step(ladder, kind, NOW + at, LIMITS)
        done.append(rung)
    return done


def test_the_rungs_come_in_order_and_the_last_one_once() -> None:
    assert climbed(0, 300, 600, 900, 1200, 1500, 9999) == [
        Rung.ASK,
        Rung.INTERRUPT,
        Rung.RESTART,
        Rung.RESTART,
        Rung.HAND_BACK,
        None,
        None,
    ]


def test_a_rung_is_given_time_before_the_next() -> None:
    assert climbed(0, 1, 299, 300, 301, 599) == [Rung.ASK, None, None, Rung.INTERRUPT, None, None]


def test_a_restart_is_given_the_time_of_a_start() -> None:
    slow = Limits(stuck_after=5.0)
    ladder = Ladder(rung=Rung.RESTART, at=NOW, restarts=1)
    assert step(ladder, Kind.STUCK, NOW + 59, slow)[1] is None
    assert step(ladder, Kind.STUCK, NOW + 60, slow)[1] is Rung.RESTART


@pytest.mark.parametrize("restarts", [0, 1, 2, 5])
def test_the_restarts_are_as_many_as_allowed(restarts: int) -> None:
    limits = Limits(max_restarts=restarts)
    ladder, done = Ladder(), []
    for number in range(12):
        ladder, rung = step(ladder, Kind.STUCK, NOW + 300 * number, limits)
        done.append(rung)
    assert done.count(Rung.RESTART) == restarts
    assert done[2 + restarts] is Rung.HAND_BACK
    assert ladder.restarts == restarts


def test_a_crash_is_answered_by_a_restart_at_once() -> None:
    assert climbed(0, 1, 2, 3, kind=Kind.CRASHED) == [
        Rung.RESTART,
        Rung.RESTART,
        Rung.HAND_BACK,
        None,
    ]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in TROUBLE])
def test_only_trouble_climbs(kind: Kind) -> None:
    ladder = Ladder(rung=Rung.ASK, at=NOW)
    assert step(ladder, kind, NOW + 9_999, LIMITS) == (ladder, None)


def test_progress_leads_back_to_the_foot_but_restarts_count_for_good() -> None:
    tried = Ladder(rung=Rung.RESTART, at=NOW, restarts=2)
    fresh = progressed(tried)
    assert fresh == Ladder(restarts=2)
    assert step(fresh, Kind.STUCK, NOW + 1, LIMITS)[1] is Rung.ASK
    assert step(fresh, Kind.CRASHED, NOW + 1, LIMITS)[1] is Rung.HAND_BACK
    assert progressed(fresh) is fresh


def test_a_rung_that_cannot_help_is_left_out() -> None:
    assert step(Ladder(), Kind.STUCK, NOW, LIMITS, least=Rung.RESTART)[1] is Rung.RESTART
    asked = Ladder(rung=Rung.ASK, at=NOW)
    assert step(asked, Kind.STUCK, NOW + 1, LIMITS, least=Rung.HAND_BACK)[1] is Rung.HAND_BACK
    later = Ladder(rung=Rung.INTERRUPT, at=NOW)
    assert step(later, Kind.STUCK, NOW + 300, LIMITS, least=Rung.ASK)[1] is Rung.RESTART


def test_a_session_that_answered_and_is_stuck_all_the_same_is_not_waited_for() -> None:
    asked = Ladder(rung=Rung.ASK, at=NOW)
    assert step(asked, Kind.STUCK, NOW + 9, LIMITS, ended_at=NOW + 8)[1] is Rung.INTERRUPT
    assert step(asked, Kind.STUCK, NOW + 9, LIMITS, ended_at=NOW + 9)[1] is Rung.INTERRUPT
    assert step(asked, Kind.STUCK, NOW + 9, LIMITS, ended_at=NOW)[1] is None
    assert step(asked, Kind.STUCK, NOW + 9, LIMITS, ended_at=NOW + 99)[1] is None


def test_a_clock_that_was_set_back_costs_one_wait_at_most() -> None:
    asked = Ladder(rung=Rung.ASK, at=NOW)
    kept, rung = step(asked, Kind.STUCK, NOW - 9_000, LIMITS)
    assert rung is None
    assert kept.at == NOW - 9_000 == settled(asked, NOW - 9_000).at
    assert step(kept, Kind.STUCK, NOW - 8_700, LIMITS)[1] is Rung.INTERRUPT


def test_it_says_when_the_next_rung_is_due() -> None:
    assert due_at(Ladder(), LIMITS) is None
    assert due_at(Ladder(rung=Rung.ASK, at=NOW), LIMITS) == NOW + 300
    assert due_at(Ladder(rung=Rung.HAND_BACK, at=NOW), LIMITS) is None


def test_it_survives_the_process() -> None:
    ladder = Ladder(rung=Rung.RESTART, at=NOW + 0.5, restarts=2)
    assert Ladder.from_json(ladder.as_json()) == ladder
    assert Ladder.from_json(Ladder().as_json()) == Ladder()
    with pytest.raises(ValueError, match="rung"):
        Ladder.from_json({"rung": "jump"})


@pytest.mark.parametrize("rung", Rung)
def test_the_guardian_knows_every_rung(rung: Rung) -> None:
    assert OrchestratorStuck(node_id="n", rung=rung.value).rung == rung.value


@pytest.mark.parametrize("rung", [Rung.ASK, Rung.INTERRUPT, Rung.RESTART])
def test_the_session_is_told_why(rung: Rung) -> None:
    assert "nothing moves. " in words(rung, "nothing moves")
    assert "nothing moves. " in words(rung, "nothing moves.")
    assert "<promise>" in words(rung, "nothing moves")


def test_nothing_is_said_to_a_session_that_is_handed_back() -> None:
    assert words(Rung.HAND_BACK, "nothing moves") == ""


@given(
    st.lists(
        st.tuples(st.sampled_from(Kind), st.floats(0, 1_000), st.booleans()),
        max_size=60,
    )
)
def test_nobody_is_restarted_more_often_than_allowed(
    history: list[tuple[Kind, float, bool]],
) -> None:
    ladder, now, restarts, last = Ladder(), NOW, 0, None
    for kind, wait, moved in history:
        now += wait
        if moved:
            ladder = progressed(ladder)
        ladder, rung = step(ladder, kind, now, LIMITS)
        restarts += rung is Rung.RESTART
        assert not (rung is not None and last is Rung.HAND_BACK and not moved)
        last = ladder.rung
        assert ladder == replace(ladder, at=min(ladder.at, now))
    assert restarts == ladder.restarts <= LIMITS.max_restarts
