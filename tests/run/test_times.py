"""A journal's time as a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.times import seconds_of
from signals.clock import iso


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_that_was_written_is_read_again(microseconds: int) -> None:
    assert seconds_of(iso(microseconds * 1_000)) == pytest.approx(microseconds / 1e6, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-11-21", "2026-13-40T00:00:00Z", "1-1-1-1-1-1.x"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert seconds_of(text) == 0.0
