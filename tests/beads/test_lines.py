"""The file's content: nothing is lost, whatever it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attractor.beads.issue import encode
from attractor.beads.lines import parse


def test_a_line_that_cannot_be_read_is_named_and_kept_byte_for_byte(
    bead: Callable[..., Any],
) -> None:
    broken = b'{"id":"at-b", \xff "titl\r'
    data = b"\n".join([encode(bead("at-z")), broken, b"", b"  ", encode(bead("at-a"))])
    lines = parse(data)
    assert [(each.number, each.reason) for each in lines.damage] == [(2, "it is not UTF-8")]
    assert sorted(lines.issues) == ["at-a", "at-z"]
    lines.put(lines.issues["at-a"] | {"title": "new"})
    rewritten = lines.render()
    new = encode(bead("at-a", title="new"))
    assert rewritten == b"".join(each + b"\n" for each in (new, encode(bead("at-z")), broken))
    assert parse(rewritten).render() == rewritten


def test_lines_that_were_not_changed_keep_their_bytes(bead: Callable[..., Any]) -> None:
    odd = b'{"title" : "spaced",  "id":"at-b","priority":1}'
    lines = parse(odd + b"\n" + encode(bead("at-a")) + b"\n")
    lines.put(bead("at-c"))
    assert odd in lines.render().split(b"\n")
    assert lines.changed == {"at-c"}


def test_putting_what_is_there_changes_nothing(bead: Callable[..., Any]) -> None:
    lines = parse(encode(bead("at-a")))
    lines.put(bead("at-a"))
    assert not lines.changed


def test_of_two_lines_with_one_id_the_newer_counts_and_both_stay(bead: Callable[..., Any]) -> None:
    old = encode(bead("at-a", title="old"))
    new = encode(bead("at-a", title="new", updated_at="2026-02-24T14:00:00+01:00"))
    for data in (old + b"\n" + new + b"\n", new + b"\n" + old + b"\n"):
        lines = parse(data)
        assert lines.issues["at-a"]["title"] == "new"
        assert [each.number for each in lines.damage] == [2]
        assert lines.render() == new + b"\n" + old + b"\n"


def test_the_same_line_twice_is_one(bead: Callable[..., Any]) -> None:
    line = encode(bead("at-a")) + b"\n"
    lines = parse(line + line)
    assert (lines.damage, lines.render()) == ([], line)


def test_records_of_other_kinds_and_a_byte_order_mark_are_no_damage(
    bead: Callable[..., Any],
) -> None:
    memory = b'{"_type":"memory","key":"k"}'
    lines = parse(b"\xef\xbb\xbf" + memory + b"\r\n" + encode(bead("at-a")) + b"\r\n")
    assert lines.damage == []
    assert memory + b"\r" in lines.render().split(b"\n")


def test_a_conflict_marker_is_named_as_one() -> None:
    assert "conflict marker" in parse(b"<<<<<<< HEAD\n").damage[0].reason


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_read_and_every_line_of_them_stays(parts: list[bytes]) -> None:
    data = b"\n".join(parts)
    rewritten = parse(data).render()
    wanted = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert sorted(each for each in wanted if each.strip()) == sorted(rewritten.split(b"\n")[:-1])
