from __future__ import annotations

import shutil
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pygraphviz
import pytest

from attractor.errors import ToolError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.pipeline.html_label import is_drawable_html
from attractor.pipeline.render import STATUS_COLOURS, coloured_dot, svg
from attractor.run.states import NodeState
from attractor.spawn import run_tool

needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is missing")
Drawn = Callable[[str], pygraphviz.AGraph]
SVG = "{http://www.w3.org/2000/svg}"


def graph(text: str) -> Graph:
    return build(parse(f"digraph g {{ {text} }}"))


@pytest.fixture
def drawn() -> Callable[[str], pygraphviz.AGraph]:
    """What Graphviz itself reads in our DOT."""
    kept: list[pygraphviz.AGraph] = []  # its nodes are lost with it

    def read(text: str) -> pygraphviz.AGraph:
        kept.append(pygraphviz.AGraph(string=coloured_dot(graph(text))))
        return kept[-1]

    return read


def test_every_state_has_its_colour() -> None:
    assert set(STATUS_COLOURS) == {state.value for state in NodeState}


@pytest.mark.parametrize(("status", "colour"), STATUS_COLOURS.items())
def test_a_node_is_filled_with_the_colour_of_its_state(
    drawn: Drawn, status: str, colour: str
) -> None:
    node = drawn(f"a [shape=hexagon, fillcolor=black, status={status}]").get_node("a")
    assert node.attr["fillcolor"] == colour
    assert "filled" in node.attr["style"]
    assert node.attr["shape"] == "hexagon"
    assert node.attr["class"] == status


def test_a_node_without_a_state_is_pending_and_an_unknown_state_is_white(drawn: Drawn) -> None:
    picture = drawn('a; b [status="gone fishing"]')
    assert picture.get_node("a").attr["fillcolor"] == STATUS_COLOURS["pending"]
    assert picture.get_node("b").attr["fillcolor"] == "white"


def test_the_tooltip_names_id_handler_and_state(drawn: Drawn) -> None:
    node = drawn("a [shape=Mdiamond, status=active]").get_node("a")
    assert node.attr["tooltip"] == r"a\nhandler: start\nstatus: active"


def test_the_legend_counts_each_state_that_occurs(drawn: Drawn) -> None:
    heading = drawn("a [status=failed]; b [status=failed]; c").graph_attr["label"]
    assert ">failed 2<" in heading
    assert ">pending 1<" in heading
    assert "accepted" not in heading


def test_the_heading_shows_label_and_requirements_as_text(drawn: Drawn) -> None:
    heading = drawn('label="a <b> & c"; prd_ref="PRD-1"; a').graph_attr["label"]
    assert "a &lt;b&gt; &amp; c" in heading
    assert ">PRD-1<" in heading


def test_only_what_graphviz_draws_is_passed_on() -> None:
    dot = coloured_dot(
        graph(
            'a [timeout=900s, human.default_choice=x, prompt="p", image="/etc/passwd", '
            'URL="javascript:alert(1)", shape=custom, shapefile="/etc/passwd"]; '
            'a -> b [weight=heavy, loop_restart=true, style=invis, color="not one"]'
        )
    )
    for word in ("900s", "default_choice", "passwd", "javascript", "custom", "heavy", "invis"):
        assert word not in dot
    assert "not one" not in dot


def test_an_edge_shows_its_label_or_else_its_condition(drawn: Drawn) -> None:
    picture = drawn("a -> b [label=go, condition=pass]; a -> c [condition=fail, style=dashed]")
    assert picture.get_edge("a", "b").attr["label"].strip() == "go"
    assert picture.get_edge("a", "c").attr["label"].strip() == "fail"
    assert picture.get_edge("a", "c").attr["style"] == "dashed"


def test_routes_are_coloured_unless_the_pipeline_chose_a_colour(drawn: Drawn) -> None:
    picture = drawn('a -> b [condition=pass]; a -> c [condition=fail, color="#0000ff"]')
    assert picture.get_edge("a", "b").attr["color"] == "#2e7d32"
    assert picture.get_edge("a", "c").attr["color"] == "#0000ff"


def test_parallel_edges_are_all_drawn(drawn: Drawn) -> None:
    assert coloured_dot(graph("a -> b [condition=pass]; a -> b [condition=fail]")).count("->") == 6


def test_a_long_label_is_wrapped_and_line_ends_are_kept(drawn: Drawn) -> None:
    picture = drawn(r'a [label="one two three four five six seven eight"]; b [label="x\ly\nz"]')
    assert picture.get_node("a").attr["label"] == r"one two three four five six\nseven eight"
    assert picture.get_node("b").attr["label"] == r"x\ny\nz"


@pytest.mark.parametrize("direction", ["TB", "LR", "BT", "RL"])
def test_the_direction_is_kept(drawn: Drawn, direction: str) -> None:
    assert drawn(f"rankdir={direction}; a").graph_attr["rankdir"] == direction


def test_an_unknown_direction_is_downwards(drawn: Drawn) -> None:
    assert drawn("rankdir=sideways; a").graph_attr["rankdir"] == "TB"


ODD = [
    '"node"',
    '"a:b"',
    '"c d"',
    r'"quote \" inside"',
    r'"back\slash\\"',
    '"ünïcode ☃"',
    '"<b>"',
    '""',
    '"-1"',
    '"; } digraph x {"',
    '"a\tb\x01"',
]


