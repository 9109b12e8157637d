"""A rate limit is waited for as long as it takes, and not longer, whatever happens to the clock."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.limits import Limits, for_rehearsal
from runner.cooldown import Cooldown, begin, left, settled, spent

LIMITS = Limits()
NOW = 1_800_000_000.0


def lengths(*resets: float | None, limits: Limits = LIMITS) -> list[float]:
    """How long each of some cooldowns in a row is; a reset is told as seconds from now."""
    cooldown, found = Cooldown(), []
    for reset in resets:
        told = None if reset is None else NOW + reset
        cooldown = begin(cooldown, NOW, told, limits)
        found.append(cooldown.length)
    return found


def test_our_own_waits_double_up_to_the_longest() -> None:
    assert lengths(*[None] * 9) == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_the_providers_word_is_taken() -> None:
    assert lengths(20) == [20]
    assert lengths(5 * 3600) == [5 * 3600]
    assert begin(Cooldown(), NOW, NOW + 20, LIMITS).told
    assert not begin(Cooldown(), NOW, None, LIMITS).told


def test_a_word_that_did_not_hold_is_not_trusted_alone() -> None:
    assert lengths(1, 1, 1, 1) == [1, 60, 120, 240]
    assert lengths(1, 5_000) == [1, 5_000]


def test_a_word_from_the_past_is_none() -> None:
    assert lengths(-1, 0, None) == [60, 120, 240]


def test_nobody_is_waited_for_longer_than_a_week() -> None:
    assert lengths(400 * 86_400) == [7 * 86_400]
    assert lengths(100, limits=Limits(reset_max=30)) == [30]


def test_many_cooldowns_do_not_overflow() -> None:
    assert begin(Cooldown(count=10**6), NOW, None, LIMITS).length == 3600


@pytest.mark.parametrize(("reset", "length"), [(None, 60), (NOW + 20, 20), (NOW + 9_000, 9_000)])
def test_those_who_were_stopped_together_come_back_apart(
    reset: float | None, length: float
) -> None:
    spread = [begin(Cooldown(), NOW, reset, LIMITS, part).length for part in (0, 0.5, 1, 9, -9)]
    assert spread[0] == spread[4] == length
    assert spread[0] < spread[1] < spread[2] == spread[3] <= length + 15


def test_after_enough_of_them_a_person_is_needed() -> None:
    assert not spent(Cooldown(count=23), LIMITS)
    assert spent(Cooldown(count=24), LIMITS)


def test_a_restart_waits_only_for_what_is_left() -> None:
    cooldown = begin(Cooldown(), NOW, NOW + 3600, LIMITS)
    again = Cooldown.from_json(json.loads(json.dumps(cooldown.as_json())))
    assert again == cooldown
    assert left(again, NOW + 1800) == 1800
    assert left(again, NOW + 3600) == left(again, NOW + 9_999) == 0


def test_a_clock_that_was_set_back_costs_one_wait_at_most() -> None:
    cooldown = begin(Cooldown(), NOW, None, LIMITS)
    back = NOW - 100_000
    assert left(cooldown, back) == 60
    kept = settled(cooldown, back)
    assert left(kept, back + 59) == 1
    assert left(kept, back + 60) == 0
    assert settled(cooldown, NOW + 1) == cooldown


def test_no_cooldown_is_over() -> None:
    assert left(Cooldown(), NOW) == 0


def test_in_a_rehearsal_an_hour_takes_seconds() -> None:
    limits = for_rehearsal(LIMITS)
    assert sum(lengths(*[None] * 4, limits=limits)) < 20
    assert lengths(3600, limits=limits)[0] < 10


@pytest.mark.parametrize("junk", [None, 3, {"length": "60"}, {"length": True}, {"count": 1.5}])
def test_junk_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="cooldown"):
        Cooldown.from_json(junk)


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(-(10**6), 10**9), st.floats(0, 1), st.floats(-(10**5), 10**5)
        ),
        max_size=20,
    )
)
def test_what_is_left_is_never_more_than_the_whole(
    history: list[tuple[float | None, float, float]],
) -> None:
    cooldown, now = Cooldown(), NOW
    for reset, jitter, jump in history:
        told = None if reset is None else now + reset
        cooldown = begin(cooldown, now, told, LIMITS, jitter)
        now += jump
        assert 0 <= left(cooldown, now) <= cooldown.length <= LIMITS.reset_max
        assert left(settled(cooldown, now), now + cooldown.length) == 0
