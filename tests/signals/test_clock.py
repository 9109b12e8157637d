"""Times as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.clock import SystemClock, iso, stamp

_LAST_NS = 253_402_300_799_999_999_999
_TIMES = st.integers(min_value=0, max_value=_LAST_NS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(_TIMES)
def test_a_stamp_reads_back_as_the_same_microsecond(wall_ns: int) -> None:
    want = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    assert datetime.strptime(stamp(wall_ns), "%Y%m%dT%H%M%S.%f%z") == want
    assert datetime.fromisoformat(iso(wall_ns)) == want


@given(_TIMES, _TIMES)
def test_sorting_as_text_is_sorting_in_time(one: int, other: int) -> None:
    for text in (stamp, iso):
        assert (text(one) < text(other)) == (one // 1000 < other // 1000)


def test_a_stamp_has_the_documented_form() -> None:
    at = 1_771_934_400_123_456_789
    assert stamp(at) == "20260224T120000.123456Z"
    assert iso(at) == "2026-02-24T12:00:00.123456Z"
    assert stamp(0) == "19700101T000000.000000Z"
    assert stamp(_LAST_NS) == "99991231T235959.999999Z"


@pytest.mark.parametrize("wall_ns", [-1, _LAST_NS + 1, -(10**40), 10**40])
def test_a_time_that_would_not_sort_is_refused(wall_ns: int) -> None:
    for text in (stamp, iso):
        with pytest.raises(ValueError, match="between the years 1970 and 9999"):
            text(wall_ns)


def test_the_system_clock_reads_the_machine() -> None:
    clock = SystemClock()
    before = time.time_ns()
    assert before <= clock.wall_ns() <= time.time_ns()
    first = clock.monotonic()
    assert first <= clock.monotonic() <= time.monotonic()
