"""One error has one fingerprint, wherever and whenever it comes; another error has another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fingerprint import fingerprint

SAME = [
    ("Error in /home/a/x.py:12", "Error in /tmp/y/z.py:99"),
    ("error: src/app/main.ts:3:7 - no such name", "error: lib/other.ts:30:1 - no such name"),
    ("error at C:\\work\\a.py line 3", "error at D:\\b\\c\\d.py line 14"),
    ("Error 2026-11-21T10:00:00.123Z lost", "Error 2027-01-01T23:59:59Z lost"),
    ("Error 2026-11-21 10:00:00,123 lost", "Error 2026-12-31 00:00:00,999 lost"),
    ("Segfault error at 0xDEADBEEF", "Segfault error at 0x7f00"),
    ("error: object 1a2b3c4d5e not found", "error: object 99aaff00112 not found"),
    (
        "error id 123e4567-e89b-12d3-a456-426614174000",
        "error id 00000000-e89b-12d3-a456-ffffffffffff",
    ),
    ("1 failed, 3 passed in 0.12s", "1 failed, 14 passed in 7.5s"),
    ("\x1b[31mError\x1b[0m: no", "Error: no"),
    ("ERROR:   no", "error: no"),
    ("fetch error: http://127.0.0.1:8080/a?b=1", "fetch error: https://example.org/x"),
    ("API Error: 529 (req_011CabcDEF)", "API Error: 529 (req_999)"),
    ("collecting ...\nstep 1\nError: no", "nothing like that\nError: no"),
    ("Error: no\nError: no", "Error: no"),
    ("retry error after 5 s", "retry error after 60s"),
]
DIFFERENT = [
    ("Error: no such file", "Error: permission denied"),
    ("NameError: name 'a' is not defined", "TypeError: a is not callable"),
    ("test_login failed", "test_logout failed"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_changes_each_time_does_not_count(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other) != ""


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_is_said_counts(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_nothing_has_no_fingerprint() -> None:
    assert fingerprint("") == fingerprint(" \n\t\n") == ""


def test_text_without_an_error_is_recognised_by_all_of_it() -> None:
    assert fingerprint("killed\nby the kernel") == "killed | by the kernel"


@given(st.text())
def test_it_is_short_and_stable(text: str) -> None:
    found = fingerprint(text)
    assert len(found) <= 300
    assert "\n" not in found
    assert fingerprint(text) == found


@pytest.mark.timeout(60)  # what grows with the square takes minutes
@pytest.mark.parametrize("text", ["a.b-" * 100_000, "/" * 200_000, "a/" * 100_000, "0" * 200_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    assert len(fingerprint(f"error {text}")) <= 300
