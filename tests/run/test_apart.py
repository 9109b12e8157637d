"""Work in a child whose memory is given back."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from attractor.apart import apart
from attractor.errors import InputError, ToolError
from signals.clock import SystemClock

CLOCK = SystemClock()


def test_the_result_comes_back_and_what_was_imported_does_not() -> None:
    def work() -> list[Any]:
        import wave

        return [wave.__name__, os.getpid()]

    name, pid = apart(work, CLOCK, 30)
    assert name == "wave"
    assert pid != os.getpid()
    assert "wave" not in sys.modules


def test_an_error_of_ours_is_raised_here_with_all_its_fields() -> None:
    def work() -> None:
        raise InputError("no such thing", where="/a", fix="make it")

    with pytest.raises(InputError) as caught:
        apart(work, CLOCK, 30)
    assert (caught.value.problem, caught.value.where, caught.value.fix) == (
        "no such thing",
        "/a",
        "make it",
    )


def test_a_large_result_is_not_cut() -> None:
    assert apart(lambda: "x" * 3_000_000, CLOCK, 30) == "x" * 3_000_000


def test_a_child_that_dies_or_never_answers_is_an_error_and_leaves_no_process() -> None:
    never, _writer = os.pipe()
    with pytest.raises(ToolError):
        apart(lambda: os._exit(3), CLOCK, 30)
    with pytest.raises(ToolError):
        apart(lambda: os.read(never, 1), CLOCK, 0.2)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
