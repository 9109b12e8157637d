"""The parser reads three dialects, and refuses the rest with a sentence that points at it."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.pipeline.attrlist import attributes, read_fast, read_slow
from attractor.pipeline.document import EdgeStatement, NodeStatement
from attractor.pipeline.dot import Document, DotError, parse
from attractor.pipeline.graph import build
from attractor.pipeline.source import Source


def attrs_of(text: str) -> dict[str, str]:
    """Return the attributes of node `a` in a graph that holds just this."""
    return build(parse(f"digraph {{ {text} }}")).nodes["a"].attrs


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[x=1, y=2]", {"x": "1", "y": "2"}),
        ("[x=1 y=2]", {"x": "1", "y": "2"}),
        ("[x=1; y=2;]", {"x": "1", "y": "2"}),
        ("[x=1][y=2]", {"x": "1", "y": "2"}),
        ("[x=1, x=2]", {"x": "2"}),
        ("[]", {}),
        ("[manager.poll_interval=45s]", {"manager.poll_interval": "45s"}),
        ("[timeout=900s, b=15m c=250ms]", {"timeout": "900s", "b": "15m", "c": "250ms"}),
        ("[m=gpt-5.4 n=qwen3:8b]", {"m": "gpt-5.4", "n": "qwen3:8b"}),
        ("[x=-1 y=.5 z=-.5 w=1.]", {"x": "-1", "y": ".5", "z": "-.5", "w": "1."}),
        ("[goal_gate=true]", {"goal_gate": "true"}),
        ('[label="a" + "b"\n+ "c"]', {"label": "abc"}),
        ('[label="a\\\nb"]', {"label": "ab"}),
        ("[label=<a <b>c</b>>]", {"label": "<a <b>c</b>>"}),
        ('["odd key"=1]', {"odd key": "1"}),
        ('[x="[not -> a list]" // y=2\n]', {"x": "[not -> a list]"}),
        ("[\r\n\tx=1,\r\n\ty=2\r\n]", {"x": "1", "y": "2"}),
        ("[x=1] # remark\n", {"x": "1"}),
        ("[shape=node]", {"shape": "node"}),
    ],
)
def test_attribute_lists_of_every_dialect_are_read(written: str, read: dict[str, str]) -> None:
    assert attrs_of(f"a {written}") == read


@pytest.mark.parametrize("name", ["", "g", '"My graph"', "G_1"])
def test_a_graph_may_have_a_name_or_none(name: str) -> None:
    assert parse(f"digraph {name} {{}}").name == name.strip('"')


@pytest.mark.parametrize("text", ["\ufeffdigraph {}", "DiGraph{}", "# 1\n// 2\n/* 3 */digraph{}"])
def test_marks_case_and_comments_do_not_disturb(text: str) -> None:
    assert parse(text).statements == []


# Each: the text, with a caret mark ^ just before the place that the error must point at.
FAULTS = [
    ("^", "empty", "digraph name"),
    ("  \n// nothing\n^", "only comments", "digraph name"),
    ("^hello world", "not a pipeline", "digraph name { a -> b }"),
    ("^{}", "not a pipeline", "digraph"),
    ("^Here it is:\n```dot\ndigraph g { a }\n```", "before the graph", "line 3"),
    ("^strict digraph { a }", "strict", "Delete"),
    ("^graph { a -- b }", "undirected graph", "digraph"),
    ("digraph { a ^-- b }", "undirected edge", "->"),
    ("digraph { a }\n^digraph { b }", "second graph", "file of its own"),
    ("digraph {\n a\n^digraph { b }", "second graph", "}"),
    ("digraph { a } ^thanks", "after the end", "Delete"),
    ("digraph { a } ^}", "too many", "Delete"),
    ("digraph ^{ a -> b", "`{` is not closed", "}"),
    ("digraph { subgraph s ^{ a -> b", "`{` is not closed", "}"),
    ("digraph my^-graph {}", "needs quotes", '"my-graph"'),
    ("digraph a ^b {}", "Here stands `b`", "{"),
    ("digraph ^", "end of the file", "{"),
    ('digraph { a [label=^"b] }', "string is not closed", "Write"),
    ('digraph {\n a [label=^"x]\n b [label="y"]\n}', "not closed", "Write"),
    ("digraph { a [label=^<b] }", "HTML label is not closed", ">"),
    ("digraph { a ^/* b }", "comment is not closed", "*/"),
    ("digraph { a [x=1\n  ^b -> c }", "line 1, column 13 is not closed", "`]`"),
    ("digraph { a [x=1 ^}", "is not closed", "`]`"),
    ("digraph { a [x=1^", "is not closed", "`]`"),
    ("digraph { a [^bold] }", "bold has no value", "name=value"),
    ("digraph { a [label=hello ^world] }", "world has no value", "several words"),
    ("digraph { a [x=^] }", "`]`", "comes a value"),
    ("digraph { a [x=^, y=2] }", "`,`", "comes a value"),
    ("digraph { a [^, y=2] }", "without an attribute", "Delete"),
    ("digraph { a [color=^#ff0000] }", "comment", "quotes"),
    ("digraph { a [x=foo^/bar] }", "`/` may not stand", "quotes"),
    ("digraph { a [x=^'foo'] }", "no quotation mark", "straight"),
    ("digraph { a [x=^\u201cfoo\u201d] }", "no quotation mark", "straight"),
    ('digraph { a [x="b" + ^c] }', "`c`", "joins two strings"),
    ("digraph { a [^my-key=1] }", "needs quotes", '"'),
    ("digraph { ^my-node -> b }", "needs quotes", '"my-node"'),
    ("digraph { a -> ^wait.human }", "needs quotes", '"wait.human"'),
    ("digraph { ^node -> b }", "word of the DOT language", '"node"'),
    ("digraph { a -> ^Graph }", "word of the DOT language", '"Graph"'),
    ("digraph { a -> ^}", "leads nowhere", "delete the arrow"),
    ("digraph { a -> b -> ^[x=1] }", "leads nowhere", "delete the arrow"),
    ("digraph { ^-> b }", "nothing before it", "a -> b"),
    ("digraph { a ^<- b }", "point to the right", "b -> a"),
    ("digraph { ^[x=1] }", "belongs to nothing", "behind"),
    ("digraph { {a} ^[x=1] }", "no attribute list", "graph [...]"),
    ("digraph { subgraph s ^a }", "`a`", "{"),
    ("digraph { a, ^-> b }", "`->`", "another node"),
    ("digraph { a:^-> b }", "`->`", "port"),
    ("digraph { ^= b }", "`=`", "begins with"),
    ("digraph { a = ^}", "`}`", "comes a value"),
    ("digraph { ^<b>x</b> }", "no node id", "label"),
    ("digraph { ^\x00 }", "U+0000", "quotes"),
]


@pytest.mark.parametrize(("marked", "problem", "fix"), FAULTS)
def test_a_fault_is_named_pointed_at_and_answered(marked: str, problem: str, fix: str) -> None:
    # `my^-graph` marks a place inside a word: the error points at the word's beginning.
    text, offset = marked.replace("^", ""), marked.index("^")
    offset = text.index("my-graph") if "my-graph" in text else offset
    with pytest.raises(DotError) as caught:
        parse(text, "p.dot")
    error = caught.value
    assert (error.line, error.column) == Source(text).place(offset)
    assert problem in error.problem
    assert fix in error.fix
    assert error.where == f"p.dot:{error.line}:{error.column}"


def test_the_caret_stands_under_the_fault() -> None:
    with pytest.raises(DotError) as caught:
        parse("digraph {\n\ta [x=foo/bar]\n}")
    line, caret = caught.value.excerpt.split("\n")
    assert line == "\ta [x=foo/bar]"
    assert caret == "\t        ^"
    assert line[caret.index("^")] == "/"


def test_the_caret_minds_wide_letters_and_long_lines() -> None:
    assert Source("日本 x").excerpt(3).split("\n")[1] == "     ^"
    shown, caret = Source("y" * 500 + "x" + "y" * 500).excerpt(500).split("\n")
    assert len(shown) < 160
    assert shown[caret.index("^")] == "x"


def test_a_byte_order_mark_has_no_column() -> None:
    with pytest.raises(DotError) as caught:
        parse("\ufeffgraph {}")
    assert (caught.value.line, caught.value.column) == (1, 1)
    assert caught.value.excerpt == "graph {}\n^"


def test_an_error_survives_pickling_and_has_its_place_in_json() -> None:
    with pytest.raises(DotError) as caught:
        parse("digraph { a -- b }", "p.dot")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    said = again.as_json()
    assert (said["code"], said["line"], said["column"]) == ("dot", 1, 13)


@given(st.text() | st.text(alphabet='digraph{}[]ab->"=,;<>/*#\\\n', max_size=80))
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    parse_or_refuse("digraph{" + text + "}")
    parse_or_refuse(text)


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_pipeline_parses_or_is_refused(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    choice = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(choice.randrange(1, 4)):
        at = choice.randrange(len(text) + 1)
        junk = choice.choice(["", "", '"', "{", "}", "[", "]", "->", "<", "/*", "\\", "=", "\x00"])
        text = text[:at] + junk + text[at + choice.randrange(0, 6) :]
    parse_or_refuse(text)


def parse_or_refuse(text: str) -> None:
    error = refusal(text)
    if error is not None:
        assert error.line >= 1
        assert error.column >= 1
        assert "^" in error.excerpt
        assert error.problem
        assert error.fix


def refusal(text: str) -> DotError | None:
    try:
        build(parse(text))
    except DotError as error:
        return error
    return None


@settings(max_examples=200)
@given(data=st.data())
def test_the_fast_reading_of_a_list_is_the_slow_one(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    for start in [at for at, letter in enumerate(text) if letter == "["]:
        fast = read_fast(text, start)
        if fast is not None:
            assert fast == read_slow(document.source, start)


@given(st.text(alphabet='ab.1-:="\\,; \n#/*<>+]', max_size=30))
def test_the_fast_reading_never_accepts_what_the_slow_one_refuses(inside: str) -> None:
    text = f"[{inside}]"
    fast = read_fast(text, 0)
    if fast is not None:
        assert fast == read_slow(Source(text), 0)


@given(data=st.data())
def test_spans_point_at_what_they_name(data: st.DataObject, texts: Any) -> None:
    text = data.draw(texts())
    document = parse(text)
    for statement in document.statements:
        if not isinstance(statement, NodeStatement | EdgeStatement):
            continue
        found = attributes(document.source, statement.lists)
        assert {one.key: one.value for one in found} == statement.attrs
        for one in found:
            raw = text[one.value_start : one.value_end]
            assert build(parse(f"digraph {{ a [x={raw}] }}")).nodes["a"].attrs["x"] == one.value


def test_ten_thousand_nested_subgraphs_are_read() -> None:
    deep = 10_000
    graph = build(parse("digraph {" + "subgraph { x ->" * deep + "{ a }" + "}" * deep + "}"))
    assert list(graph.nodes) == ["x", "a"]
    assert len(graph.edges) == deep + deep - 1


def test_a_missing_comma_is_remarked_once_per_list() -> None:
    document = parse('digraph { a [x=1 y="2" z=3]; b [x=1, y=2 z=3]; c [x=1, y=2,] }')
    assert [(remark.rule, remark.offset) for remark in document.warnings] == [
        ("missing_comma", document.source.text.index(" y=")),
        ("missing_comma", document.source.text.index(" z=3]; c")),
    ]


def test_the_slow_reading_remarks_the_same_missing_comma() -> None:
    text = 'digraph { a [x="1" + "1" y=2 z=3] }'
    assert [remark.offset for remark in parse(text).warnings] == [text.index(" y=")]


def test_an_unusual_node_id_is_remarked_once_and_a_harness_id_never() -> None:
    document = parse('digraph { "a b" -> "wait.human" -> "a-b"; "a b" -> 12 }')
    assert [(remark.rule, remark.offset) for remark in document.warnings] == [
        ("node_id_portable", 10),
        ("node_id_portable", document.source.text.index("12")),
    ]


def test_a_parsed_text_is_kept_as_it_is() -> None:
    text = "\ufeffdigraph {\r\n}\r\n"
    document = parse(text)
    assert isinstance(document, Document)
    assert document.source.text == text
