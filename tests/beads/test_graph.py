"""Who waits for whom."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.beads import graph


def test_a_circle_is_shown_as_a_path(bead: Callable[..., Any], known: Callable[..., Any]) -> None:
    issues = known(bead("a", "b"), bead("b", ("c", "parent-child")), bead("c"))
    assert graph.circle(issues, "c", "a", "blocks") == ["c", "a", "b", "c"]
    assert graph.circle(issues, "c", "a", "related") == []
    assert graph.circle(issues, "a", "c", "blocks") == []
    assert graph.circle(issues, "a", "a", "blocks") == ["a", "a"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14))
def test_every_circle_found_is_one_and_none_is_missed(pairs: list[tuple[int, int]]) -> None:
    issues: dict[str, Any] = {str(number): {"id": str(number)} for number in range(8)}
    for source, target in pairs:
        issues[str(source)].setdefault("dependencies", []).append({"depends_on_id": str(target)})
    found = graph.circles(issues)
    for way in found:
        assert way[0] == way[-1]
        for source, target in pairwise(way):
            assert target in [link.target for link in graph.links_of(issues[source])]
    on_one = {
        name
        for name in issues
        for link in graph.links_of(issues[name])
        if graph.path(issues, link.target, name)
    }
    assert {way[0] for way in found} <= on_one
    assert bool(found) == bool(on_one)


def test_a_chain_of_any_length_needs_no_recursion() -> None:
    size = 20_000
    issues = {
        str(n): {"id": str(n), "dependencies": [{"depends_on_id": str(n + 1)}]} for n in range(size)
    }
    assert graph.circles(issues) == []
    assert len(graph.path(issues, "0", str(size))) == size + 1
    assert len(graph.tree(issues, "0", up=False, max_depth=size)) == size + 1


def test_a_tree_has_each_bead_once_and_goes_both_ways(
    bead: Callable[..., Any], known: Callable[..., Any]
) -> None:
    issues = known(bead("a", "b", "c"), bead("b", "c"), bead("c", "gone"))
    rows = graph.tree(issues, "a", up=False, max_depth=9)
    assert [(row["id"], row["depth"]) for row in rows] == [
        ("a", 0),
        ("b", 1),
        ("c", 2),
        ("gone", 3),
    ]
    rows = graph.tree(issues, "c", up=True, max_depth=1)
    assert [(row["id"], row["truncated"]) for row in rows] == [
        ("c", False),
        ("a", False),
        ("b", True),
    ]


def test_descendants_and_ancestors(bead: Callable[..., Any], known: Callable[..., Any]) -> None:
    issues = known(
        bead("a", ("c", graph.PARENT)),
        bead("b", ("a", graph.PARENT)),
        bead("c", ("b", graph.PARENT)),
    )
    assert graph.descendants(issues, "a") == {"b", "c"}
    assert list(graph.ancestors(issues, "a")) == ["c", "b"]


@pytest.mark.parametrize("target", ["external:x:y", "b"])
def test_what_is_elsewhere_or_here_does_not_dangle(
    target: str, bead: Callable[..., Any], known: Callable[..., Any]
) -> None:
    assert graph.dangling(known(bead("a", target), bead("b"))) == []
    assert [link.target for link in graph.dangling(known(bead("a", "gone")))] == ["gone"]
