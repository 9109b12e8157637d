"""The numbers of a node: in their range or refused, the same on disk, and short in a rehearsal."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.run.limits import FIELDS, SECONDS, Limits, duration, for_rehearsal, number

LENGTHS = {
    "250ms": 0.25,
    "15": 15.0,
    "15s": 15.0,
    "900s": 900.0,
    "15m": 900.0,
    "2h": 7_200.0,
    "1d": 86_400.0,
    "1.5h": 5_400.0,
    ".5s": 0.5,
    " 3 m ": 180.0,
}
NO_LENGTHS: list[Any] = [
    "",
    "0",
    "5ms",
    "-1s",
    "1w",
    "1h30m",
    "s",
    "1e3",
    "nan",
    "inf",
    "366d",
    365 * 86_400 + 1,
    "15 minutes",
    "\u0661\u0665s",
    0,
    -1,
    True,
    None,
    float("nan"),
    float("inf"),
    10**400,
    [60],
]
NO_COUNTS: list[Any] = [
    "",
    "0",
    "-1",
    "1.0",
    "3 times",
    "\u0663",
    "9" * 30,
    0,
    1.0,
    True,
    None,
    10**10,
]


@pytest.mark.parametrize(("text", "seconds"), LENGTHS.items())
def test_a_length_of_time_is_read_as_the_specification_writes_it(text: str, seconds: float) -> None:
    assert number("stuck_after", text) == seconds


@pytest.mark.parametrize("given", NO_LENGTHS)
def test_what_is_no_length_of_time_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="stuck_after cannot be") as caught:
        number("stuck_after", given)
    assert "15m" in caught.value.fix


@pytest.mark.parametrize("given", NO_COUNTS)
def test_what_is_no_count_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="max_attempts cannot be") as caught:
        number("max_attempts", given)
    assert "from 1 to" in caught.value.fix


def test_there_may_be_no_restart_but_not_no_attempt() -> None:
    assert number("max_restarts", "0") == 0
    assert number("max_attempts", " 7 ") == 7


def test_a_prompt_has_room() -> None:
    with pytest.raises(InputError, match="max_prompt_bytes"):
        number("max_prompt_bytes", 999)
    assert number("max_prompt_bytes", 1000) == 1000


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(InputError, match="'stuck_afterwards'"):
        Limits.from_json({"stuck_afterwards": 3})


@pytest.mark.parametrize("name", FIELDS)
def test_every_default_is_in_its_range(name: str) -> None:
    default = getattr(Limits(), name)
    assert number(name, default) == default
    assert type(number(name, default)) is type(default)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (1, "1s"),
        (90, "90s"),
        (900, "15m"),
        (7200, "2h"),
        (86_400, "1d"),
        (1.5, "1.5s"),
    ],
)
def test_a_length_of_time_is_written_as_it_is_read(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert number("stuck_after", text) == seconds


@given(st.integers(10, 365 * 86_400_000))
def test_what_is_written_can_be_read_again(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert number("stuck_after", duration(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_limits_are_the_same_after_their_way_through_a_file() -> None:
    limits = Limits(stuck_after=0.5, max_restarts=0, cooldown_max=120.0)
    assert Limits.from_json(json.loads(json.dumps(asdict(limits)))) == limits
    assert Limits.from_json({}) == Limits()
    assert Limits.from_json({"stuck_after": 60}).stuck_after == 60.0


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"cooldown_min \(2h\) is longer than cooldown_max \(1h\)"):
        Limits.from_json({"cooldown_min": 7200})
    assert Limits.from_json({"cooldown_min": 7200, "cooldown_max": 7200}).cooldown_min == 7200


def test_in_a_rehearsal_what_waits_for_the_world_takes_seconds() -> None:
    short = for_rehearsal(Limits())
    waits = ["stuck_after", "tool_stuck_after", "breaker_open", "cooldown_min", "cooldown_max"]
    assert all(getattr(short, name) <= 12 for name in [*waits, "reset_max"])
    assert short.cooldown_min <= short.cooldown_max
    assert Limits.from_json(asdict(short)) == short


def test_in_a_rehearsal_real_programs_have_their_time() -> None:
    short, same = for_rehearsal(Limits()), Limits()
    for name in ("start_within", "receipt_within", "check_timeout", "ask_timeout", "kill_grace"):
        assert getattr(short, name) == getattr(same, name)
    counts = [name for name, each in FIELDS.items() if each.metadata["unit"] != SECONDS]
    assert all(getattr(short, name) == getattr(same, name) for name in counts)


def test_a_rehearsal_never_makes_a_wait_longer() -> None:
    quick = replace(Limits(), stuck_after=0.1, cooldown_min=0.1, cooldown_max=0.2)
    short = for_rehearsal(quick)
    assert (short.stuck_after, short.cooldown_min, short.cooldown_max) == (0.1, 0.1, 0.2)
    assert for_rehearsal(short) == short


def test_every_limit_says_what_it_is() -> None:
    assert all(each.metadata["about"] for each in fields(Limits))
