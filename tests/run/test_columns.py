"""Tables and lines in a terminal of some width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.run.columns import columns, wrapped

ROWS = [
    ("RUN", "STATE", "BEGAN", "NODES"),
    ("greet-20261121-2103", "validated", "2026-11-21 21:03:15", "5/5"),
]
CELL = st.text(st.sampled_from("abc- "), max_size=30).map(lambda text: " ".join(text.split()))


def test_where_no_width_is_known_or_there_is_room_a_row_is_a_line() -> None:
    wide = [
        "RUN                  STATE      BEGAN                NODES",
        "greet-20261121-2103  validated  2026-11-21 21:03:15  5/5",
    ]
    assert [*columns(ROWS)] == wide == [*columns(ROWS, 58)]


def test_where_there_is_none_cells_are_broken_between_words() -> None:
    assert [*columns(ROWS, 49)] == [
        "RUN                  STATE      BEGAN       NODES",
        "greet-20261121-2103  validated  2026-11-21  5/5",
        "                                21:03:15",
    ]


def test_behind_hyphens_only_where_that_is_not_enough() -> None:
    assert [*columns(ROWS, 40, "  ")] == [
        "  RUN        STATE      BEGAN      NODES",
        "  greet-     validated  2026-11-   5/5",
        "  20261121-             21",
        "  2103                  21:03:15",
    ]


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4), st.integers(1, 60))
def test_no_word_is_lost_or_cut_and_nothing_is_wider_than_it_must_be(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    lines = [*columns(rows, width)]
    told = "".join(lines).replace(" ", "")
    assert sorted(told) == sorted("".join(map("".join, rows)).replace(" ", ""))
    longest = max((len(part) for row in rows for c in row for part in c.split()), default=0)
    if 3 * longest + 4 <= width:
        assert all(len(line) <= width for line in lines)
        parts = {part for row in rows for cell in row for part in cell.replace("-", "- ").split()}
        assert parts >= {p for line in lines for p in line.replace("-", "- ").split()}


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("a word and another", ["a word and", "another"]),
        ("- a word and another", ["- a word", "  and", "  another"]),
        ("  - a word and one", ["  - a word", "    and", "    one"]),
        ("> a word and one", ["> a word", "> and one"]),
        ("    a command in one line", ["    a command in one line"]),
        ("/a/path/that/cannot/break", ["/a/path/that/cannot/break"]),
        ("", [""]),
    ],
)
def test_a_line_is_broken_between_words_and_keeps_its_place(line: str, lines: list[str]) -> None:
    assert [*wrapped(line, 10)] == lines
    assert [*wrapped(line, 0)] == [line]
