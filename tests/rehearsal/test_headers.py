"""What a session's environment says about it arrives at the server as it was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.rehearsal.headers import Asker

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)


def parsed(headers: str) -> dict[str, str]:
    assert headers.isascii()
    return dict(line.split(": ") for line in headers.split("\n"))


@given(run=NAMES, node=NAMES, attempt=st.integers(0, 999_999_999))
def test_any_name_arrives(run: str, node: str, attempt: int) -> None:
    asker = Asker("judge", run, node, attempt)
    assert Asker.of(parsed(asker.headers())) == asker


def test_plain_names_can_be_read_and_what_is_unknown_is_not_said() -> None:
    assert Asker("a", "run-1", "impl_jwt", 2).headers().split("\n") == [
        "x-attractor-role: a",
        "x-attractor-run: run-1",
        "x-attractor-node: impl_jwt",
        "x-attractor-attempt: 2",
    ]
    assert Asker().headers() == "x-attractor-role: main"
    assert Asker.of({}) == Asker("main")


@pytest.mark.parametrize("attempt", ["", "two", "-1", "1.5", "٣", "9" * 5000])
def test_an_attempt_that_is_no_number_is_none(attempt: str) -> None:
    assert Asker.of({"x-attractor-attempt": attempt}).attempt == 0


@pytest.mark.parametrize("role", ["", "a b", "a\nx-other: b", "ä", "a" * 129])
def test_a_role_that_is_no_header_value_is_refused(role: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a role"):
        Asker(role).headers()