@needs_graphviz
@pytest.mark.parametrize("name", ODD)
def test_odd_names_and_labels_are_drawn_by_graphviz(name: str) -> None:
    picture = svg(
        coloured_dot(graph(f"{name} [label={name}] {name} -> end [label={name}]")).encode()
    )
    root = ET.fromstring(picture)
    assert len(root.findall(f".//{SVG}g[@class='node pending']")) == 2
    assert len(root.findall(f".//{SVG}g[@class='edge']")) == 1


@needs_graphviz
def test_the_svg_can_be_read_without_its_colours() -> None:
    root = ET.fromstring(svg(coloured_dot(graph('build_it [status=failed, label="x"]')).encode()))
    [node] = root.findall(f".//{SVG}g[@class='node failed']")
    assert node.findtext(f"{SVG}title") == "build_it"
    [link] = node.findall(f".//{SVG}a")
    assert link.get("{http://www.w3.org/1999/xlink}title") == (
        "build_it\nhandler: codergen\nstatus: failed"
    )


GOOD = [
    "text",
    "<b>bold</b> and <i>it</i><br/>next",
    '<FONT COLOR="red">x</FONT>',
    "<table><tr><td>x</td></tr></table>",
    "<table><tr><td>x</td><vr/><td>y</td></tr><hr/><tr><td><b>z</b></td></tr></table>",
    "<i><table><tr><td><table><tr><td>x</td></tr></table></td></tr></table></i>",
    "&lt; &amp; &#169;",
]
BAD = [
    "",
    "<b>broken</i>",
    "<b>open",
    "a & b",
    "&nbsp;",
    "<blink>x</blink>",
    "<table></table>",
    "<table><td>x</td></table>",
    "<table><tr><td>x</td></tr></table> and text",
    "<table>text<tr><td>x</td></tr></table>",
    "<table><tr><td>x</td></tr></table><table><tr><td>y</td></tr></table>",
    "<table><hr/><tr><td>x</td></tr></table>",
    "<table><tr><td>x</td><vr/></tr></table>",
    "<table><tr><td>x</td><vr/><vr/><td>y</td></tr></table>",
    "<br>text</br>",
    '<img src="/etc/passwd"/>',
    '<table><tr><td><img src="/etc/passwd"/></td></tr></table>',
    '<table href="javascript:alert(1)"><tr><td>x</td></tr></table>',
    '<b onclick="x">y</b>',
    "</HTML><HTML>",
    "<b>" * 5_000 + "x" + "</b>" * 5_000,
    "<!DOCTYPE x []>y",
]


@needs_graphviz
@pytest.mark.parametrize("markup", GOOD)
def test_markup_that_is_called_drawable_is_drawn_by_graphviz(markup: str) -> None:
    assert is_drawable_html(markup)
    dot = coloured_dot(graph(f"a [label=<{markup}>]"))
    assert f"label=<{markup}>" in dot
    run_tool(["dot", "-Tsvg"], timeout_seconds=30, stdin=dot.encode())


@pytest.mark.parametrize("markup", BAD, ids=range(len(BAD)))
def test_markup_that_graphviz_cannot_draw_or_must_not_is_refused(markup: str) -> None:
    assert not is_drawable_html(markup)


@needs_graphviz
@pytest.mark.parametrize("markup", ["<b>broken</i>", "a & b", "<img src='x'/>", "<u><table/></u>"])
def test_a_label_that_cannot_be_drawn_is_shown_as_text(markup: str) -> None:
    root = ET.fromstring(svg(coloured_dot(graph(f"a [label=<{markup}>]")).encode()))
    [node] = root.findall(f".//{SVG}g[@class='node pending']")
    assert "".join(each.text or "" for each in node.iter(f"{SVG}text")) == f"<{markup}>"


def test_a_missing_graphviz_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="dot is not installed") as caught:
        svg(b"digraph { a }")
    assert "graphviz" in caught.value.fix


def test_a_very_long_text_is_cut_before_it_is_wrapped() -> None:
    text = "word " * 1_000_000
    dot = coloured_dot(
        graph(
            f'label="{text}"; a [label="{text}", status="{text}", handler="{text}"]; '
            f'a -> b [condition="{text}"]'
        )
    )
    assert len(dot) < 40_000
    assert dot.count("\u2026") >= 6


def test_the_tooltip_of_a_very_long_id_still_names_handler_and_state(drawn: Drawn) -> None:
    name = "x" * 10_000
    node = drawn(f"{name} [shape=Mdiamond, status=active]").get_node(name)
    assert node.attr["tooltip"].endswith("\u2026\\nhandler: start\\nstatus: active")
    assert len(node.attr["label"]) < 3_000


def test_very_long_markup_is_shown_as_text_and_long_markup_is_drawn() -> None:
    long = "<b>" + "x" * 5_000 + "</b>"
    assert f"label=<{long}>" in coloured_dot(graph(f"a [label=<{long}>]"))
    huge = "<b>" + "x" * 50_000 + "</b>"
    dot = coloured_dot(graph(f"a [label=<{huge}>]"))
    assert "label=<<b>" not in dot
    assert len(dot) < 10_000
