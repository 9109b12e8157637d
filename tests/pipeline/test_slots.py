"""Slots write what an edit of the parsed text writes, however often a value changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.pipeline.dot import parse
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.graph import build
from attractor.pipeline.slots import Slots

VALUES = st.sampled_from(["failed", "impl_complete", "15m", "two words", "", 'q"\\', "a\nb"])


@settings(max_examples=150)
@given(data=st.data())
def test_slots_write_what_set_attrs_writes(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    key = data.draw(st.sampled_from(["status", "x", "label", "fresh"]))
    slots = Slots(parse(text), key)
    assert slots.text == text
    nodes = sorted(map(str, build(parse(text)).nodes))
    for _ in range(4):
        count = data.draw(st.integers(0, len(nodes)))
        wanted = {node: data.draw(VALUES) for node in data.draw(st.permutations(nodes))[:count]}
        document = parse(text)
        shown = {str(node.id): node.attrs.get(key) for node in build(document).nodes.values()}
        values = {node: value for node, value in wanted.items() if shown[node] != value}
        if slots.set(values):
            text = set_attrs(document, {node: {key: value} for node, value in values.items()})
        assert slots.text == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('digraph { a [status="pending"]; }', 'digraph { a [status="active"]; }'),
        ("digraph { a [status=pending, x=1]; }", "digraph { a [status=active, x=1]; }"),
        ("digraph { a [x=1]; }", 'digraph { a [x=1, status="active"]; }'),
        ("digraph { a; }", 'digraph { a [status="active"]; }'),
        ("digraph { a []; }", 'digraph { a [status="active"]; }'),
        ('digraph { a [label="\u00e9"]; }', 'digraph { a [label="\u00e9", status="active"]; }'),
    ],
)
def test_a_node_with_a_statement_of_its_own_has_a_place(before: str, after: str) -> None:
    slots = Slots(parse(before), "status")
    assert slots.set({"a": "impl_complete"})
    assert slots.set({"a": "active"})
    assert slots.text == after


@pytest.mark.parametrize("text", ["digraph { a -> b; }", "digraph { a, b [status=pending]; }"])
def test_where_one_node_has_no_place_nothing_is_changed(text: str) -> None:
    slots = Slots(parse(text.replace("}", "c; }")), "status")
    assert not slots.set({"c": "active", "a": "active"})
    assert slots.text == text.replace("}", "c; }")
